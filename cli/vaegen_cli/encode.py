"""`vaegen encode`: images to latents."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import vaegen
from vaegen.errors import ImageError, RequestError

from vaegen_cli.latents import encode_lines, encode_npz
from vaegen_cli.libraries import load_libraries
from vaegen_cli.options import force_option, model_options
from vaegen_cli.output import PIPE, check_targets, names_file, write
from vaegen_cli.settings import Settings, common_options, pass_settings, with_examples

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from vaegen import Model

SOME_FAILED, NOTHING_DONE = 1, 4  # exit codes
BATCH = 256  # images in memory at a time


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
@common_options
@pass_settings
@with_examples(
    "vaegen encode red-3.png",
    "vaegen encode digits/ -o latents.npz --model continuous",
)
def encode(
    settings: Settings, sources: tuple[Path, ...], out: str, posterior: bool, model: str, threads: int, force: bool
) -> int:
    """Turn images into latents.

    IN is an image or a folder, searched at any depth in sorted order; several may be given. A latent is a row of Z
    means, then N one-hots of K classes. A .npz file holds `names` (n,) and `latents` float32 (n, Z + N*K); a line of
    JSON has "name" and "latent". `vaegen decode` reads both. A name is the path as given, or relative to its folder.
    An image that cannot be read is reported and left out (exit code 1, or 4 when it happens to all).
    """
    target = None
    if out != PIPE:
        if not names_file(out, ("npz", "jsonl")):
            raise RequestError(f"output {out!r} is no file name; end it in .npz or .jsonl")
        target = Path(out)
        check_targets([target], force=force)
    load_libraries()
    images = list(_find(sources))
    parts: list[dict[str, NDArray[Any]]] = []
    failures: list[str] = []
    with vaegen.load(model, threads=threads) as loaded:
        for at in range(0, len(images), BATCH):
            part = _encode(loaded, images[at : at + BATCH], failures, posterior=posterior)
            if not part:
                continue
            if target is None:
                click.echo(encode_lines(part), nl=False)
            parts.append(part if target else {"names": part["names"]})
    for failure in failures:
        settings.say(f"vaegen: {failure}", level=-1)
    done = len(images) - len(failures)
    settings.say(f"{done} of {len(images)} images encoded" + (f", {len(failures)} failed" if failures else ""))
    if not done:
        return NOTHING_DONE
    if target is not None:
        import numpy as np

        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        data = encode_npz(whole) if target.suffix.lower() == ".npz" else encode_lines(whole).encode()
        write(target, data, force=force)
        click.echo(target)
    return SOME_FAILED if failures else 0


def _find(sources: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Give the name and path of each image.

    Raises:
        RequestError: A folder cannot be listed or holds no images.
    """
    from vaegen.images import SUFFIXES

    def refuse(error: OSError) -> None:
        raise RequestError(f"cannot list '{error.filename}': {error.strerror}") from error

    for source in sources:
        if not os.path.isdir(source):  # noqa: PTH112, Path.is_dir raises where a name is too long or a folder closed
            yield str(source), source
            continue
        found = sorted(
            Path(folder, name)
            for folder, _, names in os.walk(source, onerror=refuse)
            for name in names
            if name.lower().endswith(SUFFIXES)
        )
        if not found:
            raise RequestError(f"'{source}' holds no images; their names end in {', '.join(SUFFIXES)}")
        yield from ((path.relative_to(source).as_posix(), path) for path in found)


def _encode(
    model: "Model", images: list[tuple[str, Path]], failures: list[str], *, posterior: bool
) -> "dict[str, NDArray[Any]]":
    """Encode one batch; adds what cannot be read to the failures. Empty when nothing can."""
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
    arrays: dict[str, NDArray[Any]] = {"names": np.array(names), "latents": model.encode(batch)}
    if posterior:
        found = model.posterior(batch)
        given = {"mean": found.mean, "log_variance": found.log_variance, "logits": found.logits}
        arrays |= {name: values for name, values in given.items() if values is not None}
    return arrays
