"""What a pipe brings in: the bytes of an image, or the names of images."""

import codecs
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaegen.errors import ImageError, RequestError

from vaegen_cli.console import stdin
from vaegen_cli.output import PIPE

if TYPE_CHECKING:
    import io

    from vaegen.images import Read

BLOCK = 2**16  # bytes
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # how PowerShell 5 begins what it redirects


def check_many(*, null: bool, piped: bool, report: Path | None) -> None:
    """Check the flags of verbs that read many images; raises RequestError."""
    if null and not piped:
        raise RequestError("-0 is for a list of files on stdin; give - as IN")
    if report is not None and str(report) in (PIPE, "."):
        raise RequestError("--report is written into a file; name one, such as report.jsonl")


def read_stdin(*, null: bool) -> bytes | Iterator[str]:
    """Return the image on stdin, or the names there, whatever their number.

    They are told apart by content: a list without `null` has no null byte, which every image has at its beginning.

    Args:
        null: Names end in null bytes; else in line breaks of any system, after a byte-order mark perhaps.

    Raises:
        RequestError: There is nothing, or stdin is closed.
    """
    from vaegen.decoding import MAX_FILE

    stream = stdin("an image or a list of files")
    # At a terminal `read` would ask for the end of the list twice; a pipe may hand over its first bytes one by one.
    head = stream.read1(BLOCK) if stream.isatty() else stream.read(BLOCK)
    if not head.strip():
        raise RequestError("stdin is empty; pipe an image into it, or the names of images, one a line")
    if not null and b"\0" in head and not head.startswith(UTF16):
        return head + stream.read(MAX_FILE + 1 - len(head))
    return _names(head, stream, null=null)


def _names(head: bytes, stream: "io.BufferedReader", *, null: bool) -> Iterator[str]:
    first = head if null else head.removeprefix(codecs.BOM_UTF8)
    blocks: Iterable[bytes] = itertools.chain([first], iter(lambda: stream.read1(BLOCK), b""))
    if head.startswith(UTF16) and not null:
        blocks = (text.encode() for text in codecs.iterdecode(blocks, "utf-16", errors="replace"))
    end, rest = b"\0" if null else b"\n", b""
    for block in itertools.chain(blocks, [end]):
        *lines, rest = (rest + block).split(end)
        names = lines if null else [line.removesuffix(b"\r") for line in lines]
        yield from (os.fsdecode(name) for name in names if name)


def read_picture(source: Path | bytes, **options: Any) -> "Read":
    """Read an image as `vaegen.images.read_picture` does, from a file or as `read_stdin` returns it.

    Raises:
        ImageError: It cannot be read.
    """
    from vaegen import images

    if isinstance(source, Path):
        return images.read_picture(source, **options)
    try:
        return images.take_in(source, **options)
    except ImageError as error:
        is_text = source.isascii() or source.decode(errors="ignore").encode() == source
        advice = "; for names that end in null bytes add -0" if is_text else ""
        raise ImageError(f"cannot read stdin: {error}{advice}") from error
