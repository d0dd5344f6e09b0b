"""Losses in nats: against torch's own, against plain autograd, and the marks that give the headline its meaning."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, distributions
from vaegen_training.data import Mnist, paint
from vaegen_training.models import kernels


def painted(n: int = 16) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mask, color, gray and rgb, all inside (0, 1)."""
    random = torch.Generator().manual_seed(0)
    mask, gray = (torch.rand(n, 784, generator=random) * 0.98 + 0.01 for _ in range(2))
    color, rgb = (torch.rand(n, 3, generator=random) * 0.98 + 0.01 for _ in range(2))
    return mask, color, gray * (gray > 0.5), rgb


def test_entropy_equals_torch_distributions_and_is_zero_for_black_and_white() -> None:
    image = painted()[0]
    reference = distributions.Bernoulli(image).entropy().sum(1)
    torch.testing.assert_close(kernels.entropy(image), reference, rtol=1e-5, atol=1e-3)
    assert kernels.entropy((image > 0.5).float()).tolist() == [0.0] * 16


def test_bce_equals_torch_and_is_summed_over_all_values() -> None:
    prediction, _, target, _ = painted()
    reference = F.binary_cross_entropy(prediction.double(), target.double(), reduction="none").sum(1)
    torch.testing.assert_close(kernels.bce(prediction, target).double(), reference, rtol=1e-6, atol=1e-4)


def test_bce_has_torchs_own_gradient_to_the_bit() -> None:
    # What a preset trains to hangs on this: any other rounding is another model after twenty epochs.
    _, _, target, _ = painted()
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
    prediction, _, target, _ = painted()
    once = kernels.bce(prediction, target) - kernels.entropy(target)
    twice = kernels.bce(torch.cat([prediction] * 2, 1), torch.cat([target] * 2, 1)) - kernels.entropy(
        torch.cat([target] * 2, 1)
    )
    torch.testing.assert_close(twice, 2 * once, rtol=1e-5, atol=1e-3)


def test_excess_bce_is_zero_for_a_perfect_reconstruction_and_positive_for_any_other() -> None:
    _, _, gray, rgb = painted()
    image = paint.paint(gray, rgb)
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


def test_painted_bce_equals_bce_of_the_painting_in_value_and_gradient() -> None:
    mask, color, gray, rgb = painted(kernels.BLOCK + 16)
    scale = torch.linspace(-1, 2, len(mask))  # another upstream gradient for each image
    found = []
    for by_hand in (True, False):
        leaves = mask.clone().requires_grad_(), color.clone().requires_grad_()
        if by_hand:
            value = kernels.painted_bce(*leaves, gray, rgb)
        else:
            value = kernels.bce(leaves[1][:, :, None] * leaves[0][:, None, :], gray[:, None] * rgb[:, :, None])
        (value * scale).sum().backward()
        found.append((value.detach(), leaves[0].grad, leaves[1].grad))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[0][2], found[1][2], rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("which", [0, 1], ids=["mask", "color"])
def test_the_gradient_of_painted_bce_is_the_slope_of_the_values(which: int) -> None:
    mask, color, gray, rgb = (tensor[:4].double() for tensor in painted())
    inputs = (mask.requires_grad_(), color.requires_grad_())
    kernels.painted_bce(*inputs, gray, rgb).sum().backward()
    gradient, start = inputs[which].grad, [tensor.detach() for tensor in inputs]
    step = torch.randn(start[which].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1e-4
    values = []
    for end in (start[which] + step, start[which] - step):
        m, c = (end if index == which else tensor for index, tensor in enumerate(start))
        values.append(float(kernels.bce(c[:, :, None] * m[:, None, :], gray[:, None, :] * rgb[:, :, None]).sum()))
    assert gradient is not None
    assert values[0] - values[1] == pytest.approx(2 * float((gradient * step).sum()), rel=1e-3)


def test_painted_bce_is_finite_with_black_and_white_masks_and_colors() -> None:
    mask = torch.tensor([[0.0, 1.0] * 392]).requires_grad_()
    color = torch.tensor([[0.0, 1.0, 0.5]]).requires_grad_()
    value = kernels.painted_bce(mask, color, 1 - mask.detach(), torch.tensor([[1.0, 0.0, 0.5]]))
    value.sum().backward()
    assert mask.grad is not None
    assert color.grad is not None
    assert value.isfinite().all()
    assert mask.grad.isfinite().all()
    assert color.grad.isfinite().all()


def test_a_color_that_overshoots_is_pulled_back() -> None:
    gray = torch.full((2, 784), 0.8)
    color = torch.tensor([[1.5] * 3, [-0.5] * 3]).requires_grad_()
    kernels.painted_bce(gray, color, gray, torch.tensor([[0.9] * 3, [0.1] * 3])).sum().backward()
    assert color.grad is not None
    assert (color.grad[0] > 0).all()  # a step against the gradient makes the too bright one darker
    assert (color.grad[1] < 0).all()
