"""The presets: `seed` is the report to the letter; `default` is a sound configuration of each kind."""

import dataclasses

import pytest
from vaegen.errors import ConfigError
from vaegen.spec import KINDS, LatentSpec
from vaegen_training.config import ObjectiveConfig, StageConfig, TrainConfig
from vaegen_training.presets import PRESETS, has_sizes, preset, seconds

LATENTS = {
    "continuous": LatentSpec(2),
    "discrete": LatentSpec(0, (3, 20)),
    "joint": LatentSpec(2, (3, 20)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_has_the_hyper_parameters_of_the_report(kind: str) -> None:
    config = preset("seed", kind)
    assert config.model.architecture == "seed"
    assert config.model.latent == LATENTS[kind]
    # Adam with torch's own defaults, nothing scheduled, averaged, clipped or augmented.
    assert config.vae == StageConfig(
        epochs=20, batch=28, learning_rate=0.001, schedule="constant", warmup=0, beta2=0.999, clip=0, ema=0, augment=0
    )
    objective = config.objective
    assert (objective.kl_weight, objective.kl_warmup, objective.hard_from) == (1, 0, 1)
    assert (objective.temperature_start, objective.temperature_end) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["seed", "default"])
def test_each_preset_is_of_its_name_and_kind(name: str, kind: str) -> None:
    config = preset(name, kind)
    assert config.preset == name
    assert config.model.latent.kind == kind
    assert not config.extras


def test_there_is_a_preset_of_each_name_and_kind() -> None:
    assert set(PRESETS) == {(name, kind) for name in ("seed", "default") for kind in KINDS}


def test_the_time_grows_with_epochs_examples_and_images() -> None:
    first = preset("default", "joint")
    plan = seconds(first)
    assert list(plan) == ["vae", "sharpen", "flow", "examples", "prior", "verifier"]
    assert list(seconds(preset("seed", "joint"))) == ["vae", "flow", "examples", "prior", "verifier"]
    changed = first.override({"vae.epochs": 24, "prior.examples": 200_000, "prior_stage.epochs": 40})
    assert seconds(changed) == pytest.approx({**plan, "vae": plan["vae"] / 2, "examples": plan["examples"] / 2})
    assert seconds(first, 6000)["flow"] == pytest.approx(plan["flow"] / 10)
    named = first.override({"classes": list("abcdefghij")})
    assert seconds(named) == {"judge": seconds(None)["judge"]} | plan
    assert next(iter(seconds(named))) == "judge"
    assert has_sizes(changed)
    assert not has_sizes(first.override({"model.hidden": 64}))
    assert not has_sizes(first.override({"flow_stage.batch": 64}))


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("seed", "joint").vae.epochs = 1  # type: ignore[misc]


def test_presets_survive_their_file() -> None:
    for config in PRESETS.values():
        assert TrainConfig.from_json(config.to_json()) == config


def test_an_unknown_preset_or_model_is_named_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'sead'; choose from default, seed"):
        preset("sead", "joint")
    with pytest.raises(ConfigError, match="unknown model 'jiont'; choose from continuous, discrete, joint"):
        preset("seed", "jiont")


def test_the_report_trains_without_annealing() -> None:
    assert preset("seed", "joint").objective == ObjectiveConfig()
