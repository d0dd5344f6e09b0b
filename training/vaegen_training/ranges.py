"""The numbers and words that settings take, in their types: checked, and said in words, in one place for all."""

from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from vaegen.errors import ConfigError, quoted
from vaegen.manifest import MAX_WIDTH
from vaegen.spec import CLASSES


class Range(NamedTuple):
    """The numbers that a setting takes."""

    least: float
    most: float
    above: bool = False
    """Whether `least` itself is too small."""
    below: bool = False
    """Whether `most` itself is too large."""

    def holds(self, value: float) -> bool:
        """Return whether a value lies in the range; NaN lies in none."""
        return (self.least < value if self.above else self.least <= value) and (
            value < self.most if self.below else value <= self.most
        )

    def __str__(self) -> str:
        first = f"over {self.least} and " if self.above else f"from {self.least} to "
        last = "below " if self.below else "at most " if self.above else ""
        return f"{first}{last}{self.most}"


class OneOf(NamedTuple):
    """The few numbers that a setting takes."""

    numbers: tuple[int, ...]

    def holds(self, value: float) -> bool:
        """Return whether a value is one of them."""
        return value in self.numbers

    def __str__(self) -> str:
        return " or ".join(map(str, self.numbers))


Share = Annotated[float, Range(0, 1)]
ShareBelow1 = Annotated[float, Range(0, 1, below=True)]
Factor = Annotated[float, Range(0, 1000, above=True)]
Weight = Annotated[float, Range(0, 1_000_000)]
Temperature = Annotated[float, Range(0, 100, above=True)]
Width = Annotated[int, Range(1, MAX_WIDTH)]
Latents = Annotated[int, Range(0, MAX_WIDTH)]
Count = Annotated[int, Range(1, 1000)]
Seed = Annotated[int, Range(0, 2**63 - 1)]


class Settings:
    """Settings that are checked one by one as they are set."""

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            check(name, getattr(self, name), kind)


def kinds(section: type) -> dict[str, Any]:
    """Return the types of a section's settings, ranges included."""
    return get_type_hints(section, include_extras=True)


def check(key: str, value: object, kind: Any) -> None:
    """Refuse a value that a setting does not take.

    Raises:
        ConfigError: The message says what it takes.
    """
    if get_origin(kind) is Literal:
        fits = any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    elif get_origin(kind) is Annotated:
        base, numbers = get_args(kind)  # a Range, or OneOf
        fits = type(value) in ((int,) if base is int else (int, float)) and numbers.holds(value)
    elif get_origin(kind) is tuple:
        fits = isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    else:
        fits = isinstance(value, get_origin(kind) or kind)
    if not fits:
        raise ConfigError(f"{key} is {quoted(value)}; it must be {takes(kind)}")


def takes(kind: Any) -> str:
    """Return in words what a setting of this type takes: "a whole number from 1 to 60000"."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) is Annotated:
        base, numbers = get_args(kind)
        return f"a {'whole ' if base is int else ''}number {numbers}" if isinstance(numbers, Range) else str(numbers)
    if get_origin(kind) is tuple:
        return CLASSES
    return f"of type {(get_origin(kind) or kind).__name__}"


def read(text: str, kind: Any) -> object:
    """Return what a text stands for; the text itself where it is nothing of this type."""
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if str(choice) == text), text)
    if get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(","))
    with suppress(ValueError):
        return get_args(kind)[0](text)
    return text
