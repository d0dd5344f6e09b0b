"""Writing files and folders: whole or not at all, and never in the place of another unless asked."""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from vaegen.errors import OutputError, shown


def check_free(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Check that a file may be written, before work is spent on it.

    Raises:
        OutputError: There is a folder of this name, or, without `force`, anything at all. What would have been
            overwritten shows as a FileExistsError in `__cause__`.
    """
    if os.path.isdir(path):
        raise OutputError(f"cannot write '{shown(Path(path))}': it is a folder")
    if not force and os.path.lexists(path):
        raise _exists(path) from FileExistsError(path)


def write_file(
    path: str | os.PathLike[str],
    data: bytes,
    *,
    force: bool = False,
    sync: bool = False,
    temporary: str | None = None,
) -> None:
    """Write a file: beside its place under another name, then into its place in one step.

    Args:
        path: The file; its folder must exist.
        data: All of its content.
        force: Replace a file that is there.
        sync: Wait until file and name are on the disk, so that they outlast a power cut.
        temporary: The other name, free in the same folder; by default one that no other writer thinks of.

    Raises:
        OutputError: The file exists (and `force` is not set; a FileExistsError is then in `__cause__`), or cannot
            be written; the OSError is then in `__cause__`.
    """
    folder, name = os.path.split(path)
    try:
        if not force and not sync and _link_nameless(folder, path, data):
            return
        beside = os.path.join(folder, temporary or f".{name[:40]}.{os.urandom(6).hex()}.tmp")
        try:
            _create(beside, data, sync=sync)
            if force:
                os.replace(beside, path)
            else:
                _move_to_free(beside, path)
            if sync:
                _sync_folder(folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as error:
        check_free(path, force=force)  # names what is in the way; asked after the fact, for few files meet anything
        if isinstance(error, FileExistsError):
            raise _exists(path) from error
        raise _failure(path, error) from error


def write_folder(target: Path, contents: Mapping[str, bytes]) -> None:
    """Write a folder of files beside its place, then move it there by renames: nobody ever sees half of it.

    What is there already, a folder and all it holds, is replaced; callers check first that it may be.

    Args:
        target: The folder; folders above it are made.
        contents: Bytes by file name.

    Raises:
        OutputError: It cannot be written; the OSError is then in `__cause__`, and what was there is there still.
    """
    import shutil  # these two load seven more modules, which a command that writes pictures need not wait for
    import tempfile

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _failure(target, error) from error
    fresh, replaced = work / "fresh", work / "replaced"
    try:
        fresh.mkdir()
        for name, data in contents.items():
            _create(fresh / name, data, sync=True)
        if target.exists():
            target.rename(replaced)
        fresh.rename(target)
    except OSError as error:
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        raise _failure(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _sync_folder(folder: str) -> None:
    """Bring a folder's entries to the disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link_nameless(folder: str, path: str | os.PathLike[str], data: bytes) -> bool:
    """Write a file that has no name until it is whole, where Linux and its file systems can.

    One change of the folder in place of three, and a kill leaves nothing behind.

    Returns:
        Whether it is there; else the other way must be tried, which tells what is wrong too.

    Raises:
        FileExistsError: The name is taken.
    """
    if sys.platform != "linux":
        return False
    try:
        handle = os.open(folder or ".", os.O_WRONLY | os.O_TMPFILE, 0o666)
        try:
            _write(handle, data)
            # Only with a handle of its folder does Python follow the link of /proc; an absolute path needs none.
            os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle, follow_symlinks=True)
        finally:
            os.close(handle)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _create(path: str | os.PathLike[str], data: bytes, *, sync: bool) -> None:
    """Write a file under a name that must be free."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        _write(handle, data)
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def _write(handle: int, data: bytes) -> None:
    """Write all of it; Python's file objects take twice the time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _move_to_free(temporary: str, path: str | os.PathLike[str]) -> None:
    """Move a file to a place that must be free, even if another process fills it at this moment."""
    try:
        # A hard link, unlike a renaming on POSIX, fails when the name is taken.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as FAT
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.rename(temporary, path)
    else:
        os.unlink(temporary)


def _exists(path: str | os.PathLike[str]) -> OutputError:
    return OutputError(
        f"'{shown(Path(path))}' exists; use --force (force=True) to overwrite it, or choose another name"
    )


def _failure(path: str | os.PathLike[str], error: OSError) -> OutputError:
    return OutputError(f"cannot write '{shown(Path(path))}': {error.strerror or error}")
