"""What the pages take from the program is what it says today, and the site has every page."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date() -> None:
    behind = [path.name for path, text in load("make_reference").pages().items() if path.read_text() != text]
    assert not behind, "run `python docs/make_reference.py`"


def test_the_site_has_every_page_and_a_search(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra 'docs'")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(DOCS.parent / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    pages = {path.stem for path in tmp_path.glob("*.html")}
    assert {path.stem for path in DOCS.glob("*.md")} | {"index", "SECURITY", "CONTRIBUTING", "CHANGELOG"} <= pages
    found = (tmp_path / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "vaegen sample" in found
    assert "--slant DEGREES" in found
