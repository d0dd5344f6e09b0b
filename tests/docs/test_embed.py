"""The snippets of docs/embed.md run, each as a program of its own in an empty folder."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "embed.md"
BLOCK = re.compile(r"(?:<!-- needs: ([\w, ]+) -->\n)?```python\n(.*?)```", re.DOTALL)

# What is done with the endpoint of a framework; the snippet itself only defines it.
CLIENTS = {
    "flask": "get = lambda url: (lambda r: (r.status_code, r.mimetype, r.data))(app.test_client().get(url))",
    "fastapi, httpx": """
import warnings
warnings.simplefilter("ignore")  # the test client's own
from fastapi.testclient import TestClient
client = TestClient(app)
get = lambda url: (lambda r: (r.status_code, r.headers["content-type"], r.content))(client.get(url))
""",
}
REQUESTS = """
import io, numpy
code, kind, data = get("/digit/3.png?color=red&seed=5")
assert (code, kind) == (200, "image/png"), (code, kind)
assert (numpy.asarray(Image.open(io.BytesIO(data))) == model.sample(3, "red", seed=5)[0]).all()
for wrong in ("/digit/3.png?color=gren", "/digit/12.png"):
    code, _, data = get(wrong)
    assert code == 400 and b"choose" in data or b"did you mean" in data, data
"""


def blocks() -> list[tuple[str, str]]:
    """Return what each block needs, and its text."""
    return [(match[1] or "", match[2]) for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def heading(needs: str, code: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return [line[3:] for line in text[: text.index(code)].splitlines() if line.startswith("## ")][-1]


def test_every_fence_of_the_page_is_a_block() -> None:
    assert PAGE.read_text(encoding="utf-8").count("```python") == len(blocks()) == 12


@pytest.mark.parametrize(("needs", "code"), blocks(), ids=[heading(*block) for block in blocks()])
def test_block(needs: str, code: str, tmp_path: Path) -> None:
    for package in filter(None, needs.split(", ")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    program = tmp_path / "program.py"
    program.write_text(code + (CLIENTS[needs] + REQUESTS if needs in CLIENTS else ""), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
