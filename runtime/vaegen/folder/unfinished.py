"""The mark of an unfinished run, in its target folder: by it the same command resumes after a kill."""

import errno
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from vaegen.errors import OutputError, shown
from vaegen.files import is_same, lock, open_plain, read_file

MAX_MARK = 2**20  # bytes
HEAD = b'{"token": "'  # every mark begins so, or is empty, if its run was killed as it began


class Unfinished:
    """The mark of one run: what it was asked for, and the part of temporary names that is its own.

    A run that finds a mark with the same content resumes: what is in the target was made by its predecessor. The
    mark is locked while the run lives, so that two never work on the same files.
    """

    def __init__(self, target: Path, asked: dict[str, Any], shard: tuple[int, int]) -> None:
        """Look for a mark; changes nothing."""
        part = "" if shard == (1, 1) else f"-{shard[0]}-of-{shard[1]}"
        self._target = target
        self.path = target / f".vaegen-unfinished{part}.json"
        self._handle: int | None = None
        self._content = json.dumps(asked, sort_keys=True)
        self.token = os.urandom(6).hex()
        self.found = False
        self.left: str | None = None
        """The token of a run that was killed here, whatever it was asked for."""
        try:
            mark = json.loads(read_file(self.path, MAX_MARK, own=True))
            if re.fullmatch("[0-9a-f]{12}", mark["token"]):
                self.left = mark["token"]
                self.found = json.dumps(mark["asked"], sort_keys=True) == self._content
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return  # no mark, or one of a run killed before its first file
        if self.found and self.left is not None:
            self.token = self.left

    def place(self) -> None:
        """Make the target folder and set the mark; shows too whether results can be written there.

        Raises:
            OutputError: They cannot, another run is at work there, or something else has the mark's name.
        """
        data = json.dumps({"token": self.token, "asked": json.loads(self._content)}).encode("ascii")
        try:
            self._target.mkdir(parents=True, exist_ok=True)
            self._handle = open_plain(self.path, os.O_RDWR | os.O_CREAT, own=True)
            lock(self._handle)
            self._write(self._handle, data)
        except BlockingIOError as error:
            self.release()
            raise OutputError(f"another run is writing into '{shown(self._target)}'; wait for its end") from error
        except OSError as error:
            self.release()
            if error.errno in (errno.EINVAL, errno.EMLINK):
                raise OutputError(f"'{shown(self.path)}' is in the way, {error.strerror}; move it elsewhere") from error
            raise OutputError(f"cannot write into '{shown(self._target)}': {error.strerror or error}") from error

    def _write(self, handle: int, data: bytes) -> None:
        """Write the mark into its locked file."""
        if not is_same(handle, self.path):  # another run ended at this moment, and took the mark away
            raise BlockingIOError
        if not HEAD.startswith(os.read(handle, len(HEAD))):
            raise OSError(errno.EINVAL, "it is no mark of vaegen's")
        os.lseek(handle, 0, os.SEEK_SET)
        os.ftruncate(handle, 0)
        os.write(handle, data)
        os.fsync(handle)

    def remove(self) -> None:
        """Take the mark away: the run is finished."""
        if self._handle is not None and is_same(self._handle, self.path):
            if sys.platform == "win32":  # where a file that is open cannot be removed
                self.release()
            self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Release the lock and leave the mark, if it is there."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
