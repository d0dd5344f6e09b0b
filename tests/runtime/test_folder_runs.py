"""Runs over folders in processes of their own: workers, kills, full disks."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import vaegen
from PIL import Image
from vaegen import Model, OutputError, VaegenError, reconstruct_folder
from vaegen.encoding import encode_png
from vaegen.folder import unfinished, work

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")

FILES = 700

# A program as people write it; "spawn" imports it again in every worker.
PROGRAM = """
import sys, vaegen
if __name__ == "__main__":
    bundle, source, target, workers, report = sys.argv[1:]
    with vaegen.load(bundle) as model:
        print(vaegen.reconstruct_folder(
            model, source, target, stochastic=True, workers=int(workers), report=report or None,
        ).written)
"""

Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hundreds of images in three folders, some of them bad."""
    root = tmp_path_factory.mktemp("source") / "in"
    values = np.random.default_rng(0).integers(0, 256, (FILES, 28, 28, 3)).astype(np.uint8)
    for index, image in enumerate(values):
        path = root / "abc"[index % 3] / f"{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if index % 50 == 7:
            path.write_bytes(b"no image")
        else:
            path.write_bytes(encode_png(image))
    return root


@pytest.fixture
def program(tmp_path: Path, tiny: Path, source: Path) -> Iterator[Program]:
    """Start the program; what still runs at the end is killed."""
    (tmp_path / "program.py").write_text(PROGRAM)
    started = []

    def start(target: Path, workers: int = 1, report: Path | str = "") -> "subprocess.Popen[str]":
        command = [sys.executable, "program.py", tiny, source, target, str(workers), report]
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            process.communicate()


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def whole(source: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run by one process writes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    with vaegen.load(tiny) as model:
        assert reconstruct_folder(model, source, out, stochastic=True).written == 686
    return tree(out)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_bytes_do_not_depend_on_workers(
    program: Program, tmp_path: Path, whole: dict[str, bytes], source: Path, workers: int
) -> None:
    out, err = program(tmp_path / "out", workers, tmp_path / "r.jsonl").communicate()
    assert (out, err) == ("686\n", "")
    assert tree(tmp_path / "out") == whole
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == sorted(tree(source))


@pytest.mark.parametrize("chunk", [1, 7])
def test_the_bytes_do_not_depend_on_the_batch(
    model: Model, tmp_path: Path, whole: dict[str, bytes], source: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", chunk)
    reconstruct_folder(model, source, tmp_path / "out", stochastic=True)
    assert tree(tmp_path / "out") == whole


def test_auto_starts_no_process_for_few_files(model: Model, tmp_path: Path, source: Path) -> None:
    # Another process would import this test's main module; that it is not there shows in the speed, not here.
    assert [work.count_workers(files) for files in (0, 1, work.PER_WORKER * 2 - 1)] == [1, 1, 1]
    assert 1 <= work.count_workers(10**9) <= (os.cpu_count() or 1)
    report = reconstruct_folder(model, source, tmp_path / "out", workers="auto")
    assert (report.written, report.failed) == (686, 14)


@posix
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_the_same_call_goes_on(
    program: Program, tmp_path: Path, whole: dict[str, bytes], workers: int
) -> None:
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    moments = random.Random(workers)
    resumed = 0
    for _ in range(4):
        process = program(out, workers, report)
        before = len(list(out.rglob("*.png"))) if out.exists() else 0
        goal = before + moments.randrange(5, 150)
        deadline = time.monotonic() + 60
        while process.poll() is None and (not out.exists() or len(list(out.rglob("*.png"))) < goal):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=60)  # its pipes close when its workers are gone too
        for path in out.rglob("*.png"):
            if not path.name.startswith("."):
                with Image.open(path) as image:
                    image.load()
        if not (out / ".vaegen-unfinished.json").exists():
            break  # it was done before the kill came: a fast machine
        resumed += 1
    else:
        _, err = program(out, workers, report).communicate()
        assert err == ""
    assert resumed
    assert tree(out) == whole
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert {line["path"] for line in lines if line["status"] != "failed"} == set(whole)


@posix
def test_workers_end_with_their_parent(program: Program, tmp_path: Path) -> None:
    process = program(tmp_path / "out", 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.parent.exists():
        pytest.skip("this system does not show children in /proc")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").rglob("*.png")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    workers = children.read_text().split()
    assert len(workers) >= 2
    process.kill()
    process.communicate(timeout=60)

    def lives(pid: str) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    while any(lives(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@posix
def test_a_killed_worker_is_one_clear_error_and_the_call_goes_on(
    program: Program, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    process = program(out, 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.parent.exists():
        pytest.skip("this system does not show children in /proc")
    deadline = time.monotonic() + 60
    while not list(out.rglob("*.png")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for child in children.read_text().split():
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
            os.kill(int(child), signal.SIGKILL)
    _, err = process.communicate()
    assert err.splitlines()[-1].startswith(f"{VaegenError.__module__}.VaegenError: a worker process was killed")
    assert program(out).communicate()[1] == ""
    assert tree(out) == whole


def stop_after(files: int) -> Callable[[vaegen.Outcome], None]:
    """Return what interrupts a run once so many files are written."""
    numbers = iter(range(1, files))

    def count(outcome: vaegen.Outcome) -> None:
        if outcome.status == "written" and next(numbers, None) is None:
            raise KeyboardInterrupt

    return count


def test_a_run_that_replaces_goes_on_where_it_stopped(
    model: Model, source: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out, report = tmp_path / "out", tmp_path / "r.jsonl"
    reconstruct_folder(model, source, out, stochastic=True, seed=1)
    lost, changed = out / "a/0000.png", out / "a/0003.png"
    for written in (100, 300):
        with pytest.raises(KeyboardInterrupt):
            reconstruct_folder(
                model, source, out, stochastic=True, force=True, report=report, on_outcome=stop_after(written)
            )
    # What was changed since is replaced too: by name, and in place.
    lost.unlink()
    shutil.copy(out / "c/0698.png", lost)
    changed.write_bytes(changed.read_bytes() + b"more")
    (out / "a/0006.png").chmod(0o600)  # no other content
    with (out / ".vaegen-unfinished.json").open("ab") as mark:
        mark.write(b"cut")  # as a kill may leave it
    result = reconstruct_folder(model, source, out, stochastic=True, force=True, report=report)
    assert (result.skipped, result.written, result.failed) == (398, 288, 14)
    assert tree(out) == whole
    statuses = [json.loads(line)["status"] for line in report.read_text().splitlines()]
    assert (statuses.count("written"), statuses.count("skipped")) == (688, 100 + 398)
    # Finished, the same call replaces all of them again.
    assert reconstruct_folder(model, source, out, stochastic=True, force=True, report=report).written == 686


def test_a_mark_of_other_settings_is_no_leave_to_skip(model: Model, source: Path, tmp_path: Path) -> None:
    def stop(outcome: vaegen.Outcome) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        reconstruct_folder(model, source, out, on_outcome=stop)
    assert (out / ".vaegen-unfinished.json").exists()
    with pytest.raises(OutputError, match="exists"):
        reconstruct_folder(model, source, out, seed=1)
    (out / ".vaegen-unfinished.json").write_text('{"token": "damaged')
    with pytest.raises(OutputError, match="exists"):
        reconstruct_folder(model, source, out)
    assert reconstruct_folder(model, source, out, skip_existing=True).skipped >= 1
    assert not (out / ".vaegen-unfinished.json").exists()


def test_what_a_killed_run_left_beside_its_files_goes_away(model: Model, source: Path, tmp_path: Path) -> None:
    def stop(outcome: vaegen.Outcome) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        reconstruct_folder(model, source, out, on_outcome=stop)
    token = json.loads((out / ".vaegen-unfinished.json").read_text())["token"]
    (out / "a" / f".vaegen-{token}-1f-3.tmp").write_bytes(b"half")
    (out / "a" / ".vaegen-000000000000-1f-3.tmp").write_bytes(b"another run's")
    reconstruct_folder(model, source, out)
    assert [path.name for path in out.rglob(".*")] == [".vaegen-000000000000-1f-3.tmp"]


@posix
def test_two_runs_never_share_a_target(model: Model, source: Path, tmp_path: Path) -> None:
    first = unfinished.Unfinished(tmp_path / "out", {}, (1, 1))
    first.place()
    with pytest.raises(OutputError, match="another run is writing"):
        reconstruct_folder(model, source, tmp_path / "out")
    first.remove()
    assert reconstruct_folder(model, source, tmp_path / "out").written == 686


@pytest.fixture
def small_disk(mount_disk: Callable[[str], Path]) -> Path:
    return mount_disk("400k")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(
    program: Program, small_disk: Path, whole: dict[str, bytes], workers: int
) -> None:
    out = small_disk / "out"
    _, err = program(out, workers).communicate()
    assert err.splitlines()[-1].startswith("vaegen.errors.OutputError: cannot write '")
    assert "No space left on device" in err.splitlines()[-1]
    written = {name: data for name, data in tree(out).items() if not name.startswith(".")}
    assert 0 < len(written) < len(whole)
    assert written.items() <= whole.items()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert program(out, workers).communicate()[1] == ""
    assert tree(out) == whole


def test_a_read_only_target_is_refused_before_the_first_file(
    model: Model, source: Path, small_disk: Path, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    seen: list[vaegen.Outcome] = []
    with pytest.raises(OutputError, match=r"cannot write into '.*': Read-only file system"):
        reconstruct_folder(model, source, small_disk / "out", on_outcome=seen.append)
    assert seen == []
