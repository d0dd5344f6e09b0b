"""`vaegen sample`: digits in colors."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
import vaegen

from vaegen_cli.libraries import loading
from vaegen_cli.options import (
    Color,
    force_option,
    format_option,
    json_option,
    model_options,
    read_colors,
    read_digits,
    scale_option,
    seed_option,
)
from vaegen_cli.output import PIPE, Format, check_scale, check_targets, claim_stdout, write, write_stdout
from vaegen_cli.pictures import encode_npy, enlarge, preview, sheet
from vaegen_cli.plan import plan_files, plan_requests
from vaegen_cli.settings import Settings, common_options, pass_settings, with_examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from vaegen import Draw

    from vaegen_cli.plan import Request

SHOWN = 5  # colors not reached, and images that did not come out as asked and are told of one by one without -v


@click.command()
@click.option(
    "--digit",
    "digits",
    multiple=True,
    callback=read_digits,
    metavar="LIST",
    help="3, 0-9 or 1,3,5.  [default: drawn from the seed, image by image]",
)
@click.option(
    "--color",
    "color_texts",
    multiple=True,
    metavar="LIST",
    help="CSS names, #rrggbb, rgb() or hsl().  [default: drawn from the seed, image by image]",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Images of each combination of a digit and a color.",
)
@seed_option
@click.option(
    "--start",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Index of the first image in the seed's sequence.",
)
@click.option("--temperature", type=float, metavar="T", help="Lower: surer; higher: varied.  [default: the model's]")
@click.option(
    "--tries",
    type=int,
    default=8,
    show_default=True,
    metavar="N",
    help="Draws an image may take until digit and color come out as asked; 1 checks nothing.",
)
@model_options
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    metavar="FILE|FOLDER|-",
    help="A .png or .npy file, a folder, or - for stdout.  [default: this folder]",
)
@format_option
@click.option("--grid", is_flag=True, help="One sheet: a row for each digit, a column for each color.")
@scale_option
@force_option
@json_option
@common_options
@pass_settings
@with_examples(
    "vaegen sample --color red --digit 3",
    "vaegen sample --digit 0-9 --color 'red,#ff8000,hsl(120,100%,50%)' --grid --scale 4 -o sheet.png",
)
def sample(
    settings: Settings,
    digits: list[int],
    color_texts: tuple[str, ...],
    count: int,
    seed: int,
    start: int,
    temperature: float | None,
    tries: int,
    model: str,
    threads: int,
    out: str | None,
    chosen: Format | None,
    grid: bool,
    scale: int,
    force: bool,
    as_json: bool,
) -> None:
    """Draw digits in colors.

    Every digit is combined with every color, --count images each. Files are named red-3.png, or red-3-000.png,
    red-3-001.png, ... with --count; nothing is overwritten without --force. A .npy file holds all images, uint8
    (n, height, width, 3), or the sheet, uint8 (height, width, 3). With --count, a cell of the sheet holds its
    images as a block.

    A color too dark for the black background is refused. One that the model does not reach within 5 CIEDE2000 is
    drawn as near as it gets, with a warning; --json has the measured color of each image.

    An image depends on the model, its digit, color, seed, index, --temperature and --tries, and on nothing else;
    each PNG carries them as text chunks named vaegen:..., so that --seed and --start bring it back.
    """
    needed = ("prior", "decoder", "judge") if tries > 1 else ("prior", "decoder")
    with loading(model, threads, needed) as future:
        colors = read_colors(color_texts)
        requests = plan_requests(digits, colors, count, seed=seed, start=start)
        files = plan_files(requests, out, chosen, grid=grid)
        if out == PIPE:
            claim_stdout(as_json=as_json)
        if files.together:
            check_scale(len(requests), scale)
        check_targets(files.targets, force=force)
        from vaegen.images import encode_png

    with future.result() as loaded:
        spec = loaded.spec
        draw = loaded.draw(
            [request.digit for request in requests],
            [request.color.rgb for request in requests],
            seed=seed,
            start=start,
            temperature=temperature,
            tries=tries,
        )
    call = {
        "model": spec.name,
        "seed": seed,
        "temperature": spec.prior_temperature if temperature is None else temperature,
        "tries": tries,
        "version": vaegen.__version__,
    }
    if settings.live and (blocks := preview(draw.images)):
        click.echo(blocks, err=True)

    # Each file is a picture with the digits and the colors that it shows.
    pictures: Iterable[tuple[NDArray[np.uint8], Sequence[int], Sequence[Color]]]
    if files.together:
        shown = digits or [request.digit for request in requests], colors or [r.color for r in requests]
        rows, columns = max(len(digits), 1), max(len(colors), 1)
        pictures = [(sheet(draw.images, rows, columns) if grid else draw.images, *shown)]
    else:
        pictures = ((image, [r.digit], [r.color]) for image, r in zip(draw.images, requests, strict=True))
    for row, (picture, its_digits, its_colors) in enumerate(pictures):
        large = enlarge(picture, scale)
        if files.format == "npy":
            data = encode_npy(large)
        else:
            data = encode_png(large, _text_chunks(call, start + row, its_digits, its_colors))
        if out == PIPE:
            write_stdout(data)
            continue
        write(files.targets[row], data, force=force)
        if not as_json:
            click.echo(files.targets[row])

    _tell(settings, draw, requests, start)
    if as_json:
        # One file holds all, or each image has its own.
        targets = files.targets * len(requests) if files.together else files.targets
        images = [
            {"file": str(target), "index": start + row, **_describe(draw, row, request)}
            for row, (target, request) in enumerate(zip(targets, requests, strict=True))
        ]
        click.echo(json.dumps({**call, "images": images}))


def _text_chunks(call: Mapping[str, Any], index: int, digits: Sequence[int], colors: Sequence[Color]) -> dict[str, str]:
    """Give the text chunks of a PNG; digits and colors are lists that --digit and --color read."""
    facts = {
        **call,
        "index": index,
        "digit": ",".join(map(str, digits)),
        "color": ",".join(color.text for color in colors),
    }
    return {f"vaegen:{name}": str(value) for name, value in facts.items()}


def _describe(draw: "Draw", row: int, request: "Request") -> dict[str, Any]:
    """Give what is known of one image; what was not checked is None."""
    return {
        "digit": request.digit,
        "color": request.color.text,
        "rgb": request.color.rgb,
        "tries_used": int(draw.tries_used[row]),
        "judged": None if draw.judged is None else int(draw.judged[row]),
        "confidence": None if draw.confidence is None else round(float(draw.confidence[row]), 4),
        "measured": None if draw.measured is None else [round(value, 1) for value in draw.measured[row].tolist()],
        "color_error": None if draw.color_error is None else round(float(draw.color_error[row]), 3),
        "accepted": None if draw.accepted is None else bool(draw.accepted[row]),
    }


def _tell(settings: Settings, draw: "Draw", requests: Sequence["Request"], start: int) -> None:
    """Say on stderr what did not come out as asked; with -v, what became of each image."""
    _tell_of_colors(settings, draw, requests)
    missed = [] if draw.accepted is None else (~draw.accepted).nonzero()[0].tolist()
    for row in range(len(requests)) if settings.verbosity > 0 else missed[:SHOWN]:
        facts = _describe(draw, row, requests[row])
        line = f"vaegen: image {start + row}, {facts['color']} {facts['digit']}: {facts['tries_used']} tries"
        if draw.judged is not None:
            line += f", reads as {facts['judged']}, color off by {facts['color_error']:.1f} (CIEDE2000)"
        settings.say(line)
    if missed:
        advice = "raise --tries or lower --temperature"
        settings.say(f"vaegen: {len(missed)} of {len(requests)} images did not come out as asked; {advice}")


def _tell_of_colors(settings: Settings, draw: "Draw", requests: Sequence["Request"]) -> None:
    """Warn of each color that the model did not reach, with the one that it drew instead."""
    if draw.reached is None or draw.color_error is None or draw.measured is None or draw.reached.all():
        return
    from vaegen.sampling import COLOR_REACH

    wanted: dict[str, list[int]] = {}
    for row in (~draw.reached).nonzero()[0].tolist():
        wanted.setdefault(requests[row].color.text, []).append(row)
    for text, rows in list(wanted.items())[:SHOWN]:
        nearest = min(rows, key=draw.color_error.__getitem__)
        red, green, blue = (round(value) for value in draw.measured[nearest].tolist())
        what = "1 image is" if len(rows) == 1 else f"{len(rows)} images are"
        settings.say(
            f"vaegen: warning: {text} was not reached: {what} more than {COLOR_REACH:g} CIEDE2000 off, the nearest "
            f"#{red:02x}{green:02x}{blue:02x}, {draw.color_error[nearest]:.1f} off"
        )
    if len(wanted) > SHOWN:
        settings.say(f"vaegen: warning: {len(wanted) - SHOWN} more colors were not reached; --json has each image's")
