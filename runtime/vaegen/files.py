"""Files: only plain ones are read, and they are written whole or not at all, never in another's place unasked.

Where the system has no locks or nameless files (Windows, some file systems), the safest steps that it has are taken.
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from vaegen.errors import OutputError, setting, shown

if sys.platform != "win32":
    import fcntl

_BINARY = getattr(os, "O_BINARY", 0)
_WAITLESS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _BINARY  # a named pipe is opened at once
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BLOCK = 2**16  # bytes
LEFT = ".vaegen-tmp"  # end of the names beside a target, known to the next writer of it


def open_plain(path: str | os.PathLike[str], flags: int = os.O_RDONLY, *, own: bool = False) -> int:
    """Open a plain file, never a pipe, a device or a folder, and return its handle.

    Args:
        path: The file.
        flags: As of `os.open`.
        own: The file is vaegen's, so that a link of either kind in its place leads to something that is not.

    Raises:
        OSError: It is something else, or cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):  # asked before, because opening a device can set it going
        _check_plain(os.stat(path, follow_symlinks=not own), own=own)
    handle = os.open(path, flags | _WAITLESS | (_NOFOLLOW if own else 0), 0o666)
    try:
        _check_plain(os.fstat(handle), own=own)
    except OSError:
        os.close(handle)
        raise
    return handle


def _check_plain(status: os.stat_result, *, own: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file")
    if own and status.st_nlink > 1:
        raise OSError(errno.EMLINK, "it has another name elsewhere")


def read_file(path: str | os.PathLike[str], most: int, *, own: bool = False) -> bytes:
    """Read a plain file of at most `most` bytes; `own` as for `open_plain`.

    Raises:
        OSError: It is something else, is larger, or cannot be read.
    """
    handle = open_plain(path, own=own)
    try:
        data = read_open(handle, most + 1)
    finally:
        os.close(handle)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 2**20} MiB, the most that is read")
    return data


def read_open(handle: int, most: int) -> bytes:
    """Read an open file to its end, or `most` bytes; Python's file objects take as long again as all of this."""
    blocks: list[bytes] = []
    # Python allocates as much as is asked for, so that is the file's size and one byte, which shows that there is no
    # more. Files of /proc have no size.
    size = (os.fstat(handle).st_size or _BLOCK) + 1
    while most > 0 and (block := os.read(handle, min(most, size))):
        blocks.append(block)
        most -= len(block)
        size = size - len(block) or _BLOCK
    return b"".join(blocks)


def lock(handle: int) -> None:
    """Lock an open file or folder for this process, where the system can; it is free when the handle is closed.

    Raises:
        BlockingIOError: Another process has it locked.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, "another process is at work there") from error
    except OSError:
        return  # a network file system without locks


@contextlib.contextmanager
def locked_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a folder's lock, where the system can; the end of the process, of whatever kind, releases it.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: The folder cannot be opened.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)


def is_same(handle: int, path: str | os.PathLike[str]) -> bool:
    """Return whether an open file or folder is the one that has this name, itself and not by a link."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except OSError:
        return False


def check_free(path: str | os.PathLike[str], *, force: bool = False, other: str = "choose another name") -> None:
    """Check that a file may be written, before work is spent on it.

    Args:
        path: The file.
        force: Whether it may be there.
        other: What to do else where it may not.

    Raises:
        OutputError: There is a folder, a pipe or a device of this name, or, without `force`, anything at all. What
            would have been overwritten shows as a FileExistsError in `__cause__`.
    """
    if os.path.isdir(path):
        raise OutputError(f"cannot write '{shown(Path(path))}': it is a folder")
    if not os.path.lexists(path):
        return
    if not force:
        raise _exists(path, other) from FileExistsError(path)
    if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFLNK):
        raise OutputError(f"cannot write '{shown(Path(path))}': it is not a plain file")


def check_writable(folder: Path) -> None:
    """Check, before any work, that files can be made in a folder, or the folder itself where it is missing.

    Raises:
        OutputError: They cannot.
    """
    nearest = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not os.path.isdir(nearest):
        raise OutputError(f"cannot write to '{shown(folder)}': '{shown(nearest)}' is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to '{shown(folder)}': no permission to change '{shown(nearest)}'")


def write_file(
    path: str | os.PathLike[str],
    data: bytes,
    *,
    force: bool = False,
    sync: bool = False,
    temporary: str | None = None,
    folder: int | None = None,
) -> None:
    """Write a file: beside its place under another name, then into its place in one step.

    Args:
        path: The file; its folder must exist.
        data: All of its content.
        force: Replace a file that is there.
        sync: Wait until file and name are on the disk, so that they outlast a power cut.
        temporary: The other name, free in the same folder, where the caller removes what a kill leaves there; by
            default the next writer of the file does.
        folder: An open handle of the file's folder, so that it is written there whatever the path leads to by now.

    Raises:
        OutputError: The file exists (and `force` is not set; a FileExistsError is then in `__cause__`), or cannot
            be written; the OSError is then in `__cause__`.
    """
    parent, name = os.path.split(path)
    place = os.fspath(path) if folder is None else name
    held = None
    try:
        if not force and not sync and _link_nameless(parent, place, data, folder):
            return
        beside = os.path.join("" if folder is not None else parent, temporary or f".{name[:200]}{LEFT}")
        if temporary is None:
            beside, held = _create_locked(beside, data, sync=sync)
        else:
            os.close(create(beside, data, sync=sync, folder=folder))
        try:
            if force:
                os.replace(beside, place, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                _move_to_free(beside, place, folder)
            if sync:
                sync_folder(parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
    except OSError as error:
        check_free(path, force=force)  # names what is in the way; asked after the fact, for few files meet anything
        if isinstance(error, FileExistsError):
            raise _exists(path, "choose another name") from error
        raise failure(path, error) from error
    finally:
        if held is not None:
            os.close(held)


def sync_folder(folder: str) -> None:
    """Bring a folder's entries to the disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_nameless(parent: str, folder: int | None) -> int | None:
    """Open a file that has no name until it is whole, where Linux and its file systems can."""
    if sys.platform != "linux":
        return None
    try:
        return os.open("." if folder is not None else parent or ".", os.O_WRONLY | os.O_TMPFILE, 0o666, dir_fd=folder)
    except OSError:
        return None


def _name(handle: int, place: str, folder: int | None) -> None:
    """Link a nameless file to its name, which must be free."""
    # Only with a handle of its folder does Python follow the link of /proc; an absolute path needs none.
    os.link(f"/proc/self/fd/{handle}", place, src_dir_fd=handle, dst_dir_fd=folder, follow_symlinks=True)


def _link_nameless(parent: str, place: str, data: bytes, folder: int | None) -> bool:
    """Write a file that has no name until it is whole, where that is possible.

    One change of the folder in place of three, and a kill leaves nothing behind.

    Returns:
        Whether it is there; else the other way must be tried, which tells what is wrong too.

    Raises:
        FileExistsError: The name is taken.
    """
    handle = _open_nameless(parent, folder)
    if handle is None:
        return False
    try:
        _write(handle, data)
        _name(handle, place, folder)
    except FileExistsError:
        raise
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _create_locked(place: str, data: bytes, *, sync: bool) -> tuple[str, int | None]:
    """Write a file under a name that tells it from what a killed writer left: as long as it is in use, it is locked.

    Returns:
        The name, which is another one where another writer is at work under the first, and the handle to close.
    """
    _discard(place)
    handle = _open_nameless(os.path.dirname(place), None)
    if handle is not None:
        try:
            _write(handle, data)
            if sync:
                os.fsync(handle)
            lock(handle)
            _name(handle, place, None)
        except OSError:
            os.close(handle)  # what is wrong, if anything, the other way tells
        else:
            return place, handle
    try:
        handle = create(place, data, sync=sync)
    except (FileExistsError, BlockingIOError):  # another writer is at work, or came between
        place = f"{place[: -len(LEFT)]}.{os.urandom(6).hex()}{LEFT}"
        handle = create(place, data, sync=sync)
    if sys.platform == "win32":  # where a file that is open cannot be moved
        os.close(handle)
        return place, None
    return place, handle


def _discard(place: str) -> None:
    """Remove the file that a killed writer left, if there is one and nobody is at work on it."""
    try:
        handle = open_plain(place, own=True)
    except OSError:
        return
    try:
        lock(handle)
        if is_same(handle, place):
            os.unlink(place)
    except OSError:
        return
    finally:
        os.close(handle)


def create(path: str | os.PathLike[str], data: bytes, *, sync: bool, folder: int | None = None) -> int:
    """Write a file under a name that must be free; return its handle, locked.

    Raises:
        BlockingIOError: Another writer took the new, still unlocked file for what a kill left, and removed it.
        OSError: It cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666, dir_fd=folder)
    try:
        _keep(handle, path, folder)
    except BlockingIOError:
        os.close(handle)  # the name may be another writer's by now
        raise
    try:
        _write(handle, data)
        if sync:
            os.fsync(handle)
    except BaseException:
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path, dir_fd=folder)
        raise
    return handle


def _keep(handle: int, path: str | os.PathLike[str], folder: int | None) -> None:
    """Lock a new file, from when on no other writer removes it."""
    lock(handle)
    if folder is None and not is_same(handle, path):
        raise BlockingIOError(errno.EAGAIN, "another process removed it")


def _write(handle: int, data: bytes) -> None:
    """Write all of it; Python's file objects take twice the time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _move_to_free(temporary: str, place: str, folder: int | None) -> None:
    """Move a file to a place that must be free, even if another process fills it at this moment."""
    try:
        # A hard link, unlike a renaming on POSIX, fails when the name is taken.
        os.link(temporary, place, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as FAT
        with contextlib.suppress(FileNotFoundError):
            os.stat(place, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError(place) from None
        os.rename(temporary, place, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(temporary, dir_fd=folder)


def _exists(path: str | os.PathLike[str], other: str) -> OutputError:
    return OutputError(f"'{shown(Path(path))}' exists; {setting('force', True)} overwrites it, or {other}")


def failure(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Return the error that says what keeps a file or folder from being written."""
    return OutputError(f"cannot write '{shown(Path(path))}': {error.strerror or error}")
