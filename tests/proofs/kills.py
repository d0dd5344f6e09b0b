"""Prove that `kill -9` at any moment of a folder's reconstruction loses and damages nothing.

    python tests/proofs/kills.py                     # 50 kills at random moments, some minutes
    python tests/proofs/kills.py --kills 5 --files 400

The same command is started again and again, by one process and by two in turn, and killed at a random moment between
its start and the time that an undisturbed run takes: the command's process alone, or its workers with it. All the
while another thread reads every result as soon as it has its final name, and each must be, byte for byte, what the
undisturbed run wrote. A run that ends before its kill must have exit code 1 (one file is bad) and have left the
undisturbed run's files and nothing else. Every second folder is full of other results when its first run begins, which
`--force` replaces: there, each result must be an old one until it is a new one.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from vaegen.encoding import encode_png

TINY = Path(__file__).parents[1] / "assets" / "tiny"
WORKERS = (1, 2)


def make(source: Path, files: int) -> None:
    """Make the images, the last of them bad."""
    pictures = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 3)).astype(np.uint8)
    for number in range(files - 1):
        path = source / f"{number % 7}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(pictures[number % len(pictures)]))
    (source / "zzz.png").write_bytes(b"no image")


def start(source: Path, target: Path, report: Path, workers: int, *options: str) -> "subprocess.Popen[bytes]":
    """Start the command in a group of processes of its own."""
    command = [sys.executable, "-m", "vaegen_cli", "-q", "reconstruct", source, target, "--model", TINY]
    command += ["--stochastic", "--workers", workers, "--report", report, *options]
    return subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def results(target: Path) -> dict[str, bytes]:
    """Read all that has its final name; what is about to get one begins with a dot."""
    found = {}
    for folder, _, names in os.walk(target):
        for name in names:
            if not name.startswith("."):
                path = Path(folder, name)
                found[path.relative_to(target).as_posix()] = path.read_bytes()
    return found


class Watcher(threading.Thread):
    """Reads each result as soon as it can be seen, and holds it against the undisturbed run's and the old one."""

    def __init__(self, target: Path, whole: dict[str, bytes], old: dict[str, bytes]) -> None:
        super().__init__(daemon=True)
        self.target, self.whole, self.old = target, whole, old
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            for folder, _, names in os.walk(self.target):
                for name in names:
                    path = Path(folder, name)
                    key = path.relative_to(self.target).as_posix()
                    if name.startswith(".") or key in self.seen:
                        continue
                    self.seen.add(key)
                    if path.read_bytes() not in (self.whole.get(key), self.old.get(key)):
                        self.wrong.append(key)


def kill_once(
    arguments: tuple[Path, Path, Path], workers: int, delay: float, options: tuple[str, ...], *, group: bool
) -> int | None:
    """Start the command and kill it after some seconds; gives the exit code where it was done before, else None."""
    process = start(*arguments, workers, *options)
    try:
        return process.wait(delay)
    except subprocess.TimeoutExpired:
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    # Workers end by themselves; the next run must not meet them, as no user would be that fast.
    while _group_lives(process.pid):
        time.sleep(0.01)
    return None


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def prove(folder: Path, kills: int, files: int, seed: int) -> dict[str, object]:
    """Run the proof in an empty folder; gives its figures.

    Raises:
        AssertionError: A promise is broken.
    """
    moments = random.Random(seed)
    source, target, report = folder / "in", folder / "out", folder / "report.jsonl"
    make(source, files)
    seconds = {}
    for workers in WORKERS:
        began = time.monotonic()
        assert start(source, folder / f"whole-{workers}", folder / f"whole-{workers}.jsonl", workers).wait() == 1
        seconds[workers] = time.monotonic() - began
    whole = results(folder / "whole-1")
    assert len(whole) == files - 1
    assert whole == results(folder / "whole-2"), "two workers give other bytes than one"
    assert start(source, folder / "old", folder / "old.jsonl", 2, "--seed", "1").wait() == 1
    replaced = results(folder / "old")
    assert all(replaced[name] != data for name, data in whole.items())
    done = finished = 0
    at_work = dict.fromkeys(WORKERS, 0)
    watched = 0
    while done < kills or target.exists() or finished < 2:  # of either kind one
        workers = WORKERS[(done + finished) % len(WORKERS)]
        options, old = ((), {}) if finished % 2 else (("--force",), replaced)
        if old and not target.exists():
            shutil.copytree(folder / "old", target)
        watcher = Watcher(target, whole, old)
        watcher.start()
        delay = moments.uniform(0, seconds[workers]) if done < kills else 600.0
        code = kill_once((source, target, report), workers, delay, options, group=moments.random() < 0.5)
        watcher.done.set()
        watcher.join()
        watched += len(watcher.seen)
        assert not watcher.wrong, f"not whole under their final names: {watcher.wrong}"
        found = results(target) if target.exists() else {}
        assert all(data in (whole[name], old.get(name)) for name, data in found.items()), "a result is neither"
        if code is None:
            done += 1
            unfinished = (target / ".vaegen-unfinished.json").exists()
            at_work[workers] += unfinished
            if unfinished or found != whole:
                continue
            code = 1  # the run was over, and the kill came while Python ended
        assert code == 1, f"exit code {code}"
        assert found == whole, "the same command did not finish the folder"
        assert list(target.rglob(".*")) == [], "something was left behind"
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        assert {line["path"] for line in lines if line["status"] != "failed"} == set(whole)
        assert {line["path"] for line in lines if line["status"] == "failed"} == {"zzz.png"}
        finished += 1
        shutil.rmtree(target)
        report.unlink()
    return {"kills": done, "while files were written": at_work, "finished runs": finished, "results seen": watched}


def main() -> None:
    parser = argparse.ArgumentParser(description="Prove that kill -9 loses and damages nothing.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(prove(Path(folder), arguments.kills, arguments.files, arguments.seed)))


if __name__ == "__main__":
    main()
