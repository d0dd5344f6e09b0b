"""The conditional prior: a flow whose density and samples agree, and categoricals drawn with one uniform each."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from vaegen.spec import KINDS
from vaegen_training import latents
from vaegen_training.config import PriorConfig, StageConfig
from vaegen_training.loop import Stage, run_stage
from vaegen_training.models import FactoredVae
from vaegen_training.presets import preset
from vaegen_training.prior import ConditionalFlow, Prior, invert_cdf
from vaegen_training.run import fresh


def stirred_flow(size: int, *, spread: float = 0.5, use_color: bool = True) -> ConditionalFlow:
    """A flow that is far from the identity it starts as."""
    torch.manual_seed(0)
    flow = ConditionalFlow(size, PriorConfig(couplings=4, hidden=16), use_color=use_color).eval()
    with torch.no_grad():
        for layer in flow.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.normal_(0, spread)
                layer.bias.normal_(0, 0.3)
    flow.standardise(torch.randn(500, size, generator=torch.Generator().manual_seed(1)) * 3 + 2)
    return flow


def context(flow: ConditionalFlow, n: int) -> Tensor:
    random = torch.Generator().manual_seed(2)
    return flow.context(torch.randint(10, (n,), generator=random), torch.rand(n, 3, generator=random))


def standard_normal(x: Tensor) -> Tensor:
    return -0.5 * (x.square() + math.log(2 * math.pi)).sum(-1)


def stirred_prior(name: str, kind: str) -> Prior:
    config = preset(name, kind)
    vae, flow = fresh(config)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    return Prior(vae.eval(), flow.eval())


def draw(prior: Prior, n: int = 6, temperature: float = 1.0) -> Tensor:
    random = torch.Generator().manual_seed(4)
    digit, rgb = torch.randint(10, (n,), generator=random), torch.rand(n, 3, generator=random)
    uniform = torch.rand(n, prior.noise_size, generator=random)
    with torch.no_grad():
        latent: Tensor = prior(digit, rgb, uniform, torch.tensor(temperature))
    return latent


# --- the flow -------------------------------------------------------------------------------------------------


def test_a_new_flow_is_a_standard_normal() -> None:
    flow = ConditionalFlow(5, PriorConfig(), use_color=True)
    noise = torch.randn(20, 5)
    torch.testing.assert_close(flow.log_prob(noise, context(flow, 20)), standard_normal(noise))
    # But for the order of the features, which the permutations between the couplings change.
    drawn = flow.sample(noise, context(flow, 20))
    assert torch.equal(drawn.sort(dim=1).values, noise.sort(dim=1).values)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_density_and_samples_agree_by_the_change_of_variables(size: int) -> None:
    flow = stirred_flow(size).double()
    for row, condition in enumerate(context(flow, 5).double()):
        noise = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(row))

        def standardised(z: Tensor, condition: Tensor = condition) -> Tensor:
            return ((flow.sample(z[None], condition[None]) - flow.center) / flow.scale)[0]

        # p(x) = N(z) / |det dx/dz| holds only if log_prob walks back to the very noise that made x.
        jacobian = torch.autograd.functional.jacobian(standardised, noise)
        expected = standard_normal(noise) - torch.linalg.slogdet(jacobian).logabsdet
        found = flow.log_prob(standardised(noise)[None], condition[None])[0]
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_the_density_integrates_to_one() -> None:
    flow = stirred_flow(2, spread=0.2)
    axis = torch.linspace(-24, 24, 801)
    grid = torch.cartesian_prod(axis, axis)
    for condition in context(flow, 2):
        with torch.no_grad():
            density = flow.log_prob(grid, condition.expand(len(grid), -1)).exp()
        assert float(density.double().sum()) * 0.06**2 == pytest.approx(1, abs=1e-3)


def test_the_flow_sees_digit_and_color() -> None:
    flow = stirred_flow(4)
    noise = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    digit, rgb = torch.tensor([3]), torch.tensor([[1.0, 0.0, 0.0]])
    base = flow.sample(noise, flow.context(digit, rgb))
    assert not torch.allclose(base, flow.sample(noise, flow.context(digit + 1, rgb)))
    assert not torch.allclose(base, flow.sample(noise, flow.context(digit, 1 - rgb)))
    blind = stirred_flow(4, use_color=False)
    assert torch.equal(blind.context(digit, rgb), blind.context(digit, 1 - rgb))


def test_standardise_takes_mean_and_deviation_and_survives_a_dead_feature() -> None:
    flow = ConditionalFlow(2, PriorConfig(), use_color=False)
    features = torch.stack([torch.linspace(0, 4, 101), torch.full((101,), 7.0)], dim=1)
    flow.standardise(features)
    assert flow.center.tolist() == pytest.approx([2, 7])
    assert flow.scale.tolist() == pytest.approx([float(features[:, 0].std()), 1e-4])


def test_a_fitted_flow_samples_what_it_was_shown(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow = ConditionalFlow(2, PriorConfig(couplings=4, hidden=32), use_color=False)
    labels = torch.arange(2000) % 2
    # Two rings in one place each: mean and radius depend on the digit, the density is no Gaussian.
    angle = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    ring = torch.stack([angle.cos(), angle.sin()], 1) * (0.5 + labels[:, None]) + 4 * labels[:, None]
    flow.standardise(ring)

    def objective(index: Tensor, random: torch.Generator, progress: float) -> dict[str, Tensor]:
        x = (ring[index] - flow.center) / flow.scale + 0.05 * torch.randn(len(index), 2, generator=random)
        return {"loss": -flow.log_prob(x, flow.context(labels[index], torch.zeros(len(index), 3))).mean()}

    config = StageConfig(epochs=20, batch=200, learning_rate=5e-3)
    stage = Stage("prior", flow, objective, config, 2000)
    run_stage(stage, tmp_path, seed=0, device=torch.device("cpu"), progress=False)
    digit = torch.arange(1000) % 2
    noise = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        drawn = flow.sample(noise, flow.context(digit, torch.zeros(1000, 3)))
    for which, center, radius in ((0, 0.0, 0.5), (1, 4.0, 1.5)):
        points = drawn[digit == which] - center
        assert points.mean(0).abs().max() < 0.4
        assert float(points.norm(dim=1).median()) == pytest.approx(radius, abs=0.35)


# --- one uniform for each categorical -------------------------------------------------------------------------


def test_invert_cdf_draws_each_class_as_often_as_the_logits_say() -> None:
    n, logits = 10_000, torch.tensor([[1.0, -2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
    uniform = ((torch.arange(n) + 0.5) / n)[:, None].expand(n, 2)  # every quantile once
    codes = invert_cdf(logits.expand(n, 2, 4), uniform).reshape(n, 2, 4)
    assert torch.equal(codes.sum(-1), torch.ones(n, 2))
    assert torch.equal(codes.unique(), torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(codes.mean(0), logits.softmax(-1), rtol=0, atol=1.5 / n)


def test_invert_cdf_gives_one_class_at_the_very_ends() -> None:
    torch.manual_seed(0)
    logits = 5 * torch.randn(1000, 3, 20)
    for end in (0.0, 2.0**-25, 1 - 2.0**-24, 1.0):
        codes = invert_cdf(logits, torch.full((1000, 3), end)).reshape(1000, 3, 20)
        assert torch.equal(codes.sum(-1), torch.ones(1000, 3))
        assert codes.amin() == 0


def test_invert_cdf_never_draws_an_unlikely_last_class_by_rounding() -> None:
    logits = torch.randn(2000, 3, 20, generator=torch.Generator().manual_seed(0))
    logits[:, :, -1] = -60
    for uniform in (0.5, 1 - 2.0**-20, 1 - 2.0**-24):
        codes = invert_cdf(logits, torch.full((2000, 3), uniform)).reshape(2000, 3, 20)
        assert not codes[:, :, -1].any()


# --- the whole prior ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in ("seed", "default") for kind in KINDS])
def test_the_prior_gives_latents_of_the_models_shape(name: str, kind: str) -> None:
    prior = stirred_prior(name, kind)
    z, (n, k) = prior.vae.spec.continuous, prior.vae.spec.categorical
    assert prior.noise_size == prior.flow.size + z + n
    latent = draw(prior)
    assert latent.shape == (6, prior.vae.spec.size)
    assert latent.dtype == torch.float32
    if n:
        codes = latent[:, z:].reshape(6, n, k)
        assert torch.equal(codes, codes.round())  # hard one-hots
        assert torch.equal(codes.sum(-1), torch.ones(6, n))
    image = prior.vae.decode(latent)
    assert image.shape == (6, 3, 28, 28)
    assert image.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_draws_is_the_same_as_its_draws_one_by_one(kind: str) -> None:
    prior = stirred_prior("default", kind)
    random = torch.Generator().manual_seed(4)
    digit, rgb = torch.randint(10, (4,), generator=random), torch.rand(4, 3, generator=random)
    uniform, temperature = torch.rand(4, prior.noise_size, generator=random), torch.tensor(0.8)
    with torch.no_grad():
        batch = prior(digit, rgb, uniform, temperature)
        rows = [prior(digit[i : i + 1], rgb[i : i + 1], uniform[i : i + 1], temperature) for i in range(4)]
    torch.testing.assert_close(batch, torch.cat(rows), rtol=1e-4, atol=1e-4)


def test_the_prior_draws_features_then_latents_from_the_models_own_posterior() -> None:
    prior = stirred_prior("seed", "continuous")
    digit, rgb = torch.tensor([3]), torch.tensor([[1.0, 0.0, 0.0]])
    uniform = torch.rand(1, prior.noise_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = prior.flow.sample(latents.normal(uniform[:, :4]) * 0.7, prior.flow.context(digit, rgb))
        posterior = prior.vae.posterior(features, rgb)
        assert posterior.mean is not None
        assert posterior.log_variance is not None
        expected = posterior.mean + (posterior.log_variance / 2).exp() * latents.normal(uniform[:, 4:]) * 0.7
        found = prior(digit, rgb, uniform, torch.tensor(0.7))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cold_prior_always_draws_the_same(kind: str) -> None:
    prior = stirred_prior("default", kind)
    digit, rgb = torch.full((20,), 3), torch.tensor([[0.3, 0.6, 0.9]]).expand(20, 3)
    uniform = torch.rand(20, prior.noise_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        warm = prior(digit, rgb, uniform, torch.tensor(1.0))
        cold = prior(digit, rgb, uniform, torch.tensor(1e-4))
    assert float(warm.std(0).max()) > 0.3
    torch.testing.assert_close(cold, cold[:1].expand_as(cold), rtol=0, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factored_model_is_given_the_very_color_that_was_asked_for(kind: str) -> None:
    prior = stirred_prior("default", kind)
    assert isinstance(prior.vae, FactoredVae)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    uniform = torch.rand(8, prior.noise_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latent = prior(torch.arange(8), corners, uniform, torch.tensor(0.5))
        _, color = prior.vae.parts(latent)
    torch.testing.assert_close(color, corners, rtol=0, atol=0.02)
