"""Where results go: names and checks before any work, whole files, and bytes that are kept off the screen."""

import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vaegen.errors import OutputError, RequestError
from vaegen.spec import CHANNELS, SIDE

Format = Literal["png", "npy"]
FORMATS: tuple[Format, ...] = ("png", "npy")
MAX_ENLARGED = 2**30  # bytes of pixels in one file
PIPE = "-"  # the file name that means stdout


def file_stem(color: str, digit: int) -> str:
    """Name an image by what was asked for.

    Args:
        color: As the user wrote it. The `#` of a hex color is dropped; other characters than letters, digits and
            dots become `-`, one for a run of them.
        digit: 0 to 9.

    Returns:
        "red-3", "ff8000-3", "hsl-30-100-50-3".
    """
    word = re.sub(r"[^A-Za-z0-9.]+", "-", color.removeprefix("#")).strip("-")
    return f"{word}-{digit}"


def names_file(out: str, formats: Sequence[str] = FORMATS) -> bool:
    """Tell whether an output path names a file: it ends in one of the formats and is no folder.

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


def write(path: Path, data: bytes, *, force: bool) -> None:
    """Write a file, whole or not at all, and the folders above it.

    Raises:
        OutputError: It exists (and `force` is off) or cannot be written.
    """
    from vaegen.files import write_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder '{path.parent}': {error.strerror or error}") from error
    write_file(path, data, force=force)


def write_stdout(data: bytes) -> None:
    """Write image bytes to stdout."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def choose_format(out: str | None, chosen: Format | None) -> tuple[bool, Format]:
    """Tell whether `-o` names a file, and the format that it and `--format` ask for.

    Raises:
        RequestError: The two contradict each other.
    """
    is_file = out is not None and out != PIPE and names_file(out)
    suffix = Path(out).suffix.lower().removeprefix(".") if out is not None and is_file else None
    if chosen and suffix and suffix != chosen:
        raise RequestError(f"--format {chosen} and -o {out!r} contradict each other")
    return is_file, chosen or ("npy" if suffix == "npy" else "png")


def check_scale(images: int, scale: int) -> None:
    """Check that images, enlarged, fit in memory, before they are drawn.

    Args:
        images: In one file.
        scale: As given to --scale.

    Raises:
        RequestError: They take more than MAX_ENLARGED.
    """
    if images * SIDE * SIDE * CHANNELS * scale**2 > MAX_ENLARGED:
        raise RequestError(
            f"{images} images enlarged {scale} times take more than {MAX_ENLARGED // 2**30} GiB; lower --scale"
        )


def claim_stdout(*, as_json: bool) -> None:
    """Keep stdout for image bytes alone, for a verb with `-o -`.

    Raises:
        RequestError: `--json` wants stdout too, or it is a terminal.
    """
    if as_json:
        raise RequestError("--json and -o - both want stdout; give -o a file or a folder")
    refuse_terminal()


def refuse_terminal() -> None:
    """Keep image bytes off the screen.

    Raises:
        RequestError: stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise RequestError("'-' would write image bytes to the terminal; pipe them into a program or name a file")
