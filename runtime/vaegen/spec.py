"""What a model is: its latent space and what its parts are called, what it accepts, and which handwriting it knows.

With `vaegen.manifest` this is the contract between training, export and the runtime. Both need nothing but the standard
library, so that a manifest can be read and written where neither numpy nor onnxruntime is loaded. Plain records on the
way of `vaegen sample` are named tuples: a frozen dataclass takes half a millisecond to define, eight times as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from vaegen.errors import BundleError

SIDE = 28  # pixels, height and width of every image
CHANNELS = 3  # RGB
DIGITS = 10  # classes, 0 to 9

NAMES = "1 to 64 printable characters"
CLASSES = f"ten different names of {NAMES}, without commas"
NO_SLANT, NO_THICKNESS = 90.0, 0.0  # degrees and pixels; they and what lies beyond stand for "not given"
STYLE_SHARES = (0.005, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.995)  # whose quantiles a manifest records

Kind = Literal["continuous", "discrete", "joint"]
KINDS: tuple[Kind, ...] = ("continuous", "discrete", "joint")


@dataclass(frozen=True)
class LatentSpec:
    """The latent space of one model: Z Gaussian coordinates, then N one-hot categoricals of K classes.

    A latent is one row of length L = Z + N * K: the Z continuous coordinates first, then the N one-hots
    laid end to end. All three models of the family are settings of this one description.

    Raises:
        ValueError: The numbers describe no latent space.
    """

    continuous: int = 0
    """Z, the number of Gaussian coordinates; 0 for none."""
    categorical: tuple[int, int] = (0, 0)
    """(N, K), the number of categorical variables and of classes in each; (0, 0) for none."""

    def __post_init__(self) -> None:
        n, k = self.categorical
        if self.continuous < 0 or n < 0 or k < 0 or (n == 0) != (k == 0) or k == 1:
            raise ValueError(f"no latent space has continuous={self.continuous}, categorical={self.categorical}")
        if self.size == 0:
            raise ValueError("a latent space needs continuous coordinates, categoricals or both")

    @property
    def size(self) -> int:
        """L, the length of one latent row."""
        return self.continuous + self.categorical[0] * self.categorical[1]

    @property
    def kind(self) -> Kind:
        """Which of the three models this latent space belongs to."""
        if self.categorical[0] == 0:
            return "continuous"
        return "joint" if self.continuous else "discrete"


class LatentNames(NamedTuple):
    """What each part of a latent is called; no two have one name."""

    continuous: tuple[str, ...]
    """Of the Z coordinates, "shape 0" or "hue"."""
    categorical: tuple[str, ...]
    """Of the N categoricals, "digit" or "code 0"."""


class Thresholds(NamedTuple):
    """What an image must reach to be accepted; `judge.onnx` holds the same numbers."""

    probability: float
    """The least probability of the digit asked for."""
    color_error: float
    """The most CIEDE2000 between the stroke and the color asked for."""
    realism: float
    """The least score of the critic, a logit."""


class Style(NamedTuple):
    """Slant and thickness of the training digits, whose quantiles these are at STYLE_SHARES."""

    slant: tuple[float, ...]
    """Degrees, positive to the right."""
    thickness: tuple[float, ...]
    """Pixels."""


class ModelSpec(NamedTuple):
    """What one model is, apart from its weights; part of the manifest and of each graph's metadata."""

    name: str
    """The bundle's name, "joint" for the shipped joint model."""
    preset: str
    """The training preset it was made with: "default", "seed" or a name of one's own."""
    latent: LatentSpec
    """Z, N and K."""
    names: LatentNames
    """Of the Z coordinates and the N categoricals."""
    gumbel_temperature: float | None
    """Temperature baked into the Gumbel sampler of `sampler.onnx`; None without categoricals."""
    prior_temperature: float
    """Default for the prior's temperature input, in (0, 1]; 1 is the distribution as fitted."""
    thresholds: Thresholds
    """What an image must reach to be accepted."""
    style: Style | None
    """The usual slant and thickness; None where the prior takes none."""
    classes: tuple[str, ...] | None = None
    """Names of what is asked for as digit 0 to 9; None where these are digits."""

    @property
    def kind(self) -> Kind:
        """Which of the three models this is."""
        return self.latent.kind

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that the manifest holds under "model"."""
        return {
            "name": self.name,
            "preset": self.preset,
            "latent": {
                "continuous": self.latent.continuous,
                "categorical": list(self.latent.categorical),
                "names": _lists(self.names),
            },
            "gumbel_temperature": self.gumbel_temperature,
            "prior_temperature": self.prior_temperature,
            "thresholds": self.thresholds._asdict(),
            "style": None if self.style is None else _lists(self.style),
            # Without them the text is what it was before there were any.
            **({} if self.classes is None else {"classes": list(self.classes)}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BundleError: A value is missing, of the wrong type or out of range.
        """
        name, latent = get(data, "name", str, "model"), get(data, "latent", dict, "model")
        if not is_name(name):
            raise BundleError(f"manifest: model.name is {name!r}; it must be {NAMES}")
        categorical = get(latent, "categorical", list, "model.latent")
        if len(categorical) != 2 or not all(type(value) is int for value in categorical):
            raise BundleError(f"manifest: model.latent.categorical is {categorical!r}; it must be two integers")
        try:
            spec = LatentSpec(get(latent, "continuous", int, "model.latent"), (categorical[0], categorical[1]))
        except ValueError as error:
            raise BundleError(f"manifest: {error}") from error
        gumbel, style = data.get("gumbel_temperature"), data.get("style")
        return cls(
            name=name,
            preset=get(data, "preset", str, "model"),
            latent=spec,
            names=_names(get(latent, "names", dict, "model.latent"), spec),
            gumbel_temperature=None if gumbel is None else _positive(data, "gumbel_temperature"),
            prior_temperature=_positive(data, "prior_temperature"),
            thresholds=_thresholds(get(data, "thresholds", dict, "model")),
            style=None if style is None else _style(get(data, "style", dict, "model")),
            classes=None if data.get("classes") is None else _classes(get(data, "classes", list, "model")),
        )


def is_name(text: str) -> bool:
    """Return whether a text may be a model's name: NAMES says which may."""
    return 0 < len(text) <= 64 and text.isprintable()


def is_classes(names: Sequence[Any]) -> bool:
    """Return whether these may be the names of a model's classes: CLASSES says which may."""
    fine = all(isinstance(name, str) and is_name(name) and name == name.strip() and "," not in name for name in names)
    return fine and len(names) == len(set(names)) == DIGITS


def get(data: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """Return the value of a key in a part of the manifest, `where`.

    Raises:
        BundleError: It is missing or of another type.
    """
    value = data.get(key)
    if type(value) is not kind:
        raise BundleError(f"manifest: {where}.{key} is {value!r}; it must be of type {kind.__name__}")
    return value


def _lists(parts: LatentNames | Style) -> dict[str, list[Any]]:
    return {key: list(values) for key, values in parts._asdict().items()}


def _positive(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1000:
        raise BundleError(f"manifest: model.{key} is {value!r}; it must be a positive number")
    return float(value)


def _number(value: Any, least: float, most: float, where: str) -> float:
    # Written so that NaN, for which every comparison is false, is refused too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BundleError(f"manifest: {where} is {value!r}; it must be a number from {least:g} to {most:g}")
    return float(value)


def _names(data: Mapping[str, Any], spec: LatentSpec) -> LatentNames:
    """Read the names of a latent's parts: `--latent` takes them apart at "=", "," and ";"."""
    found = []
    for key, count in (("continuous", spec.continuous), ("categorical", spec.categorical[0])):
        names = get(data, key, list, "model.latent.names")
        if len(names) != count:
            raise BundleError(f"manifest: model.latent.names.{key} has {len(names)} names; it must have {count}")
        for name in names:
            if not isinstance(name, str) or not is_name(name) or name != name.strip() or set("=,;") & set(name):
                raise BundleError(f"manifest: model.latent.names.{key} holds {name!r}; it may be {NAMES}, no = , ;")
        found.append(tuple(names))
    seen: set[str] = set()
    for name in (*found[0], *found[1]):
        if name in seen:
            raise BundleError(f"manifest: model.latent.names holds {name!r} twice")
        seen.add(name)
    return LatentNames(*found)


def _classes(names: Sequence[Any]) -> tuple[str, ...]:
    if not is_classes(names):
        raise BundleError(f"manifest: model.classes is {names!r}; it must be {CLASSES}")
    return tuple(names)


def _thresholds(data: Mapping[str, Any]) -> Thresholds:
    ranges = {"probability": (0, 1), "color_error": (0, 1000), "realism": (-1000, 1000)}
    return Thresholds(*(_number(data.get(key), *ends, f"model.thresholds.{key}") for key, ends in ranges.items()))


def _style(data: Mapping[str, Any]) -> Style:
    """Read quantiles, which never fall."""
    parts = []
    for key, least, most in (("slant", -NO_SLANT, NO_SLANT), ("thickness", NO_THICKNESS, SIDE)):
        where = f"model.style.{key}"
        values = [_number(value, least, most, where) for value in get(data, key, list, "model.style")]
        if len(values) != len(STYLE_SHARES) or values != sorted(values):
            raise BundleError(f"manifest: {where} is {values!r}; it must be {len(STYLE_SHARES)} numbers in order")
        parts.append(tuple(values))
    return Style(*parts)
