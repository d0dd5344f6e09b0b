"""What several verbs share: the model and seed options, and the lists of digits and colors."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import vaegen
from vaegen.errors import RequestError
from vaegen.spec import DIGITS

from vaegen_cli.output import FORMATS
from vaegen_cli.settings import Decorated

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


def complete_models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list["CompletionItem"]:
    """Offer the shipped models, and folders, to a shell that completes."""
    from click.shell_completion import CompletionItem

    names = [CompletionItem(name) for name in vaegen.models() if name.startswith(incomplete)]
    # Folders first: click's script for bash forgets what came before them. And never an empty word: its script for
    # zsh would lose it, and take the fields of the names for those of others.
    return [CompletionItem(incomplete or "./", type="dir"), *names]


def model_options(command: Decorated) -> Decorated:
    """Add --model and --threads."""
    command = click.option(
        "--threads", type=int, default=1, show_default=True, metavar="N", help="Threads inside the model."
    )(command)
    return click.option(
        "--model",
        default=vaegen.DEFAULT_MODEL,
        show_default=True,
        metavar="NAME|FOLDER",
        shell_complete=complete_models,
        help="A shipped model or a bundle's folder.",
    )(command)


def data_options(command: Decorated) -> Decorated:
    """Add --data-dir and --no-verify: where MNIST is."""
    command = click.option(
        "--no-verify", is_flag=True, help="Take other digits in MNIST's format: skip the files' checksums."
    )(command)
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="MNIST's four idx files, gzipped or not, or torchvision's layout.  [default: download]",
    )(command)


seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Same seed, same images."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of plain text.")
force_option = click.option("--force", is_flag=True, help="Overwrite what exists.")
format_option = click.option(
    "--format", "chosen", type=click.Choice(FORMATS), help="[default: png, or the suffix of -o]"
)
scale_option = click.option(
    "--scale", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="Enlarge N times, sharply."
)


class Color(NamedTuple):
    """A color as the user wrote it and as the model gets it."""

    text: str
    """The request: "red", "#ff8000", "hsl(30,100%,50%)"."""
    rgb: tuple[int, int, int]
    """0 to 255 each."""


def read_digits(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[int]:
    """Read the --digit options: `3`, `0-9`, `1,3,5` or a mixture.

    Raises:
        RequestError: A part is neither a digit 0-9 nor a rising range of them.
    """
    digits: list[int] = []
    for part in ",".join(values).split(",") if values else []:
        match = re.fullmatch(r"\s*([0-9])\s*(?:-\s*([0-9])\s*)?", part, flags=re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise RequestError(
                f"digit {part.strip()!r} does not exist; choose from 0 to {DIGITS - 1}, such as 3, 0-9 or 1,3,5"
            )
        digits.extend(range(first, last + 1))
    return digits


def read_colors(values: Sequence[str]) -> list[Color]:
    """Read the --color options: `red`, `red,#ff8000` or `hsl(30,100%,50%),blue`.

    Commas inside parentheses belong to the color.

    Raises:
        RequestError: A color is unknown, or too dark to be seen on black.
    """
    if not values:
        return []
    from vaegen.color import parse_color

    texts = [text.strip() for value in values for text in _COMMA_OUTSIDE_PARENTHESES.split(value)]
    return [Color(text, parse_color(text)) for text in texts]
