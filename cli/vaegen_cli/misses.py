"""What `vaegen sample` says on stderr of images that are not what was asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vaegen.subjects import Subject, describe

from vaegen_cli.console import Console

if TYPE_CHECKING:
    from vaegen import Draw, ModelSpec

SHOWN = 5  # colors not reached, and images that did not come out as asked, named one by one without -v


def report(console: Console, draw: "Draw", subjects: Sequence[Subject], items: Sequence[int], best: int | None) -> int:
    """Say on stderr what did not come out as asked, with -v what became of each image; return how many missed."""
    report_colors(console, draw, subjects)
    missed = [] if draw.accepted is None else (~draw.accepted).nonzero()[0].tolist()
    for row in range(len(subjects)) if console.verbosity > 0 else missed[:SHOWN]:
        facts = describe(draw, row, subjects[row])
        line = f"vaegen: image {items[row]}, {facts['color']} {facts['digit']}: {facts['tries_used']} tries"
        if draw.judged is not None:
            line += f", reads as {facts['judged']}, color off by {facts['color_error']:.1f} (CIEDE2000)"
            line += f", realism {facts['realism']:.1f}"
        console.say(line)
    if missed:
        advice = f"raise {'--tries' if best is None else '--best'} or lower --temperature"
        console.say(f"vaegen: {len(missed)} of {len(subjects)} images did not come out as asked; {advice}")
    return len(missed)


def report_style(console: Console, spec: "ModelSpec", *, slant: float | None, thickness: float | None) -> None:
    """Warn, in one line, of what is asked for beyond the handwriting that the model has learned from."""
    far = []
    for name, value, unit in (("slant", slant, "degrees"), ("thickness", thickness, "pixels")):
        if value is not None and spec.style is not None:
            usual = getattr(spec.style, name)
            if not usual[0] <= value <= usual[-1]:
                far.append(f"{name} {value:g} is beyond the usual {usual[0]:.3g} to {usual[-1]:.3g} {unit}")
    if far:
        console.say(f"vaegen: warning: {' and '.join(far)}; it may not be met, and digits may look odd")


def report_colors(console: Console, draw: "Draw", subjects: Sequence[Subject]) -> None:
    """Warn of each color that the model did not reach, with the one that it drew instead."""
    if draw.reached is None or draw.color_error is None or draw.measured is None or draw.reached.all():
        return
    from vaegen.sampling import COLOR_REACH

    wanted: dict[str, list[int]] = {}
    for row in (~draw.reached).nonzero()[0].tolist():
        wanted.setdefault(subjects[row].color.text, []).append(row)
    for text, rows in list(wanted.items())[:SHOWN]:
        nearest = min(rows, key=draw.color_error.__getitem__)
        red, green, blue = (round(value) for value in draw.measured[nearest].tolist())
        what = "1 image is" if len(rows) == 1 else f"{len(rows)} images are"
        console.say(
            f"vaegen: warning: {text} was not reached: {what} more than {COLOR_REACH:g} CIEDE2000 off, the nearest "
            f"#{red:02x}{green:02x}{blue:02x}, {draw.color_error[nearest]:.1f} off"
        )
    if len(wanted) > SHOWN:
        console.say(f"vaegen: warning: {len(wanted) - SHOWN} more colors were not reached; --json has each image's")
