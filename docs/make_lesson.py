"""Run the cells of docs/lesson.ipynb, and write what they print and draw into it.

    python docs/make_lesson.py

It needs matplotlib but no Jupyter. Jupyter's own outputs would do as well, but hold times, versions, and pictures three
times as large.
"""

import argparse
import base64
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from PIL import Image

LESSON = Path(__file__).with_name("lesson.ipynb")
COLORS = 256  # of a picture, which is then a third as large


def main() -> None:
    """Run the notebook from its first cell on, and write it anew."""
    parser = argparse.ArgumentParser(description="Run docs/lesson.ipynb and write its outputs into it.")
    parser.add_argument("-o", "--out", type=Path, default=LESSON, help="where to write it (default: over itself)")
    out = parser.parse_args().out
    mpl.use("agg")
    notebook = json.loads(LESSON.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"{LESSON.name}, cell {number}", "exec"), names)
        texts = [printed.getvalue()] if printed.getvalue() else []
        cell["outputs"] = [
            *({"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)} for text in texts),
            *({"data": data, "metadata": {}, "output_type": "display_data"} for data in _pictures()),
        ]
        cell["execution_count"] = number
    out.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _pictures() -> Iterator[dict[str, Any]]:
    """Yield and close the figures that a cell has left open."""
    for number in plt.get_fignums():
        drawn, stored = io.BytesIO(), io.BytesIO()
        plt.figure(number).savefig(drawn, bbox_inches="tight")
        picture = Image.open(drawn).convert("RGB").quantize(COLORS, kmeans=8, dither=Image.Dither.NONE)
        picture.save(stored, "png", optimize=True)
        yield {
            "image/png": base64.b64encode(stored.getvalue()).decode(),
            "text/plain": [f"<{picture.width} x {picture.height} pixels>"],
        }
    plt.close("all")


if __name__ == "__main__":
    main()
