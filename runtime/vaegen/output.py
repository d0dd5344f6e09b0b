"""Writing a result so that a file is there whole or not at all, and never takes another one's place unasked."""

import os
from pathlib import Path

from vaegen.errors import OutputError


def check_free(path: Path, *, force: bool = False) -> None:
    """Check that a file may be written, before work is spent on it.

    Raises:
        OutputError: There is a folder of this name, or, without `force`, anything at all. What would have been
            overwritten shows as a FileExistsError in `__cause__`.
    """
    if os.path.isdir(path):  # noqa: PTH112, Path.is_dir raises where a name is too long or a folder closed
        raise OutputError(f"cannot write '{path}': it is a folder")
    if not force and os.path.lexists(path):
        raise _exists(path) from FileExistsError(path)


def write_bytes(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write a file: beside its place under another name, then into its place in one step.

    Args:
        path: The file; its folder must exist.
        data: All of its content.
        force: Replace a file that is there.

    Raises:
        OutputError: The file exists (and `force` is not set; a FileExistsError is then in `__cause__`), or cannot
            be written.
    """
    check_free(path, force=force)
    temporary = path.with_name(f".{path.name[:100]}.{os.urandom(6).hex()}.tmp")
    try:
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
            if force:
                temporary.replace(path)
            else:
                _move_to_free(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from error


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


def _exists(path: Path) -> OutputError:
    return OutputError(f"'{path}' exists; use --force (force=True) to overwrite it, or choose another name")
