"""The benchmark runs, and its JSON and page hold what they should; how fast anything is, no test asks."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import folder

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "assets" / "tiny"
PAGE = (ROOT / "docs" / "performance.md").read_text()
PARTS = ["cold", "latency", "throughput", "bulk", "folder", "folder-profile", "memory", "options", "training"]


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], str]:
    """The figures and the page of a small run."""
    home = tmp_path_factory.mktemp("benchmark")
    written, page = home / "figures.json", home / "page.md"
    page.write_text(PAGE)
    few = ("--rounds", 1, "--batches", "1,3", "--threads", 1, "--count", 600, "--steps-of", 3)
    small = ("--model", TINY, "--no-torch", *few, "--files", 8, "--photographs", 1)
    done = run(*small, "--json", written, "--page", page, *PARTS)
    assert done.returncode == 0, done.stderr
    return json.loads(written.read_text()), page.read_text()


def test_every_row_has_its_figures(outcome: tuple[dict[str, dict[str, list[dict[str, object]]]], str]) -> None:
    facts, _ = outcome
    assert {"machine", "model", "rounds", "clock", "parts"} == set(facts)
    assert list(facts["parts"]) == PARTS
    for tables in facts["parts"].values():
        for table in tables:
            rows = table["rows"]
            assert isinstance(rows, list)
            assert rows
            assert rows[0]["ratio"] == 1
            for row in rows:
                assert row["value"] > 0
                assert 0 < row["low"] <= row["ratio"] <= row["high"]
    whats = [row["what"] for row in facts["parts"]["throughput"][0]["rows"]]  # type: ignore[attr-defined]
    assert {"bare decoder, batch 1", "model.sample, tries=1, batch 3", "prior and decoder by hand, batch 3"} <= {*whats}
    whats = [row["what"] for row in facts["parts"]["training"][0]["rows"]]  # type: ignore[attr-defined]
    for kind in ("continuous", "discrete", "joint"):
        sides = ("the report's loop", "vaegen, preset seed", "vaegen, preset default")
        assert {f"{kind}: {side}" for side in sides} <= {*whats}


def test_the_page_has_the_tables_and_keeps_the_rest(outcome: tuple[object, str]) -> None:
    _, page = outcome
    prose = re.compile(r"(<!-- benchmark: [\w-]+ -->\n).*?(<!-- end -->)", re.DOTALL)
    assert prose.sub(r"\1\2", page) == prose.sub(r"\1\2", PAGE)
    sizes = "<!-- benchmark: sizes -->"  # was not measured
    assert (
        page.partition(sizes)[2].partition("<!-- end -->")[0] == PAGE.partition(sizes)[2].partition("<!-- end -->")[0]
    )
    assert "| `vaegen --help` |" in page
    assert "| prior: as they are |" not in page  # part options has its place on another page
    assert re.search(r"`python -m tests\.benchmarks latency --model \S+ --rounds 1 --batches 1,3 ", page)


def test_the_profile_of_a_step() -> None:
    command = ["-m", "tests.benchmarks.loops.profile", "tests/assets/digits", "default", "discrete", "4"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    times = json.loads(done.stdout)
    assert {"matrix products of the layers", "the judge's convolutions", "softmax", "Adam"} <= {*times}
    assert min(times.values()) > 0


EVERY_CHANGE = """
import sys, torch
from pathlib import Path
from tests.benchmarks.loops import __main__ as loops, own
from tests.benchmarks.loops.job import Job
from vaegen_training import data

torch.set_num_threads(1)
images = data.load(Path(sys.argv[1]), verify=False).train_images


class Enough(Exception):
    pass


for change in own.CHANGES:
    preset = own.ONLY_FOR.get(change, "seed")
    left = iter(range(3))

    def three():
        if next(left, None) is None:
            raise Enough

    if change == own.COMPILED:
        continue
    try:
        loops.find(f"{preset}:{change}")(Job("joint", 4, 1), images, three)
    except Enough:
        print(change)
"""


def test_a_step_takes_every_change_that_the_table_of_options_has() -> None:
    command = [sys.executable, "-c", EVERY_CHANGE, str(ROOT / "tests" / "assets" / "digits")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # torch.compile is left out: it works for a minute.
    assert len(done.stdout.splitlines()) == 8
    assert {"as it is", "bfloat16 products", "painted in the first layer"} <= {*done.stdout.splitlines()}


def test_further_files_leave_the_start_of_processes_out() -> None:
    times = {100: {"copy": [1.0, 1.0], "vaegen": [2.0, 2.5]}, 500: {"copy": [5.0, 5.0], "vaegen": [4.0, 4.5]}}
    copy, reconstruct = folder._further(times, (100, 500))
    assert (copy.value, copy.ratio) == (100, 1)
    assert (reconstruct.what, reconstruct.value, reconstruct.ratio) == ("400 further files: vaegen", 200, 2)


def test_a_part_that_there_is_not() -> None:
    done = run("warm")
    assert done.returncode == 2
    assert "choose from cold, latency, throughput" in done.stderr
