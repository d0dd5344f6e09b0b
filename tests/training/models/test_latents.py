"""Posteriors: noise transforms, sampling and KL divergences against torch's own."""

import pytest
import torch
from torch import Tensor, distributions
from vaegen.spec import LatentSpec
from vaegen_training.models import latents
from vaegen_training.models.latents import Posterior


def uniforms(*shape: int, seed: int = 0) -> Tensor:
    """Uniforms as clients make them: (k + 0.5) / 2**24, never 0 or 1."""
    k = torch.randint(2**24, shape, generator=torch.Generator().manual_seed(seed))
    return ((k.double() + 0.5) / 2**24).float().clamp_max(1 - 2.0**-24)


def gaussian(n: int, z: int) -> Posterior:
    random = torch.Generator().manual_seed(1)
    return Posterior(torch.randn(n, z, generator=random), torch.randn(n, z, generator=random) - 1, None)


def categorical(n: int, variables: int, classes: int) -> Posterior:
    return Posterior(None, None, 3 * torch.randn(n, variables, classes, generator=torch.Generator().manual_seed(2)))


def test_normal_is_the_quantile_function_over_the_whole_grid_of_uniforms() -> None:
    ends = torch.arange(2000)
    k = torch.cat([ends, torch.linspace(0, 2**24 - 1, 200_001).long(), 2**24 - 1 - ends])
    uniform = ((k.double() + 0.5) / 2**24).float().clamp_max(1 - 2.0**-24)
    reference = torch.special.ndtri(uniform.double())
    torch.testing.assert_close(latents.normal(uniform).double(), reference, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("uniform", [2.0**-25, 2.0**-24, 0.075, 0.0750001, 0.5, 0.925, 0.9250001, 1 - 2.0**-24])
def test_normal_at_the_ends_and_where_its_branches_meet(uniform: float) -> None:
    u = torch.tensor([uniform])
    torch.testing.assert_close(latents.normal(u).double(), torch.special.ndtri(u.double()), rtol=1e-6, atol=1e-9)


def test_normal_stays_finite_at_the_zero_that_torch_rand_can_draw() -> None:
    assert latents.normal(torch.tensor([0.0])).item() == latents.normal(torch.tensor([2.0**-25])).item()


def test_normal_is_antisymmetric() -> None:
    u = torch.arange(1, 1024) / 1024  # 1 - u is exact here
    assert torch.equal(latents.normal(u), -latents.normal(1 - u))


def test_gumbel_is_the_quantile_function_and_finite_at_both_ends() -> None:
    u = torch.cat([torch.tensor([2.0**-25, 1 - 2.0**-24]), uniforms(10_000)])
    reference = -torch.log(-torch.log(u.double()))
    torch.testing.assert_close(latents.gumbel(u).double(), reference, rtol=1e-6, atol=1e-6)
    ends = latents.gumbel(torch.tensor([0.0, 1.0]))
    assert ends.isfinite().all()
    assert ends[0] < -2 < 16 < ends[1]


def test_one_hot_marks_the_first_of_the_largest() -> None:
    logits = torch.tensor([[[0.0, 2.0, 2.0], [5.0, 5.0, 5.0]], [[-1.0, -2.0, -1.0], [0.0, 0.0, 1e-6]]])
    expected = [[0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 1]]
    assert latents.one_hot(logits).tolist() == expected


def test_split_and_join_put_means_then_log_variances_then_logits() -> None:
    first = latents.split(torch.arange(10.0)[None], LatentSpec(2, (3, 2)))
    assert first.mean is not None
    assert first.log_variance is not None
    assert first.logits is not None
    assert first.mean.tolist() == [[0, 1]]
    assert first.log_variance.tolist() == [[2, 3]]
    assert first.logits.tolist() == [[[4, 5], [6, 7], [8, 9]]]
    second = latents.split(torch.tensor([[7.0, 1.0]]), LatentSpec(1))
    assert second.logits is None
    both = latents.join(first, second)
    assert both.mean is not None
    assert both.mean.tolist() == [[0, 1, 7]]
    assert both.logits is first.logits


def test_split_bounds_the_variance() -> None:
    wild = latents.split(torch.tensor([[0.0, 0.0, -1e9, 1e9]]), LatentSpec(2))
    assert wild.log_variance is not None
    assert wild.log_variance.tolist() == [list(latents.LOG_VARIANCE_RANGE)]


def test_the_deterministic_path_is_the_mean_and_the_likeliest_classes() -> None:
    posterior = Posterior(torch.tensor([[0.5, -2.0]]), torch.zeros(1, 2), torch.tensor([[[0.1, 0.3], [2.0, 1.0]]]))
    assert latents.deterministic(posterior).tolist() == [[0.5, -2.0, 0, 1, 1, 0]]


def test_gaussian_samples_are_those_of_torch_from_the_same_uniforms() -> None:
    posterior, uniform = gaussian(50, 4), uniforms(50, 4)
    assert posterior.mean is not None
    assert posterior.log_variance is not None
    reference = distributions.Normal(posterior.mean.double(), (posterior.log_variance.double() / 2).exp())
    torch.testing.assert_close(
        latents.sample(posterior, uniform, 1.0).double(), reference.icdf(uniform.double()), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_gumbel_softmax_samples_follow_the_logits(temperature: float) -> None:
    n, logits = 100_000, torch.tensor([[2.0, 0.0, -1.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.0, 3.0]])
    drawn = latents.sample(Posterior(None, None, logits.expand(n, 2, 5)), uniforms(n, 10), temperature)
    codes = drawn.reshape(n, 2, 5)
    torch.testing.assert_close(codes.sum(-1), torch.ones(n, 2))
    share = torch.nn.functional.one_hot(codes.argmax(-1), 5).double().mean(0)
    expected = logits.double().softmax(-1)
    deviation = (expected * (1 - expected) / n).sqrt()
    assert ((share - expected).abs() < 4.5 * deviation).all()


def test_gumbel_softmax_is_the_formula_and_sharpens_as_the_temperature_falls() -> None:
    posterior, uniform = categorical(200, 3, 4), uniforms(200, 12)
    assert posterior.logits is not None
    noise = -torch.log(-torch.log(uniform.double().reshape(200, 3, 4)))
    expected = ((posterior.logits.double() + noise) / 0.7).softmax(-1).flatten(1)
    torch.testing.assert_close(latents.sample(posterior, uniform, 0.7).double(), expected, rtol=1e-4, atol=1e-6)
    sharp = latents.sample(posterior, uniform, 0.01).reshape(200, 3, 4)
    soft = latents.sample(posterior, uniform, 100.0).reshape(200, 3, 4)
    assert sharp.amax(-1).mean() > 0.99
    assert soft.amax(-1).mean() < 0.3


def test_hard_samples_are_one_hot_forward_and_soft_backward() -> None:
    logits = categorical(64, 3, 5).logits
    assert logits is not None
    uniform, direction = uniforms(64, 15), torch.randn(64, 15, generator=torch.Generator().manual_seed(3))
    results, gradients = [], []
    for hard in (False, True):
        leaf = logits.clone().requires_grad_()
        result = latents.sample(Posterior(None, None, leaf), uniform, 0.6, hard=hard)
        (result * direction).sum().backward()
        assert leaf.grad is not None
        results.append(result.detach())
        gradients.append(leaf.grad)
    soft, hard_codes = results
    torch.testing.assert_close(hard_codes, latents.one_hot(soft.reshape(64, 3, 5)), rtol=0, atol=1e-6)
    assert torch.equal(gradients[0], gradients[1])
    assert gradients[0].abs().amax() > 0.01


def test_joint_noise_is_laid_out_coordinates_first() -> None:
    z, codes, uniform = gaussian(8, 2), categorical(8, 3, 4), uniforms(8, 14)
    both = latents.sample(latents.join(z, codes), uniform, 0.5)
    apart = [latents.sample(z, uniform[:, :2], 0.5), latents.sample(codes, uniform[:, 2:], 0.5)]
    assert torch.equal(both, torch.cat(apart, dim=1))


def test_gaussian_kl_equals_torch_distributions() -> None:
    posterior = gaussian(500, 6)
    assert posterior.mean is not None
    assert posterior.log_variance is not None
    kl = latents.kl_divergence(posterior)
    q = distributions.Normal(posterior.mean, (posterior.log_variance / 2).exp())
    reference = distributions.kl_divergence(q, distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl, reference, rtol=1e-5, atol=1e-5)
    assert (kl >= 0).all()


@pytest.mark.parametrize("classes", [2, latents.FEW, 20])
def test_categorical_kl_equals_torch_distributions(classes: int) -> None:
    posterior = categorical(500, 3, classes)
    assert posterior.logits is not None
    kl = latents.kl_divergence(posterior)
    q = distributions.Categorical(logits=posterior.logits)
    p = distributions.Categorical(logits=torch.zeros(classes))
    reference = distributions.kl_divergence(q, p).sum(1)  # summed over the variables, not averaged
    torch.testing.assert_close(kl, reference, rtol=1e-5, atol=1e-5)
    assert (kl >= 0).all()


def test_joint_kl_is_the_sum_and_vanishes_at_the_prior() -> None:
    z, codes = gaussian(20, 3), categorical(20, 2, 7)
    torch.testing.assert_close(
        latents.kl_divergence(latents.join(z, codes)), latents.kl_divergence(z) + latents.kl_divergence(codes)
    )
    at_prior = Posterior(torch.zeros(4, 3), torch.zeros(4, 3), torch.full((4, 2, 7), 1.5))
    torch.testing.assert_close(latents.kl_divergence(at_prior), torch.zeros(4), rtol=0, atol=1e-5)


def test_kl_of_decided_codes_is_log_k_each() -> None:
    logits = torch.zeros(1, 3, 20)
    logits[:, :, 4] = 200.0  # probabilities of exactly 0 and 1
    assert latents.kl_divergence(Posterior(None, None, logits)).item() == pytest.approx(3 * 2.995732, rel=1e-5)
