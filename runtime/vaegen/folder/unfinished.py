"""The mark of an unfinished run, in its target folder: by it the same command resumes after a kill."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from vaegen.errors import OutputError, shown

if sys.platform != "win32":
    import fcntl


class Unfinished:
    """The mark of one run: what it was asked for, and the part of temporary names that is its own.

    A run that finds a mark with the same content resumes: what is in the target was made by its predecessor. The
    mark is locked while the run lives, so that two never work on the same files.
    """

    def __init__(self, target: Path, asked: dict[str, Any], shard: tuple[int, int]) -> None:
        """Look for a mark; changes nothing."""
        part = "" if shard == (1, 1) else f"-{shard[0]}-of-{shard[1]}"
        self._target = target
        self._path = target / f".vaegen-unfinished{part}.json"
        self._handle: int | None = None
        self._content = json.dumps(asked, sort_keys=True)
        self.token = os.urandom(6).hex()
        self.found = False
        try:
            mark = json.loads(self._path.read_text(encoding="ascii"))
            self.found = json.dumps(mark["asked"], sort_keys=True) == self._content and mark["token"].isalnum()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return  # no mark, or one of a run killed before its first file
        if self.found:
            self.token = mark["token"]

    def place(self) -> None:
        """Make the target folder and set the mark; shows too whether results can be written there.

        Raises:
            OutputError: They cannot, or another run is at work there.
        """
        data = json.dumps({"token": self.token, "asked": json.loads(self._content)}).encode("ascii")
        try:
            self._target.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            _lock(self._handle)
            os.ftruncate(self._handle, 0)
            os.write(self._handle, data)
            os.fsync(self._handle)
        except BlockingIOError as error:
            self.release()
            raise OutputError(f"another run is writing into '{shown(self._target)}'; wait for its end") from error
        except OSError as error:
            self.release()
            raise OutputError(f"cannot write into '{shown(self._target)}': {error.strerror or error}") from error

    def remove(self) -> None:
        """Take the mark away: the run is finished."""
        self.release()
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Release the lock and leave the mark, if it is there."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _lock(handle: int) -> None:
    """Lock a file for this process, where the system can.

    Raises:
        BlockingIOError: Another process has it locked.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # a network file system without locks
