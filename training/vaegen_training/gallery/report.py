"""`vaegen report`: look at one model or several, draw, measure, write; read it top to bottom."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import vaegen
from tqdm import tqdm
from vaegen.errors import OutputError, RequestError
from vaegen.files import check_free, check_writable, read_file, shown, write_file
from vaegen.spec import KINDS
from vaegen.swap import State, check_folder, state, write_folder

from vaegen_training.evaluate import color_figures, statistics
from vaegen_training.evaluate.evaluation import STAGES, Evaluator, check_numbers, one_thread
from vaegen_training.gallery import conclusion_figures, drawings, pages
from vaegen_training.gallery.conclusions import WAYS, Judgement, judge
from vaegen_training.gallery.pages import Entry
from vaegen_training.gallery.subject import Source, look

IMAGES = 3000  # of each kind, by default
PAGE = "report.md"
MAX_PAGE = 2**24  # bytes; what a report that is replaced may have


@dataclass(frozen=True)
class Report:
    """What was written, and the figures in it."""

    files: tuple[Path, ...]
    """The page, then its pictures."""
    figures: Mapping[str, Any]
    """JSON: by model, "evaluation" and, where several were compared, "measures"; and the "verdicts"."""


def report(
    models: Sequence[Source],
    out: str | Path,
    *,
    references: Sequence[Source] = (),
    command: str = "vaegen.report",
    data_dir: str | Path | None = None,
    n: int = IMAGES,
    seed: int = 0,
    verify_data: bool = True,
    force: bool = False,
    progress: bool = True,
) -> Report:
    """Write a report: of one model all pictures and figures, of several the main ones side by side.

    With one model of each kind, the student report's five conclusions are judged too. The same call gives the same
    bytes on one machine.

    Args:
        models: One or more.
        out: A folder, for `report.md` and its pictures, or FILE.md, whose pictures go to the folder FILE.
        references: Models beside them.
        command: The command line that the page names.
        data_dir: Folder with MNIST's idx files; None downloads them.
        n: Images of each kind: samples, reconstructions, real digits.
        seed: Of everything random, 0 to 2**64 - 1.
        verify_data: Compare the files with MNIST's checksums; off for other digits in the same format.
        force: Replace a report that is there.
        progress: Show a bar on stderr, if that is a terminal.

    Raises:
        RequestError: No such model, no model at all, or an impossible number.
        BundleError: A bundle cannot be used.
        DataError: The data cannot be read.
        OutputError: Something is in the way, or cannot be written.
    """
    if not models:
        raise RequestError("a report needs at least one model")
    n, seed = check_numbers(n, seed)
    target = Target.at(Path(out))
    seen = target.check(force=force)
    sources = [*models, *references]
    several = len(sources) > 1
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=1 + (2 + STAGES) * len(sources), disable=None if progress else True))
        stack.enter_context(one_thread())
        evaluator = Evaluator(data_dir, n=n, seed=seed, verify_data=verify_data, bar=bar)
        real = evaluator.real.test
        loaded = [stack.enter_context(vaegen.load(source.bundle)) for source in sources]
        entries: list[Entry] = []
        taken: Counter[str] = Counter()
        for source, model in zip(sources, loaded, strict=True):
            subject = look(model, source.run, real, seed)
            taken[subject.label] += 1
            if taken[subject.label] > 1:  # models of the same preset and name are told apart by a number
                subject = replace(subject, label=f"{subject.label} {taken[subject.label]}")
            bar.set_description(f"{subject.label}: pictures")
            draw = drawings.essentials if several else drawings.everything
            prefix = f"{_slug(subject.label)}-" if several else ""
            pictures = {target.link(f"{prefix}{picture.name}.png"): picture for picture in draw(subject, seed)}
            bar.update()
            bar.set_description(f"{subject.label}: figures")
            figures = conclusion_figures.measure(subject, evaluator.judge, seed) if several else {}
            bar.update()
            evaluation = evaluator.measure(model, subject.rebuilt)
            entries.append(Entry(subject.label, model.manifest, evaluation, pictures, figures))
        saturation = statistics.mean(color_figures.saturation(real.images), seed)
    groups = entries[: len(models)], entries[len(models) :]
    judged, judged_references = (_judge(group, saturation) for group in groups)
    page = (
        pages.comparison(*groups, judged, judged_references, command) if several else pages.single(entries[0], command)
    )
    written = {Path(link).name: picture.data for entry in entries for link, picture in entry.pictures.items()}
    return Report(tuple(target.write(page, written, force=force, seen=seen)), _json(entries, judged))


def _judge(group: Sequence[Entry], saturation: statistics.Figure) -> list[Judgement]:
    """Judge the five conclusions where there is one model of each kind."""
    found = {entry.spec.kind: entry.figures for entry in group}
    return judge(found, saturation) if len(group) == len(found) == len(KINDS) else []


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-").lower()


def _json(entries: Sequence[Entry], judged: Sequence[Judgement]) -> dict[str, Any]:
    models = {}
    for entry in entries:
        models[entry.label] = {"evaluation": entry.evaluation.to_dict()}
        if entry.figures:
            models[entry.label]["measures"] = {name: vars(figure) for name, figure in entry.figures.items()}
    verdicts = {each.title: {way: each.verdict(way) for way in WAYS} for each in judged}
    return {"models": models, "verdicts": verdicts}


@dataclass(frozen=True)
class Target:
    """The two places of a report, which is there whole or not at all and never takes anything else's place."""

    page: Path
    """The Markdown file."""
    pictures: Path
    """The folder of the PNGs."""

    @classmethod
    def at(cls, out: Path) -> "Target":
        """Read `--out`: FILE.md has its pictures in a folder FILE beside it; a folder holds both, the page as PAGE."""
        return cls(out, out.with_suffix("")) if out.suffix == ".md" else cls(out / PAGE, out)

    @property
    def together(self) -> bool:
        """Whether the page lies in the folder of the pictures."""
        return self.page.parent == self.pictures

    def link(self, name: str) -> str:
        """Return the path of a picture as the page has it."""
        return name if self.together else f"{self.pictures.name}/{name}"

    def check(self, *, force: bool) -> tuple[State, State]:
        """Refuse, before any work, what could not be written afterwards; return what the two places hold.

        Raises:
            OutputError: Something is there and `force` is off, or something that no report has written (a
                FileExistsError is then in `__cause__`), or the places cannot be written.
        """
        if not self.together:
            check_free(self.page, force=force)
            check_writable(self.page.parent)
        seen = None if self.together else state(self.page), check_folder(self.pictures)
        if seen[1] is None:
            return seen
        if not self.pictures.is_dir():
            raise OutputError(f"'{shown(self.pictures)}' exists and is no folder; choose another --out")
        there = sorted(path.name for path in self.pictures.iterdir() if path != self.page)
        # Only what the page shows was written by a report; other people's pictures must not be lost.
        page = ""
        with suppress(OSError):
            page = read_file(self.page, MAX_PAGE).decode(errors="replace")
        strange = [name for name in there if f"({self.link(name)})" not in page]
        if strange:
            message = (
                f"'{shown(self.pictures)}' holds '{shown(strange[0])}', which is no report's; choose another --out"
            )
            raise OutputError(message) from FileExistsError(self.pictures)
        if not force and (there or (self.together and self.page.exists())):
            message = f"'{shown(self.pictures)}' exists; use --force to replace the report, or choose another --out"
            raise OutputError(message) from FileExistsError(self.pictures)
        return seen

    def write(
        self, page: str, pictures: Mapping[str, bytes], *, force: bool, seen: tuple[State, State] | None = None
    ) -> list[Path]:
        """Write a report.

        Args:
            page: The Markdown.
            pictures: Bytes of the PNGs by file name.
            force: Replace a report that is there.
            seen: What `check` returned when the work began; by default it is called now.

        Returns:
            The files, the page first.

        Raises:
            OutputError: Something was in the way or has changed meanwhile, or cannot be written.
        """
        seen = seen or self.check(force=force)
        if self.together:
            write_folder(self.pictures, {**pictures, PAGE: page.encode()}, seen[1])
        else:
            if state(self.page) != seen[0]:
                raise OutputError(f"'{shown(self.page)}' has changed since the work began; choose another --out")
            write_folder(self.pictures, pictures, seen[1])
            write_file(self.page, page.encode(), force=force)
        return [self.page, *(self.pictures / name for name in pictures)]
