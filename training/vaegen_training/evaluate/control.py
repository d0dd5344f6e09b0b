"""Whether a model does as it is told: by one latent for the digit or the hue, by the slant and thickness asked for."""

import numpy as np
import numpy.typing as npt
import torch
import vaegen
from vaegen.request import SLANTS, THICKNESSES
from vaegen.spec import DIGITS

from vaegen_training.data.style import measure_style
from vaegen_training.evaluate import statistics
from vaegen_training.evaluate.color_difference import stroke_color
from vaegen_training.evaluate.evaluation_judge import EvaluationJudge, normalised
from vaegen_training.evaluate.samples import Images, Integers, Painted
from vaegen_training.evaluate.statistics import Figure
from vaegen_training.models.color_code import to_hsv

NEAR = 15.0  # degrees of the hue circle

Floats = npt.NDArray[np.float32]


def by_one_latent(model: vaegen.Model, judge: EvaluationJudge, test: Painted, seed: int) -> dict[str, Figure]:
    """Return how often a latent that is named so decides the digit and the hue, whatever the others are.

    Each image is decoded from the latent of a test digit in which one coordinate or categorical has another value,
    drawn at random. A hue is right within NEAR degrees: of the coordinate, or of the sector of the circle that a class
    of the categorical "hue 0" stands for, red in the middle of the first one.

    Args:
        model: The model.
        judge: Reads the digits.
        test: Whose latents are changed.
        seed: Of the values.

    Returns:
        Shares by "digit" and "hue"; those that the model has a latent for.
    """
    random = np.random.default_rng([seed, 1])
    spec, names = model.spec.latent, model.spec.names
    classes = spec.categorical[1]
    latents = model.encode(test.images)

    def set_class(name: str, wanted: Integers) -> Images:
        rows, first = latents.copy(), spec.continuous + names.categorical.index(name) * classes
        rows[:, first : first + classes] = np.eye(classes, dtype=np.float32)[wanted]
        return model.decode(rows)

    found = {}
    if "digit" in names.categorical:
        wanted = random.integers(0, DIGITS, len(latents))
        found["digit"] = statistics.share(judge.read(set_class("digit", wanted))[0] == wanted)
    if "hue" in names.continuous:
        turns = random.random(len(latents), np.float32)
        rows = latents.copy()
        rows[:, names.continuous.index("hue")] = turns
        found["hue"] = _hues_near(model.decode(rows), turns, NEAR)
    elif "hue 0" in names.categorical:
        wanted = random.integers(0, classes, len(latents))
        found["hue"] = _hues_near(set_class("hue 0", wanted), wanted / classes, NEAR + 180 / classes)
    return found


def _hues_near(images: Images, turns: npt.NDArray[np.floating], degrees: float) -> Figure:
    """Return the share of strokes whose hue is at most some degrees from that of each image, in turns (n,)."""
    hue = to_hsv(torch.from_numpy(stroke_color(images) / 255))[:, 0].numpy()
    return statistics.share(np.abs((hue - turns + 0.5) % 1 - 0.5) * 360 <= degrees)


def style_error(model: vaegen.Model, test: Painted, seed: int) -> dict[str, Figure]:
    """Return the median distance of slant and thickness from what was asked for.

    Args:
        model: The model.
        test: Whose digits, colors, slant and thickness verified samples are asked for.
        seed: Of the samples.

    Returns:
        Medians by "slant", degrees, and "thickness", pixels; none of a model that takes no style.
    """
    if model.spec.style is None:
        return {}
    least, most = np.array([SLANTS, THICKNESSES]).T
    asked = np.clip(_styles(test.images), least, most).T
    drawn = model.draw(test.digits, test.colors, seed=seed, slant=asked[0], thickness=asked[1])
    errors = np.abs(_styles(drawn.images).T - asked)
    names = ("slant", "thickness")
    return {name: statistics.quantile(row, 0.5, seed) for name, row in zip(names, errors, strict=True)}


def _styles(images: Images) -> Floats:
    """Return slant and thickness of images, float32 (n, 2)."""
    found: Floats = measure_style(torch.from_numpy(normalised(images)).flatten(1)).numpy()
    return found
