"""The options that several verbs have."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import vaegen
from vaegen.errors import RequestError
from vaegen.limits import MAX_PIXELS, MAX_SIZE
from vaegen.spec import DIGITS, SIDE

from vaegen_cli.console import Decorated, require_stdout, tell

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

RANDOM = "random"
Format = Literal["png", "npy", "svg"]
FORMATS: tuple[Format, ...] = ("png", "npy", "svg")


def complete_models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
    """Offer the shipped models, and folders, to a shell that completes."""
    from click.shell_completion import CompletionItem

    names = [CompletionItem(name) for name in vaegen.models() if name.startswith(incomplete)]
    # Folders first: click's script for bash forgets what came before them. And never an empty word: its script for
    # zsh would lose it, and take the fields of the names for those of others.
    return [CompletionItem(incomplete or "./", type="dir"), *names]


def complete_digits(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
    """Offer the digits, and all of them, behind those of a list that stand."""
    return _complete_list(incomplete, ["0-9", *map(str, range(DIGITS))])


def complete_colors(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
    """Offer the names of colors that can be drawn, behind those of a list that stand."""
    from PIL.ImageColor import colormap

    return _complete_list(incomplete, (name for name in colormap if name != "black"))  # which alone is too dark


def _complete_list(incomplete: str, words: Iterable[str]) -> list["CompletionItem"]:
    """Offer words for the last part of a list."""
    from click.shell_completion import CompletionItem

    *before, last = incomplete.split(",")
    return [CompletionItem(",".join([*before, word])) for word in words if word.startswith(last)]


def complete_sources(context: click.Context, parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
    """Offer the shipped models, and files and folders."""
    from click.shell_completion import CompletionItem

    names = complete_models(context, parameter, incomplete)[1:]
    return [CompletionItem(incomplete or "./", type="file"), *names]


def _group(*options: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Return one decorator that adds several options, in the order that help shows them."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


model_options = _group(
    click.option(
        "--model",
        default=vaegen.DEFAULT_MODEL,
        show_default=True,
        metavar="NAME|FOLDER",
        shell_complete=complete_models,
        help="A shipped model or a bundle's folder.",
    ),
    click.option("--threads", type=int, default=1, show_default=True, metavar="N", help="Threads inside the model."),
)
data_options = _group(
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="MNIST's four idx files, gzipped or not, or torchvision's layout.  [default: download]",
    ),
    click.option("--no-verify", is_flag=True, help="Take other digits in MNIST's format: skip the files' checksums."),
)


class Seed(click.ParamType[int]):
    """A number, or the word "random" for one that is drawn and told."""

    name = "seed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if value == RANDOM:
            import secrets

            seed = secrets.randbelow(2**32)  # ten digits at most, to be typed again
            tell(f"vaegen: seed {seed}")
            return seed
        return int(click.INT.convert(value, param, ctx))

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002, click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list["CompletionItem"]:
        """Offer the word to a shell that completes."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(RANDOM)] if RANDOM.startswith(incomplete) else []


seed_option = click.option(
    "--seed", type=Seed(), default=0, show_default=True, metavar="N|random", help="Same seed, same images."
)
max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    metavar="N",
    help="Refuse images of more pixels; above the default, allow more memory too.",
)
intake_option = click.option(
    "--intake",
    type=click.Choice(["auto", "as-is"]),
    default="auto",
    show_default=True,
    help="Make a light stroke on black of a photograph or scan of a digit; or read it as it is.",
)


def _check_json(_context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    if value:
        require_stdout("JSON")
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_check_json, help="Print JSON instead of plain text."
)
force_option = click.option("--force", is_flag=True, help="Overwrite what exists.")


def read_place(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
    """Turn the places of an argument into paths; raises RequestError where one is empty, as an unset variable."""
    if "" in (value if isinstance(value, tuple) else (value,)):
        raise RequestError("IN is empty; write '.' for this folder")
    return tuple(map(Path, value)) if isinstance(value, tuple) else Path(value)


OnError = Literal["skip", "fail"]
on_error_option = click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    default="skip",
    show_default=True,
    help="Report and skip what fails, or end the run at it.",
)
null_option = click.option(
    "-0", "--null", is_flag=True, help="With IN -, names end in null bytes, as find -print0 writes them."
)
report_option = click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.jsonl",
    help="Note what becomes of each file of a folder or list, a line of JSON each.",
)


size_option = click.option(
    "--size",
    type=click.IntRange(SIDE, MAX_SIZE),
    metavar="N",
    help=f"Enlarge images to N x N pixels with smooth strokes, {SIDE} to {MAX_SIZE}.",
)


def image_options(grid: str) -> Callable[[Decorated], Decorated]:
    """Add -o, --format, --grid with its help, --scale and --size."""
    return _group(
        click.option(
            "-o",
            "--output",
            "out",
            type=click.Path(),
            default=".",
            metavar="FILE|FOLDER|-",
            help="A .png, .svg or .npy file, a folder, or - for stdout.  [default: this folder]",
        ),
        click.option("--format", "chosen", type=click.Choice(FORMATS), help="[default: png, or the suffix of -o]"),
        click.option("--grid", is_flag=True, help=grid),
        click.option(
            "--scale",
            type=click.IntRange(1, 64),
            default=1,
            show_default=True,
            metavar="N",
            help="Enlarge N times: each pixel becomes a block.",
        ),
        size_option,
    )
