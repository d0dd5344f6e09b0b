"""The velocity field: what it minimises, and that its solutions are distributed as what it was shown."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from vaegen_training.config import PriorConfig, StageConfig
from vaegen_training.data import Mnist
from vaegen_training.presets import preset
from vaegen_training.prior import Examples, FeatureSpace, FlowObjective, VelocityField
from vaegen_training.runs.loop import Stage, run_stage
from vaegen_training.runs.run_folder import build_networks

# --- what is modelled ------------------------------------------------------------------------------------------


def test_fit_takes_mean_and_deviation_and_survives_a_dead_feature() -> None:
    space = FeatureSpace(2, use_color=False, use_style=False)
    features = torch.stack([torch.linspace(0, 4, 101), torch.full((101,), 7.0)], dim=1)
    space.fit(features)
    assert space.center.tolist() == pytest.approx([2, 7])
    assert space.scale.tolist() == pytest.approx([float(features[:, 0].std()), 1e-4])
    standard = space.standardise(features)
    assert standard.mean(0).tolist() == pytest.approx([0, 0], abs=1e-5)
    torch.testing.assert_close(space.restore(standard), features)


def test_the_context_tells_digits_apart_and_colors_where_they_matter() -> None:
    digit, rgb = torch.arange(10), torch.rand(10, 3, generator=torch.Generator().manual_seed(0))
    blind, seeing = FeatureSpace(4, use_color=False, use_style=False), FeatureSpace(4, use_color=True, use_style=False)
    assert torch.equal(blind.context(digit, rgb), torch.eye(10))
    assert torch.equal(blind.context(digit, rgb), blind.context(digit, 1 - rgb))
    found = seeing.context(digit, rgb)
    assert found.shape == (10, seeing.context_size)
    assert not torch.equal(found, seeing.context(digit, 1 - rgb))
    assert torch.equal(found[:, :10], torch.eye(10))


def test_a_style_is_told_or_not_each_part_on_its_own() -> None:
    space = FeatureSpace(4, use_color=False, use_style=True)
    digit, rgb = torch.arange(4), torch.zeros(4, 3)
    style = torch.tensor([[15.0, 3.0], [90.0, 3.0], [-15.0, 0.0], [90.0, 0.0]])
    told = space.context(digit, rgb, style)[:, 10:]
    expected = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [1, 0, -1, 0], [0, 0, 0, 0]]).float()
    torch.testing.assert_close(told, expected)
    assert not space.context(digit, rgb)[:, 10:].any()
    assert space.context(digit, rgb).shape == (4, space.context_size)


def test_some_styles_are_told(digits: Mnist) -> None:
    config = preset("default", "joint")
    vae, _, _ = build_networks(config)
    random = torch.Generator().manual_seed(0)
    style = Examples(vae, digits, config).draw(torch.arange(1000), random).style
    assert style is not None
    for part, none in zip(style.unbind(1), (90, 0), strict=True):
        assert float((part != none).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert Examples(vae, digits, preset("seed", "joint")).draw(torch.arange(9), random).style is None


@pytest.mark.parametrize(("name", "size"), [("seed", 64), ("default", 44)])
def test_features_are_those_of_the_painted_digits_and_leave_the_vae_alone(name: str, size: int, digits: Mnist) -> None:
    config = preset(name, "joint").override({"flow_stage.augment": "0"})
    vae, _, _ = build_networks(config)
    index = torch.arange(20, 40)
    found = Examples(vae, digits, config).draw(index, torch.Generator().manual_seed(0))
    assert found.features.shape == (20, size)
    assert found.rgb.shape == (20, 3)
    assert torch.equal(found.digit, digits.train_labels[index])
    assert not found.features.requires_grad
    gray = digits.train_images[index].reshape(20, 784).float() / 255
    image = (found.rgb[:, :, None] * gray[:, None]).reshape(20, 3, 28, 28)
    torch.testing.assert_close(found.features, vae.analyse(image).features.detach(), rtol=1e-3, atol=1e-3)


# --- the velocity field ----------------------------------------------------------------------------------------


class Gaussian(VelocityField):
    """The exact velocity from N(0, 1) to N(mean, deviation^2) along x_t = (1 - t) noise + t x."""

    mean, deviation = 3.0, 0.25

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:  # noqa: ARG002
        variance = (1 - time).square() + (time * self.deviation).square()
        slope = (time * self.deviation**2 - (1 - time)) / variance
        return self.mean + slope * (x - time * self.mean)


def test_the_solution_of_a_known_field_is_the_known_map() -> None:
    # For Gaussians the map is noise * deviation + mean; the error falls with the square of the step, near enough.
    field = Gaussian(FeatureSpace(1, use_color=False, use_style=False), PriorConfig(field_hidden=2))
    noise = torch.linspace(-2, 2, 9)[:, None]
    wanted = noise * Gaussian.deviation + Gaussian.mean
    errors = [float((field.solve(noise, noise, steps) - wanted).abs().max()) for steps in (5, 20, 80)]
    assert errors[0] < 0.35
    assert errors[1] < errors[0] / 4
    assert errors[2] < errors[1] / 4


def test_one_step_is_eulers() -> None:
    field = Gaussian(FeatureSpace(1, use_color=False, use_style=False), PriorConfig(field_hidden=2))
    noise = torch.linspace(-2, 2, 9)[:, None]
    torch.testing.assert_close(field.solve(noise, noise, 1), noise + field(noise, torch.zeros(9, 1), noise))


def test_the_loss_is_the_squared_error_of_the_velocity_on_straight_lines(digits: Mnist) -> None:
    config = preset("seed", "joint")
    vae, field, network = build_networks(config)
    space, index = network.space, torch.arange(32)
    examples = Examples(vae, digits, config)
    space.fit(examples.draw(torch.arange(1000), torch.Generator().manual_seed(9)).features)
    found = FlowObjective(field, space, examples)(index, torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(0)
    features, _, rgb, _ = examples.draw(index, random)
    x, noise = space.standardise(features), torch.randn(32, 64, generator=random)
    time = torch.randn(32, 1, generator=random).sigmoid()
    assert float(time.min()) < 0.3
    assert float(time.max()) > 0.7
    velocity = field((1 - time) * noise + time * x, time, space.context(digits.train_labels[index], rgb))
    torch.testing.assert_close(found["loss"], (velocity - (x - noise)).square().mean())
    found["loss"].backward()
    assert all(parameter.grad is None for parameter in vae.parameters())
    assert all(parameter.grad is not None for parameter in field.parameters())


def test_a_fitted_field_draws_what_it_was_shown(tmp_path: Path) -> None:
    torch.manual_seed(0)
    space = FeatureSpace(2, use_color=False, use_style=False)
    field = VelocityField(space, PriorConfig(field_hidden=48, blocks=2))
    labels = torch.arange(2000) % 2
    # Two rings in one place each: mean and radius depend on the digit, the density is not Gaussian.
    angle = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    ring = torch.stack([angle.cos(), angle.sin()], 1) * (0.5 + labels[:, None]) + 4 * labels[:, None]
    space.fit(ring)

    class Straight:
        def prepare(self, progress: float) -> None: ...

        def __call__(self, index: Tensor, random: torch.Generator) -> dict[str, Tensor]:
            x = space.standardise(ring[index])
            noise, time = torch.randn(x.shape, generator=random), torch.rand(len(x), 1, generator=random)
            velocity = field(torch.lerp(noise, x, time), time, space.context(labels[index], torch.zeros(len(x), 3)))
            return {"loss": (velocity - (x - noise)).square().mean()}

    config = StageConfig(epochs=100, batch=200, learning_rate=5e-3, ema=0.98)
    stage = Stage("flow", field, Straight(), config, 2000)
    fitted = run_stage(stage, tmp_path, seed=0, device=torch.device("cpu"))
    digit, noise = torch.arange(1000) % 2, torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    drawn = space.restore(fitted.solve(noise, space.context(digit, torch.zeros(1000, 3)), 8))
    for which, center, radius in ((0, 0.0, 0.5), (1, 4.0, 1.5)):
        points = drawn[digit == which] - center
        assert points.mean(0).abs().max() < 0.3
        assert float(points.norm(dim=1).median()) == pytest.approx(radius, abs=0.2)
        assert float(points.norm(dim=1).quantile(0.1)) > 0.45 * radius  # a ring, no disc
