"""How a run goes, for people: how long it takes, one bar for all stages, and the curves of a tracker."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tqdm import tqdm

from vaegen_training.runs.tracking import Tracker

_BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}"


class Monitor:
    """Follows a run from stage to stage.

    It counts in the seconds that each stage takes on 2 CPU cores. So the time that is left is one estimate for all
    stages, on any machine.
    """

    def __init__(
        self,
        plan: Mapping[str, float] | None = None,
        *,
        tracker: Tracker | None = None,
        say: Callable[[str], None] | None = None,
        bar: bool = False,
    ) -> None:
        """Begin a run.

        Args:
            plan: Seconds of each stage on 2 CPU cores, in their order; None for a stage on its own, of which nobody
                asks how long it takes.
            tracker: Gets the curves.
            say: Takes a line at each stage, where there is no bar.
            bar: Show a bar on stderr, if that is a terminal.
        """
        self._plan, self._tracker, self._say = plan or {}, tracker, say
        self._total = sum(self._plan.values())
        hidden = None if bar and plan else True
        self._bar = tqdm(total=self._total, disable=hidden, bar_format=_BAR, smoothing=0.05, dynamic_ncols=True)
        self._began, self._done = time.monotonic(), 0.0
        self._stage, self._steps, self._before = "", 0, 0
        self._timed, self._seen = self._began, 0  # when the last line of metrics was written, and at which step
        self._waiting: list[tuple[int, dict[str, float], Path | None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._tracker is not None:
            self._tracker.close()

    def begin(self, stage: str, steps: int, step: int = 0) -> None:
        """Begin a stage of so many steps, of which earlier calls have made `step`."""
        self._before += self._steps
        self._stage, self._steps = stage, steps
        self._timed, self._seen = time.monotonic(), step
        if stage not in self._plan:
            return
        names = list(self._plan)
        title = f"{stage}, stage {names.index(stage) + 1} of {len(names)}"
        if self._say is not None and self._bar.disable:
            seconds = time.monotonic() - self._began
            rest = f", {in_words((self._total - self._done) / self._done * seconds)} left" if self._done else ""
            self._say(f"{title}{rest}")
        # What was done before counts, but says nothing of the speed.
        before = self._plan[stage] * step / steps
        self._bar.total -= before
        self._total -= before
        self._bar.set_description_str(title)

    def advance(self, steps: float = 1) -> None:
        """Count steps of the stage."""
        seconds = self._plan.get(self._stage, 0.0) * steps / self._steps
        self._done += seconds
        self._bar.update(seconds)

    def log(self, step: int, batch: int, values: Mapping[str, float], picture: Path | None = None) -> None:
        """Take a line of metrics after a step, and a sample grid; a tracker gets them with `saved`."""
        self._bar.set_postfix_str(f"loss {values['loss']:.4g}", refresh=False)
        if self._tracker is not None:
            now = time.monotonic()
            speed = (step - self._seen) * batch / max(now - self._timed, 1e-9)
            self._timed, self._seen = now, step
            self._waiting.append((step, {**values, "images_per_second": speed}, picture))

    def saved(self) -> None:
        """Hand on what has been logged, for a run that is stopped goes on from here: no step is tracked twice."""
        for step, values, picture in self._waiting:
            assert self._tracker is not None
            named = {f"{self._stage}/{name}": value for name, value in values.items()}
            self._tracker.scalars(self._before + step, named)
            if picture is not None:
                self._tracker.image(self._before + step, f"{self._stage}/samples", picture)
        self._waiting.clear()


def in_words(seconds: float) -> str:
    """Return a duration as people say it: "40 seconds", "25 minutes", "2.5 hours"."""
    if seconds < 90:
        whole = max(1, round(seconds))
        return f"{whole} second{'s' * (whole > 1)}"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"
