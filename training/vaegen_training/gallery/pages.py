"""The Markdown of a report: words, tables of figures, links to pictures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vaegen.spec import ModelSpec

from vaegen_training.evaluate import Evaluation, Figure
from vaegen_training.evaluate.table import COLUMNS, NONE, Row, rounded
from vaegen_training.evaluate.table import ROWS as EVALUATED
from vaegen_training.report.conclusions import PICKED, Conclusion, Test
from vaegen_training.report.measures import HUES, Measures
from vaegen_training.report.pictures import Picture

WAYS = {
    "sampled": "as the report looked, codes sampled and soft",
    "deterministic": "as the product decodes, means and one-hots",
}


MEASURED = {
    "color_error_sampled": Row("color error, CIEDE2000, median, sampled"),
    "color_error_deterministic": Row("the same, deterministic"),
    "saturation_sampled": Row("saturation of the stroke, mean, sampled", 3),
    "saturation_deterministic": Row("the same, deterministic", 3),
    "color_kept_sampled": Row("hue and chroma kept, R² in a\\*b\\*, sampled", 3),
    "color_kept_deterministic": Row("the same, deterministic", 3),
    "accuracy_sampled": Row("reconstructions read as their digit, %, sampled", 1, percent=True),
    "accuracy_deterministic": Row("the same, deterministic", 1, percent=True),
    "excess_bce_sampled": Row("excess BCE, nats, sampled", 1),
    "excess_bce_deterministic": Row("the same, deterministic", 1),
    "rate": Row("rate, KL divergence, nats", 1),
    "spread_prior": Row("spread of colors from its own prior, CIE L\\*a\\*b\\*", 1),
    "spread_sampled": Row("spread of colors of reconstructions, sampled", 1),
    "spread_deterministic": Row("the same, deterministic", 1),
    "picked_digit": Row("a digit by one latent, %", 1, percent=True),
    "picked_hue": Row("a hue by one latent, %", 1, percent=True),
    "requests_met_sampled": Row("digit and color by a whole latent, %, sampled", 1, percent=True),
    "requests_met_deterministic": Row("the same, deterministic", 1, percent=True),
}
HALVES = {
    "excess_bce": Row("excess BCE, nats", 1),
    "color_error": Row("color error, CIEDE2000, median", 1),
    "saturation": Row("saturation of the stroke, mean", 3),
}


@dataclass(frozen=True)
class Entry:
    """All there is to say of one model."""

    label: str
    spec: ModelSpec
    size: int
    """Bytes of its graphs."""
    evaluation: Evaluation
    pictures: Sequence[Picture]
    files: Mapping[str, str]
    """Link of each picture, by its name."""
    measures: Measures | None = None
    """For a comparison."""


def single(entry: Entry, command: str) -> str:
    """Write the page of one model: pictures, then figures."""
    spec = entry.spec
    parts = [
        f"# {entry.label}",
        f"A {spec.kind} model, preset {spec.preset}: {latent(spec)}. {made(command, entry.evaluation)}",
    ]
    for picture in entry.pictures:
        parts += [f"## {picture.title}", picture.caption, _image(entry, picture)]
    parts += ["## Figures", FIGURES, evaluation_table(entry.evaluation)]
    return _join(parts)


def comparison(
    models: Sequence[Entry],
    references: Sequence[Entry],
    real: Mapping[str, Figure],
    judged: Sequence[Conclusion],
    judged_references: Sequence[Conclusion],
    command: str,
) -> str:
    """Write the page of several models.

    Args:
        models: Those under report.
        references: Those they are held against.
        real: Measures of real digits.
        judged: The five conclusions on `models`; empty unless there is one model of each kind.
        judged_references: The same on `references`.
        command: That made the page.
    """
    entries = [*models, *references]
    title = " and ".join(dict.fromkeys(entry.spec.preset for entry in models))
    against = f", beside {_list([entry.label for entry in references])}" if references else ""
    parts = [
        f"# Report: {title}",
        f"{_list([entry.label for entry in models])}{against}. {made(command, entries[0].evaluation)}",
    ]
    if judged:
        parts += ["## The five conclusions of the student report", VERDICTS]
        parts.append(_verdicts(models, judged, references, judged_references))
        for number, conclusion in enumerate(judged):
            mine = judged_references[number] if judged_references else None
            parts += _conclusion(number + 1, conclusion, mine)
    parts += ["## Rate and distortion", RATE_DISTORTION, _rate_distortion(entries)]
    parts += [_against(group) for group in (models, references)]
    parts += _pictures(entries)
    parts += ["## Measures of the conclusions", MEASURES, _measures(entries, real)]
    halves = [
        entry for entry in entries if entry.measures and "excess_bce_discrete_half_sampled" in entry.measures.figures
    ]
    for entry in halves:
        parts += [f"The two decoders of {entry.label}, apart and together:", _halves(entry)]
    parts += [_picked(entries), "## Figures of `vaegen evaluate`", FIGURES]
    for entry in entries:
        parts += [f"### {entry.label}", evaluation_table(entry.evaluation)]
    return _join([part for part in parts if part])


FIGURES = "Each with its 95% confidence interval; docs/evaluation.md of vaegen's repository explains every row."
VERDICTS = (
    "Each conclusion is turned into tests on figures. A test holds where the 95% intervals of what it compares do not "
    "overlap and lie as claimed; a conclusion is confirmed when all its tests hold, partly when some do; where none "
    "does it is refuted, or undecided if all the intervals overlap. The report looked at its models with codes drawn "
    "from the posterior, soft at temperature 1; the product decodes means and one-hots. Verdicts are given for both."
)
RATE_DISTORTION = (
    "The rate is the KL divergence, what a latent costs; excess BCE is the distortion, deterministic and with sampled "
    "latents. Their sum with sampled latents is the negative ELBO less the entropy of the images. Lower is better in "
    "all four; accuracy and coverage are of reconstructions and of verified samples, higher is better."
)
MEASURES = (
    "On painted test digits seen through each model. Real digits, measured the same way, are what a perfect model "
    "would get."
)


def made(command: str, evaluation: Evaluation) -> str:
    """Say how a page was made."""
    return (
        f"Made by\n\n```sh\n{command}\n```\n\nwith {evaluation.n} images of each kind, seed {evaluation.seed}, and the "
        f"evaluation judge `{evaluation.judge[:16]}`; the same command gives the same page."
    )


def latent(spec: ModelSpec) -> str:
    """Describe a latent space in words."""
    z, (n, k) = spec.latent.continuous, spec.latent.categorical
    parts = ([f"{z} Gaussian coordinates"] if z else []) + ([f"{n} categoricals of {k} classes"] if n else [])
    return " and ".join(parts)


def evaluation_table(evaluation: Evaluation) -> str:
    """Lay out the figures of `vaegen evaluate`."""
    lines = []
    for key, row in EVALUATED.items():
        figures = evaluation.figures.get(key)
        if figures:
            lines.append([row.title, *(cell(figures.get(column), row) for column in COLUMNS)])
    return table(["", *COLUMNS.values()], lines)


def cell(figure: Figure | None, row: Row) -> str:
    """Show a figure with its interval."""
    if figure is None:
        return NONE
    value, low, high = rounded(figure, row)
    return value if low == high == value else f"{value} [{low}, {high}]"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _verdicts(
    models: Sequence[Entry], judged: Sequence[Conclusion], references: Sequence[Entry], others: Sequence[Conclusion]
) -> str:
    presets = [_preset(models), *([_preset(references)] if others else [])]
    head = ["conclusion", *(f"{preset}, {way}" for preset in presets for way in WAYS)]
    lines = []
    for number, conclusion in enumerate(judged):
        verdicts = [f"**{conclusion.verdict(way)}**" for way in WAYS]
        verdicts += [others[number].verdict(way) for way in WAYS] if others else []
        lines.append([f"{number + 1}. {conclusion.title}", *verdicts])
    return table(head, lines)


def _conclusion(number: int, conclusion: Conclusion, other: Conclusion | None) -> list[str]:
    parts = [f"### {number}. {conclusion.title}", conclusion.measure]
    for way, words in WAYS.items():
        lines = [f"**{conclusion.verdict(way).capitalize()}** {words}:", ""]
        lines += [_test(test) for test in conclusion.tests[way]]
        parts.append("\n".join(lines))
    if other is not None:
        lines = ["The same tests on the models beside it, as the product decodes:", ""]
        lines += [_test(test) for test in other.tests["deterministic"]]
        parts.append("\n".join(lines))
    return parts


def _test(test: Test) -> str:
    row = Row("", test.decimals)
    figures = "; ".join(f"{name} {cell(figure, row)}" for name, figure in test.figures.items())
    return f"- {test.claim}: **{test.outcome}** ({figures})"


def _rate_distortion(entries: Sequence[Entry]) -> str:
    def evaluated(key: str, column: str, row: Row) -> Callable[[Entry], str]:
        return lambda entry: cell(entry.evaluation.figures[key].get(column), row)

    def measured(key: str) -> Callable[[Entry], str]:
        return lambda entry: cell(entry.measures.figures[key], MEASURED[key]) if entry.measures else NONE

    def total(entry: Entry) -> str:
        if entry.measures is None:
            return NONE
        figures = entry.measures.figures
        return f"{figures['excess_bce_sampled'].value + figures['rate'].value:.1f}"

    rows: dict[str, Callable[[Entry], str]] = {
        "latents": lambda entry: latent(entry.spec),
        "size of the graphs, MB": lambda entry: f"{entry.size / 1e6:.2f}",
        "rate, nats": measured("rate"),
        "excess BCE, nats": measured("excess_bce_deterministic"),
        "excess BCE, nats, sampled": measured("excess_bce_sampled"),
        "rate + excess BCE, sampled": total,
        "accuracy of reconstructions, %": evaluated("digit_accuracy", "reconstruction", Row("", 2, percent=True)),
        "coverage, verified samples": evaluated("coverage", "verified", Row("", 3)),
    }
    return table(
        ["", *(entry.label for entry in entries)],
        [[title, *(show(entry) for entry in entries)] for title, show in rows.items()],
    )


def _against(group: Sequence[Entry]) -> str:
    """Say, figure by figure, whether the joint model is better than the other two, level with them or worse."""
    by_kind = {entry.spec.kind: entry for entry in group}
    joint = by_kind.get("joint")
    if joint is None or len(by_kind) < 2:
        return ""
    lines = []
    for kind in ("continuous", "discrete"):
        other = by_kind.get(kind)
        if other is None or joint.measures is None or other.measures is None:
            continue
        pairs = {
            "excess BCE": _ordered(
                joint.measures.figures["excess_bce_deterministic"], other.measures.figures["excess_bce_deterministic"]
            ),
            "excess BCE with sampled latents": _ordered(
                joint.measures.figures["excess_bce_sampled"], other.measures.figures["excess_bce_sampled"]
            ),
            "accuracy of reconstructions": _ordered(
                other.evaluation.figures["digit_accuracy"]["reconstruction"],
                joint.evaluation.figures["digit_accuracy"]["reconstruction"],
            ),
            "coverage": _ordered(
                other.evaluation.figures["coverage"]["verified"], joint.evaluation.figures["coverage"]["verified"]
            ),
        }
        words = ", ".join(f"{name} {word}" for name, word in pairs.items())
        lines.append(f"- {joint.label} against {other.label}: {words}")
    return "\n".join(
        [f"Whether the joint model is better (intervals apart), level or worse, {_preset(group)}:", "", *lines]
    )


def _ordered(small: Figure, large: Figure) -> str:
    """Say whether the first figure is below the second, as a better joint model's would be."""
    if small.high < large.low:
        return "**better**"
    return "**worse**" if large.high < small.low else "level"


def _pictures(entries: Sequence[Entry]) -> list[str]:
    parts = ["## Pictures"]
    names = dict.fromkeys(picture.name for entry in entries for picture in entry.pictures)
    for name in names:
        mine = {
            entry.label: (entry, picture) for entry in entries for picture in entry.pictures if picture.name == name
        }
        first = next(iter(mine.values()))[1]
        parts.append(f"### {first.title}")
        for entry, picture in mine.values():
            parts += [f"**{entry.label}.** {picture.caption}", _image(entry, picture)]
    return parts


def _measures(entries: Sequence[Entry], real: Mapping[str, Figure]) -> str:
    lines = []
    for key, row in MEASURED.items():
        cells = [cell(entry.measures.figures.get(key) if entry.measures else None, row) for entry in entries]
        lines.append([row.title, *cells, cell(real.get(key), row)])
    return table(["", *(entry.label for entry in entries), "real digits"], lines)


def _halves(entry: Entry) -> str:
    assert entry.measures is not None
    figures = entry.measures.figures
    head = ["", "continuous half", "discrete half", "the mean of both"]
    lines = []
    for way in WAYS:
        for name, row in HALVES.items():
            parts = (f"{name}_continuous_half_{way}", f"{name}_discrete_half_{way}", f"{name}_{way}")
            lines.append([f"{row.title}, {way}", *(cell(figures[part], row) for part in parts)])
    return table(head, lines)


def _picked(entries: Sequence[Entry]) -> str:
    """Show which latent gives which digit and hue."""
    lines = []
    for entry in entries:
        if entry.measures:
            shown = (
                f"{name}: {value}, {100 * figure.value:.0f}%" for name, (value, figure) in entry.measures.picked.items()
            )
            lines.append(f"- {entry.label}: {'; '.join(shown)}")
    heading = (
        f"The single latent that gives each digit and each of {_list(list(HUES))} most surely, and how surely "
        f"(z: a coordinate, c: a categorical; chance is 10% for a digit; {PICKED:.0%} is asked for):"
    )
    return "\n".join([heading, "", *lines])


def _image(entry: Entry, picture: Picture) -> str:
    return f"![{entry.label}: {picture.title.lower()}]({entry.files[picture.name]})"


def _preset(entries: Sequence[Entry]) -> str:
    return " and ".join(dict.fromkeys(entry.spec.preset for entry in entries))


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
