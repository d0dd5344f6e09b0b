"""What a file may do: links, pipes, foreign files and kills never cost anybody else's data, and never hang a call."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import vaegen
from vaegen import OutputError, RequestError, files, reconstruct_folder, swap
from vaegen.encoding import encode_png
from vaegen.files import write_file
from vaegen.swap import check_folder, write_folder
from vaegen_cli import main

TINY = Path(__file__).parents[1] / "assets" / "tiny"
MARK = ".vaegen-unfinished.json"
IMAGE = encode_png(np.full((28, 28, 3), 90, np.uint8))
SECONDS = 60  # after which a call counts as hanging

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and kills as POSIX systems have them")


@pytest.fixture(scope="module")
def model() -> vaegen.Model:
    return vaegen.load(TINY)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("a/0.png", "a/1.png", "b/0.png", "c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(IMAGE)
    return tmp_path / "in"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("mine\n")
    return path


def tree(root: Path) -> dict[str, bytes | None]:
    """What a folder holds, links as they are."""
    return {
        str(path.relative_to(root)): None if path.is_symlink() or not path.is_file() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def in_a_child(program: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


def vaegen_verb(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return in_a_child("import sys; from vaegen_cli import run; run()", *arguments)


# --- what is opened ---------------------------------------------------------------------------------------------

IN_THE_WAY: dict[str, Callable[[Path, Path], object]] = {
    "symbolic link": lambda path, secret: path.symlink_to(secret),
    "link to nothing": lambda path, secret: path.symlink_to(secret.with_name("nowhere")),
    "hard link": lambda path, secret: path.hardlink_to(secret),
    "named pipe": lambda path, _: os.mkfifo(path),
    "own file": lambda path, _: path.write_text('{"my": "notes"}'),
    "folder": lambda path, _: path.mkdir(),
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_nothing_with_the_name_of_the_mark_is_touched_and_no_pipe_is_waited_for(
    source: Path, tmp_path: Path, secret: Path, kind: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    IN_THE_WAY[kind](out / MARK, secret)
    before = tree(tmp_path)
    done = vaegen_verb("reconstruct", source, out, "--model", TINY, "-q")
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    assert MARK in done.stderr or kind == "folder"
    assert tree(tmp_path) == before


def test_a_mark_that_names_other_marks_as_its_temporary_files_removes_none(
    model: vaegen.Model, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    reconstruct_folder(model, source, out)
    (out / MARK).write_text('{"token": "unfinished", "asked": {}}')
    (out / ".vaegen-unfinished-1-of-2.json").write_text('{"token": "0123456789ab", "asked": {}}')
    reconstruct_folder(model, source, out, force=True)
    assert (out / ".vaegen-unfinished-1-of-2.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode", "pipe.npz", "--model", TINY],
        ["decode", "pipe.npy", "--model", TINY],
        ["decode", "pipe.jsonl", "--model", TINY],
        ["verify", "bundle"],
        ["sample", "--model", "./bundle"],
        ["reconstruct", "in", "out", "--model", TINY, "--report", "pipe.jsonl", "--force"],
        ["reconstruct", "pipe.png", "out.png", "--model", TINY],
        ["sample", "--model", TINY, "-o", "pipe.png", "--force"],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[1]}",
)
def test_a_named_pipe_is_refused_and_not_waited_for(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object]
) -> None:
    monkeypatch.chdir(tmp_path)
    for suffix in ("npz", "npy", "jsonl", "png"):
        os.mkfifo(f"pipe.{suffix}")
    shutil.copytree(TINY, "bundle")
    Path("bundle/manifest.json").unlink()
    os.mkfifo("bundle/manifest.json")
    before = tree(tmp_path)
    done = vaegen_verb(*arguments)
    assert done.returncode in (3, 4)
    assert "plain file" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(tmp_path) == before


# --- a job's report ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["in/c.png", "in/a/../c.png", "link/c.png", "out/a/1.png", f"out/{MARK}"])
@pytest.mark.parametrize("force", [False, True])
def test_a_report_takes_the_place_of_no_source_and_no_result(
    model: vaegen.Model, source: Path, tmp_path: Path, place: str, force: bool
) -> None:
    (tmp_path / "link").symlink_to(source)
    if force:
        reconstruct_folder(model, source, tmp_path / "out")
    before = tree(tmp_path)
    with pytest.raises((RequestError, OutputError)):
        reconstruct_folder(model, source, tmp_path / "out", report=tmp_path / place, force=force)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["symbolic link", "hard link"])
@pytest.mark.parametrize("resumed", [False, True])
def test_a_report_is_not_written_through_a_link(
    model: vaegen.Model, source: Path, tmp_path: Path, secret: Path, kind: str, resumed: bool
) -> None:
    def stop(_: vaegen.Outcome) -> None:
        raise KeyboardInterrupt

    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    secret.write_text("mine, and not a whole line")
    if resumed:
        with pytest.raises(KeyboardInterrupt):
            reconstruct_folder(model, source, out, report=report, on_outcome=stop)
        report.unlink()
        IN_THE_WAY[kind](report, secret)
        with pytest.raises(OutputError, match=r"r\.jsonl"):
            reconstruct_folder(model, source, out, report=report)
    else:
        IN_THE_WAY[kind](report, secret)
        reconstruct_folder(model, source, out, report=report, force=True)
        assert len(report.read_text().splitlines()) == 4
    assert secret.read_text() == "mine, and not a whole line"


# --- folders that change while a job is at work ------------------------------------------------------------------


@pytest.mark.parametrize("handles", [True, False], ids=["handles", "no handles"])
@pytest.mark.parametrize("swapped", ["out", "out/a", "out/b"])
def test_a_folder_that_becomes_a_link_leads_no_result_elsewhere(
    model: vaegen.Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str, handles: bool
) -> None:
    monkeypatch.setattr("vaegen.folder.mirror._HANDLES", handles and vaegen.folder.mirror._HANDLES)
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").mkdir()

    def swap_once(outcome: vaegen.Outcome) -> None:
        place = tmp_path / swapped
        if outcome.source.name == "0.png" and not place.is_symlink():
            if place.exists():
                place.rename(tmp_path / "aside")
            place.symlink_to(elsewhere)

    report = reconstruct_folder(model, source, out, on_outcome=swap_once)
    assert not [path for path in elsewhere.rglob("*") if path.is_file()]
    assert report.failed >= 1
    assert all("moved, or become a link" in str(failure.error) for failure in report.failures)


def test_a_link_that_was_there_before_is_followed_as_ever(model: vaegen.Model, source: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "disk")
    (tmp_path / "way").symlink_to(tmp_path / "out")
    assert reconstruct_folder(model, source, tmp_path / "way", workers=2).written == 4
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["0.png", "1.png"]


# --- replacing folders ------------------------------------------------------------------------------------------

BUNDLE = {"manifest.json": b"new", "decoder.onnx": b"new"}


@pytest.fixture(params=["exchange", "renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "renames":
        monkeypatch.setattr(swap, "_renameat2", lambda *_: False)
    return str(request.param)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a new file": lambda folder: (folder / "notes.txt").write_text("mine"),
    "a new folder": lambda folder: (folder / "more").mkdir(),
    "a file changed": lambda folder: (folder / "manifest.json").write_text("old, mine"),
    "a file replaced": lambda folder: write_file(folder / "manifest.json", b"old", force=True),
    "deep below": lambda folder: (folder / "deep" / "notes.txt").write_text("mine"),
    "another folder": lambda folder: shutil.copytree(folder.rename(f"{folder}-old"), folder),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.usefixtures("way")
def test_what_somebody_put_there_meanwhile_stays(tmp_path: Path, change: str) -> None:
    target = tmp_path / "bundle"
    (target / "deep").mkdir(parents=True)
    (target / "manifest.json").write_text("old")
    seen = check_folder(target)
    CHANGES[change](target)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="has changed since the work began"):
        write_folder(target, BUNDLE, seen)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("made", ["file", "folder", "link"])
@pytest.mark.usefixtures("way")
def test_what_somebody_made_where_nothing_was_stays(tmp_path: Path, made: str) -> None:
    target = tmp_path / "bundle"
    seen = check_folder(target)
    IN_THE_WAY[{"file": "own file", "folder": "folder", "link": "symbolic link"}[made]](target, tmp_path)
    if made == "folder":
        (target / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="has changed since the work began"):
        write_folder(target, BUNDLE, seen)
    assert tree(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux", reason="the exchange of two names is Linux'")
def test_what_comes_between_the_last_look_and_the_exchange_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    seen = check_folder(target)
    rename = swap._renameat2

    def write_first(source: Path, place: Path, flags: int) -> bool:
        if not (target / "notes.txt").exists() and not (source / "notes.txt").exists():
            (target / "notes.txt").write_text("mine")
        return rename(source, place, flags)

    monkeypatch.setattr(swap, "_renameat2", write_first)
    with pytest.raises(OutputError, match="has changed since the work began"):
        write_folder(target, BUNDLE, seen)
    assert tree(tmp_path) == {"bundle": None, "bundle/notes.txt": b"mine"}


# Argument 1: the target; 2: the call, of those that change a name, before which the process is killed; 3: the way.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from vaegen import files, swap

target, fatal, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
calls = 0

def deadly(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

swap._renameat2 = deadly(swap._renameat2) if way == "exchange" else lambda *_: False
for name in ("rename", "replace", "link", "unlink", "mkdir", "rmdir", "fsync"):
    setattr(os, name, deadly(getattr(os, name)))
"""
FOLDER = (
    KILLED
    + """
seen = swap.check_folder(target)
swap.write_folder(target, {"manifest.json": b"new", "decoder.onnx": b"new"}, seen)
print("done")
"""
)
FILE = (
    KILLED
    + """
if way == "renames":
    files._open_nameless = lambda *_: None
files.write_file(target, b"new", force=True, sync=True)
print("done")
"""
)


@pytest.mark.parametrize("kind", ["exchange", "renames"])
def test_a_kill_at_any_step_leaves_one_whole_folder_and_the_next_writer_cleans_up(tmp_path: Path, kind: str) -> None:
    target, old = tmp_path / "bundle", {"manifest.json": b"old", "encoder.onnx": b"old"}
    write_folder(target, old, check_folder(target))
    for step in range(1, 100):
        done = in_a_child(FOLDER, target, step, kind)
        if kind == "exchange":
            assert tree(target) in (old, BUNDLE)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        seen = check_folder(target)
        assert tree(target) in (old, BUNDLE)
        assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
        write_folder(target, old, seen)
    assert done.stdout == "done\n"
    assert step > 5
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("kind", ["exchange", "renames"])
def test_a_kill_at_any_step_leaves_the_old_file_or_the_new_and_the_next_writer_cleans_up(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "a.png"
    for step in range(1, 100):
        path.write_bytes(b"old")
        done = in_a_child(FILE, path, step, kind)
        assert path.read_bytes() in (b"old", b"new")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        write_file(path, b"third", force=True)
        assert tree(tmp_path) == {"a.png": b"third"}
    assert step > 2


def test_a_folder_of_somebody_else_beside_the_target_is_not_taken_for_what_a_kill_left(tmp_path: Path) -> None:
    (tmp_path / ".bundle.vaegen-tmp").mkdir()
    (tmp_path / ".bundle.vaegen-tmp" / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="is in the way"):
        check_folder(tmp_path / "bundle")
    assert tree(tmp_path) == before


def test_of_two_that_write_one_folder_the_second_ends_at_once(tmp_path: Path) -> None:
    seen = check_folder(tmp_path / "bundle")
    (tmp_path / ".bundle.vaegen-tmp").mkdir()
    with files.locked_folder(tmp_path / ".bundle.vaegen-tmp"):
        for attempt in (check_folder, lambda target: write_folder(target, BUNDLE, seen)):
            with pytest.raises(OutputError, match="another process is at work there"):
                attempt(tmp_path / "bundle")


# --- what cannot be written is known before any work --------------------------------------------------------------

AS_ANYBODY = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); "


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become anybody")
@pytest.mark.parametrize("place", ["closed/new", "closed/old", "closed/new/deep"])
def test_a_closed_place_for_a_folder_is_refused_before_any_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "closed" / "old").mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    program = (
        AS_ANYBODY + "from pathlib import Path; from vaegen.swap import check_folder; check_folder(Path(sys.argv[1]))"
    )
    # Imported as root, for the sources may lie where nobody else can read.
    done = in_a_child("import vaegen.swap; " + program, tmp_path / place)
    assert done.stderr.splitlines()[-1].startswith("vaegen.errors.OutputError: cannot write to '")
    assert "no permission" in done.stderr


def test_a_report_below_a_file_is_refused_before_any_work(
    source: Path, tmp_path: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = secret / "r.jsonl"
    assert main(["reconstruct", str(source), str(tmp_path / "out"), "--model", str(TINY), "--report", str(report)]) == 4
    assert "is not a folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_job_with_force_that_is_killed_leaves_nothing_that_the_next_does_not_remove(
    model: vaegen.Model, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    reconstruct_folder(model, source, out)
    token = "0123456789ab"
    (out / MARK).write_text(json.dumps({"token": token, "asked": {"other": "settings"}}))
    (out / "a" / f".vaegen-{token}-1f-3.tmp").write_bytes(b"half")
    reconstruct_folder(model, source, out, force=True)
    assert not list(out.rglob(".*"))
