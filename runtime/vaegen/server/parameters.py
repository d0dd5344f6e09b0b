"""Parameters of a query: each kind reads its text and describes itself, so that what is promised is what is checked."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from vaegen.errors import RequestError, quoted
from vaegen.request import MAX_TEMPERATURE, check_integer, check_number, check_temperature
from vaegen.server.limits import QUERY
from vaegen.server.refusals import RefusedError

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Parameter(ABC):
    """What may be given once in a query."""

    name: str
    help: str
    default: Any = None
    """What is used where it is not given; None for nothing."""

    @abstractmethod
    def parse(self, text: str) -> Any:
        """Return the value of a text; raises RequestError where it is none."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the values."""

    def read(self, texts: Sequence[str]) -> Any:
        """Return what is given, or the default; raises RequestError."""
        if len(texts) > 1:
            raise RequestError(f"{self.name} is given {len(texts)} times; give it once")
        return self.parse(texts[0]) if texts else self.default

    def described(self) -> dict[str, Any]:
        """Return OpenAPI's parameter object."""
        schema = self.schema() if self.default is None else {**self.schema(), "default": self.default}
        return {"name": self.name, "in": "query", "description": self.help, "schema": schema}


@dataclass(frozen=True)
class Integer(Parameter):
    """A whole number."""

    least: int = 0
    most: int = 0

    def parse(self, text: str) -> int:
        """Return the number; raises RequestError where it is none or out of range."""
        return check_integer(self.name, int(text) if _INTEGER.fullmatch(text) else text, self.least, self.most)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the values."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number(Parameter):
    """A number of a range, in a unit."""

    least: float = 0
    most: float = 0
    unit: str = ""

    def parse(self, text: str) -> float:
        """Return the number; raises RequestError where it is none or out of range."""
        return check_number(self.name, _number(text), self.least, self.most, self.unit)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the values."""
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Temperature(Parameter):
    """The prior's temperature."""

    def parse(self, text: str) -> float:
        """Return the number; raises RequestError where it is none or out of range."""
        return check_temperature(_number(text))

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the values."""
        return {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TEMPERATURE}


@dataclass(frozen=True)
class Choice(Parameter):
    """One of some words."""

    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> str:
        """Return the word; raises RequestError where it is another."""
        if text not in self.choices:
            raise RequestError(f"unknown {self.name} {quoted(text)}; choose from {', '.join(self.choices)}")
        return text

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the values."""
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True)
class Flag(Parameter):
    """Yes or no."""

    default: bool = False

    def parse(self, text: str) -> bool:
        """Return whether the text says yes; raises RequestError where it says neither yes nor no."""
        if text not in ("true", "false"):
            raise RequestError(f"{self.name} {quoted(text)} is not usable; choose true or false")
        return text == "true"

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the values."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Texts(Parameter):
    """A list as the command line takes it, which may be given several times; the endpoint reads the texts."""

    example: str = ""

    def parse(self, text: str) -> str:
        """Return the text itself."""
        return text

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the values."""
        return {"type": "array", "items": {"type": "string"}}

    def read(self, texts: Sequence[str]) -> list[str]:
        """Return all texts."""
        return list(texts)

    def described(self) -> dict[str, Any]:
        """Return OpenAPI's parameter object."""
        return {**super().described(), "style": "form", "explode": True, "example": [self.example]}


def read_query(query: bytes, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the value of each parameter.

    Args:
        query: As it came.
        parameters: All that there are.

    Raises:
        RefusedError: It is too long or cannot be decoded.
        RequestError: A parameter is unknown, given too often, or has no usable value.
    """
    if len(query) > QUERY:
        raise RefusedError("QueryTooLong", f"the query has {len(query)} bytes; it may have {QUERY}")
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, strict_parsing=True, errors="strict") if query else []
    except ValueError as error:
        raise RefusedError("BadRequest", "the query is not name=value pairs in percent-encoded UTF-8") from error
    known = {parameter.name: parameter for parameter in parameters}
    given: dict[str, list[str]] = {name: [] for name in known}
    for name, text in pairs:
        if name not in known:
            choices = f"choose from {', '.join(known)}" if known else "this path takes none"
            raise RequestError(f"unknown parameter {quoted(name)}; {choices}")
        given[name].append(text)
    return {name: parameter.read(given[name]) for name, parameter in known.items()}


def prefers_json(accept: str) -> bool:
    """Return whether a header Accept asks for JSON rather than PNG; equal wishes are PNG's unless JSON alone is named.

    (RFC 9110, 12.5.1.)
    """
    wishes: dict[str, float] = {}
    for part in accept.split(","):
        kind, *options = (piece.strip().lower() for piece in part.split(";"))
        quality = next((option[2:] for option in options if option.startswith("q=")), "1")
        wishes[kind] = float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality, re.ASCII) else 0

    def wish(*kinds: str) -> float:
        return next((wishes[kind] for kind in kinds if kind in wishes), 0)

    json, png = wish("application/json", "application/*", "*/*"), wish("image/png", "image/*", "*/*")
    return json > png or (json == png > 0 and "application/json" in wishes and not {"image/png", "image/*"} & {*wishes})


def _number(text: str) -> float | str:
    """Return the number that a text is, or the text, which the check then names."""
    return float(text) if _NUMBER.fullmatch(text) else text
