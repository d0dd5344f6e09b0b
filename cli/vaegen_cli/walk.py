"""`vaegen sample --walk`: an animation from one digit and color to another."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vaegen.errors import RequestError
from vaegen.spec import CHANNELS
from vaegen.subjects import Color, Subject, call_facts, describe, file_stem

from vaegen_cli.console import Console, ExitCode, echo_written, put
from vaegen_cli.libraries import loading
from vaegen_cli.misses import report_colors, report_style
from vaegen_cli.options import Format
from vaegen_cli.output import PIPE, Output, check_targets, encode_npy, write
from vaegen_cli.sheets import show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from vaegen import Draw, Manifest
    from vaegen.encoding import Animated

FORMATS = ("png", "gif", "webp", "npy")
DELAY, STAND = 50, 500  # milliseconds that a frame stands, and an end
MAX_BYTES = 2**28  # of the frames; Pillow holds them several times


class Animation(Output):
    """Where the frames of a walk go, and how: one file that plays there and back, or a file for each."""

    def __init__(
        self, out: str, chosen: Format | None, *, scale: int, size: int | None, force: bool, as_json: bool
    ) -> None:
        """Read -o, --format, --scale, --size, --force and --json; raises RequestError where they contradict."""
        super().__init__(out, chosen, grid=False, scale=scale, size=size, force=force, as_json=as_json, formats=FORMATS)
        if self.format not in FORMATS:
            raise RequestError(f"--format {self.format} holds no animation; give -o a name that ends in .gif or .webp")
        number = re.search(r"%(?:0([1-9]))?d", Path(out).name) if self._is_file and self.format == "png" else None
        self._number = number

    def plan_frames(self, frames: int, stem: str) -> None:
        """Decide on the files before any work; raises what `plan` does."""
        if frames * CHANNELS * self.side**2 > MAX_BYTES:
            raise RequestError(
                f"{frames} frames of {self.side} x {self.side} pixels take more than {MAX_BYTES // 2**20} MiB; "
                f"lower --frames or {'--scale' if self._size is None else '--size'}"
            )
        if self._place == PIPE:
            return
        place = Path(self._place)
        if self._number:
            start, end = self._number.span()
            width = int(self._number[1] or 0)
            names = [f"{place.name[:start]}{at:0{width}d}{place.name[end:]}" for at in range(frames)]
            targets = [place.with_name(name) for name in names]
        else:
            targets = [place if self._is_file else place / f"{stem}.{self.format}"]
        check_targets(targets, force=self._force, by="-o")
        self._targets = [*targets]

    def write_frames(self, images: "NDArray[np.uint8]", facts: Mapping[str, Any]) -> None:
        """Write the frames, enlarged, and print the names of the files; PNG files have the facts as text chunks."""
        if self._number:
            self.write((image, {**facts, "frame": at}) for at, image in enumerate(images))
            return
        from vaegen.encoding import encode_animation

        large = self.enlarged(images)
        (target,) = self._targets
        if self.format == "npy":
            data = encode_npy(large)
        else:
            n = len(large)
            order = [*range(n), *range(n - 2, 0, -1)]
            durations = [STAND if at in (0, n - 1) else DELAY for at in order]
            data = encode_animation(large[order], cast("Animated", self.format), durations, self._texts(facts))
        write(target, data, force=self._force)
        if self._show and target is not None:
            echo_written(target)

    def file(self, frame: int) -> str:
        """Return the file of a frame."""
        return str(self._targets[frame if self._number else 0])


def run_walk(
    console: Console,
    ends: Sequence[str],
    frames: int,
    color_texts: Sequence[str],
    animation: Animation,
    warn: "Callable[[Manifest], None]",
    *,
    model: str,
    threads: int,
    start: int,
    as_json: bool,
    **how: Any,
) -> ExitCode:
    """Draw the frames of a walk, write them, and say which are no clear digits.

    Args:
        console: For messages.
        ends: As typed.
        frames: In all.
        color_texts: Of --color.
        animation: Where they go.
        warn: Says on stderr what is to be said of the model.
        model: Name or folder.
        threads: Inside the model.
        start: The first item of the seed.
        as_json: Whether to print what is known of each frame.
        how: What else `vaegen.walk` takes.

    Raises:
        VaegenError: As `vaegen sample` does.
    """
    needed = ("prior", "decoder") if how["tries"] == 1 else ("prior", "decoder", "judge")
    with loading(model, threads, needed) as loaded_model:
        from vaegen.moves import clear, read_ends, walk

        subjects = read_ends(ends, color_texts, how["seed"], start)
    from vaegen.sampling import ask

    asked = [one.digit for one in subjects], [one.color.rgb for one in subjects]
    with loaded_model() as loaded:
        spec = loaded.spec
        # What is asked for is looked at before the files that it would go to.
        ask(spec, (*asked, None), start=start, **how)
        animation.plan_frames(frames, "-to-".join(map(file_stem, subjects)))
        draw = walk(loaded, *asked, frames, start=start, **how)
        call = call_facts(loaded.manifest, **how)
        warn(loaded.manifest)
    report_style(console, spec, slant=how["slant"], thickness=how["thickness"])
    show(console, draw.images[[0, frames // 2, -1]])
    way = " to ".join(f"{one.digit}:{one.color.text}" for one in subjects)
    call |= {"index": start, "walk": way, "frames": frames}
    animation.write_frames(draw.images, call)
    shown = _subjects(draw, subjects)
    is_clear = None if draw.judged is None else clear(draw, spec).tolist()
    _report(console, draw, shown, is_clear)
    if as_json:
        facts = [
            {
                "file": animation.file(at),
                "frame": at,
                "share": round(at / (frames - 1), 4),
                **describe(draw, at, subject),
                "clear": None if is_clear is None else is_clear[at],
            }
            for at, subject in enumerate(shown)
        ]
        put(json.dumps({**call, "images": facts}))
    return ExitCode.DONE if is_clear is None or any(is_clear) else ExitCode.SOME_FAILED


def _subjects(draw: "Draw", ends: Sequence[Subject]) -> list[Subject]:
    """Return what each frame shows: the ends as asked for, and between them the nearer digit in a color on the way."""
    between = zip(draw.digits.tolist()[1:-1], draw.colors.tolist()[1:-1], strict=True)
    passed = [Subject(digit, Color.of((rgb[0], rgb[1], rgb[2])), 0) for digit, rgb in between]
    return [ends[0], *passed, ends[1]]


def _report(console: Console, draw: "Draw", subjects: Sequence[Subject], is_clear: "list[bool] | None") -> None:
    """Say on stderr which frames are no clear digits, and with -v what became of each."""
    import numpy as np

    ends = np.array([0, len(draw) - 1])
    report_colors(console, draw.take(ends), [subjects[0], subjects[-1]])
    if is_clear is None:
        return
    for at, subject in enumerate(subjects):
        facts = describe(draw, at, subject)
        console.say(
            f"vaegen: frame {at}, {facts['color']}: reads as {facts['judged']} ({facts['confidence']:.2f}), "
            f"color off by {facts['color_error']:.1f} (CIEDE2000), realism {facts['realism']:.1f}",
            level=1,
        )
    unclear = [at for at, good in enumerate(is_clear) if not good]
    if unclear:
        digits = " or ".join(dict.fromkeys(str(subjects[end].digit) for end in ends))
        console.say(f"vaegen: {len(unclear)} of {len(draw)} frames show no clear {digits}: {_ranges(unclear)}")


def _ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers in short: "3, 7-9"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join("-".join(map(str, each)) for each in found)
