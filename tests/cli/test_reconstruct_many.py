"""`vaegen reconstruct` over folders and lists: flags, exit codes, messages."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen import encoding
from vaegen_cli import progress, reconstruct
from vaegen_cli.sheets import CAPTION

Run = Callable[..., Any]
Process = Callable[..., Any]


@pytest.fixture(scope="module")
def model(tiny: Path) -> vaegen.Model:
    return vaegen.load(tiny)


@pytest.fixture
def call(run: Run, tiny: Path) -> Run:
    return lambda *arguments: run("reconstruct", "--model", tiny, *arguments)


@pytest.fixture
def folder(here: Path, model: vaegen.Model) -> Path:
    """Six images in two folders."""
    for index, image in enumerate(model.sample(range(6), "red")):
        path = here / "in" / ("sub" if index % 2 else ".") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return here / "in"


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_choices_are_the_library_s() -> None:
    assert tuple(encoding.WRITTEN) == reconstruct.FORMATS


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("in", "out", "--shard", "0/3"), ("shard '0/3'", "3/16")),
        (("in", "out", "--shard", "4/3"), ("shard '4/3'",)),
        (("in", "out", "--shard", "x"), ("shard 'x'",)),
        (("in", "out", "--workers", "0"), ("workers 0", "256")),
        (("in", "out", "--workers", "-1"), ("workers '-1'", "auto")),
        (("in", "out", "--force", "--skip-existing"), ("contradict",)),
        (("in", "out", "--workers", "2", "--threads", "2"), ("--workers 1",)),
        (("in", "out", "-0"), ("-0", "stdin")),
        (("", "out"), ("IN is empty",)),
        (("in", "."), ("lies in the target folder",)),
        (("in", "in/sub/.."), ("is the source folder itself",)),
        (("in/0.png", "x.png", "--shard", "1/2"), ("--shard", "folders")),
        (("in/0.png", "x.png", "--skip-existing"), ("--skip-existing", "folders")),
        (("in/0.png", "x.png", "--format", "bmp"), ("contradict",)),
        (("in/0.png", "x.gif"), (".png or .jpg",)),
    ],
)
def test_wrong_usage_is_one_line(
    call: Run, here: Path, folder: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    before = tree(here)
    result = call(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in result.err
    assert tree(here) == before


def test_format_by_flag_or_suffix(call: Run, folder: Path, here: Path) -> None:
    assert call("in", "out", "--format", "webp").code == 0
    assert sorted(tree(here / "out")) == sorted(name.replace(".png", ".webp") for name in tree(folder))
    assert call("in/0.png", "one.bmp").paths == ["one.bmp"]
    assert call("in/0.png", "new/", "--format", "tif").paths == [str(Path("new/0.tif"))]
    for path, expected in {"out/0.webp": "WEBP", "one.bmp": "BMP", "new/0.tif": "TIFF"}.items():
        with Image.open(path) as image:
            assert image.format == expected


def test_scans_are_taken_in_unless_told_otherwise(call: Run, folder: Path, here: Path, model: vaegen.Model) -> None:
    Image.fromarray(255 - model.sample(4, "white")[0]).save("scan.png")
    plain = call("scan.png", "plain.png", "--intake", "as-is")
    turned = call("scan.png", "turned.png", "--sheet", "sheet.png")
    assert plain.code == turned.code == 0
    advice = "--intake auto makes light strokes of photographs and scans"
    assert plain.err == f"vaegen: the picture looks unlike a digit on black; {advice}\n"
    with Image.open("sheet.png") as sheet:
        assert sheet.size == (3 * 84 + 6, CAPTION + 84 + 6)
    judged = {name: model.judge(vaegen.read_image(f"{name}.png")[None])[0].argmax() for name in ("plain", "turned")}
    assert judged["turned"] == 4
    assert Path("plain.png").read_bytes() != Path("turned.png").read_bytes()


def test_what_looks_unlike_a_digit_is_told_and_drawn(call: Run, here: Path, model: vaegen.Model) -> None:
    (here / "in").mkdir()
    for number in range(3):
        Image.new("RGB", (60, 40), (200, 40 * number, 20)).save(f"in/{number}.png")
    Image.fromarray(model.sample(4, "red")[0]).save("in/digit.png")
    Path("in/no.png").write_bytes(b"no image")
    result = call("in", "out", "--sheet", "sheets/sheet.png", "--json")
    assert result.code == 1
    assert "vaegen: 3 of 4 pictures look unlike digits on black\n" in result.err
    assert json.loads(result.out)["unlike"] == 3
    with Image.open("sheets/sheet.png") as sheet:
        assert sheet.size == (2 * (3 * 84 + 6), CAPTION + 2 * (84 + 6))
        captions = np.asarray(sheet)[:CAPTION].reshape(
            CAPTION, 6, -1
        )  # some pixels of each stand in its third of a cell
        assert (captions.max((0, 2)) > 150).all()
        assert sheet.getpixel((3 + 42, CAPTION + 3 + 42)) == (200, 0, 20)
    assert call("in", "again", "--sheet", "sheets/sheet.png").code == 2
    assert not (here / "again").exists()
    assert call("in", "again", "--sheet", "sheet.jpg").code == 2


def test_existing_results_are_left_or_replaced_as_asked(call: Run, folder: Path, here: Path) -> None:
    assert call("in", "whole").code == 0
    (here / "out").mkdir()
    (here / "out" / "0.png").write_bytes(b"mine")
    assert call("in", "out").code == 2
    result = call("in", "out", "--skip-existing", "--json")
    facts = json.loads(result.out)
    assert (facts["planned"], facts["written"], facts["skipped"], facts["failed"]) == (6, 5, 1, 0)
    assert result.err == "5 of 6 images reconstructed, 1 skipped\n"
    assert (here / "out" / "0.png").read_bytes() == b"mine"
    assert call("in", "out", "--skip-existing").paths == ["out"]
    assert call("in", "out", "--force").code == 0
    assert tree(here / "out") == tree(here / "whole")


def test_on_error_fail(call: Run, folder: Path, here: Path) -> None:
    (folder / "2.png").write_bytes(b"no image")
    result = call("in", "out", "--on-error", "fail")
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[0].startswith("vaegen: cannot read 'in/2.png'")
    assert len(result.err.splitlines()) == 2
    (folder / "0.png").write_bytes(b"no image")
    result = call("in", "new", "--on-error", "fail")
    assert (result.code, result.out) == (4, "")
    # Mended, the same command goes on.
    for name in ("0.png", "2.png"):
        Image.new("RGB", (28, 28), "red").save(folder / name)
    assert call("in", "out", "--on-error", "fail").code == 0
    assert len(tree(here / "out")) == 6


def test_shards_make_the_whole(call: Run, folder: Path, here: Path) -> None:
    assert call("in", "whole", "--stochastic").code == 0
    planned = 0
    for shard in ("1/2", "2/2"):
        planned += json.loads(call("in", "out", "--stochastic", "--shard", shard, "--json").out)["planned"]
    assert planned == 6
    assert tree(here / "out") == tree(here / "whole")


@pytest.mark.parametrize("begin", ["", "\ufeff", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n\r\n"])
def test_a_list_as_any_shell_writes_it(
    call: Run, folder: Path, here: Path, begin: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = end.join(["in/0.png", "in/sub/3.png", "in/\u6570.png", ""])
    (folder / "\u6570.png").write_bytes((folder / "0.png").read_bytes())
    data = text.encode("utf-16") if begin == "utf-16" else (begin + text).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    result = call("-", "out")
    assert (result.code, result.err) == (0, "3 of 3 images reconstructed\n")
    assert sorted(tree(here / "out")) == ["in/0.png", "in/sub/3.png", "in/\u6570.png"]


@pytest.mark.parametrize(("end", "options"), [(b"\n", ()), (b"\r\n", ()), (b"\0", ("-0",))])
def test_a_list_on_stdin(
    process: Process, tiny: Path, folder: Path, here: Path, end: bytes, options: tuple[str, ...]
) -> None:
    names = [b"in/0.png", b"in/sub/3.png", b"in/none.png"]
    if end == b"\0" and sys.platform == "linux":
        names.append(b"two\nlines\xff.png")
        (here / os.fsdecode(names[-1])).write_bytes(b"no image")
    started = process("reconstruct", "-", "out", "--model", tiny, *options, stdin=subprocess.PIPE)
    out, err = started.communicate(end.join(names))
    assert (started.returncode, out) == (1, b"out\n")
    assert sorted(tree(here / "out")) == ["in/0.png", "in/sub/3.png"]
    assert b"cannot read 'in/none.png'" in err
    if len(names) > 3:
        assert rb"cannot read 'two\nlines\xff.png'" in err


def test_dry_run_tells_what_would_be_done(call: Run, folder: Path, here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "0.png").write_bytes(b"mine")
    before = tree(here)
    lines = call("in", "out", "--dry-run", "--skip-existing", "--format", "png").paths
    assert len(lines) == 5
    assert f"{Path('in/sub/3.png')} -> {Path('out/sub/3.png')}" in lines
    assert call("in", "out", "--dry-run").code == 2
    whole = json.loads(call("in", "out", "--dry-run", "--skip-existing", "--json").out)
    assert [f"{one['source']} -> {one['target']}" for one in whole] == lines
    parts = [
        json.loads(call("in", "out", "--dry-run", "--skip-existing", "--shard", f"{k}/9", "--json").out)
        for k in range(1, 10)
    ]
    assert [] in parts
    assert sorted(one["source"] for part in parts for one in part) == sorted(one["source"] for one in whole)
    assert tree(here) == before


def test_the_plan_and_v_say_what_is_left_out_and_which_names_are_whole(call: Run, folder: Path, here: Path) -> None:
    Image.new("RGB", (28, 28)).save(folder / "0.gif")
    (folder / "linked").symlink_to("sub")
    (folder / "notes.txt").touch()
    plan = call("in", "out", "--dry-run")
    assert f"{Path('in/0.gif')} -> {Path('out/0.gif.png')}" in plan.paths
    assert plan.err.splitlines() == [
        "left out: 1 linked folder, 1 other file; -v names each",
        "2 results keep the suffix of their source, because without it they would be one file",
    ]
    lines = call("in", "out", "-v").err.splitlines()
    assert sorted(line for line in lines if line.startswith("vaegen: left out")) == [
        f"vaegen: left out: '{Path('in/linked')}' (linked folder)",
        f"vaegen: left out: '{Path('in/notes.txt')}' (other file)",
    ]
    assert "left out: 1 linked folder, 1 other file" in lines
    assert sorted(tree(here / "out"))[:2] == ["0.gif.png", "0.png.png"]


def test_the_same_command_works_every_night(call: Run, folder: Path, here: Path) -> None:
    nightly = ("in", "in/out", "--skip-existing", "--report", "in/r.jsonl")
    for written in ("6 of 6", "0 of 6"):
        result = call(*nightly)
        assert result.code == 0
        assert f"{written} images reconstructed" in result.err
    statuses = [json.loads(line)["status"] for line in (here / "in/r.jsonl").read_text().splitlines()]
    assert statuses == ["written"] * 6 + ["ignored"] + ["skipped"] * 6  # the first night's report is left out
    (here / "mine.txt").write_text("no report\n")
    result = call("in", "in/out", "--skip-existing", "--report", "mine.txt")
    assert (result.code, result.err) == (4, "vaegen: 'mine.txt' exists and is no report; choose another name\n")
    assert (here / "mine.txt").read_text() == "no report\n"
    assert call("in", "in/out", "--skip-existing", "--report", "other.txt").code == 0


def test_names_too_long_for_the_target_fail_one_by_one(call: Run, folder: Path, here: Path) -> None:
    for name in ("x" * 251 + ".png", "y" * 251 + ".png", "y" * 251 + ".gif"):
        Image.new("RGB", (28, 28)).save(folder / name)
    result = call("in", "out")
    assert (result.code, len(tree(here / "out"))) == (1, 7)
    assert result.err.count("File name too long") == 2


def test_a_python_without_sqlite(tiny: Path, folder: Path, here: Path) -> None:
    program = "import sys; sys.modules['sqlite3'] = None; from vaegen_cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "reconstruct", "in", "out", "--model", str(tiny), "-v"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "no sqlite3: the names of the files are sorted in memory" in done.stderr
    assert sorted(tree(here / "out")) == sorted(tree(folder))


def test_many_failures_are_told_by_the_report(call: Run, here: Path) -> None:
    (here / "in").mkdir()
    for index in range(progress.SHOWN + 5):
        (here / "in" / f"{index:02d}.png").write_bytes(b"no image")
    result = call("in", "out", "--report", "r.jsonl")
    assert result.code == 4
    lines = result.err.splitlines()
    assert len(lines) == progress.SHOWN + 2
    assert lines[-2:] == [
        "vaegen: 5 more failed; the report names them all",
        f"0 of {progress.SHOWN + 5} images reconstructed, {progress.SHOWN + 5} failed",
    ]
    assert len(Path("r.jsonl").read_text().splitlines()) == progress.SHOWN + 5
    assert call("in", "new").err.count("cannot read") == progress.SHOWN + 5


def test_a_line_now_and_then_where_there_is_no_terminal(
    call: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0)
    (folder / "2.png").write_bytes(b"no image")
    lines = call("in", "out", "--workers", "1").err.splitlines()
    assert re.fullmatch(r"reconstruct: 1 of 6, \d+/s, \d+ s left", lines[0])
    assert re.fullmatch(r"reconstruct: 6 of 6, \d+/s, 1 failed, 0 s left", lines[-2])
    assert call("in", "new", "-q").err.count("\n") == 1


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    """A file system of 64 KB, where mounting is allowed."""
    (here / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "vaegen-test", "disk"]
    try:
        done = subprocess.run(mount, cwd=here, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    if not done:
        pytest.skip("this process may not mount a small file system")
    yield here / "disk"
    subprocess.run(["umount", "disk"], cwd=here, check=True)


def test_a_full_disk_is_one_line_and_exit_code_4(call: Run, here: Path, model: vaegen.Model, small_disk: Path) -> None:
    (here / "in").mkdir()
    for index in range(40):
        Image.fromarray(model.sample(index % 10, "red", seed=index)[0]).save(here / "in" / f"{index:02d}.png")
    result = call("in", "disk/out")
    assert (result.code, result.out) == (4, "")
    error, count = sorted(result.err.splitlines(), key=lambda line: not line.startswith("vaegen: "))
    assert "No space left on device" in error
    assert re.fullmatch(r"\d+ of 40 images reconstructed", count)
    subprocess.run(["mount", "-o", "remount,size=4m", "disk"], cwd=here, check=True)
    assert call("in", "disk/out").code == 0
    assert call("in", "whole").code == 0
    assert tree(small_disk / "out") == tree(here / "whole")
    subprocess.run(["mount", "-o", "remount,ro", "disk"], cwd=here, check=True)
    result = call("in", "disk/new")
    assert (result.code, result.out, result.err.count("\n")) == (4, "", 2)
    assert "Read-only file system" in result.err
