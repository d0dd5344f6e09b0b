"""How far a job with many files has come: a bar on a terminal, a line now and then elsewhere, the sum at the end."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import click

from vaegen_cli.console import Console, messages, tell

if TYPE_CHECKING:
    from vaegen import Outcome

EVERY = 5.0  # seconds between two lines
FRAME = 0.1  # seconds between two drawings of the bar
SHOWN = 20  # failures shown one by one without -v, if a report has them all


def about_unlike(intake: str, *, sheet: bool) -> str:
    """Return what may be done about a picture that looks unlike a digit; `sheet` says whether --sheet may be added."""
    if intake == "as-is":
        return "; --intake auto makes light strokes of photographs and scans"
    return "; --sheet look.png shows what the model saw" if sheet else ""


class Progress:
    """What a job shows on its way; the sum comes however it ends."""

    def __init__(self, console: Console, verb: str, *, reported: bool, unlike: str) -> None:
        """Begin a job of a verb.

        Args:
            console: Where it shows.
            verb: What it does.
            reported: Failures are reported in a file, so that not all of them are shown too.
            unlike: What `about_unlike` says.
        """
        self._console, self._verb, self._unlike = console, verb, unlike
        self._most = SHOWN if reported and console.verbosity <= 0 else None
        self._bar: Any = None
        self._planned: int | None = None
        self.written = self.skipped = self.failed = self.unlike = 0
        self.ignored: Mapping[str, int] = {}
        """What was left out of the search; see `vaegen.FolderReport`."""
        self._began = self._shown = time.monotonic()
        self._drawn = 0

    def __enter__(self) -> Self:
        return self

    def on_plan(self, planned: int) -> None:
        """Open the bar."""
        self._planned = planned
        self._began = self._shown = time.monotonic()
        if self._console.live:
            self._bar = click.progressbar(
                length=planned,
                label=self._verb,
                file=messages(),
                show_pos=True,
                item_show_func=lambda _: self._rate(),
            )
            self._bar.render_progress()

    def on_outcome(self, outcome: "Outcome") -> None:
        """Count one file."""
        if outcome.status == "written":
            self.written += 1
            self.unlike += outcome.unlike
        elif outcome.status == "skipped":
            self.skipped += 1
        else:
            self.failed += 1
            self._tell(outcome.error or "")
        now = time.monotonic()
        if now - self._shown < (EVERY if self._bar is None else FRAME):
            return
        self._shown = now
        if self._bar is not None:
            self._draw()
        else:
            left = (self._planned or 0) - self._done
            eta = f", {left / (self.written / (now - self._began)):.0f} s left" if self.written else ""
            self._console.say(f"{self._verb}: {self._done} of {self._planned}, {self._rate()}{eta}")

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.render_finish()
        if self._most is not None and self.failed > self._most:
            self._console.say(f"vaegen: {self.failed - self._most} more failed; the report names them all", level=-1)
        if self.unlike:
            pictures = f"{self.unlike} of {self.written} pictures look" if self.written > 1 else "the picture looks"
            self._console.say(f"vaegen: {pictures} unlike digits on black{self._unlike}", level=-1)
        tell_ignored(self._console, self.ignored)
        if self._planned is not None:
            skipped = f", {self.skipped} skipped" if self.skipped else ""
            failed = f", {self.failed} failed" if self.failed else ""
            done = f"{self.written} of {self._planned} images {self._verb.removesuffix('e')}ed"
            self._console.say(f"{done}{skipped}{failed}")

    @property
    def _done(self) -> int:
        return self.written + self.skipped + self.failed

    def _rate(self) -> str:
        seconds = time.monotonic() - self._began
        rate = (self.written + self.failed) / seconds if seconds else 0
        return f"{rate:.0f}/s" + (f", {self.failed} failed" if self.failed else "")

    def _draw(self) -> None:
        self._bar.update(self._done - self._drawn, self._done)
        self._drawn = self._done

    def _tell(self, failure: str) -> None:
        if self._most is None or self.failed <= self._most:
            if self._bar is not None:
                tell("\r\x1b[K", nl=False)  # the bar is drawn anew below the line
            self._console.say(f"vaegen: {failure}", level=-1)


def tell_ignored(console: Console, ignored: Mapping[str, int]) -> None:
    """Say in one line how much was left out of a search, by the reason."""
    if ignored:
        parts = ", ".join(f"{count} {reason}{'s' if count > 1 else ''}" for reason, count in sorted(ignored.items()))
        console.say(f"left out: {parts}" + ("; -v names each" if console.verbosity < 1 else ""))
