"""The student report's five conclusions: for each its claims about figures, and the verdict that follows from them.

The tables below say what is claimed; whether it holds is computed. A claim holds where the 95% intervals of the
figures it compares do not overlap and lie as claimed; a conclusion is confirmed when all its claims hold, partly
confirmed when some do; where none does it is refuted, or undecided if all intervals overlap.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from vaegen.spec import KINDS

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


CONCLUSIONS: Mapping[str, tuple[str, Sequence[Claim]]] = {
    "The discrete model captures color best": (
        "Color of reconstructed test digits: CIEDE2000 from the paint, saturation, and the share of the paint's "
        "variance in hue and chroma that comes back.",
        (
            Claim("smallest color error, CIEDE2000", "color_error_{way}", "discrete", "below", KINDS),
            Claim("highest saturation", "saturation_{way}", "discrete", "above", KINDS),
            Claim("most of hue and chroma kept", "color_kept_{way}", "discrete", "above", KINDS),
        ),
    ),
    "The continuous model turns whitish, because all colors pile up in one place": (
        f"Whitish: reconstructed strokes have less than {WHITISH:.0%} of the real saturation, and less than those of "
        f"the other two. Piled up: less than {PILED_UP:.0%} of the paint's variance in hue and chroma comes back.",
        (
            Claim("saturation below the limit", "saturation_{way}", "continuous", "below", (PALE,)),
            Claim("lowest saturation of the three", "saturation_{way}", "continuous", "below", KINDS),
            Claim(
                f"less than {PILED_UP:.0%} of hue and chroma kept", "color_kept_{way}", "continuous", "below", PILED_UP
            ),
        ),
    ),
    "In the joint model the continuous part hinders the discrete part": (
        "The joint model's image, the mean of its two decoders', against the discrete decoder's alone (where the run "
        "is at hand) and against the discrete model's, in color error and in excess BCE.",
        (
            Claim("larger color error, CIEDE2000", "color_error_{way}", "joint", "above", (HALF,), 1),
            Claim("larger color error, CIEDE2000", "color_error_{way}", "joint", "above", ("discrete",), 1),
            Claim("larger excess BCE, nats", "excess_bce_{way}", "joint", "above", (HALF,), 1),
            Claim("larger excess BCE, nats", "excess_bce_{way}", "joint", "above", ("discrete",), 1),
        ),
    ),
    "The joint model's latent space shows the most color variation": (
        "Root mean square distance of decoded stroke colors from their mean in CIE L\\*a\\*b\\*: of latents from the "
        "model's own prior, N(0, I) and uniform codes, and of the latents of test digits.",
        (
            Claim("widest spread of colors from its prior", "spread_prior", "joint", "above", KINDS, 1),
            Claim("widest spread of colors from test digits", "spread_{way}", "joint", "above", KINDS, 1),
        ),
    ),
    "A color and a digit can be chosen by picking a specific coordinate in the latent space": (
        f"Of the three models the best counts, and has to succeed {PICKED:.0%} of the time. By one latent: the value "
        "of a single coordinate or categorical that gives a digit (or a sixth of the hue circle) most surely, all "
        "other latents those of random test digits; mean over the ten digits (six hues). By a whole latent: is there, "
        "among the latents of the test digits, one that decodes to a wanted digit within 10 CIEDE2000 of a wanted "
        "color?",
        (
            Claim(f"a digit by one latent, {PICKED:.0%} of the time", "picked_digit", BEST, "above", PICKED),
            Claim(f"a hue by one latent, {PICKED:.0%} of the time", "picked_hue", BEST, "above", PICKED),
            Claim(
                f"digit and color by a whole latent, {PICKED:.0%} of the time",
                "requests_met_{way}",
                BEST,
                "above",
                PICKED,
            ),
        ),
    ),
}
"""By title, as the report has it: how the conclusion is judged here, and its claims."""


class Test(NamedTuple):
    """A claim, tested."""

    __test__ = False  # not pytest's

    claim: Claim
    figures: Figures
    """What is compared, by name; the first is what the claim is about."""
    outcome: Outcome
    """"level" where the intervals overlap; such a claim does not hold."""


class Conclusion(NamedTuple):
    """One of the five, judged."""

    title: str
    criterion: str
    tests: Mapping[str, Sequence[Test]]
    """By way through the model, those of WAYS; what does not depend on it is in both."""

    def verdict(self, way: str) -> Verdict:
        """Return what the tests of one way come to."""
        outcomes = [test.outcome for test in self.tests[way]]
        if "holds" in outcomes:
            return "confirmed" if set(outcomes) == {"holds"} else "partly confirmed"
        return "refuted" if "fails" in outcomes else "undecided"


def conclusions(found: Mapping[str, Figures], saturation: Figure) -> list[Conclusion]:
    """Judge all five.

    Args:
        found: Figures of one model of each kind.
        saturation: That of real digits.
    """
    half = {name.replace("_discrete_half", ""): figure for name, figure in found["joint"].items() if "half" in name}
    limit = Figure(*(WHITISH * end for end in (saturation.value, saturation.low, saturation.high)), saturation.n)
    pale = {f"saturation_{way}": limit for way in WAYS}
    sources: dict[str, Figures] = {kind: found[kind] for kind in KINDS} | {HALF: half, PALE: pale}
    return [
        Conclusion(title, criterion, {way: _tests(claims, sources, way) for way in WAYS})
        for title, (criterion, claims) in CONCLUSIONS.items()
    ]


def _tests(claims: Sequence[Claim], sources: Mapping[str, Figures], way: str) -> list[Test]:
    tests = []
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
            compared = {model: figures[model]} | shown
            tests.append(Test(claim, compared, _outcome(figures[model], claim.relation, rivals)))
    return tests


def _outcome(figure: Figure, relation: Relation, others: Sequence[Figure]) -> Outcome:
    """Return whether a figure lies below (or above) all others; it fails where it clearly lies beyond one of them."""
    below = [figure.high < other.low for other in others]
    above = [figure.low > other.high for other in others]
    right, wrong = (below, above) if relation == "below" else (above, below)
    return "holds" if all(right) else "fails" if any(wrong) else "level"
