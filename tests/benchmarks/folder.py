"""A folder of images: `vaegen reconstruct` beside a loop that reads and writes the same files with Pillow."""

import gzip
import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import vaegen
from PIL import Image
from vaegen.encoding import encode_png
from vaegen.files import write_file
from vaegen.folder.listing import walk
from vaegen.folder.plan import Plan
from vaegen.folder.work import AT_ONCE
from vaegen.images import decode_image, read_image

from tests.benchmarks.cold import RUN
from tests.benchmarks.measure import Call, Clock, Environment, Row, Table, compare, in_turn

DIGITS = Path(__file__).parents[1] / "assets" / "digits" / "train-images-idx3-ubyte.gz"
IN_FOLDER = 1_000
WORKERS = (1, 2)
PHOTOGRAPH = (4000, 3000)  # 12 megapixels

# What a user would write, one process: the floor. {draft} and {how} say what becomes of an image.
LOOP = """
import os, sys
from PIL import Image
source, target = sys.argv[1:]
for folder, _, names in os.walk(source):
    there = os.path.join(target, os.path.relpath(folder, source))
    os.makedirs(there, exist_ok=True)
    for name in names:
        image = Image.open(os.path.join(folder, name))
        {draft}
        image{how}.save(os.path.join(there, os.path.splitext(name)[0] + ".png"))
"""
COPY = LOOP.format(draft="", how='.convert("RGB")')
SCALE = '.convert("RGB").resize((28, 21), Image.Resampling.BILINEAR)'
RESIZE = LOOP.format(draft="", how=SCALE)
DRAFT = LOOP.format(draft='image.draft("RGB", (224, 168))', how=SCALE)


def folder(
    environment: Environment, model: str, sizes: Sequence[int], photographs: int, rounds: int, clock: Clock
) -> list[Table]:
    """Measure files per second, of whole processes and of what further files cost them.

    Args:
        environment: Runs the processes.
        model: The model.
        sizes: Files in a folder of digits, from few to many.
        photographs: Files in a folder of photographs.
        rounds: Times each side runs.
        clock: What a time is.

    Results are never removed between two measurements: an ext4 without a journal goes around the inodes of removed
    files for half a minute, which makes the next files 10 times as expensive.
    """
    sources = {size: _digits(environment.folder / f"digits-{size}", size) for size in sizes}
    small = _times(environment, sources, {"copy with Pillow": COPY}, model, rounds, clock)
    sources_large = {photographs: _photographs(environment.folder / "photographs", photographs)}
    loops = {"convert and resize with Pillow": RESIZE, "the same in draft mode": DRAFT}
    large = _times(environment, sources_large, loops, model, rounds, clock)
    return [
        Table(
            "A folder of 28x28 PNG files",
            "copying them with Pillow in one process, as files per second; further files are those of the larger "
            "folder, so that the start of processes is left out",
            (
                *(row for size in sizes for row in _rows(small[size], size)),
                *(_further(small, sizes) if len(sizes) > 1 else ()),
            ),
        ),
        Table(
            f"A folder of {photographs} JPEG photographs of 12 megapixels",
            "converting and resizing them with Pillow in one process, as files per second",
            _rows(large[photographs], photographs),
        ),
    ]


def profile(environment: Environment, model: str, files: int, rounds: int, clock: Clock) -> Table:
    """Measure what one of some digits takes, step by step, in this process."""
    source, target = _digits(environment.folder / "digits", files), environment.folder / "steps"
    paths = sorted(map(str, source.rglob("*.png")))
    contents = [Path(path).read_bytes() for path in paths]
    number = itertools.count()

    def places() -> list[str]:
        folder = target / str(next(number))
        folder.mkdir(parents=True)
        return [f"{folder}/{Path(path).name}" for path in paths]

    def copy() -> None:
        for path, place in zip(paths, places(), strict=True):
            Image.open(path).convert("RGB").save(place)

    def write() -> None:
        for place, content in zip(places(), contents, strict=True):
            write_file(place, content)

    def plan() -> None:
        with Plan(source, target / "nothing", "png") as plan:
            plan.collect(walk(plan.source))
            plan.check(force=False, skip=False, disjoint=True)
            for _ in plan.jobs():
                pass

    with vaegen.load(model) as loaded:
        pictures = np.stack([read_image(path) for path in paths])
        results = loaded.reconstruct(pictures)
        sides: dict[str, Call] = {
            "copy with Pillow": copy,
            "plan": plan,
            "decode, with Pillow": lambda: [decode_image(content) for content in contents],
            "read and decode": lambda: [read_image(path) for path in paths],
            "reconstruct, 32 at a time": lambda: [
                loaded.reconstruct(pictures[at : at + AT_ONCE]) for at in range(0, len(pictures), AT_ONCE)
            ],
            "encode as PNG": lambda: [encode_png(result) for result in results],
            "write": write,
        }
        times = in_turn(sides, rounds, clock)
    floor = times["copy with Pillow"]
    rows = [
        compare(name, "\u00b5s", 1e6 * statistics.median(each) / len(paths), each, floor)
        for name, each in times.items()
    ]
    return Table("One 28x28 PNG file in one process, step by step", "copying it with Pillow", tuple(rows))


def _times(
    environment: Environment,
    sources: Mapping[int, Path],
    loops: Mapping[str, str],
    model: str,
    rounds: int,
    clock: Clock,
) -> dict[int, dict[str, list[float]]]:
    """Time every side on every folder, in turn: new processes, each with a target of its own."""
    number = itertools.count()

    def loop(code: str, source: Path) -> Call:
        return lambda: environment.run(code, str(source), f"out-{next(number)}-{source.name}")

    def reconstruct(workers: int, source: Path) -> Call:
        options = ("--workers", str(workers), "--model", model, "-q")
        return lambda: environment.run(RUN, "reconstruct", str(source), f"out-{next(number)}-{source.name}", *options)

    sides: dict[tuple[int, str], Call] = {}
    for size, source in sources.items():
        sides |= {(size, name): loop(code, source) for name, code in loops.items()}
        sides |= {(size, f"vaegen, {_workers(count)}"): reconstruct(count, source) for count in WORKERS}
    names = {f"{size} {name}": (size, name) for size, name in sides}
    times = in_turn({name: sides[key] for name, key in names.items()}, rounds, clock, children=True)
    found: dict[int, dict[str, list[float]]] = {size: {} for size in sources}
    for name, each in times.items():
        size, side = names[name]
        found[size][side] = each
    return found


def _rows(times: Mapping[str, Sequence[float]], files: int, what: str = "") -> tuple[Row, ...]:
    floor = next(iter(times.values()))
    what = what or f"{files:,} files"
    return tuple(
        compare(f"{what}: {name}", "files/s", files / statistics.median(each), floor, each)
        for name, each in times.items()
    )


def _further(times: Mapping[int, Mapping[str, Sequence[float]]], sizes: Sequence[int]) -> tuple[Row, ...]:
    """Return the rows of the files that the largest folder has more than the smallest."""
    few, many = sizes[0], sizes[-1]
    more = {
        name: [large - small for large, small in zip(each, times[few][name], strict=True)]
        for name, each in times[many].items()
    }
    return _rows(more, many - few, f"{many - few:,} further files")


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count > 1 else ''}"


def _digits(target: Path, files: int) -> Path:
    """Write painted digits of the tests' sample, each in a color of its own."""
    pixels = np.frombuffer(gzip.decompress(DIGITS.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    colors = np.random.default_rng(0).uniform(0, 1, (files, 3))
    return _write(target, files, ".png", lambda number: pixels[number % len(pixels)] * colors[number])


def _photographs(target: Path, files: int) -> Path:
    """Write large pictures that compress as photographs do: smooth colors under noise, 2 MB each."""
    generator = np.random.default_rng(0)
    noise = generator.integers(-12, 13, (PHOTOGRAPH[1], PHOTOGRAPH[0], 1))

    def photograph(number: int) -> npt.NDArray[np.float64]:
        colors = Image.fromarray(generator.integers(0, 256, (18, 24, 3)).astype(np.uint8))
        smooth = np.asarray(colors.resize(PHOTOGRAPH, Image.Resampling.BICUBIC))
        return (smooth + np.roll(noise, 997 * number)).clip(0, 255)

    return _write(target, files, ".jpg", photograph)


def _write(target: Path, files: int, suffix: str, picture: Callable[[int], npt.NDArray[np.float64]]) -> Path:
    for number in range(files):
        path = target / f"{number // IN_FOLDER:03d}" / f"{number:06d}{suffix}"
        if number % IN_FOLDER == 0:
            path.parent.mkdir(parents=True)
        Image.fromarray(picture(number).astype(np.uint8)).save(path)
    return target
