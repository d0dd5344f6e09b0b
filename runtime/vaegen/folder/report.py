"""The report of a folder's run: a line of JSON for each file, on disk soon after the file."""

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vaegen.errors import OutputError
from vaegen.folder.jobs import Job, Result
from vaegen.output import shown

FLUSH = 128  # lines


class Report:
    """An open report, as a context manager. Names that are no UTF-8 have Python's surrogate escapes in it.

    Each line has `path` (below the source folder, with "/"), `target`, `status`, `reason` (null where nothing
    failed), `mse` and `mae` (null where nothing was written; see `Outcome`) and `item`, the file's number in the
    seed.
    """

    def __init__(self, path: Path, *, append: bool) -> None:
        """Open it.

        Args:
            path: The file; folders above it are made.
            append: Go on behind the last whole line, for a run that goes on.

        Raises:
            OutputError: It cannot be written.
        """
        self._path = path
        self._lines = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if append:
                _cut_unfinished_line(path)
            self._stream = path.open("a" if append else "w", encoding="ascii", newline="\n")
        except OSError as error:
            raise self._failure(error) from error

    def note(self, job: Job, result: Result) -> None:
        """Write the line of one file.

        Raises:
            OutputError: The disk is full.
        """
        facts: dict[str, Any] = {"path": job.name, "target": job.target, "status": result.status}
        facts |= {"reason": result.reason, "mse": result.mse, "mae": result.mae, "item": job.item}
        try:
            self._stream.write(json.dumps(facts) + "\n")
            self._lines += 1
            if self._lines % FLUSH == 0:
                self._stream.flush()
        except OSError as error:
            raise self._failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
        except OSError as problem:
            # The handle is freed though its last lines are lost; a former error says more than this one.
            with contextlib.suppress(OSError):
                self._stream.close()
            if error is None:
                raise self._failure(problem) from problem

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write '{shown(self._path)}': {error.strerror or error}")


def _cut_unfinished_line(path: Path) -> None:
    """Cut off what a killed run left behind the last line break."""
    if not os.path.exists(path):
        return
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            stream.seek(start)
            place = stream.read(end - start).rfind(b"\n")
            if place >= 0:
                end = start + place + 1
                break
            end = start
        stream.truncate(end)
