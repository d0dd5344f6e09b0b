"""`vaegen encode` and `vaegen decode`: images to latents, and back."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click
import vaegen
from vaegen.errors import ImageError, RequestError

from vaegen_cli.console import Console, ExitCode, common_options, echo_written, pass_console, put, require_stdout, tell
from vaegen_cli.latent_files import Latents, encode_lines, encode_npz, parse_latent, read_latents
from vaegen_cli.libraries import load_libraries
from vaegen_cli.options import Format, force_option, image_options, json_option, model_options
from vaegen_cli.output import MAX_IMAGES, PIPE, Output, check_targets, names_file, write
from vaegen_cli.sheets import preview, sheet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from vaegen import Model

ENCODED = 256  # images in memory at a time
DECODED = 4096  # likewise, where each has its own file


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    default=PIPE,
    show_default=True,
    metavar="FILE|-",
    help="A .npz or .jsonl file, or - for JSON lines on stdout.",
)
@click.option("--posterior", is_flag=True, help="Add the posterior's mean and log-variance, and its logits.")
@model_options
@force_option
@common_options(
    "vaegen encode red-3.png",
    "vaegen encode digits/ -o latents.npz --model continuous",
)
@pass_console
def encode(
    console: Console, sources: tuple[Path, ...], out: str, posterior: bool, model: str, threads: int, force: bool
) -> ExitCode:
    """Turn images into latents.

    IN is an image or a folder, searched at any depth in sorted order; several may be given. A latent is a row of Z
    means, then N one-hots of K classes. A .npz file holds `names` (n,) and `latents` float32 (n, Z + N*K); a line of
    JSON has "name" and "latent". `vaegen decode` reads both. A name is the path as given, or relative to its folder.
    An image that cannot be read is reported and left out (exit code 1, or 4 when it happens to all).
    """
    target = None
    if out != PIPE:
        if not names_file(out, ("npz", "jsonl")):
            raise RequestError(f"output {out!r} is not a file name; end it in .npz or .jsonl")
        target = Path(out)
        check_targets([target], force=force)
    else:
        require_stdout("JSON")
    load_libraries()
    images = list(_find(sources))
    parts: list[dict[str, NDArray[Any]]] = []
    failures: list[str] = []
    with vaegen.load(model, threads=threads) as loaded:
        for at in range(0, len(images), ENCODED):
            part = _encode(loaded, images[at : at + ENCODED], failures, posterior=posterior)
            if part and target is None:
                put(encode_lines(part), nl=False)
            elif part:
                parts.append(part)
    for failure in failures:
        console.say(f"vaegen: {failure}", level=-1)
    done = len(images) - len(failures)
    console.say(f"{done} of {len(images)} images encoded" + (f", {len(failures)} failed" if failures else ""))
    if not done:
        return ExitCode.NOTHING_DONE
    if target is not None:
        import numpy as np

        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        data = encode_npz(whole) if target.suffix.lower() == ".npz" else encode_lines(whole).encode()
        write(target, data, force=force)
        echo_written(target)
    return ExitCode.SOME_FAILED if failures else ExitCode.DONE


def _find(sources: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of each image."""
    for source in sources:
        if os.path.isdir(source):  # noqa: PTH112, Path.is_dir raises where a name is too long or a folder closed
            from vaegen.folder.listing import images_in

            yield from ((name, source / name) for name in images_in(source))
        else:
            yield str(source), source


def _encode(
    model: "Model", images: list[tuple[str, Path]], failures: list[str], *, posterior: bool
) -> "dict[str, NDArray[Any]]":
    """Encode one batch, and add what cannot be read to the failures; return no arrays when nothing can."""
    import numpy as np

    names, pictures = [], []
    for name, path in images:
        try:
            pictures.append(vaegen.read_image(path))
        except ImageError as error:
            failures.append(str(error))
        else:
            names.append(name)
    if not names:
        return {}
    batch = np.stack(pictures)
    if not posterior:
        return {"names": np.array(names), "latents": model.encode(batch)}
    found = model.posterior(batch)
    arrays = {"latents": found.latent, "mean": found.mean, "log_variance": found.log_variance, "logits": found.logits}
    return {"names": np.array(names)} | {name: values for name, values in arrays.items() if values is not None}


@click.command()
@click.argument("source", metavar="[IN]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--latent",
    "texts",
    multiple=True,
    metavar="NUMBERS",
    help='A latent written out, as "0.3,-1.2", "4:1.5,7:-2" or "0.3,-1.2;7,0"; repeatable.',
)
@image_options(grid="One sheet of all images, as nearly square as possible.")
@model_options
@force_option
@json_option
@common_options(
    "vaegen decode latents.npz --grid -o sheet.png",
    "vaegen decode --model continuous --latent '0:1.5,7:-2' -o picked.png",
)
@pass_console
def decode(
    console: Console,
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
    output = Output(out, chosen, grid=grid, scale=scale, force=force, as_json=as_json)
    load_libraries()
    with vaegen.load(model, threads=threads) as loaded:
        latents = _latents(loaded, source, texts)
        n = len(latents.values)
        if output.together and n > MAX_IMAGES:
            raise RequestError(f"{n} images are too many for one file; the most is {MAX_IMAGES}")
        output.plan(n, lambda: _names(latents, output), "name a folder")
        facts = {"model": loaded.spec.name, "version": vaegen.__version__}
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

        latents = Latents(np.array([parse_latent(text, model.spec.latent) for text in texts], np.float64), ())
    # Looked at as a whole before the first image is written.
    return Latents(check_latents(latents.values, model.spec.latent.size), latents.names)


def _names(latents: Latents, output: Output) -> list[str]:
    """Name the files: by the latents' own names with another suffix, or by numbers.

    Raises:
        RequestError: A name leads out of the folder; files from elsewhere are not to choose where we write.
    """
    n = len(latents.values)
    if output.together:
        return [f"latents.{output.format}"]
    if not latents.names:
        return ["latent.png"] if n == 1 else [f"latent-{row:03d}.png" for row in range(n)]
    files = []
    for name in latents.names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name or ":" in path.parts[0]:
            raise RequestError(
                f"the name {name!r} leads out of the target folder; -o FILE.npy or --grid needs no names"
            )
        files.append(str(path.with_suffix(".png")))
    return files


def _pictures(
    console: Console, model: "Model", latents: Latents, output: Output, *, grid: bool
) -> "Iterator[NDArray[np.uint8]]":
    """Decode batch by batch; yield the content of each file."""
    size = len(latents.values) if output.together else DECODED
    for at in range(0, len(latents.values), size):
        images = model.decode(latents.values[at : at + size])
        if at == 0 and console.live and (blocks := preview(images)):
            tell(blocks)
        if output.together:
            yield sheet(images, 1, 1) if grid else images
        else:
            yield from images
