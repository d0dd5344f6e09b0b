"""Finding the images of a folder, one at a time, in no order: what memory holds does not grow with the folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from vaegen.decoding import SUFFIXES
from vaegen.errors import RequestError, shown
from vaegen.files import LEFT
from vaegen.folder.mirror import Identity, identity

Ignored = Literal["other file", "linked folder", "system file", "target file"]
"""Why something is left out: its suffix is no image's; it is a link to a folder; a system, a file manager or vaegen
left it behind; or, of a list, it lies in the folder of the results."""

# What systems, file managers, servers and version control keep beside people's files, in lower case: caches of
# thumbnails above all, trash and snapshots, which hold images that nobody means.
_SYSTEM = frozenset(
    (
        *(
            ".ds_store",
            ".apdisk",
            ".localized",
            ".fseventsd",
            ".spotlight-v100",
            ".temporaryitems",
            ".trash",
            ".trashes",
        ),
        *(".documentrevisions-v100", ".appledouble", ".appledb", ".appledesktop", "__macosx", "network trash folder"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler", "system volume information"),
        *("@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", ".@__thumb", ".snapshot"),
        *("lost+found", ".directory", ".thumbnails", ".thumbs", ".dtrash", ".picasaoriginals", "lost.dir", ".zfs"),
        *(".git", ".hg", ".svn", ".bzr", ".stversions", ".stfolder", ".dropbox.cache", ".ipynb_checkpoints"),
    )
)
_APPLE_DOUBLE = "._"  # what macOS knows of a file, beside it wherever a file system has no place for it


class Found(NamedTuple):
    """An image, a folder that cannot be listed, or what is left out."""

    name: str
    """Below the folder, with "/"."""
    problem: str | None = None
    ignored: Ignored | None = None


def sort_out(name: str, *, folder: bool) -> Ignored | None:
    """Return why a file or folder of this name is left out; None for an image, or a folder that may hold some."""
    lower = name.lower()
    if lower.startswith((_APPLE_DOUBLE, ".trash-", ".vaegen-")) or lower in _SYSTEM or lower.endswith(LEFT):
        return "system file"
    return None if folder or lower.endswith(SUFFIXES) else "other file"


def walk(
    root: str, sort_out: Callable[..., Ignored | None] = sort_out, unseen: Identity | None = None
) -> Iterator[Found]:
    """Find the images, at any depth, and what is left out.

    Folders that are links are left out, so there are no loops; nothing is looked for in a folder that is left out. A
    folder below the root that cannot be listed is found as a problem. Of each folder on the way down only an open
    handle is kept.

    Args:
        root: A folder.
        sort_out: Returns why a file or folder is left out, by its name.
        unseen: A folder that is passed over in silence: the run's target.

    Raises:
        RequestError: The root is not a folder, or cannot be listed.
    """
    try:
        stack = [("", os.scandir(root))]
    except (OSError, ValueError) as error:
        raise RequestError(f"'{shown(root)}' {_unlistable(root, error)}") from error
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
                continue
            name = prefix + entry.name
            folder = entry.is_dir(follow_symlinks=False)
            if folder and unseen is not None and _is(entry, unseen):
                continue
            ignored = sort_out(entry.name, folder=folder)
            if ignored != "system file" and not folder and entry.is_symlink() and os.path.isdir(entry.path):
                ignored = "linked folder"
            if ignored is not None or not folder:
                yield Found(name, None, ignored)
                continue
            try:
                stack.append((f"{name}/", os.scandir(entry.path)))
            except OSError as error:
                yield Found(name, _unlisted(entry.path, error))
    finally:
        for _, entries in stack:
            entries.close()


def listed(files: Iterable[str | os.PathLike[str]]) -> Iterator[Found]:
    """Yield the images of a list, as `named` has them.

    Raises:
        RequestError: A name is empty, or leads through "..", so that its place in the target is not clear.
    """
    for file in files:
        drive, name = os.path.splitdrive(os.fspath(file).replace(os.sep, "/"))
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts or not parts or "\0" in name:
            what = "in the list of files names no place below the target; avoid '..', as absolute names do"
            raise RequestError(f"'{shown(name)}' {what}")
        whole = drive + "/" * name.startswith("/") + "/".join(parts)
        yield named(whole)


def named(name: str) -> Found:
    """Return an image of a list; whatever its suffix it counts, but for what macOS keeps beside a file."""
    return Found(name, None, "system file" if name.rpartition("/")[2].startswith(_APPLE_DOUBLE) else None)


def below(name: str) -> str:
    """Return the place of a listed name below the target: without drive, leading "/" and "." parts."""
    return "/".join([part for part in os.path.splitdrive(name)[1].split("/") if part and part != "."])


def _is(entry: "os.DirEntry[str]", folder: Identity) -> bool:
    try:
        return identity(entry.path) == folder
    except OSError:
        return False


def _unlistable(root: str, error: OSError | ValueError) -> str:
    if not os.path.isdir(root):
        return "is not a folder"
    return f"cannot be listed: {getattr(error, 'strerror', None) or error}"


def _unlisted(folder: str, error: OSError) -> str:
    return f"cannot list '{shown(folder)}': {error.strerror or error}"
