"""Where a report goes: a page and a folder of pictures, there whole or not at all, in nobody else's place."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vaegen.errors import OutputError
from vaegen.output import check_free, shown, write_bytes

PAGE = "report.md"


@dataclass(frozen=True)
class Target:
    """The two places of a report."""

    page: Path
    """The Markdown file."""
    pictures: Path
    """The folder of the PNGs."""

    @classmethod
    def at(cls, out: Path) -> "Target":
        """Read `--out`: FILE.md has its pictures in a folder FILE beside it; a folder holds both, the page as PAGE."""
        return cls(out, out.with_suffix("")) if out.suffix == ".md" else cls(out / PAGE, out)

    @property
    def together(self) -> bool:
        """Whether the page lies in the folder of the pictures."""
        return self.page.parent == self.pictures

    def link(self, name: str) -> str:
        """Give the path of a picture as the page has it."""
        return name if self.together else f"{self.pictures.name}/{name}"

    def check(self, *, force: bool) -> None:
        """Refuse, before any work, what could not be written afterwards.

        Raises:
            OutputError: Something is there and `force` is off, or something that no report has written (a
                FileExistsError is then in `__cause__`).
        """
        if not self.together:
            check_free(self.page, force=force)
        if not os.path.lexists(self.pictures):
            return
        if not self.pictures.is_dir():
            raise OutputError(f"'{shown(self.pictures)}' exists and is no folder; choose another --out")
        there = sorted(path.name for path in self.pictures.iterdir() if path != self.page)
        # Only what the page shows was written by a report; pictures of somebody's own are not to be lost.
        page = self.page.read_text(errors="replace") if self.page.is_file() else ""
        strange = [name for name in there if f"({self.link(name)})" not in page]
        if strange:
            message = (
                f"'{shown(self.pictures)}' holds '{shown(strange[0])}', which is no report's; choose another --out"
            )
            raise OutputError(message) from FileExistsError(self.pictures)
        if not force and (there or (self.together and self.page.exists())):
            message = f"'{shown(self.pictures)}' exists; use --force to replace the report, or choose another --out"
            raise OutputError(message) from FileExistsError(self.pictures)

    def write(self, page: str, pictures: Mapping[str, bytes], *, force: bool) -> list[Path]:
        """Write a report: everything beside its place first, then into place by renames.

        Args:
            page: The Markdown.
            pictures: Bytes of the PNGs by file name.
            force: Replace a report that is there.

        Returns:
            The files, the page first.

        Raises:
            OutputError: Something was in the way, or cannot be written.
        """
        self.check(force=force)
        files = {**pictures, PAGE: page.encode()} if self.together else pictures
        try:
            self.pictures.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f".{self.pictures.name}.", dir=self.pictures.parent))
        except OSError as error:
            raise OutputError(f"cannot write '{shown(self.pictures)}': {error.strerror or error}") from error
        try:
            fresh = work / "fresh"
            fresh.mkdir()
            for name, data in files.items():
                (fresh / name).write_bytes(data)
            if self.pictures.exists():
                self.pictures.rename(work / "replaced")
            fresh.rename(self.pictures)
        except OSError as error:
            if (work / "replaced").exists() and not self.pictures.exists():
                (work / "replaced").rename(self.pictures)
            raise OutputError(f"cannot write '{shown(self.pictures)}': {error.strerror or error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        if not self.together:
            write_bytes(self.page, page.encode(), force=force)
        return [self.page, *(self.pictures / name for name in pictures)]
