"""The student report's five conclusions: for each its claims about figures, and the verdict that follows from them.

The tables below say what is claimed; whether it holds is computed. A claim holds where the 95% intervals of the
figures it compares do not overlap and lie as claimed; a conclusion is confirmed when all its claims hold, partly
confirmed when some do; where none does it is refuted, or undecided if all intervals overlap.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from vaegen.spec import KINDS, Kind

from vaegen_training.evaluate.statistics import Figure
from vaegen_training.gallery.conclusion_figures import Figures

WAYS = {
    "sampled": "as the report looked, codes sampled and soft",
    "deterministic": "as the product decodes, means and one-hots",
}
WHITISH = 0.5  # of the real digits' saturation
PILED_UP = 0.25  # of the paint's variance in hue and chroma
PICKED = 0.8  # of images: four times out of five

BEST = "best"  # the model with the highest figure
HALF = "its discrete half alone"
PALE = f"{WHITISH:.0%} of real digits"

Relation = Literal["below", "above"]
Outcome = Literal["holds", "level", "fails"]
Verdict = Literal["confirmed", "partly confirmed", "undecided", "refuted"]


class Claim(NamedTuple):
    """That a figure of one model lies below or above others."""

    words: str
    figure: str
    """A name in `conclusion_figures`, with "{way}" where the figure depends on the way through the model."""
    model: str
    """A kind, or BEST."""
    relation: Relation
    others: tuple[str, ...] | float
    """Whose figure it is compared with, those that have one; or a limit."""
    decimals: int = 2


CONCLUSIONS: Mapping[str, Sequence[Claim]] = {
    "The discrete model captures color best": (
        Claim("smallest color error, CIEDE2000", "color_error_{way}", "discrete", "below", KINDS),
        Claim("highest saturation", "saturation_{way}", "discrete", "above", KINDS),
        Claim("most of hue and chroma kept", "color_kept_{way}", "discrete", "above", KINDS),
    ),
    "The continuous model turns whitish, because all colors pile up in one place": (
        Claim("saturation below the limit", "saturation_{way}", "continuous", "below", (PALE,)),
        Claim("lowest saturation of the three", "saturation_{way}", "continuous", "below", KINDS),
        Claim("less than 25% of hue and chroma kept", "color_kept_{way}", "continuous", "below", PILED_UP),
    ),
    "In the joint model the continuous part hinders the discrete part": (
        Claim("larger color error, CIEDE2000", "color_error_{way}", "joint", "above", (HALF,), 1),
        Claim("larger color error, CIEDE2000", "color_error_{way}", "joint", "above", ("discrete",), 1),
        Claim("larger excess BCE, nats", "excess_bce_{way}", "joint", "above", (HALF,), 1),
        Claim("larger excess BCE, nats", "excess_bce_{way}", "joint", "above", ("discrete",), 1),
    ),
    "The joint model's latent space shows the most color variation": (
        Claim("widest spread of colors from its prior", "spread_prior", "joint", "above", KINDS, 1),
        Claim("widest spread of colors from test digits", "spread_{way}", "joint", "above", KINDS, 1),
    ),
    "A color and a digit can be chosen by picking a specific coordinate in the latent space": (
        Claim("a digit by one latent, 80% of the time", "picked_digit", BEST, "above", PICKED),
        Claim("a hue by one latent, 80% of the time", "picked_hue", BEST, "above", PICKED),
        Claim("digit and color by a whole latent, 80% of the time", "requests_met_{way}", BEST, "above", PICKED),
    ),
}
"""The claims of each conclusion, by its title in the report; docs/report.md explains them."""


class Finding(NamedTuple):
    """A claim and what the figures say of it."""

    claim: Claim
    figures: Figures
    """Those compared, by name; the first is the one that the claim is about."""
    outcome: Outcome
    """"level" where the intervals overlap; such a claim does not hold."""


class Judgement(NamedTuple):
    """A conclusion and what the figures say of it."""

    title: str
    findings: Mapping[str, Sequence[Finding]]
    """By way through the model, those of WAYS; a figure that does not depend on the way is in both."""

    def verdict(self, way: str) -> Verdict:
        """Return what the findings of one way come to."""
        outcomes = [finding.outcome for finding in self.findings[way]]
        if "holds" in outcomes:
            return "confirmed" if set(outcomes) == {"holds"} else "partly confirmed"
        return "refuted" if "fails" in outcomes else "undecided"


def judge(found: Mapping[Kind, Figures], saturation: Figure) -> list[Judgement]:
    """Judge all five conclusions.

    Args:
        found: Figures of one model of each kind.
        saturation: That of real digits.
    """
    half = {name.replace("_discrete_half", ""): figure for name, figure in found["joint"].items() if "half" in name}
    value, low, high = (WHITISH * end for end in (saturation.value, saturation.low, saturation.high))
    pale = {f"saturation_{way}": Figure(value, low, high, saturation.n) for way in WAYS}
    sources: dict[str, Figures] = {**{kind: found[kind] for kind in KINDS}, HALF: half, PALE: pale}
    return [
        Judgement(title, {way: list(_findings(claims, sources, way)) for way in WAYS})
        for title, claims in CONCLUSIONS.items()
    ]


def _findings(claims: Sequence[Claim], sources: Mapping[str, Figures], way: str) -> Iterator[Finding]:
    for claim in claims:
        name = claim.figure.format(way=way)
        figures = {source: figures[name] for source, figures in sources.items() if name in figures}
        model = max(KINDS, key=lambda kind: figures[kind].value) if claim.model == BEST else claim.model
        if isinstance(claim.others, tuple):
            shown = {other: figures[other] for other in claim.others if other in figures and other != model}
            rivals = list(shown.values())
        else:
            shown = {kind: figures[kind] for kind in KINDS if claim.model == BEST}
            rivals = [Figure(claim.others, claim.others, claim.others, 0)]
        if rivals:
            yield Finding(claim, {model: figures[model], **shown}, _outcome(figures[model], claim.relation, rivals))


def _outcome(figure: Figure, relation: Relation, others: Sequence[Figure]) -> Outcome:
    """Return whether a figure lies below (or above) all others; it fails where it clearly lies beyond one of them."""
    below = [figure.high < other.low for other in others]
    above = [figure.low > other.high for other in others]
    right, wrong = (below, above) if relation == "below" else (above, below)
    return "holds" if all(right) else "fails" if any(wrong) else "level"
