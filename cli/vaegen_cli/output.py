"""Where results go: names and checks before any work, whole files, and bytes that are kept off the screen."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaegen.errors import OutputError, RequestError
from vaegen.spec import CHANNELS, SIDE
from vaegen.subjects import text_chunks

from vaegen_cli.console import echo_written, require_stdout, results
from vaegen_cli.options import FORMATS, Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaegen_cli.sheets import Labels

    Picture = tuple[NDArray[np.uint8], Mapping[str, Any]]  # what a file shows, and what is known of it

MAX_IMAGES = 100_000  # held at once, 235 MB
MAX_ENLARGED = 2**30  # bytes of pixels in one file
MAX_DRAWN = 10_000  # images in SVG, 20 ms and 2 KB each
PIPE = "-"  # the file name that means stdout


class Output:
    """Where the images of one call go, and how."""

    def __init__(
        self,
        out: str,
        chosen: Format | None,
        *,
        grid: bool,
        scale: int,
        size: int | None,
        force: bool,
        as_json: bool,
        formats: Sequence[str] = FORMATS,
    ) -> None:
        """Read -o, --format, --grid, --scale, --size, --force, --json; raises RequestError where they contradict."""
        if out == PIPE:
            if as_json:
                raise RequestError("--json and -o - both want stdout; give -o a file or a folder")
            refuse_terminal()
        self._place, self._is_file = out, out != PIPE and names_file(out, formats)
        suffix = Path(out).suffix.lower().removeprefix(".") if self._is_file else None
        if chosen and suffix and suffix != chosen:
            raise RequestError(f"--format {chosen} and -o {out!r} contradict each other")
        self.format = chosen or suffix or "png"
        self.together = grid or self.format == "npy"
        """Whether one file holds all images, as a sheet or an array; else each has its own."""
        if scale > 1 and size is not None:
            raise RequestError("--scale makes blocks and --size smooth strokes; leave one out")
        if scale > 1 and self.format == "svg":
            raise RequestError("--scale makes blocks of pixels, which an SVG file has not; give --size")
        self.side = SIDE * scale if size is None else size
        """Pixels of an image's side once it is enlarged."""
        self._scale, self._size, self._force, self._show = scale, size, force, not as_json
        self._targets: list[Path | None] = [None]  # stdout

    def plan(self, n: int, names: Callable[[], Sequence[str]]) -> None:
        """Decide on the files before any work.

        Args:
            n: Images in all.
            names: Returns the files' names, where -o is a folder.

        Raises:
            RequestError: They do not fit in one file, or in memory once enlarged.
            OutputError: As `check_targets` says.
        """
        if not self.together and n > 1 and (self._is_file or self._place == PIPE):
            import shlex  # which only mistakes need

            array = f"-o {shlex.quote(str(Path(self._place).with_suffix('.npy')))}" if self._is_file else "--format npy"
            raise RequestError(
                f"{n} images do not fit in one {self.format.upper()} file; add --grid, or give {array} or -o a folder"
            )
        if self.together and self.format != "svg" and n * CHANNELS * self.side**2 > MAX_ENLARGED:
            raise RequestError(
                f"{n} images of {self.side} x {self.side} pixels take more than {MAX_ENLARGED // 2**30} GiB; "
                f"lower {'--scale' if self._size is None else '--size'}"
            )
        if self.format == "svg" and n > MAX_DRAWN:
            raise RequestError(f"{n} images are too many to draw as SVG; the most is {MAX_DRAWN}")
        if self._place != PIPE:
            place = Path(self._place)
            targets = [place] if self._is_file else [place / name for name in names()]
            check_targets(targets, force=self._force, by="-o")
            self._targets = [*targets]

    def enlarged(self, pictures: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
        """Return images (n, 28, 28, 3), or a sheet of them (height, width, 3), by --scale or --size."""
        if self._size is None:
            from vaegen.encoding import enlarged

            return enlarged(pictures, self._scale)
        from vaegen.enlarging import enlarge, enlarge_sheet

        return enlarge_sheet(pictures, self._size) if pictures.ndim == 3 else enlarge(pictures, self._size)

    def write(self, pictures: "Iterable[Picture]", labels: "Labels | None" = None) -> None:
        """Write each picture, enlarged, to its file and print the file's name; PNG and SVG have the facts in them.

        Args:
            pictures: uint8 (28 rows, 28 columns, 3), sheets or images; for .npy also images (n, 28, 28, 3).
            labels: Of a sheet.
        """
        for target, (picture, facts) in zip(self._targets, pictures, strict=True):
            write(target, self._encoded(picture, facts, labels), force=self._force)
            if self._show and target is not None:
                echo_written(target)

    def _texts(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Return what a file says of its picture."""
        return text_chunks(facts if self._size is None else {**facts, "size": self._size})

    def _encoded(self, picture: "NDArray[np.uint8]", facts: Mapping[str, Any], labels: "Labels | None") -> bytes:
        texts = self._texts(facts)
        if self.format == "svg":
            from vaegen.outline import svg_sheet

            height, width, _ = picture.shape
            return svg_sheet(picture, texts, self._size, *(labels.drawn(width, height) if labels else ())).encode()
        large = self.enlarged(picture)
        if labels:
            large, margin = labels.beside(large, self.side)
            texts |= text_chunks({"labels": "{}x{}".format(*margin)})
        if self.format == "npy":
            return encode_npy(large)
        from vaegen.encoding import encode_png

        return encode_png(large, texts)

    def files(self, n: int) -> list[str]:
        """Return the file of each of n images."""
        return [str(target) for target in self._targets] * (n if self.together else 1)


def encode_npy(array: "NDArray[np.uint8]") -> bytes:
    """Return an array as the bytes of a .npy file."""
    import numpy as np

    stream = BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def names_file(out: str, formats: Sequence[str] = FORMATS, *, folders: bool = True) -> bool:
    """Return whether an output path names a file: it ends in one of the formats and is not a folder.

    Args:
        out: The path.
        formats: Suffixes, without a dot.
        folders: Whether it may name a folder too, for the message.

    Raises:
        RequestError: It has another suffix, so that neither a file nor a new folder is clearly meant, or is empty, as
            a shell's variable that was never set.
    """
    if not out:
        advice = "write '.' for this folder" if folders else "name a file"
        raise RequestError(f"the output's name is empty; {advice}")
    suffix = Path(out).suffix.lower()
    if out.endswith(("/", os.sep)) or not suffix or os.path.isdir(out):  # noqa: PTH112, see below
        return False
    if suffix.removeprefix(".") not in formats:
        known = " or ".join(f".{name}" for name in formats)
        advice = "; end the name of a new folder with '/'" if folders else ""
        raise RequestError(f"output {out!r} does not end in {known}{advice}")
    return True


def check_targets(targets: Sequence[Path], *, force: bool, by: str) -> None:
    """Refuse, before any work, what could not be written afterwards.

    Args:
        targets: Files to be written; folders that are missing above them are made when the time comes.
        force: Whether existing files may be overwritten.
        by: The option or argument that names them.

    Raises:
        RequestError: Two images would go to one file.
        OutputError: A target exists and `force` is off (a FileExistsError is then in `__cause__`), or can't be
            written.
    """
    from vaegen.files import check_free, check_writable

    for path, times in Counter(targets).items():
        if times > 1:
            raise RequestError(f"{times} images would go to '{path}'; use --count for more images of one kind")
    for folder in dict.fromkeys(path.parent for path in targets):
        check_writable(folder)
    for path in targets:
        check_free(path, force=force, other=f"choose another {by}")


def refuse_terminal(what: str = "image bytes") -> None:
    """Keep `what` off the screen: raise RequestError on a terminal, OutputError where stdout cannot take them."""
    require_stdout("'-'")
    if not hasattr(results(), "buffer"):
        raise OutputError("'-' means stdout, which takes only text in this program; name a file")
    if results().isatty():
        raise RequestError(f"'-' would write {what} to the terminal; pipe that into a program or name a file")


def write(target: Path | None, data: bytes, *, force: bool) -> None:
    """Write a file, whole or not at all, and the folders above it; None for stdout.

    Raises:
        OutputError: It exists (and `force` is off) or cannot be written.
    """
    if target is None:
        results().write_bytes(data)
        return
    from vaegen.files import write_file

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder '{target.parent}': {error.strerror or error}") from error
    write_file(target, data, force=force)
