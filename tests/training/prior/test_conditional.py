"""The conditional prior: latents from the model's own posterior, categoricals drawn with one uniform each."""

import pytest
import torch
from torch import Tensor
from vaegen.spec import KINDS
from vaegen_training.models import latents
from vaegen_training.models.vae import Analysis, FactoredVae
from vaegen_training.presets import preset
from vaegen_training.prior import Prior
from vaegen_training.prior.conditional import invert_cdf
from vaegen_training.runs.run_folder import build_networks


def stirred_prior(name: str, kind: str) -> Prior:
    config = preset(name, kind)
    vae, _, network = build_networks(config)
    space = network.space
    space.fit(torch.randn(500, space.size, generator=torch.Generator().manual_seed(1)) * 3 + 2)
    return Prior(vae.eval(), network.eval())


def draw(prior: Prior, n: int = 6, temperature: float = 1.0) -> Tensor:
    random = torch.Generator().manual_seed(4)
    digit, rgb = torch.randint(10, (n,), generator=random), torch.rand(n, 3, generator=random)
    uniform = torch.rand(n, prior.noise_size, generator=random)
    with torch.no_grad():
        latent: Tensor = prior(digit, rgb, uniform, torch.tensor(temperature))
    return latent


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
    assert prior.noise_size == prior.network.space.size + z + n
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
        space = prior.network.space
        standard = prior.network(latents.normal(uniform[:, :4]) * 0.7, space.context(digit, rgb))
        posterior = prior.vae.posterior(Analysis(space.restore(standard), rgb))
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
