"""The plan of a run: every image and the place of its result, in order, with every problem that can be foreseen.

The names are kept in a temporary SQLite database, which sorts them on disk, so a million of them take about 100 MB
in the folder for temporary files (TMPDIR) and a few MB of memory. The price is one listing of the folder before
the first image is read: two to five seconds per million files on a local disk.

`a/cut.jpg` becomes `a/cut.png`. Where that would be the result of another file too, such as `a/cut.gif`, both keep
their whole names, `a/cut.jpg.png` and `a/cut.gif.png`; so does a file whose result would have such a name, or that of a
folder of results. This depends on nothing but the names in the folder, so all shards and machines find the same.
"""

import bisect
import functools
import hashlib
import itertools
import logging
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from vaegen.decoding import SUFFIXES
from vaegen.errors import OutputError, RequestError, setting, shown
from vaegen.files import check_free
from vaegen.folder.listing import Found, below
from vaegen.folder.mirror import Identity, identity

CACHE = 512  # KiB of the database in memory; more shows in what memory holds for many files, and saves no time
PAGE = 1024  # bytes; SQLite sorts 250 pages at a time in memory

ITEM_BITS = 52  # so that a JSON reader with floating-point numbers keeps an item exact

# Whether file systems take upper and lower case, and the two spellings of an accented letter, for the same name.
FOLDS = sys.platform in ("win32", "darwin")

_log = logging.getLogger("vaegen")


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
    done: bool = False
    """Whether its result was made by the run that this one resumes, which replaces what was there before."""


class Row(NamedTuple):
    """A name of the plan, in the order of its fields."""

    key: bytes
    """The result's place below the target; of a folder that cannot be listed, its name and "/"; b"" of what is left
    out. `folded`, like `suffix`."""
    suffix: bytes
    """The source's."""
    name: bytes
    note: str
    """What is wrong with it, or why it is left out."""
    mine: bool
    """Whether it belongs to this shard."""


class Plan:
    """The images of one run; a context manager, because its names lie in a temporary file."""

    def __init__(self, source: Path, target: Path, form: str, shard: tuple[int, int] = (1, 1)) -> None:
        self.source, self.target = os.fspath(source), os.fspath(target)
        self._folder = os.path.join(self.target, "")
        self.links: dict[str, Identity] = {}
        """Which folders the links below the target led to when the places were checked, by name with "/"."""
        self.ignored: Counter[str] = Counter()
        """How many files and folders were left out, by the reason."""
        self._suffix = f".{form}".encode()
        self._folders_like_results = False
        self._shard = shard
        self._names: _OnDisk | _InMemory
        try:
            self._names = _OnDisk()
        except ImportError:  # as where Python was built without SQLite
            _log.info("this Python has no sqlite3: the names of the files are sorted in memory")
            self._names = _InMemory()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._names.close()

    def collect(self, found: Iterable[Found], *, note_ignored: bool = False) -> None:
        """Take in all images; `note_ignored` keeps the names of what is left out too, for `left_out`."""
        self._names.add(self._rows(found, note_ignored=note_ignored))

    def check(self, *, force: bool, skip: bool, disjoint: bool) -> int:
        """Find what is bound to go wrong; return the number of images of this shard.

        Args:
            force: Targets may be there.
            skip: Targets may be there, and stay.
            disjoint: Whether no source lies in the target folder, as one that was listed; else each is looked at.

        Raises:
            RequestError: There are no images, a target lies among the sources, or a source among the targets.
            OutputError: A target is a folder, or is there and may not be (with a FileExistsError in `__cause__`).
        """
        count = self._names.count()
        if count and os.path.lexists(self.target):
            self._check_places(force=force or skip, disjoint=disjoint)
        if not count and self._shard == (1, 1):
            if self.ignored["target file"]:
                raise RequestError(
                    f"every image of the list lies in the target folder '{shown(self.target)}'; choose another target"
                )
            endings = f"; their names end in {', '.join(SUFFIXES)}" if disjoint else ""
            raise RequestError(f"'{shown(self.source)}' holds no images{endings}")
        return count

    def _check_places(self, *, force: bool, disjoint: bool) -> None:
        """Check the places of the results, file by file, in a target that is there."""
        inside = functools.lru_cache(1024)(_inside)
        note_links = functools.lru_cache(1024)(self._note_links)
        for job in self.jobs():
            if job.problem is not None:
                continue
            folder = os.path.dirname(job.target)
            note_links(folder[len(self._folder) :])
            if disjoint and inside(folder, self.source) and not inside(folder, self.target):
                raise RequestError(f"'{shown(folder)}' leads into the source folder; choose another target")
            check_free(job.target, force=force, other=f"{setting('skip_existing', True)} keeps what is there")

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

    def left_out(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each file and folder that was left out, and the reason, as far as `collect` noted them."""
        for row in itertools.takewhile(lambda row: not row.key, self._names):
            yield os.fsdecode(row.name), row.note

    def jobs(self) -> Iterator[Job]:
        """Yield the images of this shard, each once however often it was listed.

        They come in the order of their results' names, as bytes, before any of them keeps its suffix.
        """
        before = owner = None
        for row, after in itertools.pairwise(itertools.chain(self._names, (None,))):
            if row is None or not row.key:
                continue
            shared = (before is not None and before.key == row.key) or (after is not None and after.key == row.key)
            # Of two with one place even as whole names, on a list or where case counts for nothing, one is done.
            if owner is None or owner[:2] != row[:2]:
                owner = row
            if row.mine:
                yield self._job(row, None if owner is row else owner, whole=shared or self._is_taken(row.key))
            before = row

    def _is_taken(self, key: bytes) -> bool:
        """Return whether a file's result would have the name of a folder, or of one that keeps its whole name."""
        if self._folders_like_results and self._names.has_below(key):
            return True
        if b"." not in key[: -len(self._suffix)]:
            return False
        inner, suffix = os.path.splitext(key[: -len(self._suffix)])
        outer = inner + self._suffix
        return bool(suffix) and self._names.has(outer, suffix) and (self._names.shared(outer) or self._is_taken(outer))

    def _job(self, row: Row, owner: Row | None, *, whole: bool) -> Job:
        name = os.fsdecode(row.name)
        place = below(name)
        stem = os.path.splitext(place)[0]
        target = self._folder + (place if whole else stem) + os.fsdecode(self._suffix)
        problem = row.note or None
        if owner is not None:
            problem = f"'{shown(name)}' and '{shown(os.fsdecode(owner.name))}' would both become '{shown(target)}'"
            problem += "; give one of them a run of its own"
        return Job(name, os.path.join(self.source, name), target, item_of(os.fsencode(stem)), problem)

    def _rows(self, found: Iterable[Found], *, note_ignored: bool) -> Iterator[Row]:
        shard, shards = self._shard
        for name, problem, ignored in found:
            stem, suffix = map(os.fsencode, os.path.splitext(below(name)))
            mine = shards == 1 or item_of(stem) % shards == shard - 1
            raw = os.fsencode(name)
            if problem is not None:
                yield Row(stem + suffix + b"/", b"", raw, problem, mine)
            elif ignored is None:
                key = folded(stem) + self._suffix
                self._folders_like_results |= self._suffix + b"/" in key
                yield Row(key, folded(suffix), raw, "", mine)
            elif mine:
                self.ignored[ignored] += 1
                _log.debug("left out: '%s' (%s)", os.path.join(self.source, name), ignored)
                if note_ignored:
                    yield Row(b"", b"", raw, ignored, mine)


class _OnDisk:
    """Rows in a temporary database, sorted, each once however often it was added."""

    def __init__(self) -> None:
        import sqlite3

        with _storage():
            self._db = sqlite3.connect("", isolation_level=None)
            self._db.execute(f"pragma page_size = {PAGE}")
            self._db.execute(f"pragma cache_size = -{CACHE}")
            self._db.execute("create table file (key blob, suffix blob, name blob, note text, mine integer)")
            self._db.execute("begin")

    def add(self, rows: Iterable[Row]) -> None:
        with _storage():
            self._db.executemany("insert into file values (?, ?, ?, ?, ?)", rows)
            self._db.execute("create index in_order on file (key, suffix, name, note, mine)")

    def __iter__(self) -> Iterator[Row]:
        with _storage():
            yield from map(Row._make, self._db.execute("select distinct * from file order by 1, 2, 3, 4, 5"))

    def count(self) -> int:
        """Return how many images of this shard there are."""
        with _storage():
            rows = "select distinct * from file where mine and key != x''"
            return int(self._db.execute(f"select count(*) from ({rows})").fetchone()[0])

    def has(self, key: bytes, suffix: bytes) -> bool:
        """Return whether there is a file with this result and this suffix."""
        with _storage():
            return bool(self._db.execute("select 1 from file where key = ? and suffix = ?", (key, suffix)).fetchone())

    def shared(self, key: bytes) -> bool:
        """Return whether several files would have this result."""
        with _storage():
            return len(self._db.execute("select distinct * from file where key = ? limit 2", (key,)).fetchall()) == 2

    def has_below(self, key: bytes) -> bool:
        """Return whether there is a result in a folder of this name."""
        between = key + b"/", key + b"0"  # the sign that follows "/"
        with _storage():
            return bool(self._db.execute("select 1 from file where key > ? and key < ?", between).fetchone())

    def close(self) -> None:
        self._db.close()


class _InMemory:
    """What `_OnDisk` does, for a Python without SQLite."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def add(self, rows: Iterable[Row]) -> None:
        self._rows = sorted(set(rows))

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def count(self) -> int:
        return sum(row.mine for row in self._rows if row.key)

    def has(self, key: bytes, suffix: bytes) -> bool:
        at = bisect.bisect_left(self._rows, (key, suffix), key=lambda row: row[:2])
        return at < len(self._rows) and self._rows[at][:2] == (key, suffix)

    def shared(self, key: bytes) -> bool:
        at = bisect.bisect_left(self._rows, key, key=lambda row: row.key)
        return [row.key for row in self._rows[at : at + 2]] == [key, key]

    def has_below(self, key: bytes) -> bool:
        at = bisect.bisect_left(self._rows, key + b"/", key=lambda row: row.key)
        return at < len(self._rows) and self._rows[at].key.startswith(key + b"/")

    def close(self) -> None:
        self._rows = []


def item_of(stem: bytes) -> int:
    """Return a file's number in the seed, 0 to 2**52 - 1, from its name alone.

    So the noise of a file, and the shard it belongs to, do not depend on what else is in the folder, on the number
    of workers or on the machine.

    Args:
        stem: The name below the source folder with "/", without its suffix, in bytes.
    """
    return int.from_bytes(hashlib.blake2b(stem, digest_size=8).digest(), "big") >> (64 - ITEM_BITS)


def check_apart(source: Path, target: Path) -> None:
    """Check that the source lies neither in the target nor is it; the target may lie in the source.

    Raises:
        RequestError: It does.
    """
    inner, outer = os.path.realpath(source), os.path.realpath(target)
    if _inside(inner, outer):
        if _inside(outer, inner):
            raise RequestError(
                f"target '{shown(target)}' is the source folder itself; choose another folder, even in it"
            )
        raise RequestError(
            f"source '{shown(source)}' lies in the target folder '{shown(target)}'; choose another target"
        )


def leave_out(found: Iterable[Found], source: str, target: str) -> Iterator[Found]:
    """Yield what was found, and leave out what lies in the target, as it does where the source holds it."""
    inside = functools.lru_cache(1024)(_inside)
    for one in found:
        lies = inside(os.path.dirname(os.path.join(source, one.name)) or ".", target)
        yield one._replace(ignored="target file") if lies else one


def check_folder(target: Path) -> None:
    """Check that the target is a folder, or can become one.

    Raises:
        OutputError: It, or something above it, is something else.
    """
    nearest = next(place for place in (target, *target.absolute().parents) if os.path.lexists(place))
    if not os.path.isdir(nearest):
        what = "it" if nearest == target else f"'{shown(nearest)}'"
        raise OutputError(f"cannot write into '{shown(target)}': {what} is not a folder")


def folded(name: bytes) -> bytes:
    """Return the one spelling of all names that file systems of this system take for the same."""
    return os.fsencode(unicodedata.normalize("NFC", os.fsdecode(name).casefold())) if FOLDS else name


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
    import sqlite3

    try:
        yield
    except sqlite3.Error as error:
        raise OutputError(
            f"cannot keep the plan in a temporary file ({error}); set SQLITE_TMPDIR to a folder with room"
        ) from error
