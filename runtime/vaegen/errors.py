"""Every error that vaegen raises on purpose.

::

    VaegenError                  the one `except` an embedding program needs
    +-- BundleError              the model folder cannot be used
    |   +-- IntegrityError       its bytes are not the ones the manifest vouches for
    +-- ImageError               an input picture cannot be read
    +-- RequestError             the call asks for something that does not exist (also a ValueError)
    +-- OutputError              the result cannot be written where it should go
    +-- MissingExtraError        a verb needs packages that are not installed
    +-- DataError                the training data is absent, incomplete or damaged
    +-- ConfigError              a training or export setting is not valid (also a ValueError)
    +-- ExportError              an export failed its own checks; nothing was written

Each message is one line: the value, the choices, what to do next. It may quote names that anybody made, so what cannot
be printed in it is escaped.
"""

import contextlib
import os
import reprlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal

Spelling = Literal["python", "flags", "query"]
spelling: ContextVar[Spelling] = ContextVar("spelling", default="python")
"""How messages spell the settings of a call: as Python, the command line or a URL has them."""


@contextlib.contextmanager
def spelled(way: Spelling) -> Iterator[None]:
    """Spell settings in one way for the time of a `with`, in this thread."""
    token = spelling.set(way)
    try:
        yield
    finally:
        spelling.reset(token)


def setting(name: str, value: object = None) -> str:
    """Return a setting as whoever reads the message writes it: `force=True`, `--force` or `force=true`."""
    way = spelling.get()
    if way == "flags":
        flag = "--" + name.replace("_", "-")
        return flag if value is None or value is True else f"{flag} {value}"
    if value is None:
        return name
    return f"{name}={value!r}" if way == "python" else f"{name}={str(value).lower()}"


def shown(text: str | os.PathLike[str]) -> str:
    """Return a text or a path as one line that is safe on every terminal, page and report.

    Line breaks, control characters, marks that change the direction of writing, lone surrogates and bytes that are not
    UTF-8 become Python's backslash escapes; what is printable stays as it is.
    """
    text = os.fspath(text)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(sign: str) -> str:
    if sign.isprintable():
        return sign
    if "\udc80" <= sign <= "\udcff":  # a byte of a file name (PEP 383)
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()


def quoted(value: object) -> str:
    """Return a value of a call as Python writes it, shortened where it is long."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = 80
    return brief.repr(value)


def first_line(error: Exception) -> str:
    """Return the first line of what another library's error says, or the error's name where it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


class VaegenError(Exception):
    """Base class of all errors that vaegen raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class BundleError(VaegenError):
    """A folder is not a model bundle, or one this version of vaegen cannot use."""


class IntegrityError(BundleError):
    """A file of a bundle differs from what its manifest records: damaged or tampered with."""


class ImageError(VaegenError):
    """An input image cannot be read, or is refused as unsafe."""


class RequestError(VaegenError, ValueError):
    """A call asks for a value, shape or dtype that does not exist."""


class OutputError(VaegenError):
    """A result cannot be written to its target, or would overwrite a file."""


class MissingExtraError(VaegenError):
    """A verb needs packages of an extra that is not installed."""


class DataError(VaegenError):
    """Training data is absent, incomplete or damaged."""


class ConfigError(VaegenError, ValueError):
    """A training or export setting has an unknown name, a wrong type or a value out of range."""


class ExportError(VaegenError):
    """An export failed its own checks; nothing was written."""
