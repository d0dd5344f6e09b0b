"""Settings: what is wrong is refused with the choices, and what is right changes the training."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from vaegen.errors import ConfigError
from vaegen_training.config import ModelConfig, ObjectiveConfig, PriorConfig, SharpenConfig, StageConfig, TrainConfig
from vaegen_training.data import Mnist
from vaegen_training.presets import preset
from vaegen_training.prior import acceptance
from vaegen_training.runs import loop
from vaegen_training.runs.run_folder import CHECKPOINT, EXAMPLES, load_run
from vaegen_training.runs.stages import train_model

CONFIG = preset("default", "joint")


# --- overrides ------------------------------------------------------------------------------------------------


def test_settings_are_typed_and_recorded() -> None:
    changed = CONFIG.override({"vae.epochs": "2.5", "vae.batch": "64", "prior_stage.schedule": "constant"})
    assert (changed.vae.epochs, changed.vae.batch, changed.prior_stage.schedule) == (2.5, 64, "constant")
    assert changed.extras == {"vae.epochs": "2.5", "vae.batch": "64", "prior_stage.schedule": "constant"}
    assert dataclasses.replace(changed, vae=CONFIG.vae, prior_stage=CONFIG.prior_stage, extras={}) == CONFIG


def test_settings_that_belong_together_are_judged_together() -> None:
    for settings in (
        {"objective.temperature_start": "0.4", "objective.temperature_end": "0.3"},
        {"objective.temperature_end": "2", "objective.temperature_start": "2"},
        {
            "model.architecture": "seed",
            "model.color_continuous": "0",
            "model.digit_variables": "0",
            "sharpen.critic_weight": "0",
        },
        {"model.color_variables": "9", "model.variables": "30", "model.color_continuous": "0"},
        {"model.digit_variables": "1", "model.classes": "10"},
    ):
        for order in (settings, dict(reversed(settings.items()))):
            changed = CONFIG.override(order)
            for key, text in settings.items():
                section, name = key.split(".")
                assert str(getattr(getattr(changed, section), name)).removesuffix(".0") == text


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("vae.epoch", "did you mean epochs"),
        ("vae.learning-rate", "did you mean learning_rate"),
        ("epochs", "vae.epochs"),
        ("vea.epochs", "did you mean vae.epochs"),
        ("vae", "settings look like vae.epochs=5"),
        ("", "settings look like vae.epochs=5"),
        (
            "prior.epochs",
            "prior has hidden, field_hidden, blocks, steps, examples, layers, style_given, guidance, critic_",
        ),
        ("preset", "settings look like"),
        ("extras.x", "settings look like"),
    ],
)
def test_an_unknown_setting_is_named_with_the_closest(key: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="unknown setting") as caught:
        CONFIG.override({key: "1"})
    assert repr(key) in str(caught.value)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("vae.epochs", "many"),
        ("vae.batch", "2.5"),
        ("vae.batch", ""),
        ("vae.schedule", "linear"),
        ("model.architecture", "conv"),
        ("objective.kl_weight", "0,1"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(key: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CONFIG.override({key: text})
    assert key in str(caught.value)
    assert repr(text) in str(caught.value)


OUT_OF_RANGE = {
    "model.continuous": ["-1", "2"],
    "model.variables": ["-1", "0"],
    "model.classes": ["-1", "0", "1"],
    "model.color_continuous": ["-3", "1", "36"],
    "model.color_variables": ["-3", "1", "2", "3", "33"],
    "model.digit_variables": ["-1", "2"],
    "model.hidden": ["0", "1"],
    "model.features": ["0"],
    "model.logit_gain": ["0", "-1", "nan", "inf"],
    "model.brightness": ["0", "-1", "nan", "inf"],
    "model.blackness": ["-0.1", "nan", "inf"],
    "objective.kl_weight": ["-0.1", "nan", "inf"],
    "objective.kl_warmup": ["-0.1", "1.1", "nan"],
    "objective.temperature_start": ["0.1", "101", "nan", "inf"],
    "objective.temperature_end": ["0", "-1", "1.5", "nan"],
    "objective.temperature_reached": ["-0.1", "1.1", "nan"],
    "objective.hard_from": ["-0.1", "1.1", "nan"],
    "objective.perceptual_weight": ["-0.1", "nan", "inf"],
    "objective.perceptual_contrast": ["0", "nan", "inf"],
    "objective.digit_weight": ["-0.1", "nan", "inf"],
    "vae.epochs": ["0", "-1", "nan", "inf"],
    "vae.batch": ["0", "60001", "9" * 400],
    "vae.learning_rate": ["0", "1", "nan"],
    "vae.warmup": ["-0.1", "1", "nan"],
    "vae.beta1": ["-0.1", "1", "nan"],
    "vae.beta2": ["0", "1", "nan"],
    "vae.clip": ["-1", "nan", "inf"],
    "vae.ema": ["-0.1", "1", "nan"],
    "vae.augment": ["-1", "5", "nan"],
    "prior.hidden": ["0"],
    "prior.blocks": ["0"],
    "prior.steps": ["0"],
    "prior.examples": ["99", "10000001"],
    "prior.layers": ["0"],
    "prior.style_given": ["-0.1", "1", "nan"],
    "prior.guidance": ["-0.1", "nan", "inf"],
    "sharpen.critic_weight": ["-0.1", "nan", "inf"],
    "prior_stage.augment": ["0.5"],
    "prior.temperature": ["0", "1.1", "nan"],
}


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, texts in OUT_OF_RANGE.items() for text in texts])
def test_a_value_out_of_range_is_refused_in_one_line(key: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CONFIG.override({key: text})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vae.epochs": "-1"}, "vae.epochs is -1.0; it must be a number over 0 and at most 1000000"),
        ({"flow_stage.ema": 1}, "flow_stage.ema is 1; it must be a number from 0 to below 1"),
        ({"vae.batch": 64.0}, "vae.batch is 64.0; it must be a whole number from 1 to 60000"),
        ({"prior.layers": True}, "prior.layers is True; it must be a whole number from 1 to 1000"),
        ({"model.digit_variables": "2"}, "model.digit_variables is 2; it must be 0 or 1"),
        ({"vae.schedule": "linear"}, "vae.schedule is 'linear'; it must be constant or cosine"),
        ({"seed": -1}, "seed is -1; it must be a whole number from 0 to 9223372036854775807"),
        ({"seed": 2**63}, "to 9223372036854775807"),
        ({"objective.temperature_end": 2}, "temperature_end is 2; it must be at most temperature_start, 1.0"),
        ({"model.variables": 6554}, "latents of 65575 coordinates; the most is 65536"),
    ],
)
def test_what_is_refused_is_named_with_its_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        CONFIG.override(settings)


def test_a_factored_model_needs_color_and_shape() -> None:
    for config, reason in (
        ({"continuous": 4}, "the color needs latents of one kind"),
        ({"continuous": 4, "variables": 4, "classes": 8, "color_continuous": 3, "color_variables": 3}, "of one kind"),
        ({"continuous": 3, "color_continuous": 3}, "latents for the shape"),
        (
            {"continuous": 3, "variables": 1, "classes": 10, "color_continuous": 3, "digit_variables": 1},
            "latents for the shape",
        ),
        ({"variables": 70, "classes": 10, "color_variables": 60}, "levels of a color"),
    ):
        with pytest.raises(ConfigError, match=reason):
            ModelConfig(**config)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the seed architecture has no part for the color"):
        ModelConfig("seed", continuous=5, color_continuous=3)


# --- the file -------------------------------------------------------------------------------------------------


def test_the_file_gives_the_configuration_back() -> None:
    changed = dataclasses.replace(CONFIG.override({"vae.epochs": "2"}), seed=7)
    assert TrainConfig.from_json(changed.to_json()) == changed


@pytest.mark.parametrize("damage", ["no json", "a list", "missing", "unknown", "nested", "range", "type", "choice"])
def test_a_file_of_another_version_is_refused(damage: str) -> None:
    data = json.loads(CONFIG.to_json())
    text = None
    if damage == "no json":
        text = "{"
    elif damage == "a list":
        text = "[]"
    elif damage == "missing":
        del data["vae"]
    elif damage == "unknown":
        data["future"] = 1
    elif damage == "nested":
        data["vae"]["momentum"] = 0.9
    elif damage == "range":
        data["vae"]["batch"] = 0
    elif damage == "type":
        data["vae"]["batch"] = "64"
    elif damage == "choice":
        data["model"]["architecture"] = "conv"
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        TrainConfig.from_json(json.dumps(data) if text is None else text)


# --- every setting does something -----------------------------------------------------------------------------

_STAGE = StageConfig(epochs=1, batch=16, learning_rate=0.002)
SMALL = TrainConfig(
    preset="default",
    model=ModelConfig(
        continuous=5, variables=5, classes=10, color_continuous=3, digit_variables=1, hidden=16, features=6
    ),
    objective=ObjectiveConfig(kl_weight=0.1, temperature_end=0.5, perceptual_weight=1.0, digit_weight=1.0),
    vae=_STAGE,
    sharpen=SharpenConfig(critic_weight=1.0),
    sharpen_stage=_STAGE,
    prior=PriorConfig(
        hidden=8,
        field_hidden=8,
        blocks=1,
        steps=2,
        examples=100,
        layers=2,
        style_given=0.5,
        guidance=0.1,
        critic_weight=0.5,
    ),
    flow_stage=_STAGE,
    prior_stage=_STAGE,
    verifier_stage=_STAGE,
)
# For what changes the VAE, after which a step of each later stage is enough to see it.
BRIEF = SMALL.override(
    {f"{stage}.epochs": "0.25" for stage in ("sharpen_stage", "flow_stage", "prior_stage", "verifier_stage")}
)
STAGE_CHANGES = {
    "epochs": "1.5",
    "batch": "20",
    "learning_rate": "0.003",
    "schedule": "constant",
    "warmup": "0.5",
    "beta1": "0.5",
    "beta2": "0.9",
    "clip": "0.01",
    "ema": "0.5",
    "augment": "1",
}
CHANGES = {
    "model": {
        "architecture": "seed",
        "continuous": "6",
        "variables": "6",
        "classes": "5",
        "color_continuous": "0",
        "color_variables": "3",
        "digit_variables": "0",
        "hidden": "20",
        "features": "7",
        "logit_gain": "4",
        "brightness": "1.5",
        "blackness": "0.1",
    },
    "objective": {
        "kl_weight": "0.2",
        "kl_warmup": "0.5",
        "temperature_start": "2",
        "temperature_end": "0.6",
        "temperature_reached": "0.9",
        "hard_from": "0.5",
        "perceptual_weight": "2",
        "perceptual_contrast": "2",
        "digit_weight": "2",
    },
    "vae": STAGE_CHANGES,
    "sharpen": {"critic_weight": "2", "critic_channels": "3"},
    "sharpen_stage": STAGE_CHANGES,
    "prior": {
        "hidden": "9",
        "field_hidden": "9",
        "blocks": "2",
        "steps": "3",
        "examples": "120",
        "layers": "3",
        "style_given": "0.4",
        "guidance": "0.2",
        "critic_weight": "2",
        "critic_penalty": "2",
        "temperature": "0.5",
    },
    "flow_stage": STAGE_CHANGES,
    "prior_stage": {name: value for name, value in STAGE_CHANGES.items() if name != "augment"},
    "verifier_stage": STAGE_CHANGES,
}
# What cannot change alone: no color part without another, none in the seed architecture.
TOGETHER = {
    "model.architecture": {"model.color_continuous": "0", "model.digit_variables": "0", "sharpen.critic_weight": "0"},
    "model.classes": {"model.digit_variables": "0"},
    "model.color_continuous": {"model.color_variables": "3"},
    "model.color_variables": {"model.color_continuous": "0"},
}


# How many of the files of a run do not depend on a section of the settings.
FILES = (*(f"{stage}.{CHECKPOINT}" for stage in ("vae", "sharpen", "flow")), EXAMPLES, f"prior.{CHECKPOINT}")
BEFORE = {"sharpen": 1, "sharpen_stage": 1, "prior": 2, "flow_stage": 2, "prior_stage": 4, "verifier_stage": 5}


def fingerprint(config: TrainConfig, digits: Mnist, folder: Path) -> bytes:
    """Train for a moment on 64 digits; give all weights of the result and what the prior draws by default.

    A run whose first stages lie in the folder goes on from there.
    """
    few = Mnist(digits.train_images[:64], digits.train_labels[:64], digits.test_images[:16], digits.test_labels[:16])
    (folder / "samples").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOGS", 1)  # each line of metrics and picture is synced to the disk, which takes its time
        patch.setattr(loop, "PREVIEWS", 1)
        patch.setattr(acceptance, "_LEVELLED", 20)  # samples of each digit, which otherwise take longer than the steps
        train_model(folder, config, few, torch.device("cpu"))
    loaded = load_run(folder)
    vae, prior = loaded.vae, loaded.prior
    noise = torch.linspace(0.1, 0.9, prior.noise_size)[None]
    with torch.no_grad():
        drawn = prior(torch.tensor([3]), torch.tensor([[1.0, 0.5, 0]]), noise, torch.tensor(config.prior.temperature))
        image = vae.decode(drawn)
    networks = (vae, prior.network, loaded.verifier)
    tensors = (*(tensor for network in networks for tensor in network.state_dict().values()), drawn, image)
    return b"".join(tensor.numpy().tobytes() for tensor in tensors)


@pytest.fixture(scope="module")
def unchanged(digits: Mnist, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Path]]:
    """What the unchanged settings give, and the folders of those runs."""
    found = {}
    for name, config in (("small", SMALL), ("brief", BRIEF)):
        folder = tmp_path_factory.mktemp(name)
        found[name] = fingerprint(config, digits, folder), folder
        assert found[name][0] == fingerprint(config, digits, tmp_path_factory.mktemp(name))
    return found


def test_every_setting_is_tried() -> None:
    for section, changes in CHANGES.items():
        fields = {field.name for field in dataclasses.fields(getattr(SMALL, section))}
        assert set(changes) == fields - ({"augment"} if section == "prior_stage" else set())  # refused there
    assert {field.name for field in dataclasses.fields(TrainConfig)} == {
        *CHANGES,
        "preset",
        "seed",
        "classes",
        "extras",
    }


@pytest.mark.parametrize(("section", "name"), [(section, name) for section, names in CHANGES.items() for name in names])
def test_every_setting_changes_the_result(
    section: str, name: str, digits: Mnist, tmp_path: Path, unchanged: dict[str, tuple[bytes, Path]]
) -> None:
    key, start = f"{section}.{name}", SMALL if section in BEFORE else BRIEF
    first, folder = unchanged["small" if section in BEFORE else "brief"]
    for file in FILES[: BEFORE.get(section, 0)]:
        shutil.copy(folder / file, tmp_path)
    config = start.override({key: CHANGES[section][name], **TOGETHER.get(key, {})})
    assert fingerprint(config, digits, tmp_path) != first


def test_the_seed_changes_the_result(digits: Mnist, tmp_path: Path, unchanged: dict[str, tuple[bytes, Path]]) -> None:
    assert fingerprint(dataclasses.replace(BRIEF, seed=1), digits, tmp_path) != unchanged["brief"][0]
