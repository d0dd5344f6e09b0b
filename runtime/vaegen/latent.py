"""Latents by the names of their parts: a 3 whose hue is 0.55, and all else as the prior finds it typical."""

import colorsys
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.errors import RequestError, quoted
from vaegen.graphs import Floats, Graphs
from vaegen.request import MAX_LATENT, check_integer, check_number
from vaegen.spec import NO_SLANT, NO_THICKNESS, LatentNames, ModelSpec

COLOR = {"hue": 0.0, "saturation": 1.0, "value": 1.0}
"""The parts of a color (hue in turns, the others 0 to 1) and what they are where they are not given: red."""
DIGIT = 3
"""What is drawn where no digit is given."""


def named_latent(graphs: Graphs, model: ModelSpec, values: Mapping[str, float]) -> Floats:
    """Return the latent in which some parts are chosen, float32 (1, L).

    The prior gives the others, with all its uniforms at 0.5, for the digit and the color that are asked for, or a red
    DIGIT.

    Args:
        graphs: Of the model.
        model: What its parts are called.
        values: A number for a coordinate, a class from 0 on for a categorical. Colors may be chosen by the names of
            COLOR wherever the model has latents of their own for them, one or several.

    Raises:
        RequestError: There is no part of that name, or no such value of it.
    """
    if not isinstance(values, Mapping):
        raise RequestError(f"a latent is chosen by a dictionary such as {{'hue': 0.5}}, not by {quoted(values)}")
    numbers = {name: _check(name, value, model) for name, value in values.items()}
    hue, saturation, value = (numbers.get(name, default) for name, default in COLOR.items())
    color = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    latent = typical(graphs, model, int(numbers.get("digit", DIGIT)), np.array([color], np.float32))
    z, (_, k) = model.latent.continuous, model.latent.categorical
    for name, number in numbers.items():
        if name in model.names.continuous:
            latent[0, model.names.continuous.index(name)] = number
        elif name in model.names.categorical:
            start = z + k * model.names.categorical.index(name)
            latent[0, start : start + k] = np.arange(k) == number
    return latent


def typical(graphs: Graphs, model: ModelSpec, digit: int, colors: Floats) -> Floats:
    """Return a digit's latent in each color, (n, 3) in [0, 1], with all the prior's uniforms at 0.5: float32 (n, L)."""
    request: dict[str, npt.NDArray[Any]] = {
        "digit": np.full(len(colors), digit, np.int64),
        "rgb": colors,
        "style": np.array([[NO_SLANT, NO_THICKNESS]] * len(colors), np.float32),
        "uniform": np.full_like(graphs.noise("prior", 0, 0, range(len(colors))), 0.5),
        "temperature": np.array(model.prior_temperature, np.float32),
    }
    return graphs.prior(request).copy()


def short(names: Iterable[str]) -> str:
    """Return names in a line, those that are numbered from 0 on together: "shape 0-43, hue, saturation, value"."""
    found: dict[str, int] = {}  # of each stem, how many numbers it has; 0 where it has none
    for name in names:
        match = re.fullmatch(r"(.+) (\d+)", name)
        if match and int(match[2]) == found.get(match[1], 0):
            found[match[1]] = int(match[2]) + 1
        else:
            found[name] = 0
    texts = {0: "{}", 1: "{} 0"}
    return ", ".join(texts.get(count, "{} 0-" + str(count - 1)).format(name) for name, count in found.items())


def _check(name: Any, value: Any, model: ModelSpec) -> float:
    names = model.names
    if name in COLOR and (name in names.continuous or f"{name} 0" in names.categorical):
        return check_number(name, value, *((-MAX_LATENT, MAX_LATENT) if name == "hue" else (0, 1)))
    if name in names.continuous:
        return check_number(name, value, -MAX_LATENT, MAX_LATENT)
    if name in names.categorical:
        return check_integer(name, value, 0, model.latent.categorical[1] - 1)
    raise RequestError(f"unknown latent {quoted(name)}; choose from {short(choices(names))}")


def choices(names: LatentNames) -> list[str]:
    """Return all that a latent of these names can be chosen by."""
    parts = [*names.continuous, *names.categorical]
    return parts + [name for name in COLOR if f"{name} 0" in names.categorical]
