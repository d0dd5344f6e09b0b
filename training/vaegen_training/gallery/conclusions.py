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


class Conclusion(NamedTuple):
    """One of the five."""

    title: str
    """As the report has it."""
    criterion: str
    """How it is judged here."""
    claims: Sequence[Claim]


CONCLUSIONS = (
    Conclusion(
        title="The discrete model captures color best",
        criterion="Color of reconstructed test digits: CIEDE2000 from the paint, saturation, and the share of the "
        "paint's variance in hue and chroma that comes back.",
        claims=(
            Claim("smallest color error, CIEDE2000", "color_error_{way}", "discrete", "below", KINDS),
            Claim("highest saturation", "saturation_{way}", "discrete", "above", KINDS),
            Claim("most of hue and chroma kept", "color_kept_{way}", "discrete", "above", KINDS),
        ),
    ),
    Conclusion(
        title="The continuous model turns whitish, because all colors pile up in one place",
        criterion=f"Whitish: reconstructed strokes have less than {WHITISH:.0%} of the real saturation, and less than "
        f"those of the other two. Piled up: less than {PILED_UP:.0%} of the paint's variance in hue and chroma comes "
        "back.",
        claims=(
            Claim("saturation below the limit", "saturation_{way}", "continuous", "below", (PALE,)),
            Claim("lowest saturation of the three", "saturation_{way}", "continuous", "below", KINDS),
            Claim("less than 25% of hue and chroma kept", "color_kept_{way}", "continuous", "below", PILED_UP),
        ),
    ),
    Conclusion(
        title="In the joint model the continuous part hinders the discrete part",
        criterion="The joint model's image, the mean of its two decoders', against the discrete decoder's alone (where "
        "the run is at hand) and against the discrete model's, in color error and in excess BCE.",
        claims=(
            Claim("larger color error, CIEDE2000", "color_error_{way}", "joint", "above", (HALF,), 1),
            Claim("larger color error, CIEDE2000", "color_error_{way}", "joint", "above", ("discrete",), 1),
            Claim("larger excess BCE, nats", "excess_bce_{way}", "joint", "above", (HALF,), 1),
            Claim("larger excess BCE, nats", "excess_bce_{way}", "joint", "above", ("discrete",), 1),
        ),
    ),
    Conclusion(
        title="The joint model's latent space shows the most color variation",
        criterion="Root mean square distance of decoded stroke colors from their mean in CIE L\\*a\\*b\\*: of latents "
        "from the model's own prior, N(0, I) and uniform codes, and of the latents of test digits.",
        claims=(
            Claim("widest spread of colors from its prior", "spread_prior", "joint", "above", KINDS, 1),
            Claim("widest spread of colors from test digits", "spread_{way}", "joint", "above", KINDS, 1),
        ),
    ),
    Conclusion(
        title="A color and a digit can be chosen by picking a specific coordinate in the latent space",
        criterion=f"Of the three models the best counts, and has to succeed {PICKED:.0%} of the time. By one latent: "
        "the value of a single coordinate or categorical that gives a digit (or a sixth of the hue circle) most "
        "surely, all other latents those of random test digits; mean over the ten digits (six hues). By a whole "
        "latent: is there, among the latents of the test digits, one that decodes to a wanted digit within 10 "
        "CIEDE2000 of a wanted color?",
        claims=(
            Claim("a digit by one latent, 80% of the time", "picked_digit", BEST, "above", PICKED),
            Claim("a hue by one latent, 80% of the time", "picked_hue", BEST, "above", PICKED),
            Claim("digit and color by a whole latent, 80% of the time", "requests_met_{way}", BEST, "above", PICKED),
        ),
    ),
)


class Finding(NamedTuple):
    """A claim and what the figures say of it."""

    claim: Claim
    figures: Figures
    """Those compared, by name; the first is the one that the claim is about."""
    outcome: Outcome
    """"level" where the intervals overlap; such a claim does not hold."""


class Judgement(NamedTuple):
    """A conclusion and what the figures say of it."""

    conclusion: Conclusion
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
        Judgement(conclusion, {way: list(_findings(conclusion, sources, way)) for way in WAYS})
        for conclusion in CONCLUSIONS
    ]


def _findings(conclusion: Conclusion, sources: Mapping[str, Figures], way: str) -> Iterator[Finding]:
    for claim in conclusion.claims:
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
