"""The mark of an unfinished run, in its target folder: by it the same command resumes after a kill.

Its first line says what the run was asked for. Where it replaces files, a number follows for each that it has made,
from the file's name, inode, size and time: a file without its number was there before, or is another one by now.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from vaegen.errors import OutputError, shown
from vaegen.files import failure, is_same, lock, open_plain

MAX_MARK = 2**20  # bytes of the first line
MADE = np.dtype("<u8")  # the number of a file
MAX_MADE = 2**27  # bytes of them that are read; the files of the others are made again
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
        self._made = np.empty(0, MADE)
        try:
            with os.fdopen(open_plain(self.path, own=True), "rb") as stream:
                mark = json.loads(stream.readline(MAX_MARK))
                numbers = stream.read(MAX_MADE)
            if re.fullmatch("[0-9a-f]{12}", mark["token"]):
                self.left = mark["token"]
                self.found = json.dumps(mark["asked"], sort_keys=True) == self._content
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return  # no mark, or one of a run killed before its first file
        if self.found and self.left is not None:
            self.token = self.left
            self._made = np.sort(np.frombuffer(numbers[: len(numbers) // MADE.itemsize * MADE.itemsize], MADE))

    def note_made(self, path: str) -> None:
        """Note that this run has made a file.

        Raises:
            OutputError: The disk is full.
        """
        number = _number(path)
        if number is not None and self._handle is not None:
            try:
                os.write(self._handle, number.tobytes())
            except OSError as error:
                raise failure(self.path, error) from error

    def has_made(self, path: str) -> bool:
        """Return whether a file was made by the run that this one resumes."""
        number = _number(path) if len(self._made) else None
        if number is None:
            return False
        at = int(np.searchsorted(self._made, number))
        return at < len(self._made) and bool(self._made[at] == number)

    def place(self) -> None:
        """Make the target folder and set the mark; shows too whether results can be written there.

        Raises:
            OutputError: They cannot, another run is at work there, or something else has the mark's name.
        """
        data = json.dumps({"token": self.token, "asked": json.loads(self._content)}).encode("ascii") + b"\n"
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
        head = os.read(handle, len(data))
        if not HEAD.startswith(head[: len(HEAD)]):
            raise OSError(errno.EINVAL, "it is no mark of vaegen's")
        if head != data:
            os.lseek(handle, 0, os.SEEK_SET)
            os.ftruncate(handle, 0)
            os.write(handle, data + self._made.tobytes())
        os.ftruncate(handle, len(data) + self._made.nbytes)  # a kill may have left half a number
        os.lseek(handle, 0, os.SEEK_END)
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


def _number(path: str) -> "np.uint64 | None":
    """Return the number of a file as it is now; None where there is none."""
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        facts = f"{status.st_ino} {status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(os.path.basename(path))
        number: np.uint64 = np.frombuffer(hashlib.blake2b(facts, digest_size=MADE.itemsize).digest(), MADE)[0]
        return number
    return None
