"""The Markdown of a report: words, tables of figures, links to pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vaegen.spec import Manifest, ModelSpec

from vaegen_training.evaluate.evaluation import Evaluation
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.evaluate.table import COLUMNS, NONE, Row, rounded
from vaegen_training.evaluate.table import ROWS as EVALUATED
from vaegen_training.gallery.conclusion_figures import Figures
from vaegen_training.gallery.conclusions import WAYS, Finding, Judgement
from vaegen_training.gallery.drawings import Picture

FIGURES = "Each with its 95% confidence interval; docs/evaluation.md of vaegen's repository explains every row."
VERDICTS = (
    "Each conclusion is turned into tests on figures. A test holds where the 95% intervals of what it compares do not "
    "overlap and lie as claimed; a conclusion is confirmed when all its tests hold, partly when some do; where none "
    "does it is refuted, or undecided if all the intervals overlap. The report looked at its models with codes drawn "
    "from the posterior, soft at temperature 1; the product decodes means and one-hots. Verdicts are given for both. "
    "docs/report.md of vaegen's repository says how each figure is taken."
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
    manifest: Manifest
    evaluation: Evaluation
    pictures: Mapping[str, Picture]
    """By their link on the page."""
    figures: Figures = field(default_factory=dict)
    """Those of `conclusion_figures`, for a comparison."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""
        return self.manifest.model


def single(entry: Entry, command: str) -> str:
    """Return the page of one model: pictures, then figures."""
    spec = entry.spec
    parts = [
        f"# {entry.label}",
        f"A {spec.kind} model, preset {spec.preset}: {_latent(spec)}. {_made(command, entry.evaluation)}",
    ]
    for link, picture in entry.pictures.items():
        parts += [f"## {picture.title}", picture.caption, _image(entry, link)]
    return _join([*parts, "## Figures", FIGURES, evaluation_table(entry.evaluation)])


def comparison(
    models: Sequence[Entry],
    references: Sequence[Entry],
    judged: Sequence[Judgement],
    judged_references: Sequence[Judgement],
    command: str,
) -> str:
    """Return the page of several models.

    Args:
        models: Those under report.
        references: Those they are compared with.
        judged: The five conclusions on `models`; empty unless there is one model of each kind.
        judged_references: The same on `references`.
        command: The command line that made the page.
    """
    entries = [*models, *references]
    against = f", beside {_list([entry.label for entry in references])}" if references else ""
    parts = [
        f"# Report: {_preset(models)}",
        f"{_list([entry.label for entry in models])}{against}. {_made(command, entries[0].evaluation)}",
    ]
    if judged:
        parts += ["## The five conclusions of the student report", VERDICTS]
        groups = [(models, judged), *([(references, judged_references)] if judged_references else [])]
        parts.append(_verdicts([_preset(group) for group, _ in groups], [group for _, group in groups]))
        for number, judgement in enumerate(judged):
            parts.append(f"### {number + 1}. {judgement.title}")
            for way, words in WAYS.items():
                heading = f"**{judgement.verdict(way).capitalize()}** {words}:"
                parts.append(_findings(heading, judgement.findings[way]))
            if judged_references:
                heading = "The same tests on the models beside it, as the product decodes:"
                parts.append(_findings(heading, judged_references[number].findings["deterministic"]))
    parts += ["## Rate and distortion", RATE_DISTORTION, _rate_distortion(entries)]
    parts.append("## Pictures")
    for title in dict.fromkeys(picture.title for entry in entries for picture in entry.pictures.values()):
        parts.append(f"### {title}")
        for entry in entries:
            for link, picture in entry.pictures.items():
                if picture.title == title:
                    parts += [f"**{entry.label}.** {picture.caption}", _image(entry, link)]
    parts += ["## Figures of `vaegen evaluate`", FIGURES]
    for entry in entries:
        parts += [f"### {entry.label}", evaluation_table(entry.evaluation)]
    return _join(parts)


def evaluation_table(evaluation: Evaluation) -> str:
    """Return the figures of `vaegen evaluate` as a table."""
    lines = []
    for key, row in EVALUATED.items():
        figures = evaluation.figures.get(key)
        if figures:
            lines.append([row.title, *(_cell(figures.get(column), row) for column in COLUMNS)])
    return _table(["", *COLUMNS.values()], lines)


def _made(command: str, evaluation: Evaluation) -> str:
    return (
        f"Made by\n\n```sh\n{command}\n```\n\nwith {evaluation.n} images of each kind, seed {evaluation.seed}, and the "
        f"evaluation judge `{evaluation.judge[:16]}`; the same command gives the same page."
    )


def _latent(spec: ModelSpec) -> str:
    z, (n, k) = spec.latent.continuous, spec.latent.categorical
    parts = ([f"{z} Gaussian coordinates"] if z else []) + ([f"{n} categoricals of {k} classes"] if n else [])
    return " and ".join(parts)


def _verdicts(presets: Sequence[str], groups: Sequence[Sequence[Judgement]]) -> str:
    """Return the table of verdicts, a column for each group of models and way; those of the first group stand out."""
    lines = []
    for number, (first, *others) in enumerate(zip(*groups, strict=True), 1):
        verdicts = [f"**{first.verdict(way)}**" for way in WAYS]
        verdicts += [judgement.verdict(way) for judgement in others for way in WAYS]
        lines.append([f"{number}. {first.title}", *verdicts])
    return _table(["conclusion", *(f"{preset}, {way}" for preset in presets for way in WAYS)], lines)


def _findings(heading: str, findings: Sequence[Finding]) -> str:
    lines = [heading, ""]
    for claim, figures, outcome in findings:
        row = Row("", claim.decimals)
        shown = "; ".join(f"{name} {_cell(figure, row)}" for name, figure in figures.items())
        lines.append(f"- {claim.words}: **{outcome}** ({shown})")
    return "\n".join(lines)


def _rate_distortion(entries: Sequence[Entry]) -> str:
    rows: dict[str, list[str]] = {}
    for entry in entries:
        figures, evaluated, nats = entry.figures, entry.evaluation.figures, Row("", 1)
        cells = {
            "latents": _latent(entry.spec),
            "size of the graphs, MB": f"{sum(graph.bytes for graph in entry.manifest.graphs.values()) / 1e6:.2f}",
            "rate, nats": _cell(figures["rate"], nats),
            "excess BCE, nats": _cell(figures["excess_bce_deterministic"], nats),
            "excess BCE, nats, sampled": _cell(figures["excess_bce_sampled"], nats),
            "rate + excess BCE, sampled": f"{figures['excess_bce_sampled'].value + figures['rate'].value:.1f}",
            "accuracy of reconstructions, %": _cell(
                evaluated["digit_accuracy"]["reconstruction"], EVALUATED["digit_accuracy"]
            ),
            "coverage, verified samples": _cell(evaluated["coverage"]["verified"], EVALUATED["coverage"]),
        }
        for title, text in cells.items():
            rows.setdefault(title, [title]).append(text)
    return _table(["", *(entry.label for entry in entries)], rows.values())


def _image(entry: Entry, link: str) -> str:
    return f"![{entry.label}: {entry.pictures[link].title.lower()}]({link})"


def _cell(figure: Figure | None, row: Row) -> str:
    if figure is None:
        return NONE
    value, low, high = rounded(figure, row)
    return value if low == high == value else f"{value} [{low}, {high}]"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *lines])


def _preset(entries: Sequence[Entry]) -> str:
    return " and ".join(dict.fromkeys(entry.spec.preset for entry in entries))


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
