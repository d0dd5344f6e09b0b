"""Writing a result so that a file is there whole or not at all, and never takes another one's place unasked."""

import contextlib
import os
import sys
from pathlib import Path

from vaegen.errors import OutputError


def shown(path: str | os.PathLike[str]) -> str:
    """Give a path, or any text with paths in it, as one line that every terminal can show.

    Line breaks, control characters and bytes that are no UTF-8 become Python's backslash escapes; what is printable
    stays as it is.
    """
    text = os.fspath(path)
    if text.isprintable():
        return text
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


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


def write_bytes(
    path: str | os.PathLike[str], data: bytes, *, force: bool = False, temporary: str | None = None
) -> None:
    """Write a file: beside its place under another name, then into its place in one step.

    Args:
        path: The file; its folder must exist.
        data: All of its content.
        force: Replace a file that is there.
        temporary: The other name, free in the same folder; by default one that no other writer thinks of.

    Raises:
        OutputError: The file exists (and `force` is not set; a FileExistsError is then in `__cause__`), or cannot
            be written; the OSError is then in `__cause__`.
    """
    folder, name = os.path.split(path)
    try:
        if not force and _link_nameless(folder, path, data):
            return
        beside = os.path.join(folder, temporary or f".{name[:40]}.{os.urandom(6).hex()}.tmp")
        try:
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            try:
                _write(handle, data)
            finally:
                os.close(handle)
            if force:
                os.replace(beside, path)
            else:
                _move_to_free(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as error:
        check_free(path, force=force)  # knows best what is there; of a million files few have something there
        if isinstance(error, FileExistsError):
            raise _exists(path) from error
        raise OutputError(f"cannot write '{shown(Path(path))}': {error.strerror or error}") from error


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
