"""The presets: `seed`, the report's models, and `default`, what the wheel ships."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vaegen.errors import ConfigError
from vaegen.spec import KINDS, Kind

from vaegen_training.config import ModelConfig, ObjectiveConfig, PriorConfig, SharpenConfig, StageConfig, TrainConfig

# --- seed ---------------------------------------------------------------------------------------------------
# vaegen train KIND --preset seed      (docs/train.md has the losses of all six runs)
# Adam 0.001, 20 epochs, batch 28, temperature 1.0, z = 2, N = 3, K = 20; no schedule, no average, no clipping.
# Two slips of the report's own code are not repeated: its KL divergence was averaged over the N variables, and
# its temperature fell with the batch index.

_SEED_STAGE: Final = StageConfig(epochs=20, batch=28, learning_rate=0.001, schedule="constant", warmup=0.0, beta2=0.999)
_SEED_FLOW: Final = StageConfig(epochs=16, batch=512, learning_rate=2e-3, clip=1.0, ema=0.998)
_SEED_PRIOR: Final = StageConfig(epochs=8, batch=1024, learning_rate=2e-3, clip=1.0, ema=0.998)


def _seed(**latents: int) -> TrainConfig:
    return TrainConfig(
        preset="seed",
        model=ModelConfig("seed", **latents),
        objective=ObjectiveConfig(),
        vae=_SEED_STAGE,
        prior=PriorConfig(examples=100_000),
        flow_stage=_SEED_FLOW,
        prior_stage=_SEED_PRIOR,
    )


# --- default ------------------------------------------------------------------------------------------------
# vaegen train KIND                    (docs/train.md has the losses of all six runs)
# A stroke mask times one color; KL weights far below 1, because a learned prior does the sampling; codes are
# annealed soft to hard; weights are averaged.


def _default(
    *,
    epochs: float,
    hidden: int,
    features: int,
    kl_weight: float,
    **latents: int,
) -> TrainConfig:
    return TrainConfig(
        preset="default",
        model=ModelConfig("factored", hidden=hidden, features=features, brightness=1.12, blackness=0.04, **latents),
        objective=ObjectiveConfig(
            kl_weight=kl_weight,
            kl_warmup=0.1,
            temperature_start=1.0,
            temperature_end=0.5,
            temperature_reached=0.6,
            hard_from=0.75,
            perceptual_weight=60.0,
            perceptual_contrast=1.3,
            digit_weight=30.0,
        ),
        vae=StageConfig(epochs=epochs, batch=256, learning_rate=2e-3, clip=20.0, ema=0.999, augment=1.0),
        sharpen=SharpenConfig(critic_weight=32.0, critic_channels=24),
        sharpen_stage=StageConfig(
            epochs=20, batch=256, learning_rate=6e-4, beta1=0.5, clip=20.0, ema=0.998, augment=1.0
        ),
        prior=PriorConfig(
            field_hidden=640,
            blocks=4,
            guidance=0.15,
            critic_weight=0.3,
            critic_penalty=0.02,
            style_given=0.5,
        ),
        flow_stage=StageConfig(epochs=70, batch=512, learning_rate=2e-3, clip=1.0, ema=0.999),
        prior_stage=StageConfig(epochs=20, batch=1024, learning_rate=2e-3, beta1=0.0, clip=1.0, ema=0.998),
    )


PRESETS: Final[Mapping[tuple[str, Kind], TrainConfig]] = {
    ("seed", "continuous"): _seed(continuous=2),
    ("seed", "discrete"): _seed(variables=3, classes=20),
    ("seed", "joint"): _seed(continuous=2, variables=3, classes=20),
    # 44 coordinates for the shape, 3 for hue, saturation and value.
    ("default", "continuous"): _default(
        epochs=40,
        hidden=576,
        features=44,
        kl_weight=0.03,
        continuous=47,
        color_continuous=3,
    ),
    # The digit, 80 variables for the shape, 9 for the color: three decimal places of hue, saturation and value each.
    ("default", "discrete"): _default(
        epochs=30,
        hidden=528,
        features=48,
        kl_weight=0.01,
        variables=90,
        classes=10,
        digit_variables=1,
        color_variables=9,
    ),
    # The digit, 32 coordinates and 24 variables for the shape, 3 coordinates for hue, saturation and value.
    ("default", "joint"): _default(
        epochs=48,
        hidden=576,
        features=44,
        kl_weight=0.03,
        continuous=35,
        color_continuous=3,
        variables=25,
        classes=10,
        digit_variables=1,
    ),
}
"""All presets by (name, kind)."""

ABOUT: Final[Mapping[str, str]] = {
    "default": "a stroke mask times a color, what the wheel ships",
    "seed": "the report's small networks",
}


def preset(name: str, kind: str) -> TrainConfig:
    """Look a preset up.

    Raises:
        ConfigError: There is none of this name or kind.
    """
    if name not in ABOUT:
        raise ConfigError(f"unknown preset {name!r}; choose from {', '.join(ABOUT)}")
    if kind not in KINDS:
        raise ConfigError(f"unknown model {kind!r}; choose from {', '.join(KINDS)}")
    return PRESETS[name, kind]


# --- how long they take -------------------------------------------------------------------------------------

MNIST_IMAGES: Final = 60_000  # that the presets, and the judge of digits, were trained on
_JUDGE_SECONDS: Final = 240.0
_SECONDS: Final[Mapping[tuple[str, Kind], Mapping[str, float]]] = {
    ("seed", "continuous"): {"vae": 440, "flow": 60, "examples": 10, "prior": 10, "verifier": 150},
    ("seed", "discrete"): {"vae": 460, "flow": 60, "examples": 10, "prior": 10, "verifier": 170},
    ("seed", "joint"): {"vae": 840, "flow": 80, "examples": 10, "prior": 10, "verifier": 210},
    ("default", "continuous"): {
        "vae": 380,
        "sharpen": 1500,
        "flow": 520,
        "examples": 130,
        "prior": 740,
        "verifier": 160,
    },
    ("default", "discrete"): {
        "vae": 470,
        "sharpen": 1380,
        "flow": 620,
        "examples": 120,
        "prior": 840,
        "verifier": 200,
    },
    ("default", "joint"): {"vae": 550, "sharpen": 1410, "flow": 640, "examples": 150, "prior": 840, "verifier": 190},
}
"""Of each stage, on 2 CPU cores (Intel Xeon, AVX-512) and all of MNIST: the processor time of a step with one thread,
times the steps, times 0.64, for a second thread makes a step take 0.62 to 0.65 as long. Those of sharpen, flow and
prior of discrete are estimates by joint's."""


def seconds(config: TrainConfig | None, items: int = MNIST_IMAGES) -> dict[str, float]:
    """Return about how long each stage of a run takes on 2 CPU cores, seconds, in the order of the stages.

    It grows with epochs, examples and images. What other changes of the preset cost is not known: see `has_sizes`.

    Args:
        config: The run's settings; None for those of the judge.
        items: Training images.
    """
    share = items / MNIST_IMAGES
    if config is None:
        return {"judge": _JUDGE_SECONDS * share}
    known, first = _SECONDS[config.preset, config.model.latent.kind], preset(config.preset, config.model.latent.kind)
    examples = config.prior.examples / first.prior.examples
    found = {"judge": _JUDGE_SECONDS * max(1, share)} if config.classes else {}
    found["vae"] = known["vae"] * share * config.vae.epochs / first.vae.epochs
    if config.sharpen.critic_weight:
        epochs = config.sharpen_stage.epochs / first.sharpen_stage.epochs
        found["sharpen"] = known.get("sharpen", known["vae"]) * share * epochs
    found["flow"] = known["flow"] * share * config.flow_stage.epochs / first.flow_stage.epochs
    found["examples"] = known["examples"] * examples
    found["prior"] = known["prior"] * examples * config.prior_stage.epochs / first.prior_stage.epochs
    found["verifier"] = known["verifier"] * share * config.verifier_stage.epochs / first.verifier_stage.epochs
    return found


def has_sizes(config: TrainConfig) -> bool:
    """Return whether networks and batches have their preset's sizes, on which the time of a step depends."""
    first = preset(config.preset, config.model.latent.kind)
    stages = ("vae", "sharpen_stage", "flow_stage", "prior_stage", "verifier_stage")
    return (
        config.model == first.model
        and config.sharpen.critic_channels == first.sharpen.critic_channels
        and replace(config.prior, examples=first.prior.examples, temperature=first.prior.temperature) == first.prior
        and all(getattr(config, stage).batch == getattr(first, stage).batch for stage in stages)
    )
