"""What the site needs beside the pages of docs/: README as its first page, and the repository's other pages."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md"} | {name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the pages that lie above docs/, with their links as seen from there."""
    for name, place in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=re.sub(r"\]\(docs/", "](", text)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with links to those above docs/ as they stand in the site."""
    for name, place in PAGES.items():
        markdown = re.sub(rf"\]\((\.\./)?{name}(?=[)#])", f"]({place}", markdown)
    return markdown
