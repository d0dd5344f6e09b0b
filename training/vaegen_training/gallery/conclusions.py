"""The student report's five conclusions, each as tests on figures, and the verdict that follows from them.

The words below say what is claimed and by which test it is judged; whether it holds is computed. A test holds where
the 95% intervals of the figures it compares do not overlap and lie as claimed; a conclusion is confirmed when all its
tests hold, partly confirmed when some do; where none does it is refuted, or undecided if all intervals overlap.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vaegen.spec import Kind

from vaegen_training.evaluate.statistics import Figure
from vaegen_training.report.measures import WAYS, Figures

WHITISH = 0.5  # of the real digits' saturation
PILED_UP = 0.25  # of the paint's variance in hue and chroma
PICKED = 0.8  # of images: four times out of five

Outcome = Literal["holds", "level", "fails"]
Verdict = Literal["confirmed", "partly confirmed", "undecided", "refuted"]


@dataclass(frozen=True)
class Test:
    """One comparison."""

    __test__ = False  # not pytest's

    claim: str
    """What is claimed, in words that stand before the figures."""
    figures: Mapping[str, Figure]
    """What is compared, by name; the first is what the claim is about."""
    outcome: Outcome
    """"level" where the intervals overlap; such a test does not hold."""
    decimals: int = 2


@dataclass(frozen=True)
class Conclusion:
    """One of the five."""

    title: str
    """As the report has it."""
    measure: str
    """How it is judged here."""
    tests: Mapping[str, Sequence[Test]]
    """By way through the model, "deterministic" or "sampled"; what does not depend on it is in both."""

    def verdict(self, way: str) -> Verdict:
        """Sum the tests of one way up."""
        outcomes = [test.outcome for test in self.tests[way]]
        if "holds" in outcomes:
            return "confirmed" if set(outcomes) == {"holds"} else "partly confirmed"
        return "refuted" if "fails" in outcomes else "undecided"


def conclusions(found: Mapping[Kind, Figures], real: Figures) -> list[Conclusion]:
    """Judge all five.

    Args:
        found: Figures of one model of each kind.
        real: Figures of real digits.
    """
    continuous, discrete, joint = (found[kind] for kind in ("continuous", "discrete", "joint"))
    return [
        Conclusion(
            "The discrete model captures color best",
            "Color of reconstructed test digits: CIEDE2000 from the paint, saturation, and the share of the paint's "
            "variance in hue and chroma that comes back.",
            _each(lambda way: list(_discrete_is_best(found, way))),
        ),
        Conclusion(
            "The continuous model turns whitish, because all colors pile up in one place",
            f"Whitish: reconstructed strokes have less than {WHITISH:.0%} of the real saturation, and less than those "
            f"of the other two. Piled up: less than {PILED_UP:.0%} of the paint's variance in hue and chroma comes "
            "back.",
            _each(lambda way: list(_continuous_is_whitish(found, real, way))),
        ),
        Conclusion(
            "In the joint model the continuous part hinders the discrete part",
            "The joint model's image, the mean of its two decoders', against the discrete decoder's alone (where the "
            "run is at hand) and against the discrete model's, in color error and in excess BCE.",
            _each(lambda way: list(_joint_is_hindered(discrete, joint, way))),
        ),
        Conclusion(
            "The joint model's latent space shows the most color variation",
            "Root mean square distance of decoded stroke colors from their mean in CIE L\\*a\\*b\\*: of latents from "
            "the model's own prior, N(0, I) and uniform codes, and of the latents of test digits.",
            _each(lambda way: list(_joint_varies_most(continuous, discrete, joint, way))),
        ),
        Conclusion(
            "A color and a digit can be chosen by picking a specific coordinate in the latent space",
            f"Of the three models the best counts, and has to succeed {PICKED:.0%} of the time. By one latent: the "
            "value of a single coordinate or categorical that gives a digit (or a sixth of the hue circle) most "
            "surely, all other latents those of random test digits; mean over the ten digits (six hues). By a whole "
            "latent: is there, among the latents of the test digits, one that decodes to a wanted digit within 10 "
            "CIEDE2000 of a wanted color?",
            _each(lambda way: list(_can_be_picked(found, way))),
        ),
    ]


def _each(tests: Callable[[str], list[Test]]) -> dict[str, list[Test]]:
    return {way: tests(way) for way in WAYS}


def _discrete_is_best(found: Mapping[Kind, Figures], way: str) -> Iterator[Test]:
    yield _least("smallest color error, CIEDE2000", found, "discrete", f"color_error_{way}")
    yield _most("highest saturation", found, "discrete", f"saturation_{way}")
    yield _most("most of hue and chroma kept", found, "discrete", f"color_kept_{way}")


def _continuous_is_whitish(found: Mapping[Kind, Figures], real: Figures, way: str) -> Iterator[Test]:
    mine, paint = found["continuous"][f"saturation_{way}"], real[f"saturation_{way}"]
    limit = Figure(WHITISH * paint.value, WHITISH * paint.low, WHITISH * paint.high, paint.n)
    name = f"{WHITISH:.0%} of real digits"
    yield Test("saturation below the limit", {"continuous": mine, name: limit}, _compare(mine, [limit]))
    yield _least("lowest saturation of the three", found, "continuous", f"saturation_{way}")
    kept = found["continuous"][f"color_kept_{way}"]
    yield Test(
        f"less than {PILED_UP:.0%} of hue and chroma kept", {"continuous": kept}, _compare(kept, [_exactly(PILED_UP)])
    )


def _joint_is_hindered(discrete: Figures, joint: Figures, way: str) -> Iterator[Test]:
    for name, title in (("color_error", "color error, CIEDE2000"), ("excess_bce", "excess BCE, nats")):
        mine = joint[f"{name}_{way}"]
        rivals = {
            "its discrete half alone": joint.get(f"{name}_discrete_half_{way}"),
            "discrete": discrete[f"{name}_{way}"],
        }
        for rival, figure in rivals.items():
            if figure is not None:
                yield Test(f"larger {title}", {"joint": mine, rival: figure}, _compare(figure, [mine]), 1)


def _joint_varies_most(continuous: Figures, discrete: Figures, joint: Figures, way: str) -> Iterator[Test]:
    found: dict[Kind, Figures] = {"joint": joint, "continuous": continuous, "discrete": discrete}
    yield _most("widest spread of colors from its prior", found, "joint", "spread_prior", 1)
    yield _most("widest spread of colors from test digits", found, "joint", f"spread_{way}", 1)


def _can_be_picked(found: Mapping[Kind, Figures], way: str) -> Iterator[Test]:
    for name, title in (
        ("picked_digit", "a digit by one latent"),
        ("picked_hue", "a hue by one latent"),
        (f"requests_met_{way}", "digit and color by a whole latent"),
    ):
        figures: dict[str, Figure] = {kind: figures[name] for kind, figures in found.items()}
        best = max(figures, key=lambda kind: figures[kind].value)
        ordered = {best: figures[best]} | figures
        yield Test(f"{title}, {PICKED:.0%} of the time", ordered, _compare(_exactly(PICKED), [figures[best]]))


def _least(claim: str, found: Mapping[Kind, Figures], kind: Kind, name: str, decimals: int = 2) -> Test:
    mine = found[kind][name]
    others: dict[str, Figure] = {other: figures[name] for other, figures in found.items() if other != kind}
    return Test(claim, {str(kind): mine} | others, _compare(mine, list(others.values())), decimals)


def _most(claim: str, found: Mapping[Kind, Figures], kind: Kind, name: str, decimals: int = 2) -> Test:
    mine = found[kind][name]
    others: dict[str, Figure] = {other: figures[name] for other, figures in found.items() if other != kind}
    outcomes = {_compare(other, [mine]) for other in others.values()}
    outcome: Outcome = "fails" if "fails" in outcomes else "level" if "level" in outcomes else "holds"
    return Test(claim, {str(kind): mine} | others, outcome, decimals)


def _compare(small: Figure, others: Sequence[Figure]) -> Outcome:
    """Tell whether a figure is below all others: "fails" where one is clearly below it."""
    if all(small.high < other.low for other in others):
        return "holds"
    return "fails" if any(other.high < small.low for other in others) else "level"


def _exactly(value: float) -> Figure:
    return Figure(value, value, value, 0)
