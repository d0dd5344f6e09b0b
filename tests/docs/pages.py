"""The examples on the pages: the blocks between fences, and what the comment before each says of running it."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
GENERATED = {"reference.md", "settings.md", "gallery.md", "seed-report.md"}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.name not in GENERATED),
    ROOT / "runtime" / "vaegen" / "web" / "README.md",
]
_BLOCK = re.compile(r"(?:^<!-- ([a-z ]+): ([^\n]+) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One example."""

    page: str
    """The page's path in the repository."""
    line: int
    """Of the page, where the block begins."""
    how: str
    """What the comment says: "ci", "needs", "not run" or "run by"; empty without one."""
    what: str
    """The comment's other half: a name, packages, a reason or a test's file."""
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    found = [
        Block(name, text[: match.start()].count("\n") + 1, match[1] or "", match[2] or "", match[3], match[4])
        for match in _BLOCK.finditer(text)
    ]
    assert text.count("\n```") == 2 * len(found), f"{name} has a fence that is no block"
    return found


ALL = [block for page in PAGES for block in blocks(page)]
