"""Losses in nats: against torch's own, against plain autograd, and the marks that give the headline its meaning."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, distributions
from vaegen_training.data import Mnist, paint
from vaegen_training.models import kernels


def pixels(*seeds: int) -> list[Tensor]:
    """Images inside (0, 1), one for each seed: (16, 784)."""
    return [torch.rand(16, 784, generator=torch.Generator().manual_seed(seed)) * 0.98 + 0.01 for seed in seeds]


def test_entropy_equals_torch_distributions_and_is_zero_for_black_and_white() -> None:
    (image,) = pixels(0)
    reference = distributions.Bernoulli(image).entropy().sum(1)
    torch.testing.assert_close(kernels.entropy(image), reference, rtol=1e-5, atol=1e-3)
    assert kernels.entropy((image > 0.5).float()).tolist() == [0.0] * 16


def test_bce_equals_torch_and_is_summed_over_all_values() -> None:
    prediction, target = pixels(0, 1)
    reference = F.binary_cross_entropy(prediction.double(), target.double(), reduction="none").sum(1)
    torch.testing.assert_close(kernels.bce(prediction, target).double(), reference, rtol=1e-6, atol=1e-4)


def test_bce_has_torchs_own_gradient_to_the_bit() -> None:
    # What a preset trains to hangs on this: any other rounding is another model after twenty epochs.
    (target,) = pixels(1)
    logits = torch.randn(16, 784, generator=torch.Generator().manual_seed(1)) * 8  # many beyond the margin
    logits[0], logits[1] = 40, -40
    found = []
    for ours in (True, False):
        leaf = logits.clone().requires_grad_()
        prediction = torch.sigmoid(leaf)
        if ours:
            value = kernels.bce(prediction, target)
        else:
            kept = prediction.clamp(kernels.EPSILON, 1 - kernels.EPSILON)
            value = F.binary_cross_entropy(kept, target, reduction="none").sum(1)
        (value * torch.linspace(-1, 2, 16)).mean().backward()
        found.append(leaf.grad)
    assert found[0] is not None
    assert found[1] is not None
    assert torch.equal(found[0], found[1])
    assert (found[0] == 0).any()


def test_doubling_the_pixels_doubles_the_nats() -> None:
    prediction, target = pixels(0, 1)
    once = kernels.bce(prediction, target) - kernels.entropy(target)
    twice = kernels.bce(torch.cat([prediction] * 2, 1), torch.cat([target] * 2, 1)) - kernels.entropy(
        torch.cat([target] * 2, 1)
    )
    torch.testing.assert_close(twice, 2 * once, rtol=1e-5, atol=1e-3)


def test_excess_bce_is_zero_for_a_perfect_reconstruction_and_positive_for_any_other() -> None:
    (gray,) = pixels(0)
    image = paint.paint(gray, torch.rand(16, 3, generator=torch.Generator().manual_seed(1)))
    least = kernels.entropy(image)
    torch.testing.assert_close(kernels.bce(image, image), least, rtol=0, atol=0.01)
    for other in (image * 0.9, image.flip(0), torch.zeros_like(image), torch.ones_like(image)):
        assert (kernels.bce(other, image) - least > 0.5).all()


def test_certain_and_wrong_is_expensive_but_finite() -> None:
    wrong = kernels.bce(torch.zeros(1, 784), torch.ones(1, 784)).item()
    assert wrong == pytest.approx(784 * 13.8155, rel=1e-4)  # -log of the margin, 1e-6


def test_the_marks_of_the_headline(digits: Mnist) -> None:
    gray = paint.to_float(digits.train_images)
    image = paint.paint(gray, paint.random_colors(len(gray), torch.Generator().manual_seed(0)))

    def excess(prediction: Tensor) -> float:
        return float((kernels.bce(prediction.expand_as(image), image) - kernels.entropy(image)).mean())

    # On uniform colors: 53 nats for the perfect shape without color, 231 for the best constant image.
    assert excess(paint.paint(gray, torch.full((len(gray), 3), 0.5))) == pytest.approx(53, rel=0.05)
    assert excess(image.mean(0, keepdim=True)) == pytest.approx(231, rel=0.05)
