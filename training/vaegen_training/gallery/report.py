"""`vaegen report`: look at one model or several, draw, measure, write; read it top to bottom."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm
from vaegen.checks import check_integer
from vaegen.errors import RequestError
from vaegen.noise import MAX_SEED
from vaegen.spec import KINDS, Kind

from vaegen_training import data, evaluation
from vaegen_training.evaluate import gather, judge, suite
from vaegen_training.report import measures, pages, pictures
from vaegen_training.report.conclusions import Conclusion, conclusions
from vaegen_training.report.folder import Target
from vaegen_training.report.pages import Entry
from vaegen_training.report.subject import Source, Subject, look

IMAGES = 3000  # of each kind, by default


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
    """Write a report: of one model everything there is to see; of several the pictures and figures side by side.

    With one model of each kind, the student report's five conclusions are judged too. The same call gives the same
    bytes on one machine.

    Args:
        models: One or more.
        out: A folder, for `report.md` and its pictures, or FILE.md, whose pictures go to the folder FILE.
        references: Models beside them.
        command: What the page says it was made by.
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
    n = check_integer("n", n, suite.LEAST_IMAGES, suite.MOST_IMAGES)
    seed = check_integer("seed", seed, 0, MAX_SEED)
    target = Target.at(Path(out))
    target.check(force=force)
    sources = [*models, *references]
    several = len(sources) > 1
    reader, _ = judge.load()
    with tqdm(total=3 * len(sources), disable=None if progress else True) as bar, suite.one_thread():
        bar.set_description("real digits")
        folder = None if data_dir is None else Path(data_dir)
        mnist = data.load(folder, verify=verify_data)
        real = gather.real_digits(mnist, n, suite.REFERENCE, seed).test
        entries: list[Entry] = []
        taken: Counter[str] = Counter()
        for source in sources:
            with look(source, real, seed) as subject:
                label = _label(subject, taken)
                bar.set_description(f"{label}: pictures")
                draw = pictures.essentials if several else pictures.gallery
                drawn = list(draw(subject, seed))
                bar.update()
                bar.set_description(f"{label}: measures")
                measured = measures.measure(subject, reader, seed) if several else None
                bar.update()
                manifest = subject.model.manifest
            bar.set_description(f"{label}: figures")
            found = evaluation.evaluate(
                source.bundle, data_dir=folder, n=n, seed=seed, verify_data=verify_data, progress=False
            )
            bar.update()
            prefix = f"{_slug(label)}-" if several else ""
            entries.append(
                Entry(
                    label=label,
                    spec=manifest.model,
                    size=sum(graph.bytes for graph in manifest.graphs.values()),
                    evaluation=found,
                    pictures=drawn,
                    files={picture.name: target.link(f"{prefix}{picture.name}.png") for picture in drawn},
                    measures=measured,
                )
            )
        groups = entries[: len(models)], entries[len(models) :]
        paint = measures.real_figures(real, reader, seed) if several else {}
        judged = [_judge(group, paint) for group in groups]
        page = (
            pages.comparison(*groups, paint, judged[0], judged[1], command)
            if several
            else pages.single(entries[0], command)
        )
    written = {Path(entry.files[picture.name]).name: picture.data for entry in entries for picture in entry.pictures}
    return Report(tuple(target.write(page, written, force=force)), _figures(entries, judged[0]))


def _judge(group: Sequence[Entry], real: measures.Figures) -> list[Conclusion]:
    """Judge the five conclusions where there is one model of each kind."""
    found: dict[Kind, measures.Figures] = {
        entry.spec.kind: entry.measures.figures for entry in group if entry.measures is not None
    }
    return conclusions(found, real) if len(group) == len(KINDS) == len(found) else []


def _label(subject: Subject, taken: Counter[str]) -> str:
    """Tell models of the same preset and name apart by a number."""
    taken[subject.label] += 1
    number = taken[subject.label]
    return subject.label if number == 1 else f"{subject.label} {number}"


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-").lower()


def _figures(entries: Sequence[Entry], judged: Sequence[Conclusion]) -> dict[str, Any]:
    models = {}
    for entry in entries:
        models[entry.label] = {"evaluation": entry.evaluation.to_dict()}
        if entry.measures is not None:
            models[entry.label]["measures"] = {name: vars(figure) for name, figure in entry.measures.figures.items()}
    verdicts = {conclusion.title: {way: conclusion.verdict(way) for way in pages.WAYS} for conclusion in judged}
    return {"models": models, "verdicts": verdicts}
