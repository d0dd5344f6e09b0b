"""`vaegen sample`: digits in colors."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from vaegen.errors import RequestError
from vaegen.subjects import (
    Subject,
    call_facts,
    count_subjects,
    describe,
    file_stem,
    picture_facts,
    plan_subjects,
    read_colors,
    read_digits,
    sheet_facts,
)

from vaegen_cli.console import Console, ExitCode, common_options, put
from vaegen_cli.libraries import loading
from vaegen_cli.misses import report, report_style
from vaegen_cli.options import (
    Format,
    complete_colors,
    complete_digits,
    force_option,
    image_options,
    json_option,
    model_options,
    seed_option,
)
from vaegen_cli.output import MAX_IMAGES, Output
from vaegen_cli.pictures import Like, is_typed, like_option
from vaegen_cli.sheets import Labels, show

if TYPE_CHECKING:
    from vaegen import Manifest


@click.command()
@click.option(
    "--digit",
    "digits",
    multiple=True,
    callback=lambda _context, _parameter, texts: read_digits(texts),
    metavar="LIST",
    shell_complete=complete_digits,
    help="3, 0-9 or 1,3,5.  [default: drawn from the seed, image by image]",
)
@click.option(
    "--color",
    "color_texts",
    multiple=True,
    metavar="LIST",
    shell_complete=complete_colors,
    help="CSS names, rrggbb, rgb() or hsl().  [default: drawn from the seed, image by image]",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Images of each combination of a digit and a color.",
)
@click.option("--text", metavar="DIGITS", help="One picture of digits side by side, such as 2026, in one hand.")
@click.option(
    "--walk",
    nargs=2,
    metavar="FROM TO",
    help="An animation from one digit to another, such as 3 8 or 3:red 8:blue; -o names a .png, .gif or .webp file.",
)
@click.option(
    "--frames",
    type=click.IntRange(2, 240),
    default=24,
    show_default=True,
    metavar="N",
    help="Of --walk, with both ends.",
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
    metavar="N",
    help="Draws an image may take until it comes out as asked and looks like handwriting; 1 checks nothing."
    "  [default: 8]",
)
@click.option("--best", type=int, metavar="N", help="Draw each image N times and keep the best, in place of --tries.")
@click.option("--slant", type=float, metavar="DEGREES", help="Of the digits, to the right.  [default: as people write]")
@click.option("--thickness", type=float, metavar="PIXELS", help="Of the strokes.  [default: as people write]")
@click.option("--hand", type=int, metavar="N", help="A handwriting for all images, 0 or more.  [default: many]")
@like_option
@model_options
@image_options(grid="One sheet: a row for each digit, a column for each color.")
@click.option("--labels", is_flag=True, help="Write digits beside the rows of --grid, and colors above its columns.")
@force_option
@json_option
@common_options(
    "vaegen sample --color red --digit 3",
    "vaegen sample --digit 0-9 --color 'red,#ff8000,hsl(120,100%,50%)' --grid --scale 4 -o sheet.png",
    "vaegen sample --text 2026 --color rainbow --size 280",
    "vaegen sample --walk 3:red 8:blue --size 280 -o walk.gif",
)
@click.pass_context
def sample(
    context: click.Context,
    digits: list[int],
    color_texts: tuple[str, ...],
    count: int,
    text: str | None,
    walk: tuple[str, str] | None,
    frames: int,
    seed: int,
    start: int,
    temperature: float | None,
    tries: int | None,
    best: int | None,
    slant: float | None,
    thickness: float | None,
    hand: int | None,
    like: Like | None,
    model: str,
    threads: int,
    out: str,
    chosen: Format | None,
    grid: bool,
    scale: int | None,
    size: int | None,
    labels: bool,
    force: bool,
    as_json: bool,
) -> ExitCode:
    """Draw digits in colors.

    Every digit is combined with every color, --count images each. Files are named red-3.png, or red-3-000.png,
    red-3-001.png, ... with --count; nothing is overwritten without --force. A .svg file has the outline of the strokes;
    a .npy file all images, uint8 (n, height, width, 3), or the sheet, uint8 (height, width, 3). With --count, a cell of
    the sheet holds its images as a block.

    --text takes one color, a list (from digit to digit), or the word rainbow, and chooses a hand in which each digit
    reads right. --walk goes through the latent space from FROM to TO, hues the shorter way around; of several draws of
    both it takes those with the clearest way between them, and says which frames are no clear digit. It plays there and
    back; a .npy file holds the frames, and -o frames/%03d.png writes one file for each.

    A color too dark for the black background is refused. One that the model does not reach within 5 CIEDE2000 is
    drawn as near as possible, with a warning; --json has the measured color of each image.

    An image depends on the model, its digit, color, seed, index, --temperature, --tries or --best, --slant,
    --thickness and --hand, and on nothing else. Each PNG carries them as text chunks named vaegen:..., which `vaegen
    info red-3.png` shows and --like takes. Exit code 1 means that no image came out as asked, that a digit of --text
    reads as another, or that no frame of --walk is clear.
    """
    console = context.ensure_object(Console)
    if like is not None:
        model = like.its(context, model)
        tries, best = like.unless_typed(context, tries=tries, best=best)
        size, scale = like.unless_typed(context, size=size, scale=scale)
        text, walk = like.unless_typed(context, "digits", "count", "grid", text=text, walk=walk)
        if walk is not None and not is_typed(context, "walk") and is_typed(context, "color_texts"):
            walk = walk[0].strip()[0], walk[1].strip()[0]  # the digits alone
    how: dict[str, Any] = {
        "seed": seed,
        "temperature": temperature,
        "tries": tries,
        "best": best,
        "slant": slant,
        "thickness": thickness,
        "hand": hand,
    }
    call = {"model": model, "threads": threads, "start": start, "as_json": as_json, **how}

    def warn(manifest: "Manifest") -> None:
        if like is not None and (warning := like.warning(context, manifest)):
            console.say(warning)

    if walk is not None:
        _leave_out(context, "walk", "text", "digits", "count", "grid")
        from vaegen_cli.walk import Animation, run_walk

        animation = Animation(out, chosen, scale=scale or 1, size=size, force=force, as_json=as_json)
        return run_walk(console, walk, frames, color_texts, animation, warn, **call)
    if is_typed(context, "frames"):
        raise RequestError("--frames counts those of a walk; add --walk FROM TO, such as --walk 3:red 8:blue")
    if labels and (not grid or not (digits or color_texts)):
        raise RequestError("--labels names the rows and columns of a sheet; add --grid, and --digit or --color or both")
    output = Output(
        out, chosen, grid=grid or text is not None, scale=scale or 1, size=size, force=force, as_json=as_json
    )
    if text is not None:
        _leave_out(context, "text", "digits", "count", "grid")
        from vaegen_cli.text import run_text

        return run_text(console, text, color_texts, output, warn, **call)
    needed = ("prior", "decoder") if tries == 1 else ("prior", "decoder", "judge")
    with loading(model, threads, needed) as loaded_model:
        colors = read_colors(color_texts)
        total = count_subjects(digits, colors, count)
        if total > MAX_IMAGES:
            raise RequestError(
                f"{total} images at once are too many; ask for at most {MAX_IMAGES} and continue with --start"
            )
        subjects = plan_subjects(digits, colors, count, seed=seed, start=start)
        import numpy.random  # noqa: F401, the noise needs it, and numpy loads it no sooner

    from vaegen.sampling import ask

    with loaded_model() as loaded:
        spec = loaded.spec
        # What is asked for is looked at before the files that it would go to.
        first = subjects[0].digit, subjects[0].color.rgb, 1
        ask(spec, first, start=start, **how)
        output.plan(len(subjects), lambda: _names(subjects, output))
        digits_of, colors_of = [one.digit for one in subjects], [one.color.rgb for one in subjects]
        draw = loaded.draw(digits_of, colors_of, start=start, **how)
        facts = call_facts(loaded.manifest, **how)
        warn(loaded.manifest)
    report_style(console, spec, slant=slant, thickness=thickness)
    show(console, draw.images)

    if output.together:
        from vaegen.encoding import sheet

        picture = sheet(draw.images, max(len(digits), 1), max(len(colors), 1)) if grid else draw.images
        named = Labels([str(digit) for digit in digits], [color.text for color in colors]) if labels else None
        output.write([(picture, facts | sheet_facts(start, digits, colors, subjects))], named)
    else:
        rows = enumerate(zip(draw.images, subjects, strict=True), start)
        output.write((image, facts | picture_facts(index, [one.digit], [one.color])) for index, (image, one) in rows)

    missed = report(console, draw, subjects, range(start, start + len(subjects)), best)
    if as_json:
        images = [
            {"file": file, "index": start + row, **describe(draw, row, subject)}
            for row, (file, subject) in enumerate(zip(output.files(len(subjects)), subjects, strict=True))
        ]
        put(json.dumps({**facts, "images": images}))
    return ExitCode.SOME_FAILED if missed == len(subjects) else ExitCode.DONE


def _leave_out(context: click.Context, option: str, *others: str) -> None:
    """Raise RequestError where another option than the one that is given asks for other images."""
    for parameter in context.command.params:
        if parameter.name in others and is_typed(context, parameter.name):
            raise RequestError(f"--{option} and {parameter.opts[0]} exclude each other; leave out one of them")


def _names(subjects: Sequence[Subject], output: Output) -> list[str]:
    """Name the files: red-3, or red-3-000 where a combination has several images; one name for all together."""
    stems = [file_stem(subject) for subject in subjects]
    if output.together:
        stems = [stems[0] if len(set(stems)) == 1 else "samples"]
    elif subjects[-1].number > 0:
        stems = [f"{stem}-{subject.number:03d}" for stem, subject in zip(stems, subjects, strict=True)]
    return [f"{stem}.{output.format}" for stem in stems]
