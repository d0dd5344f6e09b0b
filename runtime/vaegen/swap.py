"""Replacing a folder as a whole: in one step where the system can, and only if it is what it was before the work.

Linux exchanges two names at once (renameat2). Elsewhere two renamings take the place of that.
"""

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from vaegen.errors import shown
from vaegen.files import LEFT, check_writable, create, failure, locked_folder, sync_folder

_NOREPLACE, _EXCHANGE = 1, 2  # flags of renameat2

State = tuple[object, ...] | None
"""What was there at one moment: itself, and name, size and times of all that a folder holds; None for nothing."""


def state(path: Path) -> State:
    """Return what a folder, a file or a link is now; nothing is opened.

    Raises:
        OSError: It cannot be listed.
    """
    try:
        own = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(own.st_mode):
        return own.st_dev, own.st_ino, own.st_size, own.st_mtime_ns
    held = ((place.relative_to(path), place.lstat()) for place in sorted(path.rglob("*")))
    return own.st_dev, own.st_ino, *((name, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns) for name, it in held)


def check_folder(target: Path) -> State:
    """Check, before any work, that a folder can be written or replaced, and return its state for `write_folder`.

    What a writer that was killed left beside it is put in order first.

    Raises:
        OutputError: It cannot, or another process is writing it.
    """
    check_writable(target.parent)
    if target.is_dir():
        check_writable(target)  # a folder that may not be changed cannot be moved either
    try:
        with contextlib.suppress(FileNotFoundError), _workshop(target):
            pass
        return state(target)
    except OSError as error:
        raise failure(target, error) from error


def write_folder(
    target: Path, contents: Mapping[str, bytes], seen: State, check: Callable[[Path], object] | None = None
) -> None:
    """Write a folder of files beside its place, then move it there in one step: nobody ever sees half of it.

    Where Linux cannot exchange two names, there are two steps; a kill between them leaves the old folder beside its
    place, and `check_folder` puts it back.

    Args:
        target: The folder; folders above it are made.
        contents: Bytes by file name.
        seen: What `check_folder` returned when the work began. That, and nothing else, is replaced.
        check: Called with the folder once it is whole, and raises to keep it from its place.

    Raises:
        OutputError: It cannot be written, or has changed meanwhile; what is there is there still.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _work_place(target).mkdir(mode=0o700)
        except FileExistsError as error:
            raise BlockingIOError(error.errno, "another process is at work there") from error
        with _workshop(target) as work:
            fresh = work / "fresh"
            fresh.mkdir()
            for name, data in contents.items():
                os.close(create(fresh / name, data, sync=True))
            if check is not None:
                check(fresh)
            _put(fresh, target, work / "old", seen)
            sync_folder(os.fspath(target.parent))
    except OSError as error:
        raise failure(target, error) from error


def _work_place(target: Path) -> Path:
    return target.with_name(f".{target.name[:200]}{LEFT}")


@contextlib.contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """Hold the folder beside a target in which it is made; empty as it is yielded, gone afterwards.

    Raises:
        FileNotFoundError: There is none.
        BlockingIOError: Another process is at work in it.
        OSError: It holds what no writer of folders left there.
    """
    work = _work_place(target)
    if not stat.S_ISDIR(work.lstat().st_mode) or not {"fresh", "old"}.issuperset(path.name for path in work.iterdir()):
        raise OSError(errno.ENOTEMPTY, f"'{shown(work)}' is in the way; move it elsewhere")
    with locked_folder(work):
        if not os.path.lexists(target) and os.path.lexists(work / "old"):
            (work / "old").rename(target)  # between the two steps there was a kill
        for left in work.iterdir():
            shutil.rmtree(left)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _put(fresh: Path, target: Path, old: Path, seen: State) -> None:
    """Move a folder to its place, and what was there into `fresh` or to `old`, if it is what was seen."""
    changed = OSError(errno.EBUSY, "it has changed since the work began; look at it, then run this again")
    if state(target) != seen:
        raise changed
    if seen is None:
        try:
            if not _renameat2(fresh, target, _NOREPLACE):
                fresh.rename(target)  # fails where there is anything by now but an empty folder
        except FileExistsError:
            raise changed from None
    elif _renameat2(fresh, target, _EXCHANGE):
        if state(fresh) != seen:
            _renameat2(fresh, target, _EXCHANGE)
            raise changed
    else:
        target.rename(old)
        try:
            if state(old) != seen:
                raise changed
            fresh.rename(target)
        except OSError:
            old.rename(target)
            raise


def _renameat2(source: Path, target: Path, flags: int) -> bool:
    """Rename with one of Linux' flags; return False where system or file system do not know it."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # an older C library
        return False
    here = -100  # AT_FDCWD: paths are relative to the working folder
    if not call(here, os.fsencode(source), here, os.fsencode(target), flags):
        return True
    error = ctypes.get_errno()
    if error in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(error, os.strerror(error), os.fspath(target))
