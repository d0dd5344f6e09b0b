"""Every setting of a training run: typed, checked before any data is read, stored in the run's `config.json`.

Nothing here needs torch, so a wrong setting is refused in milliseconds. What a setting takes stands in its type, what
it means in the string below it; `vaegen_training.config_file` shows both.
"""

import dataclasses
import difflib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from vaegen.errors import ConfigError
from vaegen.manifest import MAX_WIDTH
from vaegen.spec import CLASSES, DIGITS, LatentSpec, is_classes

from vaegen_training.ranges import (
    Count,
    Factor,
    Latents,
    OneOf,
    Range,
    Seed,
    Settings,
    Share,
    ShareBelow1,
    Temperature,
    Weight,
    Width,
    check,
    kinds,
    read,
)

Architecture = Literal["seed", "factored"]
Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class ModelConfig(Settings):
    """The network."""

    architecture: Architecture = "factored"
    """"seed": the report's fully connected layers. "factored": a stroke mask times one color."""
    continuous: Latents = 0
    """Z, Gaussian coordinates in all."""
    variables: Latents = 0
    """N, categorical variables in all."""
    classes: Latents = 0
    """K, classes of each categorical."""
    color_continuous: Annotated[int, OneOf((0, 3))] = 0
    """How many of the Z coordinates hold the color (factored only): the last ones."""
    color_variables: Latents = 0
    """How many of the N categoricals hold the color (factored only): the last ones; a multiple of 3, or 0."""
    digit_variables: Annotated[int, OneOf((0, 1))] = 0
    """How many of the N categoricals are the digit (factored only): the first one, which has 10 classes, or none."""
    hidden: Annotated[int, Range(2, MAX_WIDTH)] = 768
    """Width of the widest layer, units (factored only)."""
    features: Width = 32
    """Width of the encoder's bottleneck, from which the posterior of the shape is read (factored only)."""
    logit_gain: Factor = 8.0
    """Factor on the initial logits: codes that start decided get a gradient from the first step (factored only)."""

    brightness: Factor = 1.0
    """Upper end of the decoded stroke mask before it is cut off at 1; above 1 it gives back what the mean that the BCE
    asks for lacks of a stroke's full color (factored only)."""
    blackness: Weight = 0.0
    """How far below 0 the mask's lower end lies before it is cut off there (factored only)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            size = self.latent.size
        except ValueError as error:
            raise ConfigError(f"model: {error}") from error
        if size > MAX_WIDTH:
            raise ConfigError(f"model: latents of {size} coordinates; the most is {MAX_WIDTH}")
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
class StageConfig(Settings):
    """How one network is optimised (Adam)."""

    epochs: Annotated[float, Range(0, 1_000_000, above=True)]
    """Length in passes over what is learned from: the 60,000 training images, or in `prior_stage` the examples."""
    batch: Annotated[int, Range(1, 60_000)]
    """Images per step."""
    learning_rate: Annotated[float, Range(0, 1, above=True, below=True)]
    """Peak step size."""
    schedule: Schedule = "cosine"
    """Course of the step size after the warm-up: as it is, or half a cosine down to 0."""
    warmup: ShareBelow1 = 0.02
    """Fraction of the run over which the step size rises from 0."""
    beta1: ShareBelow1 = 0.9
    """Adam's first decay."""
    beta2: Annotated[float, Range(0, 1, above=True, below=True)] = 0.99
    """Adam's second decay."""
    clip: Weight = 0.0
    """Largest gradient norm; 0 leaves gradients as they are."""
    ema: ShareBelow1 = 0.0
    """Decay per step of the weight average that is kept in the end; 0 keeps the last weights."""
    augment: Annotated[float, Range(0, 4)] = 0.0
    """Size of the random rotation, scaling, shear and shift of the digits; 1 is about 9 degrees and 1 pixel.
    0 in `prior_stage`, which sees no digits."""


@dataclass(frozen=True)
class ObjectiveConfig(Settings):
    """The loss of the VAE: binary cross entropy plus weighted KL divergences, all in nats."""

    kl_weight: Weight = 1.0
    """Weight of the KL divergence; 1 is the ELBO."""
    kl_warmup: Share = 0.0
    """Fraction of the run over which the weight rises from 0."""
    temperature_start: Temperature = 1.0
    """Gumbel-Softmax temperature at the start."""
    temperature_end: Temperature = 1.0
    """Gumbel-Softmax temperature from `temperature_reached` on, at most `temperature_start`; the exported
    sampler has it."""
    temperature_reached: Share = 0.6
    """Fraction of the run at which the end temperature is reached (exponential course)."""
    hard_from: Share = 1.0
    """Fraction of the run from which codes are drawn hard, straight-through; 1 keeps them soft throughout."""
    perceptual_weight: Weight = 0.0
    """Weight of the perceptual loss of the decoded mask (factored only)."""
    perceptual_contrast: Factor = 1.0
    """Factor on the mask's logits where the judge looks: it was trained on sharper digits than means are."""
    digit_weight: Weight = 0.0
    """Weight of the judge's cross entropy on images that are decoded as another digit (where one latent is the digit).
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature_end > self.temperature_start:
            raise ConfigError(
                f"objective.temperature_end is {self.temperature_end}; it must be at most temperature_start, "
                f"{self.temperature_start}"
            )


@dataclass(frozen=True)
class SharpenConfig(Settings):
    """How the decoder is taught to draw sharply (see `vaegen_training.models.critic`)."""

    critic_weight: Weight = 0.0
    """Weight of the critic's score; 0 leaves the stage out."""
    critic_channels: Annotated[int, Range(1, 256)] = 16
    """Channels of the critic's first layer; the others have two and four times as many."""


@dataclass(frozen=True)
class PriorConfig(Settings):
    """The conditional prior: features drawn for a digit, a color and a style (see `vaegen_training.prior`)."""

    hidden: Width = 384
    """Width of the generator, units."""
    field_hidden: Width = 384
    """Width of the velocity field, units."""
    blocks: Count = 3
    """Residual blocks of the velocity field, two layers each."""
    steps: Count = 5
    """Steps in which the field is solved for the generator's examples."""
    examples: Annotated[int, Range(100, 10_000_000)] = 400_000
    """Solutions that the generator learns from."""
    layers: Count = 3
    """Hidden layers of the generator."""
    style_given: ShareBelow1 = 0.0
    """Share of the examples whose slant, and whose thickness, the prior is told; 0 builds one that takes no style."""
    guidance: Weight = 0.0
    """Weight of the judge's cross entropy on the generator's images, in the second half of its stage."""
    critic_weight: Weight = 0.0
    """Weight of the score of a critic that tells the generator's features from those of training digits."""
    critic_penalty: Weight = 0.1
    """Weight of the critic's gradient penalty (half of its gradient's squared length)."""
    temperature: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Default sampling temperature written into the manifest; 1 is the distribution as fitted."""


@dataclass(frozen=True)
class TrainConfig(Settings):
    """One run of `vaegen train`: the VAE, then its conditional prior in two stages."""

    preset: str
    """Name of the preset that this configuration came from."""
    model: ModelConfig
    objective: ObjectiveConfig
    vae: StageConfig
    """The first stage, the VAE."""
    prior: PriorConfig
    flow_stage: StageConfig
    """The stage of the velocity field."""
    prior_stage: StageConfig
    """The stage of the generator, which learns from `prior.examples`."""
    sharpen: SharpenConfig = SharpenConfig()
    sharpen_stage: StageConfig = StageConfig(epochs=20, batch=256, learning_rate=3e-4)
    """The stage in which the decoder is sharpened, after the VAE's; left out where `sharpen.critic_weight` is 0."""
    verifier_stage: StageConfig = StageConfig(epochs=20, batch=256, learning_rate=3e-3, ema=0.998, augment=1.0)
    """The last stage, the verifier."""
    seed: Seed = 0
    """Root of all randomness of the run."""
    classes: tuple[str, ...] = ()
    """Names of the classes 0 to 9 of data that are no digits; with them a judge of these classes is trained first."""
    extras: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Settings that were changed from the preset, as they were given; the same ones can be given in other ways."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior_stage.augment:
            raise ConfigError("prior_stage.augment: the generator sees no digits; set flow_stage.augment")
        if self.sharpen.critic_weight and self.model.architecture == "seed":
            raise ConfigError("sharpen.critic_weight: the seed architecture has no mask to sharpen; leave it at 0")
        if self.classes and not is_classes(self.classes):
            names = ", ".join(map(repr, self.classes))
            raise ConfigError(f"classes: {len(self.classes)} names, {names}; there must be {CLASSES}")

    def override(self, settings: Mapping[str, object]) -> Self:
        """Return a copy with settings changed, `{"vae.epochs": "2", "vae.batch": 64, "seed": 1}`.

        Args:
            settings: Each a value, or a text that is read as one.

        Raises:
            ConfigError: An unknown key, a value of the wrong type or out of range.
        """
        values: dict[str, dict[str, Any]] = {"": {}}
        for key, value in settings.items():
            section, _, name = key.rpartition(".")
            values.setdefault(section, {})[name] = parse(key, value)
        # Each section is checked once, as a whole: settings that are right only together come in any order.
        changed = {
            section: dataclasses.replace(getattr(self, section), **new) for section, new in values.items() if section
        }
        extras = {key: str(value) for key, value in settings.items() if "." in key}
        return dataclasses.replace(self, **changed, **values[""], extras={**self.extras, **extras})

    def to_json(self) -> str:
        """Return the text of `config.json`, the same for equal numbers whether they were given as 1, 1.0 or 1e0."""
        values = dataclasses.asdict(self)
        if not self.classes:  # a run on digits has the text that it had before there were others
            del values["classes"]
        return json.dumps(_plain(values), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of `config.json`.

        Raises:
            ConfigError: It is not one, or was written by another version with other settings.
        """
        try:
            data = json.loads(text)
            parts = {name: kind(**data.pop(name)) for name, kind in sections().items()}
            if isinstance(data.get("classes"), list):
                data["classes"] = tuple(data["classes"])
            return cls(**parts, **data)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise ConfigError(f"config.json cannot be read: {error}") from error


@functools.cache
def sections() -> dict[str, Any]:
    """Return the sections of a configuration, `{"vae": StageConfig}`."""
    return {name: kind for name, kind in kinds(TrainConfig).items() if dataclasses.is_dataclass(kind)}


def known() -> dict[str, Any]:
    """Return the types of all settings that can be given, `{"vae.epochs": float, "seed": int}`, ranges included."""
    nested = {f"{section}.{name}": kind for section, one in sections().items() for name, kind in kinds(one).items()}
    return {name: kinds(TrainConfig)[name] for name in ("seed", "classes")} | nested


def kind_of(key: str) -> Any:
    """Return the type of a setting, range included.

    Raises:
        ConfigError: There is no such setting; the message has the closest.
    """
    settings = known()
    if key not in settings:
        section, _, name = key.partition(".")
        if section not in sections() or not name:
            raise ConfigError(f"unknown setting {key!r}{_close(key, list(settings))}; settings look like vae.epochs=5")
        names = list(kinds(sections()[section]))
        raise ConfigError(f"unknown setting {key!r}{_close(name, names)}; {section} has {', '.join(names)}")
    return settings[key]


def parse(key: str, value: object) -> Any:
    """Return the value of a setting; a text is read as what the setting takes.

    Raises:
        ConfigError: There is no such setting, or it does not take this.
    """
    kind = kind_of(key)
    if isinstance(value, str):
        value = read(value, kind)
    elif isinstance(value, list):  # as TOML and JSON have what is a tuple here
        value = tuple(value)
    check(key, value, kind)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _close(word: str, choices: list[str]) -> str:
    matches = difflib.get_close_matches(word, choices, n=3)
    return f" (did you mean {', '.join(matches)}?)" if matches else ""
