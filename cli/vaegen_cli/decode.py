"""`vaegen decode`: latents to images."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click
import vaegen
from vaegen.errors import RequestError
from vaegen.subjects import model_facts

from vaegen_cli.console import Console, common_options, pass_console, put
from vaegen_cli.latent_files import Latents, read_latent, read_latents
from vaegen_cli.libraries import load_libraries
from vaegen_cli.options import Format, force_option, image_options, json_option, model_options
from vaegen_cli.output import MAX_IMAGES, Output
from vaegen_cli.sheets import show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from vaegen import Model

DECODED = 4096  # images in memory at a time, where each has its own file
NAMELESS = "-o FILE.npy or --grid needs no names"


@click.command()
@click.argument("source", metavar="[IN]", required=False, type=click.Path(path_type=Path))
@click.argument("more", metavar="", nargs=-1)
@click.option(
    "--latent",
    "texts",
    multiple=True,
    metavar="TEXT",
    help='A latent, as "digit=3,hue=0.55", "0.3,-1.2", "4:1.5,7:-2" or "0.3,-1.2;7,0"; repeatable.',
)
@image_options(grid="One sheet of all images, as nearly square as possible.")
@model_options
@force_option
@json_option
@common_options(
    "vaegen decode latents.npz --grid -o sheet.png",
    "vaegen decode --latent 'digit=3,hue=0.55' -o picked.png",
)
@pass_console
def decode(
    console: Console,
    source: Path | None,
    more: tuple[str, ...],
    texts: tuple[str, ...],
    out: str,
    chosen: Format | None,
    grid: bool,
    scale: int,
    size: int | None,
    model: str,
    threads: int,
    force: bool,
    as_json: bool,
) -> None:
    """Turn latents into images.

    IN is a .npz, .npy or .jsonl file, such as `vaegen encode` writes, or - for the content of one on stdin. Or latents
    are picked by hand with --latent: by the names that `vaegen info` lists, where the rest is as typical as the prior
    finds it; or the continuous coordinates, then after a semicolon the class of each categorical. With place:number
    pairs the other coordinates are 0.

    Files are named as the latents are, or latent-000.png, latent-001.png, ...; a .npy file holds all images, uint8
    (n, height, width, 3). Prints the files written; nothing is overwritten without --force.
    """
    if more:
        raise RequestError(f"{more[0]!r} is one too many: IN is one file; where images go, -o says: -o {more[-1]}")
    if (source is None) == (not texts):
        raise RequestError("give a file of latents or --latent, one of the two")
    output = Output(out, chosen, grid=grid, scale=scale, size=size, force=force, as_json=as_json)
    load_libraries()
    with vaegen.load(model, threads=threads) as loaded:
        latents = _latents(loaded, source, texts)
        n = len(latents.values)
        if output.together and n > MAX_IMAGES:
            raise RequestError(f"{n} images are too many for one file; the most is {MAX_IMAGES}")
        output.plan(n, lambda: _names(latents, output))
        facts = model_facts(loaded.manifest)
        pictures = (
            (picture, {**facts, "index": row, **({"latent": texts[row]} if texts else {})})
            for row, picture in enumerate(_pictures(console, loaded, latents, output, grid=grid))
        )
        output.write(pictures)
        if as_json:
            images = [{"file": file, "index": row} for row, file in enumerate(output.files(n))]
            put(json.dumps({**facts, "images": images}))


def _latents(model: "Model", source: Path | None, texts: Sequence[str]) -> Latents:
    from vaegen.request import check_latents

    if source is not None:
        latents = read_latents(source)
    else:
        import numpy as np

        rows = [read_latent(text, model) for text in texts]
        latents = Latents(np.array(rows, np.float64), ())
    # Looked at as a whole before the first image is written.
    return Latents(check_latents(latents.values, model.spec.latent.size), latents.names)


def _names(latents: Latents, output: Output) -> list[str]:
    """Name the files: by numbers, or as the latents are, with another suffix, or a second one where two would be one.

    Raises:
        RequestError: A name leads out of the folder, for files from elsewhere are not to choose where we write; or two
            are the same.
    """
    n = len(latents.values)
    if output.together:
        return [f"latents.{output.format}"]
    suffix = f".{output.format}"
    if not latents.names:
        return [f"latent{suffix}"] if n == 1 else [f"latent-{row:03d}{suffix}" for row in range(n)]
    short, whole = [], []
    for name in latents.names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name or ":" in path.parts[0]:
            raise RequestError(f"the name {name!r} leads out of the target folder; {NAMELESS}")
        short.append(str(path.with_suffix(suffix)))
        whole.append(f"{path}{suffix}")
    return _distinct(short, whole)


def _distinct(short: Sequence[str], whole: Sequence[str]) -> list[str]:
    """Choose for each file its short name, or the whole one where another file or folder has the short one.

    Raises:
        RequestError: Two whole names are the same.
    """
    from vaegen.folder.plan import folded

    folders = {folded(os.fsencode(str(folder))) for name in short for folder in PurePosixPath(name).parents}
    files = list(short)
    while True:
        keys = [folded(os.fsencode(name)) for name in files]
        times = Counter([*keys, *folders])
        both = [row for row, key in enumerate(keys) if times[key] > 1]
        if all(files[row] == whole[row] for row in both):
            break
        for row in both:
            files[row] = whole[row]
    if both:
        raise RequestError(f"two images would go to {files[both[0]]!r}; {NAMELESS}")
    return files


def _pictures(
    console: Console, model: "Model", latents: Latents, output: Output, *, grid: bool
) -> "Iterator[NDArray[np.uint8]]":
    """Decode batch by batch; yield the content of each file."""
    from vaegen.encoding import sheet

    size = len(latents.values) if output.together else DECODED
    for at in range(0, len(latents.values), size):
        images = model.decode(latents.values[at : at + size])
        if at == 0:
            show(console, images)
        if output.together:
            yield sheet(images, 1, 1) if grid else images
        else:
            yield from images
