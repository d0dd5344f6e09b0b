"""Finding the images of a folder, one at a time, in no order: what memory holds does not grow with the folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from vaegen.decoding import SUFFIXES
from vaegen.errors import RequestError, shown


class Found(NamedTuple):
    """An image, or a folder that cannot be listed."""

    name: str
    """Below the folder, with "/"."""
    problem: str | None


def is_image(name: str) -> bool:
    """Return whether a name ends in one of `SUFFIXES`, in either case."""
    return name.lower().endswith(SUFFIXES)


def walk(root: str, wanted: Callable[[str], bool] = is_image) -> Iterator[Found]:
    """Find the files whose names are wanted, at any depth.

    Folders that are links are left alone, so there are no loops. A folder below the root that cannot be listed is
    found as a problem. Of each folder on the way down only an open handle is kept.

    Raises:
        RequestError: The root is not a folder, or cannot be listed.
    """
    try:
        stack = [("", os.scandir(root))]
    except OSError as error:
        what = "is not a folder" if not os.path.isdir(root) else f"cannot be listed: {error.strerror}"
        raise RequestError(f"'{shown(root)}' {what}") from error
    try:
        while stack:
            prefix, entries = stack[-1]
            try:
                entry = next(entries, None)
            except OSError as error:
                yield Found(prefix.rstrip("/"), _unlisted(os.path.join(root, prefix), error))
                entry = None
            if entry is None:
                entries.close()
                stack.pop()
            elif entry.is_dir(follow_symlinks=False):
                try:
                    stack.append((f"{prefix}{entry.name}/", os.scandir(entry.path)))
                except OSError as error:
                    yield Found(prefix + entry.name, _unlisted(entry.path, error))
            elif wanted(entry.name) and not (entry.is_symlink() and os.path.isdir(entry.path)):
                yield Found(prefix + entry.name, None)
    finally:
        for _, entries in stack:
            entries.close()


def listed(files: Iterable[str | os.PathLike[str]]) -> Iterator[Found]:
    """Yield the images of a list; every one counts, whatever its suffix.

    Raises:
        RequestError: A name is empty, or leads through "..", so that its place in the target is not clear.
    """
    for file in files:
        name = os.fspath(file).replace(os.sep, "/")
        parts = os.path.splitdrive(name)[1].split("/")
        if ".." in parts or not any(part not in ("", ".") for part in parts) or "\0" in name:
            raise RequestError(f"'{shown(name)}' in the list of files names no place below the target; avoid '..'")
        yield Found(name, None)


def images_in(folder: str | os.PathLike[str]) -> list[str]:
    """Return the names of a folder's images, at any depth, below the folder with "/", sorted part by part.

    Raises:
        RequestError: It or a folder below it cannot be listed, or it holds no images.
    """
    names = []
    for found in walk(os.fspath(folder)):
        if found.problem is not None:
            raise RequestError(found.problem)
        names.append(found.name)
    if not names:
        raise RequestError(f"'{shown(folder)}' holds no images; their names end in {', '.join(SUFFIXES)}")
    return sorted(names, key=lambda name: name.split("/"))


def below(name: str) -> str:
    """Return the place of a listed name below the target: without drive, leading "/" and "." parts."""
    return "/".join([part for part in os.path.splitdrive(name)[1].split("/") if part and part != "."])


def _unlisted(folder: str, error: OSError) -> str:
    return f"cannot list '{shown(folder)}': {error.strerror or error}"
