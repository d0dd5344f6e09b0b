"""`vaegen report`: what it does, top to bottom; the Markdown of its page; the files it writes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import vaegen
from tqdm import tqdm
from vaegen.errors import OutputError, RequestError, setting, shown
from vaegen.files import check_free, check_writable, read_file, write_file
from vaegen.spec import ModelSpec
from vaegen.swap import State, check_folder, state, write_folder

from vaegen_training.evaluate import statistics
from vaegen_training.evaluate.evaluation import STAGES, Evaluation, Evaluator, check_digits, check_numbers
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.evaluate.table import FORMS, Form, blocks, to_cell
from vaegen_training.gallery import drawings, information
from vaegen_training.gallery.drawings import Picture, Subject
from vaegen_training.host import own_torch

IMAGES = 3000  # of each kind, by default
PAGE = "report.md"
MAX_PAGE = 2**24  # bytes; what a report that is replaced may have
FIGURES = (
    "± is the longer side of the 95% confidence interval; docs/evaluation.md of vaegen's repository explains each."
)
RATE_DISTORTION = (
    "The rate is the KL divergence, what a latent costs; excess BCE is the distortion, deterministic and with sampled "
    "latents. Their sum with sampled latents is the negative ELBO less the entropy of the images. Lower is better in "
    "all four; accuracy and coverage are of reconstructions and of verified samples, higher is better."
)


@dataclass(frozen=True)
class Entry:
    """All that a page says of one model."""

    label: str
    size: int
    """Bytes of the graphs."""
    evaluation: Evaluation
    information: Mapping[str, Figure]
    """Nats: the KL divergence, "kl"; the excess BCE of reconstructions by the deterministic path, "excess_bce", and
    with latents drawn from the posterior, "excess_bce_sampled"."""
    pictures: Mapping[str, Picture]
    """By their link on the page."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""
        return self.evaluation.model

    @property
    def title(self) -> str:
        """The label in Markdown, in which no name can make a table, a link or HTML."""
        return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", self.label)


class Section(Protocol):
    """A section that a caller adds to the page of several models, before the figures of all."""

    def look(self, subject: Subject, entry: Entry) -> None:
        """Take what the section needs of one model; called for each in the order of the page."""

    def text(self, models: Sequence[Entry], references: Sequence[Entry]) -> str:
        """Return the Markdown, once all models were looked at."""


@dataclass(frozen=True)
class Report:
    """What was written, and the figures in it."""

    files: Sequence[Path]
    """The page, then its pictures."""
    models: Mapping[str, Entry]
    """By their labels."""

    def to_dict(self) -> dict[str, Any]:
        """Return the files and all figures in their JSON form."""
        figures = {
            label: {
                "evaluation": entry.evaluation.to_dict(),
                "information": {name: asdict(figure) for name, figure in entry.information.items()},
            }
            for label, entry in self.models.items()
        }
        return {"files": list(map(str, self.files)), "models": figures}


def report(
    models: Sequence[str | Path],
    out: str | Path,
    *,
    references: Sequence[str | Path] = (),
    section: Section | None = None,
    command: str = "vaegen.report",
    data_dir: str | Path | None = None,
    n: int = IMAGES,
    seed: int = 0,
    verify_data: bool = True,
    force: bool = False,
    progress: bool = True,
) -> Report:
    """Write a report: of one model all pictures and figures, of several the main ones side by side.

    The same call gives the same bytes on one machine.

    Args:
        models: One or more, as for `vaegen.load`.
        out: A folder, for `report.md` and its pictures, or FILE.md, whose pictures go to the folder FILE.
        references: Models beside them.
        section: One more for the page of several models.
        command: The command line that the page names.
        data_dir: Folder with MNIST's idx files; None downloads them.
        n: Images of each kind: samples, reconstructions, real digits.
        seed: Of everything random, 0 to 2**64 - 1.
        verify_data: Compare the files with MNIST's checksums; off for other digits in the same format.
        force: Replace a report that is there.
        progress: Show a bar on stderr, if that is a terminal.

    Raises:
        RequestError: No such model, no model at all, one that draws no digits, or an impossible number.
        BundleError: A bundle cannot be used.
        DataError: The data cannot be read.
        OutputError: Something is in the way, or cannot be written.
    """
    if not models:
        raise RequestError("a report needs at least one model")
    n, seed = check_numbers(n, seed)
    target = Target(Path(out))
    seen = target.check(force=force)
    names = [*models, *references]
    several = len(names) > 1
    entries: list[Entry] = []
    taken: Counter[tuple[str, str]] = Counter()
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=1 + (1 + STAGES) * len(names), disable=None if progress else True))
        stack.enter_context(own_torch(threads=1))
        loaded = [stack.enter_context(vaegen.load(name)) for name in names]
        check_digits(loaded)
        evaluator = Evaluator(data_dir, n=n, seed=seed, verify_data=verify_data, bar=bar)
        real = evaluator.real.test
        for model in loaded:
            bar.set_description(f"{model.spec.name}: pictures")
            taken[model.spec.preset, model.spec.name] += 1
            subject = drawings.look(model, real, seed, taken[model.spec.preset, model.spec.name])
            prefix = f"{_slug(subject.label)}-" if several else ""
            drawn = drawings.essentials(subject, seed) if several else drawings.everything(subject, seed)
            pictures = {target.link(f"{prefix}{picture.name}.png"): picture for picture in drawn}
            bar.update()
            nats = {
                "kl": information.rates(subject.posterior).sum(1),
                "excess_bce": information.excess_bce(subject.rebuilt.unrounded, real.images),
                "excess_bce_sampled": information.excess_bce(subject.sampled.unrounded, real.images),
            }
            entry = Entry(
                label=subject.label,
                size=model.manifest.size,
                evaluation=evaluator.measure(model, subject.rebuilt.images),
                information={name: statistics.mean(values, seed) for name, values in nats.items()},
                pictures=pictures,
            )
            entries.append(entry)
            if section:
                section.look(subject, entry)
    if several:
        parts = _several(entries[: len(models)], entries[len(models) :], section, command)
    else:
        parts = _single(entries[0], command)
    written = {Path(link).name: picture.data for entry in entries for link, picture in entry.pictures.items()}
    files = target.write("\n\n".join(parts) + "\n", written, force=force, seen=seen)
    return Report(files, {entry.label: entry for entry in entries})


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-").lower()


def _single(entry: Entry, command: str) -> list[str]:
    """Return the parts of the page of one model: pictures, then figures."""
    spec = entry.spec
    parts = [
        f"# {entry.title}",
        f"A {spec.kind} model, preset {spec.preset}: {_latent(spec)}. {_made(command, entry.evaluation)}",
    ]
    for link, picture in entry.pictures.items():
        parts += [f"## {picture.title}", picture.caption, f"![{picture.title}]({link})"]
    return [*parts, "## Figures", FIGURES, evaluation_tables(entry.evaluation)]


def _several(models: Sequence[Entry], references: Sequence[Entry], section: Section | None, command: str) -> list[str]:
    """Return the parts of the page of several models, and of those they are compared with."""
    entries = [*models, *references]
    against = f", beside {_list([entry.title for entry in references])}" if references else ""
    parts = [
        f"# Report: {presets(models)}",
        f"{_list([entry.title for entry in models])}{against}. {_made(command, entries[0].evaluation)}",
    ]
    if section:
        parts.append(section.text(models, references))
    parts += ["## Rate and distortion", RATE_DISTORTION, _rate_distortion(entries), "## Pictures"]
    for title in dict.fromkeys(picture.title for entry in entries for picture in entry.pictures.values()):
        parts.append(f"### {title}")
        for entry in entries:
            for link, picture in entry.pictures.items():
                if picture.title == title:
                    image = f"![{entry.title}: {title.lower()}]({link})"
                    parts += [f"**{entry.title}.** {picture.caption}", image]
    parts += ["## Figures of `vaegen evaluate`", FIGURES]
    for entry in entries:
        parts += [f"### {entry.title}", evaluation_tables(entry.evaluation)]
    return parts


def evaluation_tables(evaluation: Evaluation) -> str:
    """Return the figures of `vaegen evaluate` as tables."""
    return "\n\n".join(table(head, lines) for head, *lines in blocks(evaluation))


def _rate_distortion(entries: Sequence[Entry]) -> str:
    nats = Form(1)
    lines: dict[str, list[str]] = {}
    for entry in entries:
        figures = entry.evaluation.figures
        rate, sampled = entry.information["kl"], entry.information["excess_bce_sampled"]
        cells = {
            "latents": _latent(entry.spec),
            "size of the graphs, MB": f"{entry.size / 1e6:.2f}",
            "rate, nats": to_cell(rate, nats),
            "excess BCE, nats": to_cell(entry.information["excess_bce"], nats),
            "excess BCE, nats, sampled": to_cell(sampled, nats),
            "rate + excess BCE, sampled": f"{sampled.value + rate.value:.1f}",
            "accuracy of reconstructions, %": to_cell(
                figures["digit_accuracy"]["reconstruction"], FORMS["digit_accuracy"]
            ),
            "coverage, verified samples": to_cell(figures["coverage"]["verified"], FORMS["coverage"]),
        }
        for title, text in cells.items():
            lines.setdefault(title, [title]).append(text)
    return table(["", *(entry.title for entry in entries)], lines.values())


def _made(command: str, evaluation: Evaluation) -> str:
    return (
        f"Made by\n\n```sh\n{shown(command)}\n```\n\nwith {evaluation.n} images of each kind, seed {evaluation.seed}, "
        f"and the evaluation judge `{evaluation.judge[:16]}`; the same command gives the same page."
    )


def _latent(spec: ModelSpec) -> str:
    z, (n, k) = spec.latent.continuous, spec.latent.categorical
    parts = ([f"{z} Gaussian coordinates"] if z else []) + ([f"{n} categoricals of {k} classes"] if n else [])
    return " and ".join(parts)


def presets(entries: Sequence[Entry]) -> str:
    """Return the presets of some models."""
    return " and ".join(dict.fromkeys(entry.spec.preset for entry in entries))


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *lines])


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


class Target:
    """The two places of a report, which is there whole or not at all and never takes anything else's place.

    Args:
        out: FILE.md, whose pictures lie in a folder FILE beside it; or a folder of both, with the page as PAGE.
    """

    def __init__(self, out: Path) -> None:
        self.together = out.suffix != ".md"
        self.page, self.pictures = (out / PAGE, out) if self.together else (out, out.with_suffix(""))

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
            check_free(self.page, force=force, other=f"choose another {setting('out')}")
            check_writable(self.page.parent)
        seen = None if self.together else state(self.page), check_folder(self.pictures)
        if seen[1] is None:
            return seen
        place = shown(self.pictures)
        if not self.pictures.is_dir():
            raise OutputError(f"'{place}' exists and is not a folder; choose another {setting('out')}")
        there = sorted(path.name for path in self.pictures.iterdir() if path != self.page)
        # Only what the page shows was written by a report; other people's pictures must not be lost.
        page = ""
        with suppress(OSError):
            page = read_file(self.page, MAX_PAGE).decode(errors="replace")
        message = ""
        if strange := [name for name in there if f"({self.link(name)})" not in page]:
            message = f"'{place}' holds '{shown(strange[0])}', which no report wrote; choose another {setting('out')}"
        elif not force and (there or (self.together and self.page.exists())):
            message = (
                f"'{place}' exists; {setting('force', True)} replaces the report, or choose another {setting('out')}"
            )
        if message:
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
                raise OutputError(
                    f"'{shown(self.page)}' has changed since the work began; choose another {setting('out')}"
                )
            write_folder(self.pictures, pictures, seen[1])
            write_file(self.page, page.encode(), force=force)
        return [self.page, *(self.pictures / name for name in pictures)]
