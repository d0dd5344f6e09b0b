"""Both architectures: the report's layers to the letter, the factored model's exact colors, and what all share."""

import pytest
import torch
from torch import Tensor, nn
from vaegen.spec import KINDS
from vaegen_training.config import ModelConfig
from vaegen_training.data import Mnist, paint
from vaegen_training.models import latents
from vaegen_training.models.vae import FactoredVae, MlpVae, Vae, build
from vaegen_training.presets import preset
from vaegen_training.runs.run_folder import build_networks

ALL = [(name, kind) for name in ("seed", "default") for kind in KINDS]


def fresh(name: str, kind: str) -> Vae:
    torch.manual_seed(0)
    return build(preset(name, kind).model).eval()


def images(digits: Mnist, n: int = 16) -> Tensor:
    return paint.paint(paint.to_float(digits.test_images[:n]), paint.fixed_colors(n))


def layers(module: nn.Module) -> list[str]:
    """Write a network down as the report does: sizes of linear layers, names of the others."""
    return [
        f"{layer.in_features}-{layer.out_features}" if isinstance(layer, nn.Linear) else type(layer).__name__
        for layer in module.modules()
        if not list(layer.children())
    ]


def cube(steps: int) -> Tensor:
    """All colors of a grid that holds the corners: (steps**3, 3)."""
    axis = torch.linspace(0, 1, steps)
    return torch.cartesian_prod(axis, axis, axis)


# --- the seed architecture ------------------------------------------------------------------------------------

CONTINUOUS = {
    "continuous_encoder": ["2352-512", "ReLU", "512-4"],
    "continuous_decoder": ["2-512", "ReLU", "512-2352"],
}
DISCRETE = {
    "discrete_encoder": ["2352-512", "ReLU", "512-256", "ReLU", "256-60"],
    "discrete_decoder": ["60-256", "ReLU", "256-512", "ReLU", "512-2352"],
}


@pytest.mark.parametrize(
    ("kind", "expected"), [("continuous", CONTINUOUS), ("discrete", DISCRETE), ("joint", CONTINUOUS | DISCRETE)]
)
def test_the_seed_has_exactly_the_layers_of_the_report(kind: str, expected: dict[str, list[str]]) -> None:
    assert {name: layers(part) for name, part in fresh("seed", kind).named_children()} == expected


def test_the_seed_puts_a_relu_on_the_logits(digits: Mnist) -> None:
    vae = fresh("seed", "discrete")
    analysis = vae.analyse(images(digits))
    logits = vae.posterior(analysis).logits
    assert (analysis.features < 0).any()
    assert logits is not None
    assert torch.equal(logits, analysis.features.clamp_min(0).reshape(-1, 3, 20))


def test_the_seed_ends_in_a_sigmoid() -> None:
    vae = fresh("seed", "continuous")
    assert isinstance(vae, MlpVae)
    latent = torch.randn(8, 2)
    expected = torch.sigmoid(vae.continuous_decoder(latent)).reshape(8, 3, 28, 28)
    assert torch.equal(vae.decode(latent), expected)


def test_the_seeds_joint_image_is_the_mean_of_its_two() -> None:
    vae = fresh("seed", "joint")
    assert isinstance(vae, MlpVae)
    latent = torch.rand(8, 62)
    first = torch.sigmoid(vae.continuous_decoder(latent[:, :2]))
    second = torch.sigmoid(vae.discrete_decoder(latent[:, 2:]))
    torch.testing.assert_close(vae.decode(latent).flatten(1), (first + second) / 2)


# --- what all models share ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_shapes_and_ranges(name: str, kind: str, digits: Mnist) -> None:
    vae = fresh(name, kind)
    z, (n, k) = vae.spec.continuous, vae.spec.categorical
    assert vae.spec.kind == kind
    analysis = vae.analyse(images(digits))
    assert analysis.features.shape == (16, vae.feature_size)
    assert analysis.color.shape == (16, 3)
    assert (analysis.digit is not None) == vae.codes_digit == (name == "default" and kind != "continuous")
    posterior = vae.encode(images(digits))
    assert (posterior.mean is None, posterior.logits is None) == (z == 0, n == 0)
    if posterior.mean is not None and posterior.log_variance is not None:
        assert posterior.mean.shape == posterior.log_variance.shape == (16, z)
    if posterior.logits is not None:
        assert posterior.logits.shape == (16, n, k)
    latent = latents.deterministic(posterior)
    assert latent.shape == (16, vae.spec.size)
    decoded = vae.decode(latent)
    assert decoded.shape == (16, 3, 28, 28)
    assert decoded.dtype == torch.float32
    assert decoded.amin() >= 0
    assert decoded.amax() <= 1


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_a_batch_is_the_same_as_its_images_one_by_one(name: str, kind: str, digits: Mnist) -> None:
    vae = fresh(name, kind)
    batch = images(digits, 5)
    latent = latents.deterministic(vae.encode(batch))
    alone = torch.cat([latents.deterministic(vae.encode(image[None])) for image in batch])
    torch.testing.assert_close(latent, alone, rtol=1e-4, atol=1e-5)
    decoded = torch.cat([vae.decode(row[None]) for row in latent])
    torch.testing.assert_close(vae.decode(latent), decoded, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_black_white_and_gray_images_give_finite_latents(name: str, kind: str) -> None:
    vae = fresh(name, kind)
    flat = torch.tensor([0.0, 1.0, 1e-6, 0.5])[:, None, None, None].expand(4, 3, 28, 28)
    latent = latents.deterministic(vae.encode(flat))
    assert latent.isfinite().all()
    assert vae.decode(latent).isfinite().all()


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_every_weight_but_the_readers_learns(name: str, kind: str, digits: Mnist) -> None:
    vae = fresh(name, kind)
    posterior = vae.encode(images(digits))
    uniform = torch.rand(16, vae.spec.size, generator=torch.Generator().manual_seed(0))
    vae.decode(latents.sample(posterior, uniform, 1.0)).square().sum().backward()
    for weight_name, weight in vae.named_parameters():
        given = weight_name.startswith("reader.")
        assert weight.requires_grad != given, weight_name
        assert (weight.grad is not None and bool(weight.grad.any())) != given, weight_name


# --- the factored architecture ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_factored_model_keeps_the_color_and_lets_none_bleed(kind: str, digits: Mnist) -> None:
    vae = fresh("default", kind)
    assert isinstance(vae, FactoredVae)
    rgb = cube(4)[1:]  # all but black
    gray = paint.to_float(digits.test_images[: len(rgb)])
    peak = gray.amax(1, keepdim=True)
    latent = latents.deterministic(vae.encode(paint.paint(gray / peak, rgb)))
    logits, color = vae.parts(latent)
    torch.testing.assert_close(color, rgb, rtol=0, atol=3.1 / 996 if kind == "discrete" else 1e-5)
    decoded = vae.decode(latent).flatten(2)
    mask = (torch.sigmoid(logits) * 1.16 - 0.04).clamp(0, 1)
    torch.testing.assert_close(decoded, mask[:, None, :] * color[:, :, None])


@pytest.mark.parametrize("kind", ["discrete", "joint"])
def test_the_first_categorical_is_what_the_reader_reads(kind: str, digits: Mnist) -> None:
    vae, _, _ = build_networks(preset("default", kind))
    assert isinstance(vae, FactoredVae)
    batch = images(digits, 200)
    with torch.no_grad():
        posterior = vae.encode(batch)
        latent = latents.deterministic(posterior)
    assert posterior.logits is not None
    read = posterior.logits[:, 0].argmax(1)
    assert torch.equal(read, vae.reader(batch).argmax(1))
    assert (read == digits.test_labels[:200]).float().mean() > 0.97
    others = (read + 1) % 10
    z, changed = vae.spec.continuous, vae.as_digit(latent, others)
    assert torch.equal(changed[:, z : z + 10].argmax(1), others)
    assert torch.equal(
        torch.cat([changed[:, :z], changed[:, z + 10 :]], 1),
        latent[:, list(range(z)) + list(range(z + 10, vae.spec.size))],
    )
    assert torch.equal(vae.as_digit(changed, read), latent)


def test_the_shape_code_of_the_factored_model_does_not_see_the_color(digits: Mnist) -> None:
    vae = fresh("default", "continuous")
    gray = paint.to_float(digits.test_images[:8])
    features = [
        vae.analyse(paint.paint(gray, torch.tensor(rgb).expand(8, 3))).features
        for rgb in ([1.0, 0, 0], [0.2, 0.7, 0.5])
    ]
    torch.testing.assert_close(features[0], features[1], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_the_logit_gain_scales_the_first_logits_of_the_shape(digits: Mnist) -> None:
    logits = []
    for gain in (1.0, 8.0):
        torch.manual_seed(0)
        config = ModelConfig(continuous=3, color_continuous=3, variables=4, classes=6, hidden=32, logit_gain=gain)
        logits.append(build(config).encode(images(digits)).logits)
    assert logits[0] is not None
    assert logits[1] is not None
    spread = logits[1].std(0).mean() / logits[0].std(0).mean()
    assert float(spread) == pytest.approx(8, rel=0.01)


def test_analysing_a_painted_digit_needs_no_painting(digits: Mnist) -> None:
    vae = fresh("default", "continuous")
    assert isinstance(vae, FactoredVae)
    gray = paint.to_float(digits.train_images) * torch.linspace(0.3, 1, 1000)[:, None]  # not all at full contrast
    rgb = paint.random_colors(1000, torch.Generator().manual_seed(0), margin=0.05)
    lit = rgb.amax(1) > 0.01
    found, expected = vae.analyse_painted(gray[lit], rgb[lit]), vae.analyse(paint.paint(gray, rgb)[lit])
    torch.testing.assert_close(found.features, expected.features, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.color, expected.color, rtol=1e-5, atol=1e-6)
