"""What one `vaegen sample` asks for and where it goes, decided before any work is done."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vaegen.errors import RequestError

from vaegen_cli.options import Color
from vaegen_cli.output import PIPE, Format, choose_format, file_stem

MAX_IMAGES = 100_000  # of one call, 235 MB; --start goes on from there
DRAWN_FROM = 64  # least brightest channel of a drawn color, of 255: the range that quality figures are quoted for
_SUBJECT_STREAM = 2**64 - 1  # the last attempt number there is; redraws count from 0 and never get there


class Request(NamedTuple):
    """One image of a call."""

    digit: int
    """0 to 9."""
    color: Color
    number: int
    """Counts the images of one combination of --digit and --color, from 0."""


def plan_requests(
    digits: Sequence[int], colors: Sequence[Color], count: int, *, seed: int, start: int
) -> list[Request]:
    """Combine every digit with every color, `count` images each: digit by digit, color by color.

    What is not given is drawn for each image: digits uniform over 0-9, colors uniform over RGB with a brightest
    channel of at least DRAWN_FROM. Like the images, the draws are a function of the seed and the item: image i is
    item start + i.

    Args:
        digits: 0 to 9 each; empty to have them drawn.
        colors: Empty to have them drawn.
        count: Images of each combination.
        seed: 0 to 2**64 - 1.
        start: Item number of the first image.

    Raises:
        RequestError: More than MAX_IMAGES would come out.
    """
    total = max(len(digits), 1) * max(len(colors), 1) * count
    if total > MAX_IMAGES:
        raise RequestError(f"{total} images at once are too many; ask for at most {MAX_IMAGES}, go on with --start")
    if digits and colors:
        return [Request(*combination) for combination in itertools.product(digits, colors, range(count))]

    from vaegen.noise import uniform

    noise = uniform(seed, _SUBJECT_STREAM, range(start, start + total), 5).tolist()  # (n, 5) in (0, 1)
    some_digits: Sequence[int | None] = digits if digits else [None]
    some_colors: Sequence[Color | None] = colors if colors else [None]
    wanted = itertools.product(some_digits, some_colors, range(count))
    return [
        Request(int(10 * row[0]) if digit is None else digit, color or _draw_color(row[1:]), number)
        for (digit, color, number), row in zip(wanted, noise, strict=True)
    ]


def _draw_color(uniforms: Sequence[float]) -> Color:
    """Turn four uniforms into a color, uniform over the cube 256^3 less its dark corner DRAWN_FROM^3.

    The brightest channel m of such a color has the distribution function (m^3 - DRAWN_FROM^3) / (256^3 -
    DRAWN_FROM^3), inverted here; each channel is as often the brightest; the other two are uniform below it.
    """
    which, height, first, second = uniforms
    brightest = (DRAWN_FROM**3 + height * (256**3 - DRAWN_FROM**3)) ** (1 / 3)
    channels = [int(brightest * first), int(brightest * second)]
    channels.insert(int(3 * which), min(int(brightest), 255))
    red, green, blue = channels
    return Color(f"#{red:02x}{green:02x}{blue:02x}", (red, green, blue))


class Files(NamedTuple):
    """Where the images of one call go."""

    format: Format
    together: bool
    """Whether one file holds all images, as a sheet or an array; else each has its own."""
    targets: tuple[Path, ...]
    """Files; none when stdout takes the bytes."""


def plan_files(requests: Sequence[Request], out: str | None, chosen: Format | None, *, grid: bool) -> Files:
    """Decide on the files before any work.

    Raises:
        RequestError: The options contradict each other.
    """
    is_file, format_ = choose_format(out, chosen)
    together = grid or format_ == "npy"
    if not together and len(requests) > 1 and (is_file or out == PIPE):
        raise RequestError(
            f"{len(requests)} images do not fit in one PNG file; add --grid or --format npy, or give -o a folder"
        )
    if out == PIPE:
        return Files(format_, together, ())
    if out is not None and is_file:
        return Files(format_, together, (Path(out),))
    folder = Path(out or ".")
    return Files(format_, together, tuple(folder / f"{name}.{format_}" for name in _stems(requests, together)))


def _stems(requests: Sequence[Request], together: bool) -> list[str]:
    """Name the files: red-3, or red-3-000 where a combination has several images; one name for all together."""
    stems = [file_stem(request.color.text, request.digit) for request in requests]
    if together:
        return [stems[0] if len(set(stems)) == 1 else "samples"]
    if requests[-1].number == 0:
        return stems
    return [f"{stem}-{request.number:03d}" for stem, request in zip(stems, requests, strict=True)]
