"""The plan of a run: every image and the place of its result, in order, with every problem that can be foreseen.

The names are kept in a temporary SQLite database, which sorts them on disk, so a million of them take about 100 MB
in the folder for temporary files (TMPDIR) and a few MB of memory. The price is one listing of the folder before
the first image is read: two to five seconds per million files on a local disk.
"""

import functools
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from vaegen.decoding import SUFFIXES
from vaegen.errors import OutputError, RequestError, shown
from vaegen.files import check_free
from vaegen.folder.listing import Found, below
from vaegen.folder.mirror import Identity, identity

CACHE = 512  # KiB of the database in memory; more shows in what memory holds for many files, and saves no time
PAGE = 1024  # bytes; SQLite sorts 250 pages at a time in memory

ITEM_BITS = 52  # so that a JSON reader with floating-point numbers keeps an item exact


class Job(NamedTuple):
    """One planned file."""

    name: str
    """The source below the source folder, or as the list of files has it; with "/"."""
    source: str
    target: str
    item: int
    """Its number in the seed of the stochastic path; made from its name, see `plan.item_of`."""
    problem: str | None
    """What was wrong with it when the folder was listed; None for an image to be read."""


class Plan:
    """The images of one run; a context manager, because its names lie in a temporary file."""

    def __init__(self, source: Path, target: Path, form: str, shard: tuple[int, int] = (1, 1)) -> None:
        self.source, self.target = os.fspath(source), os.fspath(target)
        self._folder = os.path.join(self.target, "")
        self.links: dict[str, Identity] = {}
        """Which folders the links below the target led to when the places were checked, by name with "/"."""
        self._suffix = f".{form}"
        self._shard = shard
        with _storage():
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.execute(f"pragma page_size = {PAGE}")
            self._db.execute(f"pragma cache_size = -{CACHE}")
            self._db.execute("create table file (key blob, name blob, problem text)")
            self._db.execute("begin")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._db.close()

    def collect(self, found: Iterable[Found]) -> None:
        """Take in all images; those of other shards are left out."""
        with _storage():
            self._db.executemany("insert into file values (?, ?, ?)", self._rows(found))
            self._db.execute("create index by_name on file (key, name, problem)")

    def check(self, *, force: bool, skip: bool, disjoint: bool) -> int:
        """Find what is bound to go wrong; return the number of images.

        Args:
            force: Targets may be there.
            skip: Targets may be there, and stay.
            disjoint: Whether the two folders are apart as a whole; else the places are compared file by file.

        Raises:
            RequestError: There are no images, two would become one file, a target lies among the sources, or a
                source among the targets.
            OutputError: A target is a folder, or is there and may not be (with a FileExistsError in `__cause__`).
        """
        with _storage():
            ((count,),) = self._db.execute("select count(*) from (select distinct key, name, problem from file)")
            # The names of those that would become one file; `having` goes through the index, in order.
            clash = self._db.execute(
                "select min(name), max(name) from file where problem is null group by key having min(name) < max(name)"
            ).fetchone()
        if clash is not None:
            first, second = (self._job(name, None) for name in clash)
            both = f"'{shown(first.source)}' and '{shown(second.source)}'"
            raise RequestError(f"{both} would both become '{shown(first.target)}'; rename one")
        if os.path.lexists(self.target):
            self._check_places(force=force or skip, disjoint=disjoint)
        if not count and self._shard == (1, 1):
            endings = f"; their names end in {', '.join(SUFFIXES)}" if disjoint else ""
            raise RequestError(f"'{shown(self.source)}' holds no images{endings}")
        return int(count)

    def _check_places(self, *, force: bool, disjoint: bool) -> None:
        """Check the places of the results, file by file, in a target that is there."""
        inside = functools.lru_cache(1024)(_inside)
        note_links = functools.lru_cache(1024)(self._note_links)
        for job in self.jobs():
            if job.problem is not None:
                continue
            folder = os.path.dirname(job.target)
            note_links(folder[len(self._folder) :])
            if disjoint and inside(folder, self.source):
                raise RequestError(f"'{shown(folder)}' leads into the source folder; choose another target")
            if not disjoint and inside(os.path.dirname(job.source), self.target):
                raise RequestError(f"'{shown(job.source)}' lies in the target folder; choose another target")
            check_free(job.target, force=force)

    def _note_links(self, name: str) -> None:
        """Note which of a folder's name and the names above it are links: the run may follow these, and no others."""
        while name:
            place = self._folder + name
            if os.path.islink(place) and os.path.isdir(place):
                self.links[name] = identity(place)
            name = os.path.dirname(name)

    def check_report(self, report: Path, mark: Path) -> None:
        """Check that a report takes the place of no source, no result and not of the run's mark.

        Raises:
            RequestError: It does.
        """
        place, name = _place(report), os.fsencode(report.name).lower()
        if place == _place(mark):
            raise RequestError(f"'{shown(report)}' is the name of the run's mark; choose another report")
        for job in self.jobs():
            for path, what in ((job.source, "source"), (job.target, "result")):
                if os.fsencode(path).lower().endswith(name) and _place(path) == place:
                    raise RequestError(f"'{shown(report)}' is a {what} of the run too; choose another report")

    def jobs(self) -> Iterator[Job]:
        """Yield the images in the order of their targets' names, as bytes; each once, however often it was listed."""
        with _storage():
            rows = self._db.execute("select distinct key, name, problem from file order by key, name, problem")
            for _, name, problem in rows:
                yield self._job(name, problem)

    def _job(self, raw: bytes, problem: str | None) -> Job:
        name = os.fsdecode(raw)
        stem = os.path.splitext(below(name))[0]
        target = self._folder + stem + self._suffix
        return Job(name, os.path.join(self.source, name), target, item_of(os.fsencode(stem)), problem)

    def _rows(self, found: Iterable[Found]) -> Iterator[tuple[bytes, bytes, str | None]]:
        shard, shards = self._shard
        for name, problem in found:
            stem = os.fsencode(os.path.splitext(below(name))[0])
            if shards == 1 or item_of(stem) % shards == shard - 1:
                yield os.path.normcase(stem) + self._suffix.encode(), os.fsencode(name), problem


def item_of(stem: bytes) -> int:
    """Return a file's number in the seed, 0 to 2**52 - 1, from its name alone.

    So the noise of a file, and the shard it belongs to, do not depend on what else is in the folder, on the number
    of workers or on the machine.

    Args:
        stem: The name below the source folder with "/", without its suffix, in bytes.
    """
    return int.from_bytes(hashlib.blake2b(stem, digest_size=8).digest(), "big") >> (64 - ITEM_BITS)


def check_apart(source: Path, target: Path) -> None:
    """Check that neither folder lies in the other.

    Raises:
        RequestError: One does.
        OutputError: The target is not a folder.
    """
    inner, outer = os.path.realpath(target), os.path.realpath(source)
    if _inside(inner, outer):
        raise RequestError(
            f"target '{shown(target)}' lies in the source folder '{shown(source)}'; choose a folder outside it"
        )
    if _inside(outer, inner):
        raise RequestError(
            f"source '{shown(source)}' lies in the target folder '{shown(target)}'; choose another target"
        )


def check_folder(target: Path) -> None:
    """Check that the target is a folder, or nothing yet.

    Raises:
        OutputError: It is something else.
    """
    if os.path.lexists(target) and not os.path.isdir(target):
        raise OutputError(f"cannot write into '{shown(target)}': it is not a folder")


def _place(path: str | os.PathLike[str]) -> str:
    """Return the one spelling of a file's place: links of its folders followed, upper and lower case taken as one."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name).casefold()


def _inside(path: str, folder: str) -> bool:
    """Return whether a path, its links followed, lies in a folder or is it."""
    path, folder = (os.path.normcase(os.path.realpath(place)) for place in (path, folder))
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


@contextmanager
def _storage() -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises:
        OutputError: The folder for temporary files is full or closed.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise OutputError(
            f"cannot keep the plan in a temporary file ({error}); set SQLITE_TMPDIR to a folder with room"
        ) from error
