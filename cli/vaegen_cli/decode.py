"""`vaegen decode`: latents to images."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click
import vaegen
from vaegen.errors import RequestError

from vaegen_cli.latents import Latents, parse_latent, read_latents
from vaegen_cli.libraries import load_libraries
from vaegen_cli.options import force_option, format_option, json_option, model_options, scale_option
from vaegen_cli.output import (
    PIPE,
    Format,
    check_scale,
    check_targets,
    choose_format,
    claim_stdout,
    write,
    write_stdout,
)
from vaegen_cli.pictures import encode_npy, enlarge, preview, sheet
from vaegen_cli.settings import Settings, common_options, pass_settings, with_examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from vaegen import Model

MAX_TOGETHER = 100_000  # images in one sheet or array, 235 MB
BATCH = 4096  # images in memory at a time where each has its own file


@click.command()
@click.argument("source", metavar="[IN]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--latent",
    "texts",
    multiple=True,
    metavar="NUMBERS",
    help='A latent written out, as "0.3,-1.2", "4:1.5,7:-2" or "0.3,-1.2;7,0"; repeatable.',
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    default=".",
    metavar="FILE|FOLDER|-",
    help="A .png or .npy file, a folder, or - for stdout.  [default: this folder]",
)
@format_option
@click.option("--grid", is_flag=True, help="One sheet of all images, as near a square as it goes.")
@scale_option
@model_options
@force_option
@json_option
@common_options
@pass_settings
@with_examples(
    "vaegen decode latents.npz --grid -o sheet.png",
    "vaegen decode --model continuous --latent '0:1.5,7:-2' -o picked.png",
)
def decode(
    settings: Settings,
    source: Path | None,
    texts: tuple[str, ...],
    out: str,
    chosen: Format | None,
    grid: bool,
    scale: int,
    model: str,
    threads: int,
    force: bool,
    as_json: bool,
) -> None:
    """Turn latents into images.

    IN is a .npz, .npy or .jsonl file, such as `vaegen encode` writes; or latents are picked by hand with --latent:
    the continuous coordinates, then after a semicolon the class of each categorical. With place:number pairs the
    other coordinates are 0. `vaegen info` tells how many coordinates and classes a model has.

    Files are named as the latents are, or latent-000.png, latent-001.png, ...; a .npy file holds all images, uint8
    (n, height, width, 3). Prints the files written; nothing is overwritten without --force.
    """
    if (source is None) == (not texts):
        raise RequestError("give a file of latents or --latent, one of the two")
    if out == PIPE:
        claim_stdout(as_json=as_json)
    is_file, format_ = choose_format(out, chosen)
    load_libraries()
    with vaegen.load(model, threads=threads) as loaded:
        latents = _latents(loaded, source, texts)
        together = grid or format_ == "npy"
        n = len(latents.values)
        if together and n > MAX_TOGETHER:
            raise RequestError(f"{n} images are too many for one file; the most is {MAX_TOGETHER}")
        if together:
            check_scale(n, scale)
        if not together and n > 1 and (is_file or out == PIPE):
            raise RequestError(f"{n} images do not fit in one PNG file; add --grid or --format npy, or name a folder")
        targets = [] if out == PIPE else [Path(out)] if is_file else _names(Path(out), latents, format_, together)
        check_targets(targets, force=force)
        for row, picture in _pictures(settings, loaded, latents.values, grid=grid, together=together):
            data = _encode(enlarge(picture, scale), format_, loaded.spec.name, row, texts)
            if out == PIPE:
                write_stdout(data)
                continue
            write(targets[row], data, force=force)
            if not as_json:
                click.echo(targets[row])
        if as_json:
            # One file holds all, or each image has its own.
            files = targets * n if together else targets
            images = [{"file": str(file), "index": row} for row, file in enumerate(files)]
            click.echo(json.dumps({"model": loaded.spec.name, "version": vaegen.__version__, "images": images}))


def _latents(model: "Model", source: Path | None, texts: Sequence[str]) -> Latents:
    from vaegen.request import check_latents

    if source is not None:
        latents = read_latents(source)
    else:
        import numpy as np

        latents = Latents(np.array([parse_latent(text, model.spec.latent) for text in texts], np.float64), ())
    # Looked at as a whole before the first image is written.
    return Latents(check_latents(latents.values, model.spec.latent.size), latents.names)


def _names(folder: Path, latents: Latents, format_: Format, together: bool) -> list[Path]:
    """Name the files: by the latents' own names with another suffix, or by numbers.

    Raises:
        RequestError: A name leads out of the folder; files from elsewhere are not to choose where we write.
    """
    n = len(latents.values)
    if together:
        return [folder / f"latents.{format_}"]
    if not latents.names:
        return [folder / "latent.png"] if n == 1 else [folder / f"latent-{row:03d}.png" for row in range(n)]
    files = []
    for name in latents.names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name or ":" in path.parts[0]:
            raise RequestError(
                f"the name {name!r} leads out of the target folder; -o FILE.npy or --grid needs no names"
            )
        files.append(folder / path.with_suffix(".png"))
    return files


def _pictures(
    settings: Settings, model: "Model", values: "NDArray[np.floating[Any]]", *, grid: bool, together: bool
) -> "Iterator[tuple[int, NDArray[np.uint8]]]":
    """Decode batch by batch; gives the number and content of each file."""
    size = len(values) if together else BATCH
    for at in range(0, len(values), size):
        images = model.decode(values[at : at + size])
        if at == 0 and settings.live and (blocks := preview(images)):
            click.echo(blocks, err=True)
        if together:
            yield 0, sheet(images, 1, 1) if grid else images
        else:
            yield from enumerate(images, at)


def _encode(picture: "NDArray[np.uint8]", format_: Format, model: str, row: int, texts: Sequence[str]) -> bytes:
    from vaegen.images import encode_png

    if format_ == "npy":
        return encode_npy(picture)
    facts = {"model": model, "version": vaegen.__version__, "index": str(row)}
    if len(texts) > row:
        facts["latent"] = texts[row]
    return encode_png(picture, {f"vaegen:{name}": value for name, value in facts.items()})
