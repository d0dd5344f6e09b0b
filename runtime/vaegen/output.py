"""Writing a result so that a file is there whole or not at all, and never takes another one's place unasked."""

import os
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


def check_free(path: Path, *, force: bool = False) -> None:
    """Check that a file may be written, before work is spent on it.

    Raises:
        OutputError: There is a folder of this name, or, without `force`, anything at all. What would have been
            overwritten shows as a FileExistsError in `__cause__`.
    """
    if os.path.isdir(path):  # noqa: PTH112, Path.is_dir raises where a name is too long or a folder closed
        raise OutputError(f"cannot write '{shown(path)}': it is a folder")
    if not force and os.path.lexists(path):
        raise _exists(path) from FileExistsError(path)


def write_bytes(path: Path, data: bytes, *, force: bool = False, temporary: str | None = None) -> None:
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
    check_free(path, force=force)
    beside = path.with_name(temporary or f".{path.name[:40]}.{os.urandom(6).hex()}.tmp")
    try:
        try:
            with beside.open("xb") as stream:
                stream.write(data)
            if force:
                beside.replace(path)
            else:
                _move_to_free(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise OutputError(f"cannot write '{shown(path)}': {error.strerror or error}") from error


def _move_to_free(temporary: Path, path: Path) -> None:
    """Move a file to a place that must be free, even if another process fills it at this moment."""
    try:
        # A hard link, unlike a renaming on POSIX, fails when the name is taken.
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as FAT
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        temporary.rename(path)
    else:
        temporary.unlink()


def _exists(path: Path) -> OutputError:
    return OutputError(f"'{shown(path)}' exists; use --force (force=True) to overwrite it, or choose another name")
