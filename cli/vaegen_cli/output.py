"""Where results go: names and checks before any work, whole files, and bytes that are kept off the screen."""

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vaegen.errors import OutputError, RequestError
from vaegen.spec import CHANNELS, SIDE

from vaegen_cli.options import FORMATS, Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_IMAGES = 100_000  # held at once, 235 MB
MAX_ENLARGED = 2**30  # bytes of pixels in one file
PIPE = "-"  # the file name that means stdout


class Output(NamedTuple):
    """Where the images of one call go."""

    place: str
    """As -o names it."""
    is_file: bool
    """Whether `place` is a file; else a folder, or PIPE."""
    format: Format
    together: bool
    """Whether one file holds all images, as a sheet or an array; else each has its own."""

    @property
    def is_folder(self) -> bool:
        """Whether the files get names of their own."""
        return not self.is_file and self.place != PIPE

    def check_fit(self, n: int, scale: int, advice: str) -> None:
        """Check, before they are drawn, that n images go where they are to go.

        Args:
            n: Images in all.
            scale: As given to --scale.
            advice: What to do when there are too many for one file.

        Raises:
            RequestError: Each needs a file and there is one, or enlarged they take more than MAX_ENLARGED.
        """
        if not self.together and n > 1 and not self.is_folder:
            raise RequestError(f"{n} images do not fit in one PNG file; add --grid or --format npy, or {advice}")
        if self.together and n * SIDE * SIDE * CHANNELS * scale**2 > MAX_ENLARGED:
            raise RequestError(
                f"{n} images enlarged {scale} times take more than {MAX_ENLARGED // 2**30} GiB; lower --scale"
            )

    def targets(self, names: Sequence[str | Path], *, force: bool) -> list[Path | None]:
        """Return the file of each name, the one file that -o names, or None for stdout; see `check_targets`."""
        if self.place == PIPE:
            return [None]
        targets = [Path(self.place)] if self.is_file else [Path(self.place, name) for name in names]
        check_targets(targets, force=force)
        return list(targets)

    def encode(self, picture: "NDArray[np.uint8]", facts: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file; of a PNG with the facts as text chunks."""
        import numpy as np
        from vaegen.images import encode_png

        if self.format == "png":
            return encode_png(picture, {f"vaegen:{name}": str(value) for name, value in facts.items()})
        stream = BytesIO()
        np.save(stream, picture, allow_pickle=False)
        return stream.getvalue()


def plan_output(out: str, chosen: Format | None, *, grid: bool, as_json: bool) -> Output:
    """Decide where images go by -o, --format, --grid and --json.

    Raises:
        RequestError: They contradict each other.
    """
    if out == PIPE:
        if as_json:
            raise RequestError("--json and -o - both want stdout; give -o a file or a folder")
        refuse_terminal()
    is_file = out != PIPE and names_file(out)
    suffix = Path(out).suffix.lower().removeprefix(".") if is_file else None
    if chosen and suffix and suffix != chosen:
        raise RequestError(f"--format {chosen} and -o {out!r} contradict each other")
    format_: Format = chosen or ("npy" if suffix == "npy" else "png")
    return Output(out, is_file, format_, grid or format_ == "npy")


def names_file(out: str, formats: Sequence[str] = FORMATS) -> bool:
    """Return whether an output path names a file: it ends in one of the formats and is not a folder.

    Raises:
        RequestError: It has another suffix, so that neither a file nor a new folder is clearly meant, or is empty, as
            a shell's variable that was never set.
    """
    if not out:
        raise RequestError("the output's name is empty; write '.' for this folder")
    suffix = Path(out).suffix.lower()
    if out.endswith(("/", os.sep)) or not suffix or os.path.isdir(out):  # noqa: PTH112, see below
        return False
    if suffix.removeprefix(".") not in formats:
        known = " or ".join(f".{name}" for name in formats)
        raise RequestError(f"output {out!r} does not end in {known}; end the name of a new folder with '/'")
    return True


def check_targets(targets: Sequence[Path], *, force: bool) -> None:
    """Refuse, before any work, what could not be written afterwards.

    Args:
        targets: Files to be written; folders that are missing above them are made when the time comes.
        force: Whether existing files may be overwritten.

    Raises:
        RequestError: Two images would go to one file.
        OutputError: A target exists and `force` is off (a FileExistsError is then in `__cause__`), or can't be
            written.
    """
    from vaegen.files import check_free

    for path, times in Counter(targets).items():
        if times > 1:
            raise RequestError(f"{times} images would go to '{path}'; use --count for more images of one kind")
    for folder in dict.fromkeys(path.parent for path in targets):
        nearest = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
        # Path.is_dir raises where a name is too long or a folder closed.
        if not os.path.isdir(nearest):  # noqa: PTH112
            raise OutputError(f"cannot write to '{folder}': '{nearest}' is not a folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write to '{folder}': no permission to change '{nearest}'")
    for path in targets:
        check_free(path, force=force)


def refuse_terminal() -> None:
    """Keep image bytes off the screen.

    Raises:
        RequestError: stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise RequestError("'-' would write image bytes to the terminal; pipe them into a program or name a file")


def write(target: Path | None, data: bytes, *, force: bool) -> None:
    """Write a file, whole or not at all, and the folders above it; None for stdout.

    Raises:
        OutputError: It exists (and `force` is off) or cannot be written.
    """
    if target is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    from vaegen.files import write_file

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder '{target.parent}': {error.strerror or error}") from error
    write_file(target, data, force=force)
