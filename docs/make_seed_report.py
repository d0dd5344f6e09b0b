"""Judge the five conclusions of the student report that vaegen grew out of, and write docs/seed-report.md.

    python docs/make_seed_report.py runs/continuous-seed runs/discrete-seed runs/joint-seed \
        --reference continuous --reference discrete --reference joint --data-dir MNIST -o docs/seed-report.md

The page is that of `vaegen report` with a section more. The table CONCLUSIONS says what is claimed; whether it holds is
computed from images, uint8 (n, 28, 28, 3), and latents, the same way for every model. docs/evaluation.md explains the
figures.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from vaegen.errors import RequestError, VaegenError
from vaegen.spec import CHANNELS, DIGITS, KINDS, SIDE, Kind
from vaegen_cli.evaluate import as_bundle, is_run
from vaegen_training.evaluate import Figure, evaluation_judge, samples, statistics
from vaegen_training.evaluate.color_difference import color_error, lab, stroke_color
from vaegen_training.evaluate.samples import Images, Integers
from vaegen_training.evaluate.statistics import Counts
from vaegen_training.evaluate.table import Form, to_cell
from vaegen_training.gallery import information, latent_space, report
from vaegen_training.gallery.drawings import Subject
from vaegen_training.gallery.report import IMAGES, Entry, presets, table
from vaegen_training.models.vae import MlpVae
from vaegen_training.runs import run_folder

WAYS = {
    "sampled": "as the report looked, codes sampled and soft",
    "deterministic": "as the product decodes, means and one-hots",
}
WHITISH = 0.5  # of the real digits' saturation
PILED_UP = 0.25  # of the paint's variance in hue and chroma
PICKED = 0.8  # of images: four times out of five

HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")  # sixths of the hue circle
GRAY = len(HUES)
LEAST_SATURATION = 0.2  # below it a stroke is gray and has no hue
REQUESTS = 300  # digit and color pairs looked for among decoded latents
NEAR = 10.0  # CIEDE2000 within which a color counts as found: another shade, not another color
VALUES = 10  # of a continuous coordinate that are tried, evenly spaced quantiles of those it takes
# Images with one latent fixed: of every value, then of the CANDIDATES that did best, then of the best.
TRIALS, CANDIDATES, CHECKS, FRESH = 16, 8, 64, 200

BEST = "best"  # the model with the highest figure
HALF = "its discrete half alone"
PALE = f"{WHITISH:.0%} of real digits"
TEXT = (
    "Each conclusion is turned into tests on figures. A test holds where the 95% intervals of what it compares do not "
    "overlap and lie as claimed; a conclusion is confirmed when all its tests hold, partly when some do; where none "
    "does it is refuted, or undecided if all the intervals overlap. The report looked at its models with codes drawn "
    "from the posterior, soft at temperature 1; the product decodes means and one-hots. Verdicts are given for both. "
    "docs/evaluation.md of vaegen's repository says how each figure is taken."
)

Values = npt.NDArray[np.float64]
Hits = npt.NDArray[np.bool_]
Figures = Mapping[str, Figure]
"""By name; one that depends on the way through the model is there twice, with "_deterministic" and "_sampled"."""
Outcome = Literal["holds", "level", "fails"]
Verdict = Literal["confirmed", "partly confirmed", "undecided", "refuted"]


class Claim(NamedTuple):
    """That a figure of one model lies below or above others."""

    words: str
    figure: str
    """A name in `measure`, with "{way}" where the figure depends on the way through the model."""
    model: str
    """A kind, or BEST."""
    relation: Literal["below", "above"]
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
"""The claims of each conclusion, by its title in the report."""


class Finding(NamedTuple):
    """A claim and what the figures say of it."""

    claim: Claim
    figures: Figures
    """Those compared, by model; the first is the one that the claim is about."""
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


def judge(found: Mapping[Kind, Figures], real: Figure) -> list[Judgement]:
    """Judge all five conclusions on the figures of one model of each kind, and the saturation of real digits."""
    half = {name.replace("_discrete_half", ""): figure for name, figure in found["joint"].items() if "half" in name}
    pale = Figure(WHITISH * real.value, WHITISH * real.low, WHITISH * real.high, real.n)
    sources: dict[str, Figures] = {kind: found[kind] for kind in KINDS}
    sources |= {HALF: half, PALE: {f"saturation_{way}": pale for way in WAYS}}
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
            below = [figures[model].high < rival.low for rival in rivals]
            above = [figures[model].low > rival.high for rival in rivals]
            right, wrong = (below, above) if claim.relation == "below" else (above, below)
            outcome: Outcome = "holds" if all(right) else "fails" if any(wrong) else "level"
            yield Finding(claim, {model: figures[model], **shown}, outcome)


class Conclusions:
    """The section of the page that judges the conclusions, on the models under report and on those beside them."""

    def __init__(self, runs: Sequence[Path | None], seed: int) -> None:
        self._runs = iter(runs)  # of each model in the order of the page, None for a bundle
        self._seed = seed
        self.figures: dict[str, Figures] = {}
        """By the label of the model."""
        self.judged: list[list[Judgement]] = []
        """Of the models under report, then of those beside them, where there is one of each kind."""

    def look(self, subject: Subject, entry: Entry) -> None:
        """Measure one model."""
        figures = measure(subject, entry, self._seed)
        self.figures[entry.label] = figures | discrete_half(subject, next(self._runs), self._seed)
        self._real = statistics.mean(saturation(subject.real.images), self._seed)

    def text(self, models: Sequence[Entry], references: Sequence[Entry]) -> str:
        """Return the Markdown; raise RequestError if the models under report are not one of each kind."""
        names = []
        for group in (models, references):
            found = {entry.spec.kind: self.figures[entry.label] for entry in group}
            if len(group) == len(found) == len(KINDS):
                names.append(presets(group))
                self.judged.append(judge(found, self._real))
            elif group is models:
                raise RequestError(f"the conclusions need one model of each kind: {', '.join(KINDS)}")
        lines, parts = [], []
        for number, (first, *others) in enumerate(zip(*self.judged, strict=True), 1):
            title = f"{number}. {first.title}"
            verdicts = [f"**{first.verdict(way)}**" for way in WAYS]
            lines.append([title, *verdicts, *(other.verdict(way) for other in others for way in WAYS)])
            parts.append(f"### {title}")
            for way, words in WAYS.items():
                parts.append(_listed(f"**{first.verdict(way).capitalize()}** {words}:", first.findings[way]))
            for other in others:
                heading = "The same tests on the models beside it, as the product decodes:"
                parts.append(_listed(heading, other.findings["deterministic"]))
        overview = table(["conclusion", *(f"{name}, {way}" for name in names for way in WAYS)], lines)
        return "\n\n".join(["## The five conclusions of the student report", TEXT, overview, *parts])


def _listed(heading: str, findings: Sequence[Finding]) -> str:
    lines = [heading, ""]
    for claim, figures, outcome in findings:
        shown = "; ".join(f"{name} {to_cell(figure, Form(claim.decimals))}" for name, figure in figures.items())
        lines.append(f"- {claim.words}: **{outcome}** ({shown})")
    return "\n".join(lines)


def measure(subject: Subject, entry: Entry, seed: int) -> dict[str, Figure]:
    """Measure one model, of which `entry` has the figures so far; the seed is of all choices and of the resampling."""
    # The model's own prior: N(0, I) and uniform categoricals.
    random = np.random.default_rng([seed, 4])
    n, (variables, k) = len(subject.latents), subject.spec.categorical
    coordinates = random.standard_normal((n, subject.spec.continuous)).astype(np.float32)
    classes = random.integers(0, max(k, 1), (n, variables))
    from_prior = subject.model.decode(latent_space.join(coordinates, classes, subject.spec))
    picked = pick(subject, seed)
    figures = {
        "excess_bce_deterministic": entry.information["excess_bce"],
        "excess_bce_sampled": entry.information["excess_bce_sampled"],
        "spread_prior": color_spread(from_prior, seed),
        "picked_digit": statistics.share(picked[:DIGITS].ravel()),
        "picked_hue": statistics.share(picked[DIGITS:].ravel()),
    }
    colors = subject.real.colors
    for way, images in (("deterministic", subject.rebuilt.images), ("sampled", subject.sampled.images)):
        figures |= {
            f"color_error_{way}": statistics.quantile(color_error(stroke_color(images), colors), 0.5, seed),
            f"saturation_{way}": statistics.mean(saturation(images), seed),
            f"color_kept_{way}": color_kept(images, colors, seed),
            f"spread_{way}": color_spread(images, seed),
            f"requests_met_{way}": requests_met(images, seed),
        }
    return figures


def saturation(images: Images) -> Values:
    """Return the HSV saturation (n,) of stroke colors, (max - min) / max: 0 for grays, 2/3 on average for paint."""
    rgb = stroke_color(images)
    found: Values = (rgb.max(1) - rgb.min(1)) / np.maximum(rgb.max(1), 1)
    return found


def color_kept(images: Images, colors: npt.NDArray[np.uint8], seed: int) -> Figure:
    """Return the share of the paint's variance in hue and chroma that the strokes of images keep: R^2 over a* and b*.

    1 - sum |found - paint|^2 / sum |paint - mean paint|^2 in the a*b* plane of CIE L*a*b*. 1 is every hue in full, 0
    is the same color for all, below 0 is worse than that.
    """
    paint, found = lab(colors)[:, 1:], lab(stroke_color(images))[:, 1:]
    lost = ((found - paint) ** 2).sum(1)
    n = len(paint)
    return statistics.bootstrap(lambda counts: 1 - counts @ lost / n / _variance(paint, counts), n, seed)


def color_spread(images: Images, seed: int) -> Figure:
    """Return the root mean square distance of stroke colors from their mean in CIE L*a*b*."""
    found = lab(stroke_color(images))
    return statistics.bootstrap(lambda counts: np.sqrt(np.maximum(_variance(found, counts), 0)), len(found), seed)


def _variance(points: Values, counts: Counts) -> Values:
    """Return the total variance (b,) of points (n, D), each as often as a row of `counts` (b, n) says."""
    n = len(points)
    total: Values = counts @ (points**2).sum(1) / n - ((counts @ points / n) ** 2).sum(1)
    return total


def hue_class(images: Images) -> Integers:
    """Return the place in HUES of each stroke's hue, int64 (n,); GRAY below LEAST_SATURATION."""
    red, green, blue = stroke_color(images).T
    # The angle of a color around the gray axis; red is 0, green a third of a turn.
    turn = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * np.pi)
    sixth = np.floor(turn * len(HUES) + 0.5).astype(np.int64) % len(HUES)
    return np.where(saturation(images) < LEAST_SATURATION, GRAY, sixth)


def requests_met(images: Images, seed: int) -> Figure:
    """Return the share of requests, a random digit in a random color, that at least one of some images answers.

    The images are those that the latents of real digits decode to, so this is whether there is a place in the latent
    space where digit and color are as wanted.
    """
    seen = evaluation_judge.load()[0].read(images)[0]
    digits = np.arange(REQUESTS) % DIGITS
    colors = samples.random_colors(REQUESTS, np.random.default_rng([seed, 2]))
    errors = color_error(stroke_color(images)[None], colors[:, None])  # (REQUESTS, n)
    return statistics.share(((errors <= NEAR) & (seen == digits[:, None])).any(1))


def pick(subject: Subject, seed: int) -> Hits:
    """Return which images show what a single latent was to give: each of the ten digits, then of HUES, (16, FRESH).

    A latent is fixed (a coordinate at VALUES of its values, a categorical at each of its classes), all others are
    those of a random real digit, and the image says what came out. Each value gets TRIALS images, the CANDIDATES best
    get CHECKS new ones, and the best of these is measured on FRESH others, so that the choice does not flatter it.
    """
    random = np.random.default_rng([seed, 3])
    # Every value that a single latent is given: its columns of the latent row, and what they hold.
    z, (n, k) = subject.spec.continuous, subject.spec.categorical
    quantiles = np.quantile(subject.latents[:, :z], (np.arange(VALUES) + 0.5) / VALUES, axis=0).astype(np.float32)
    values = [(slice(at, at + 1), quantiles[row, [at]]) for at in range(z) for row in range(VALUES)]
    for at in range(z, z + n * k, max(k, 1)):
        values += [(slice(at, at + k), one_hot) for one_hot in np.eye(k, dtype=np.float32)]
    reader, _ = evaluation_judge.load()

    def shown(chosen: Integers, count: int) -> Hits:
        """Return which digits and hues `count` images for each of m values show, (m, count, 16)."""
        rows = subject.latents[random.integers(0, len(subject.latents), (len(chosen), count))]  # (m, count, L)
        for row, index in enumerate(chosen):
            columns, content = values[index]
            rows[row, :, columns] = content
        images = subject.model.decode(rows.reshape(-1, rows.shape[2]))
        digits = reader.read(images)[0][:, None] == np.arange(DIGITS)
        hues = hue_class(images)[:, None] == np.arange(len(HUES))
        return np.concatenate([digits, hues], axis=1).reshape(len(chosen), count, -1)

    tried = shown(np.arange(len(values)), TRIALS).mean(1)
    hits = []
    for column in range(DIGITS + len(HUES)):
        candidates = np.argsort(-tried[:, column], kind="stable")[:CANDIDATES]
        best = candidates[shown(candidates, CHECKS)[..., column].mean(1).argmax()]
        hits.append(shown(best[None], FRESH)[0, :, column])
    return np.stack(hits)


def discrete_half(subject: Subject, run: Path | None, seed: int) -> dict[str, Figure]:
    """Measure the discrete decoder of a seed joint model by itself; empty for any other model.

    Bundles hold the mean of the two decoders' images; only the run has them apart.
    """
    vae = run_folder.load_run(run).vae if run else None
    if not isinstance(vae, MlpVae) or vae.spec.kind != "joint":
        return {}
    figures = {}
    for way, latents in (("deterministic", subject.latents), ("sampled", subject.drawn)):
        with torch.no_grad():
            _, half = vae.images(torch.from_numpy(latents))
        unrounded = half.reshape(-1, CHANNELS, SIDE, SIDE).permute(0, 2, 3, 1).numpy()
        excess = information.excess_bce(unrounded, subject.real.images)
        images = np.rint(unrounded * 255).astype(np.uint8)
        errors = color_error(stroke_color(images), subject.real.colors)
        figures[f"excess_bce_discrete_half_{way}"] = statistics.mean(excess, seed)
        figures[f"color_error_discrete_half_{way}"] = statistics.quantile(errors, 0.5, seed)
    return figures


def main(arguments: Sequence[str]) -> Conclusions:
    """Write the page, and return the section of the conclusions with the figures behind it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", help="a run, bundle or shipped model of each kind")
    parser.add_argument("--reference", action="append", default=[], help="one to show beside them; repeatable")
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's four idx files; default: download")
    parser.add_argument("--no-verify", action="store_true", help="take other digits in MNIST's format")
    parser.add_argument("--n", type=int, default=IMAGES, help="images of each kind to measure; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of everything random; default: %(default)s")
    parser.add_argument("--force", action="store_true", help="replace a report that is there")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="the page; its pictures go to a folder of its name"
    )
    given = parser.parse_args(arguments)
    names = [*given.models, *given.reference]
    section = Conclusions([Path(name) if is_run(name) else None for name in names], given.seed)
    with ExitStack() as stack:
        bundles = [stack.enter_context(as_bundle(name)) for name in names]
        try:
            report(
                bundles[: len(given.models)],
                given.out,
                references=bundles[len(given.models) :],
                section=section,
                command=shlex.join(["python", "docs/make_seed_report.py", *arguments]),
                data_dir=given.data_dir,
                n=given.n,
                seed=given.seed,
                verify_data=not given.no_verify,
                force=given.force,
            )
        except VaegenError as error:
            parser.error(str(error))
    return section


if __name__ == "__main__":
    main(sys.argv[1:])
