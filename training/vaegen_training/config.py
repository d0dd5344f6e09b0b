"""Every setting of a training run: typed, checked before any data is read, stored in the run's `config.json`.

Nothing here needs torch, so a wrong setting is refused in milliseconds.
"""

import dataclasses
import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from vaegen.errors import ConfigError
from vaegen.spec import DIGITS, LatentSpec

Architecture = Literal["seed", "factored"]
Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    architecture: Architecture = "factored"
    """"seed": the report's fully connected layers. "factored": a stroke mask times one color."""
    continuous: int = 0
    """Z, Gaussian coordinates in all."""
    variables: int = 0
    """N, categorical variables in all."""
    classes: int = 0
    """K, classes of each categorical."""
    color_continuous: int = 0
    """How many of the Z coordinates hold the color (factored only): the last ones; 0 or 3."""
    color_variables: int = 0
    """How many of the N categoricals hold the color (factored only): the last ones; a multiple of 3, or 0."""
    digit_variables: int = 0
    """How many of the N categoricals are the digit (factored only): the first one, which has 10 classes, or none."""
    hidden: int = 768
    """Width of the widest layer, units (factored only)."""
    features: int = 32
    """Width of the encoder's bottleneck, from which the posterior of the shape is read (factored only)."""
    logit_gain: float = 8.0
    """Factor on the initial logits: codes that start decided get a gradient from the first step (factored only)."""

    brightness: float = 1.0
    """Upper end of the decoded stroke mask before it is cut off at 1; above 1 it gives back what the mean that the BCE
    asks for lacks of a stroke's full color (factored only)."""
    blackness: float = 0.0
    """How far below 0 the mask's lower end lies before it is cut off there (factored only)."""

    def __post_init__(self) -> None:
        try:
            _ = self.latent
        except ValueError as error:
            raise ConfigError(f"model: {error}") from error
        if self.architecture not in get_args(Architecture):
            raise ConfigError(f"architecture: {self.architecture!r} is not one of {', '.join(get_args(Architecture))}")
        if self.hidden < 2 or self.features < 1 or self.logit_gain <= 0 or self.brightness <= 0 or self.blackness < 0:
            raise ConfigError(
                "model: hidden must be at least 2, features at least 1, logit_gain and brightness above 0, "
                "blackness not negative"
            )
        if self.architecture == "seed":
            if self.color_continuous or self.color_variables or self.digit_variables:
                raise ConfigError(
                    "model: the seed architecture has no part for the color or the digit; "
                    "leave color_* and digit_variables at 0"
                )
            return
        by_categoricals = self.color_continuous == 0 and self.color_variables > 0 and self.color_variables % 3 == 0
        if not by_categoricals and (self.color_continuous, self.color_variables) != (3, 0):
            raise ConfigError(
                "model: the color needs latents of one kind, color_continuous 3 or color_variables a multiple of 3"
            )
        if self.color_variables and self.classes ** (self.color_variables // 3) > 2**20:
            raise ConfigError("model: classes to the power of color_variables / 3 is above 2**20 levels of a color")
        if self.digit_variables not in (0, 1):
            raise ConfigError(f"model: digit_variables is 0 or 1, not {self.digit_variables}")
        if self.digit_variables and self.classes != DIGITS:
            raise ConfigError(f"model: a categorical that is the digit has {DIGITS} classes, not {self.classes}")
        if self.color_continuous > self.continuous or self.color_variables + self.digit_variables > self.variables:
            raise ConfigError("model: the parts for color and digit cannot be larger than the whole latent space")
        if self.continuous + self.variables == self.color_continuous + self.color_variables + self.digit_variables:
            raise ConfigError("model: a factored model needs latents for the shape")

    @property
    def latent(self) -> LatentSpec:
        """The whole latent space."""
        return LatentSpec(self.continuous, (self.variables, self.classes))


@dataclass(frozen=True)
class StageConfig:
    """How one network is optimised (Adam)."""

    epochs: float
    """Length in passes over the 60,000 training images."""
    batch: int
    """Images per step."""
    learning_rate: float
    """Peak step size."""
    schedule: Schedule = "cosine"
    """Course of the step size after the warm-up: as it is, or half a cosine down to 0."""
    warmup: float = 0.02
    """Fraction of the run over which the step size rises from 0."""
    beta1: float = 0.9
    """Adam's first decay."""
    beta2: float = 0.99
    """Adam's second decay."""
    clip: float = 0.0
    """Largest gradient norm; 0 leaves gradients as they are."""
    ema: float = 0.0
    """Decay per step of the weight average that is kept in the end; 0 keeps the last weights."""
    augment: float = 0.0
    """Size of the random rotation, scaling, shear and shift of the digits; 1 is about 9 degrees and 1 pixel."""

    def __post_init__(self) -> None:
        checks = {
            "epochs": self.epochs > 0,
            "batch": 1 <= self.batch <= 60_000,
            "learning_rate": 0 < self.learning_rate < 1,
            "schedule": self.schedule in get_args(Schedule),
            "warmup": 0 <= self.warmup < 1,
            "beta1": 0 <= self.beta1 < 1,
            "beta2": 0 < self.beta2 < 1,
            "clip": self.clip >= 0,
            "ema": 0 <= self.ema < 1,
            "augment": 0 <= self.augment <= 4,
        }
        for name, fine in checks.items():
            if not fine:
                raise ConfigError(f"{name}: {getattr(self, name)} is out of range")


@dataclass(frozen=True)
class ObjectiveConfig:
    """The loss of the VAE: binary cross entropy plus weighted KL divergences, all in nats."""

    kl_weight: float = 1.0
    """Weight of the KL divergence; 1 is the ELBO."""
    kl_warmup: float = 0.0
    """Fraction of the run over which the weight rises from 0."""
    temperature_start: float = 1.0
    """Gumbel-Softmax temperature at the start."""
    temperature_end: float = 1.0
    """Gumbel-Softmax temperature from `temperature_reached` on; baked into the exported sampler."""
    temperature_reached: float = 0.6
    """Fraction of the run at which the end temperature is reached (exponential course)."""
    hard_from: float = 1.0
    """Fraction of the run from which codes are drawn hard, straight-through; 1 keeps them soft throughout."""
    perceptual_weight: float = 0.0
    """Weight of the perceptual loss of the decoded mask (factored only)."""
    perceptual_contrast: float = 1.0
    """Factor on the mask's logits where the judge looks: it was trained on sharper digits than means are."""
    digit_weight: float = 0.0
    """Weight of the judge's cross entropy on images that are decoded as another digit (where one latent is the digit).
    """

    def __post_init__(self) -> None:
        for name in ("kl_weight", "perceptual_weight", "digit_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: {getattr(self, name)} is negative")
        if self.perceptual_contrast <= 0:
            raise ConfigError(f"perceptual_contrast: {self.perceptual_contrast} is not above 0")
        if not (0 < self.temperature_end <= self.temperature_start <= 100):
            raise ConfigError("temperatures must be above 0, and must not rise")
        for name in ("kl_warmup", "temperature_reached", "hard_from"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: {getattr(self, name)} is not a fraction of the run; choose 0 to 1")


@dataclass(frozen=True)
class SharpenConfig:
    """How the decoder is taught to draw sharply (see `vaegen_training.models.critic`)."""

    critic_weight: float = 0.0
    """Weight of the critic's score; 0 leaves the stage out."""
    critic_channels: int = 16
    """Channels of the critic's first layer; the others have two and four times as many."""

    def __post_init__(self) -> None:
        if self.critic_weight < 0 or not 1 <= self.critic_channels <= 256:
            raise ConfigError("sharpen: critic_weight is not negative, critic_channels 1 to 256")


@dataclass(frozen=True)
class PriorConfig:
    """The second stage: features drawn for a digit, a color and a style (see `vaegen_training.prior`)."""

    hidden: int = 384
    """Width of the generator, units."""
    field_hidden: int = 384
    """Width of the velocity field, units."""
    blocks: int = 3
    """Residual blocks of the velocity field, two layers each."""
    steps: int = 5
    """Steps in which the field is solved for the generator's examples."""
    examples: int = 400_000
    """Solutions that the generator learns from."""
    layers: int = 3
    """Hidden layers of the generator."""
    style_given: float = 0.0
    """Share of the examples whose slant, and whose thickness, the prior is told; 0 builds one that takes no style."""
    guidance: float = 0.0
    """Weight of the judge's cross entropy on the generator's images, in the second half of its stage."""
    critic_weight: float = 0.0
    """Weight of the score of a critic that tells the generator's features from those of training digits."""
    critic_penalty: float = 0.1
    """Weight of the critic's gradient penalty (half of its gradient's squared length)."""
    temperature: float = 1.0
    """Default sampling temperature written into the manifest; 1 is the distribution as fitted."""

    def __post_init__(self) -> None:
        if min(self.hidden, self.field_hidden, self.blocks, self.steps, self.layers) < 1:
            raise ConfigError("prior: hidden, field_hidden, blocks, steps and layers are at least 1")
        if not 100 <= self.examples <= 10_000_000:
            raise ConfigError(f"prior: examples {self.examples} is out of range; choose 100 to 10000000")
        if min(self.guidance, self.critic_weight, self.critic_penalty) < 0:
            raise ConfigError("prior: guidance, critic_weight and critic_penalty are not negative")
        if not 0 < self.temperature <= 1 or not 0 <= self.style_given < 1:
            raise ConfigError("prior: temperature in (0, 1], style_given in [0, 1)")


@dataclass(frozen=True)
class TrainConfig:
    """One run of `vaegen train`: the VAE, then its conditional prior in two stages."""

    preset: str
    """Name of the preset that this configuration came from."""
    model: ModelConfig
    objective: ObjectiveConfig
    vae: StageConfig
    prior: PriorConfig
    flow_stage: StageConfig
    prior_stage: StageConfig
    sharpen: SharpenConfig = SharpenConfig()
    sharpen_stage: StageConfig = StageConfig(epochs=20, batch=256, learning_rate=3e-4)
    verifier_stage: StageConfig = StageConfig(epochs=20, batch=256, learning_rate=3e-3, ema=0.998, augment=1.0)
    seed: int = 0
    """Root of all randomness of the run, 0 to 2**63 - 1."""
    extras: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Settings that were changed from the preset, as they were given; the same ones can be given in other ways."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.prior_stage.augment:
            raise ConfigError("prior_stage.augment: the generator sees no digits; set flow_stage.augment")
        if self.sharpen.critic_weight and self.model.architecture == "seed":
            raise ConfigError("sharpen.critic_weight: the seed architecture has no mask to sharpen; leave it at 0")

    def override(self, settings: Mapping[str, str]) -> Self:
        """Return a copy with settings changed, `{"vae.epochs": "2"}`.

        Raises:
            ConfigError: An unknown key, a value of the wrong type or out of range.
        """
        parts = _sections()
        values: dict[str, dict[str, Any]] = {}
        for key, text in settings.items():
            section, _, name = key.partition(".")
            if section not in parts or not name:
                known = [f"{part}.{setting}" for part, kind in parts.items() for setting in get_type_hints(kind)]
                raise ConfigError(f"unknown setting {key!r}{_close(key, known)}; settings look like vae.epochs=5")
            kinds = get_type_hints(parts[section])
            if name not in kinds:
                raise ConfigError(
                    f"unknown setting {key!r}{_close(name, list(kinds))}; {section} has {', '.join(kinds)}"
                )
            values.setdefault(section, {})[name] = _parse(key, text, kinds[name])
        # Each section is checked once, as a whole: settings that are right only together come in any order.
        changed = {section: dataclasses.replace(getattr(self, section), **new) for section, new in values.items()}
        return dataclasses.replace(self, **changed, extras={**self.extras, **settings})

    def to_json(self) -> str:
        """Return the text of `config.json`, the same for equal numbers whether they were given as 1, 1.0 or 1e0."""
        return json.dumps(_plain(dataclasses.asdict(self)), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of `config.json`.

        Raises:
            ConfigError: It is not one, or was written by another version with other settings.
        """
        try:
            data = json.loads(text)
            parts = {name: kind(**_checked(kind, data.pop(name))) for name, kind in _sections().items()}
            return cls(**parts, **_checked(cls, data))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise ConfigError(f"config.json cannot be read: {error}") from error


def check_seed(seed: int) -> None:
    """Refuse a seed out of range.

    Raises:
        ConfigError: It is below 0 or above 2**63 - 1.
    """
    if not 0 <= seed < 2**63:
        raise ConfigError(f"seed: {seed} is out of range; choose 0 to 2**63 - 1")


def _sections() -> dict[str, Any]:
    return {name: kind for name, kind in get_type_hints(TrainConfig).items() if dataclasses.is_dataclass(kind)}


def _checked(section: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Return a section's values as JSON has them, or raise ConfigError where one has the wrong type."""
    hints = get_type_hints(section)
    for name, value in values.items():
        kind: Any = hints.get(name)  # None for a name that the section itself refuses
        if kind is float:
            fits = type(value) in (int, float) and math.isfinite(value)
        else:
            fits = type(value) is {int: int, Mapping: dict}.get(get_origin(kind) or kind, str)
        if kind is not None and not fits:
            raise ConfigError(f"{name}: {value!r} has the wrong type")
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _close(word: str, known: list[str]) -> str:
    matches = difflib.get_close_matches(word, known, n=3)
    return f" (did you mean {', '.join(matches)}?)" if matches else ""


def _parse(key: str, text: str, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ConfigError(f"{key}: {text!r} is not one of {', '.join(get_args(kind))}")
        return text
    try:
        value = kind(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {text!r} is not of type {kind.__name__}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: {text!r} is not a finite number")
    return value
