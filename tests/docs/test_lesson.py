"""docs/lesson.ipynb runs with the light install and matplotlib, and holds what it prints, draws and quotes."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
LESSON = DOCS / "lesson.ipynb"
# A module that is None cannot be imported.
RUN = """
import runpy, sys
heavy = "torch", "torchvision", "onnx", "onnxscript", "safetensors", "tqdm", "IPython", "cv2"
sys.modules.update(dict.fromkeys(heavy))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
NUMBER = re.compile(r"\d+(?:\.\d+)?")

Cells = list[dict[str, Any]]


def cells_of(notebook: Path, kind: str) -> Cells:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def prose() -> list[str]:
    return "".join("".join(cell["source"]) + "\n" for cell in cells_of(LESSON, "markdown")).splitlines()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    """The code cells with their outputs, run anew."""
    out = tmp_path_factory.mktemp("lesson") / "lesson.ipynb"
    program: list[str | Path] = [sys.executable, "-W", "error", "-c", RUN, DOCS / "make_lesson.py", "-o", out]
    subprocess.run(program, cwd=out.parent, check=True)
    return cells_of(out, "code")


def printed(cells: Cells) -> str:
    return "".join(line for cell in cells for output in cell["outputs"] for line in output.get("text", []))


def pictures(cells: Cells) -> list[Image.Image]:
    data = [output["data"]["image/png"] for cell in cells for output in cell["outputs"] if "data" in output]
    return [Image.open(io.BytesIO(base64.b64decode(each))).convert("RGB") for each in data]


def test_what_it_prints_is_what_it_prints_now(made: Cells) -> None:
    """But for one in the last place: other processors round otherwise."""
    old, new = printed(cells_of(LESSON, "code")), printed(made)
    assert NUMBER.sub("#", old) == NUMBER.sub("#", new)
    for before, now in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True):
        digits = len(before.partition(".")[2])
        assert float(now) == pytest.approx(float(before), abs=1.01 * 10**-digits)


def test_its_pictures_are_those_it_draws_now(made: Cells) -> None:
    old, new = pictures(cells_of(LESSON, "code")), pictures(made)
    assert len(old) == len(new) > 10
    for before, now in zip(old, new, strict=True):
        assert before.size == pytest.approx(now.size, abs=3)  # matplotlib's fonts may change
        small = [np.asarray(each.resize((64, 64)), float) for each in (before, now)]
        assert np.abs(small[0] - small[1]).mean() < 4  # of 255
    assert LESSON.stat().st_size < 600_000


def test_it_quotes_the_report_word_for_word() -> None:
    report = (DOCS / "seed-report.md").read_text(encoding="utf-8").splitlines()
    quotes = [line.removeprefix("> ") for line in prose() if line.startswith("> ")]
    assert len(quotes) >= 5
    assert set(quotes) <= set(report)


def test_its_table_gives_the_verdicts_of_the_report() -> None:
    """In the order of the conclusions: those on the report's models, looked at as it did."""
    report = (DOCS / "seed-report.md").read_text(encoding="utf-8")
    verdicts = re.findall(r"^\| \d\. [^|]*\| \*\*([a-z ]+)\*\* \|", report, re.MULTILINE)
    assert [line.split("|")[2].strip() for line in prose() if re.match(r"\| \d\. ", line)] == verdicts
    assert len(verdicts) == 5


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", "\n".join(prose()))
    assert links
    assert [link for link in links if not (DOCS / link).is_file()] == []
