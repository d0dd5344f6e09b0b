"""The target's folders, held open: one that becomes a link while a run is at work leads no result elsewhere."""

import contextlib
import errno
import os
import stat
from collections.abc import Mapping

Identity = tuple[int, int]
"""Device and inode of a folder."""

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_HANDLES = {os.open, os.mkdir, os.link, os.unlink, os.rename} <= os.supports_dir_fd


def identity(path: str | os.PathLike[str] | int) -> Identity:
    """Return which folder a path, its links followed, or a handle stands for."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


class Mirror(contextlib.ExitStack):
    """One folder of a target at a time, of those that results go to one after the other."""

    def __init__(self, root: str, known: Mapping[str, Identity]) -> None:
        """Open nothing yet.

        Args:
            root: The target.
            known: Which folder it was when the run began, by the name "", and so for those below it that links led
                to. No other link is followed.
        """
        super().__init__()
        self._root, self._known = root, known
        self._folder: str | None = None
        self._handle: int | None = None
        self._identity: Identity = (0, 0)

    def open(self, folder: str) -> int | None:
        """Return the handle of a folder below the target, which is made where it is missing.

        Returns:
            It, or None where the system has no handles of folders.

        Raises:
            OSError: It cannot be made or opened, or has become a link.
        """
        if folder != self._folder or self._handle is None:  # without handles it is looked at each time
            self.close()
            self._folder = None
            parts = [part for part in folder[len(self._root) :].replace(os.sep, "/").split("/") if part]
            if _HANDLES:
                self._handle = self._descend(parts)
                self.callback(os.close, self._handle)
            else:
                os.makedirs(folder, exist_ok=True)
                for depth in range(len(parts) + 1):
                    self._check("/".join(parts[:depth]), os.path.join(self._root, *parts[:depth]))
            self._identity = identity(folder if self._handle is None else self._handle)
            self._folder = folder
        return self._handle

    def check(self, name: str) -> None:
        """Check that the folder last opened still has its name; else take away the file just written into it.

        Raises:
            OSError: It has not.
        """
        try:
            if self._folder is not None and identity(self._folder) == self._identity:
                return
        except OSError:
            pass  # nothing has its name by now
        if self._handle is not None:
            os.unlink(name, dir_fd=self._handle)
        self._folder = None
        raise _gone()

    def _descend(self, parts: list[str]) -> int:
        """Open a folder, part by part."""
        handle = os.open(self._root, _FOLDER)
        try:
            self._check("", handle)
            for depth, part in enumerate(parts, 1):
                name = "/".join(parts[:depth])
                flags = _FOLDER if name in self._known else _FOLDER | _NOFOLLOW
                try:
                    inner = os.open(part, flags, dir_fd=handle)
                except FileNotFoundError:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=handle)
                    inner = os.open(part, flags, dir_fd=handle)
                except OSError as error:
                    if stat.S_ISLNK(os.stat(part, dir_fd=handle, follow_symlinks=False).st_mode):
                        raise _gone() from error
                    raise
                os.close(handle)
                handle = inner
                if name in self._known:
                    self._check(name, handle)
        except OSError:
            os.close(handle)
            raise
        return handle

    def _check(self, name: str, place: str | int) -> None:
        """Check that a folder is the one that it was, if it is known, and no link, if it is not."""
        if name in self._known:
            if identity(place) != self._known[name]:
                raise _gone()
        elif isinstance(place, str) and os.path.islink(place):
            raise _gone()


def _gone() -> OSError:
    return OSError(errno.ESTALE, "its folder has been moved, or become a link, since the run began")
