"""The report of a job: a line of JSON for each file."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vaegen.errors import OutputError, setting, shown
from vaegen.files import check_free, check_writable, failure, open_plain

FLUSH = 128  # lines
HEAD = b'{"path": "'  # every report begins so, or is empty


def check_report(path: Path, *, append: bool, force: bool) -> bool:
    """Check, before any work, that a report can be opened as `Report` does; return whether to append.

    With `force` a file that is no report is replaced: a run may have been killed before it did so.

    Raises:
        OutputError: It cannot, or what is there is no report to go on with.
    """
    check_free(path, force=force or append, other=f"choose another {setting('report')}")
    check_writable(path.parent)
    if append and os.path.lexists(path):
        try:
            handle = open_plain(path, own=True)
            head = os.read(handle, len(HEAD))
            os.close(handle)
        except OSError as error:
            raise failure(path, error) from error
        if not HEAD.startswith(head):
            if force:
                return False
            raise OutputError(f"'{shown(path)}' exists and is no report; choose another name")
    return append


class Report:
    """An open report, as a context manager. Names that are not UTF-8 have Python's surrogate escapes in it."""

    def __init__(self, path: Path, *, append: bool, force: bool) -> None:
        """Open it.

        Args:
            path: The file; folders above it are made.
            append: Go on behind the last whole line of a report that is there.
            force: Replace a file that is there, unless `append` is set.

        Raises:
            OutputError: It cannot be written.
        """
        self._path = path
        self._lines = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if force and not append:
                path.unlink(missing_ok=True)
            handle = open_plain(path, os.O_RDWR | os.O_CREAT | (0 if append else os.O_EXCL), own=True)
            _cut_unfinished_line(handle)
            self._stream = os.fdopen(handle, "a", encoding="ascii", newline="\n")
        except OSError as error:
            raise failure(self._path, error) from error

    def write(self, path: str, facts: Mapping[str, Any]) -> None:
        """Write the line of one file: its `path` and the other facts.

        Raises:
            OutputError: The disk is full.
        """
        try:
            self._stream.write(json.dumps({"path": path, **facts}) + "\n")
            self._lines += 1
            if self._lines % FLUSH == 0:
                self._stream.flush()
        except OSError as error:
            raise failure(self._path, error) from error

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
                raise failure(self._path, problem) from problem


def _cut_unfinished_line(handle: int) -> None:
    """Cut off what a killed run left behind the last line break."""
    with open(handle, "r+b", closefd=False) as stream:
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
        stream.seek(end)
