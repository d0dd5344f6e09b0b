"""Arguments of the public calls, looked at once at the door, so that the rest can trust them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vaegen.errors import RequestError
from vaegen.spec import CHANNELS, SIDE

MAX_TEMPERATURE = 10.0  # far above 1, where a prior gives what it was fitted to
MAX_LATENT = 1e6  # far outside any latent space, and far from where float32 arithmetic overflows


def check_integer(name: str, value: Any, least: int, most: int) -> int:
    """Give a plain integer from `least` to `most`.

    Raises:
        RequestError: It is something else.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:
        raise RequestError(f"{name} {value!r} is not usable; choose an integer from {least} to {most}")
    return int(value)


def check_temperature(value: Any) -> float:
    """Give a temperature as a plain number.

    Raises:
        RequestError: It is not above 0 and at most MAX_TEMPERATURE.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not 0 < value <= MAX_TEMPERATURE:
        raise RequestError(f"temperature {value!r} is not usable; choose a number above 0, at most {MAX_TEMPERATURE:g}")
    return float(value)


def check_images(images: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Give images as an array, uint8 (n, 28, 28, 3).

    Raises:
        RequestError: They have another type or shape.
    """
    array = _as_array("images", images)
    if array.dtype != np.uint8:
        raise RequestError(f"images are {array.dtype}; they must be uint8, 0 to 255")
    if array.ndim != 4 or array.shape[1:] != (SIDE, SIDE, CHANNELS):
        hint = "; use images[None] for a single one" if array.shape == (SIDE, SIDE, CHANNELS) else ""
        raise RequestError(f"images have shape {array.shape}; it must be (n, {SIDE}, {SIDE}, {CHANNELS}){hint}")
    return array


def check_latents(latents: npt.ArrayLike, size: int) -> npt.NDArray[np.float32]:
    """Give latents as an array, float32 (n, size), in one piece.

    Raises:
        RequestError: They have another shape, are no floating-point numbers, or one is not within MAX_LATENT.
    """
    array = _as_array("latents", latents)
    if not np.issubdtype(array.dtype, np.floating):
        raise RequestError(f"latents are {array.dtype}; they must be float32")
    if array.ndim != 2 or array.shape[1] != size:
        raise RequestError(f"latents have shape {array.shape}; it must be (n, {size})")
    # Written so that NaN, for which every comparison is false, is refused too.
    if not (np.abs(array) <= MAX_LATENT).all():
        raise RequestError(f"latents must be finite numbers within {MAX_LATENT:g}; at least one is not")
    return np.ascontiguousarray(array, np.float32)


def _as_array(name: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise RequestError(f"{name} do not have one common shape") from error
