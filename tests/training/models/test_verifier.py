import numpy as np
import pytest
import torch
from torch import Tensor
from vaegen.contract import check_values
from vaegen.manifest import interfaces
from vaegen.spec import LatentNames, LatentSpec, ModelSpec
from vaegen_training.data import Mnist, paint
from vaegen_training.evaluate import color_difference as reference
from vaegen_training.models.ciede2000 import ciede2000, lab
from vaegen_training.models.verifier import Verifier, in_pieces, stroke_color

CORNERS = [[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)]


def pairs(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack([first, second], dim=2).flatten(1)


def test_the_color_difference_is_that_of_the_reference() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (100_000, 3))
    second = random.integers(0, 256, (100_000, 3))
    second[50_000:] = np.clip(first[50_000:] + random.integers(-9, 10, (50_000, 3)), 0, 255)
    first[:2000] = first[:2000, :1]  # grays, whose hue is nobody's
    second[:8], second[8:16] = first[:8], 255 * np.array(CORNERS)
    found = ciede2000(lab(pairs(*(torch.from_numpy(rgb).float() / 255 for rgb in (first, second)))))
    np.testing.assert_allclose(found, reference.color_error(first, second), atol=1e-3)
    assert found[:8].eq(0).all()


def test_the_mean_of_opposite_hues_is_that_of_the_reference() -> None:
    # Sharma, Wu, Dalal (2005), table 1, pairs 9 to 16, which turn on the last digit.
    first = torch.tensor([[50, 2.49, -0.001]] * 4 + [[50, -0.001, 2.49]] * 3 + [[50, 2.5, 0]])
    turns = [[-2.49, 0.0009], [-2.49, 0.001], [-2.49, 0.0011], [-2.49, 0.0012], [0.0009, -2.49], [0.001, -2.49]]
    second = torch.tensor([[50, *ab] for ab in [*turns, [0.0011, -2.49], [0, -2.5]]])
    known = [7.1792, 7.1792, 7.2195, 7.2195, 4.8045, 4.8045, 4.7461, 4.3065]
    for way in (pairs(first, second), pairs(second, first)):
        np.testing.assert_allclose(ciede2000(way), known, atol=1e-3)


def test_the_stroke_is_the_40_brightest_pixels_in_whatever_order() -> None:
    random = np.random.default_rng(0)
    share = np.linspace(0, 1, 300)[:, None, None, None]  # of the pixels are not black
    images = random.integers(0, 256, (300, 28, 28, 3)) * (random.random((300, 28, 28, 1)) < share)
    images[::3] -= images[::3] % 64  # many are equally bright
    levels = torch.from_numpy(images).float().permute(0, 3, 1, 2).flatten(2)
    found = stroke_color(levels, levels.amax(1))
    np.testing.assert_allclose(found, reference.stroke_color(images.astype(np.uint8)), atol=1e-4)
    turned = levels.flip(2)
    torch.testing.assert_close(stroke_color(turned, turned.amax(1)), found)


@pytest.fixture
def seen(digits: Mnist) -> tuple[Verifier, dict[str, Tensor], dict[str, Tensor]]:
    """A verifier that is sure of what it sees and sees at random, what it is asked, and what it says."""
    torch.manual_seed(0)
    verifier = Verifier().eval()
    verifier.whole.get_parameter("4.weight").data *= 1000
    colors = paint.fixed_colors(200)
    image = paint.paint(paint.to_float(digits.test_images), colors)
    asked = {"image": image, "digit": digits.test_labels, "rgb": colors.clone()}
    asked["rgb"][::5] = 1
    with torch.no_grad():
        first = verifier(*asked.values())
        asked["digit"] = torch.where(torch.arange(200) % 3 > 0, first[2], asked["digit"])
        verifier.whole.get_parameter("4.bias")[10:] -= verifier(*asked.values())[5].quantile(0.7)
        names = interfaces(spec(verifier), 1, 1)["judge"].outputs
        return verifier, asked, dict(zip(names, verifier(*asked.values()), strict=True))


def spec(verifier: Verifier) -> ModelSpec:
    return ModelSpec("x", "default", LatentSpec(1), LatentNames(("z",), ()), None, 1.0, verifier.thresholds, None)


def test_the_verdict_is_what_a_bundle_promises(seen: tuple[Verifier, dict[str, Tensor], dict[str, Tensor]]) -> None:
    verifier, asked, said = seen
    assert 0.05 < said["accepted"].float().mean() < 0.3
    check_values(
        "judge", spec(verifier), *({name: value.numpy() for name, value in each.items()} for each in (asked, said))
    )


def test_an_image_is_judged_as_its_8_bits_are(seen: tuple[Verifier, dict[str, Tensor], dict[str, Tensor]]) -> None:
    verifier, asked, said = seen
    with torch.no_grad():
        again = verifier((asked["image"] * 255).round() / 255, asked["digit"], asked["rgb"])
    assert all(torch.equal(one, two) for one, two in zip(said.values(), again, strict=True))


def test_a_stroke_in_pieces_is_refused_however_real_the_critic_finds_it(digits: Mnist) -> None:
    verifier = Verifier().eval()
    verifier.whole.get_parameter("4.bias").data[10:] = 5
    whole = paint.to_float(digits.test_images).reshape(-1, 1, 28, 28)
    # Real digits are cut through, as a threshold of 0.4 of the peak sees it, or nearly so, as it does not.
    cut, thin = whole.clone(), whole.clone()
    cut[:, :, 13:15], thin[:, :, 13:15] = cut[:, :, 13:15] * 0.3, thin[:, :, 13:15].clamp_max(0.5)
    with torch.no_grad():
        realism, torn, still = (
            verifier(image.expand(-1, 3, -1, -1), digits.test_labels, torch.ones(200, 3))[5]
            for image in (whole, cut, thin)
        )
    assert (realism > 0).float().mean() > 0.97
    assert (still > 0).float().mean() > 0.97
    in_two = torn[(digits.test_labels == 1) | (digits.test_labels == 7)]
    assert in_two.le(-1).all()


WHOLE = [
    ["  ##  ", " #   ", "  #  ", "   # "],  # pixels that share a corner are one piece
    [" ### ", " # # ", "  ## "],
    [" ### ", " # # ", " ### ", " # # ", " ### "],
    ["#  #", "#  #", " ## "],
]
TORN = [
    ["#  #", "#  #"],
    ["#    ", "  ## ", "#  # "],  # no row and no column without ink between them
    ["### ", "# # ", "### ", "    ", "  # "],  # the hole makes up for a piece
]


@pytest.mark.parametrize("pattern", [*WHOLE, *TORN], ids=" ".join)
def test_pieces_are_seen(pattern: list[str]) -> None:
    ink = torch.zeros(1, 28, 28, dtype=torch.bool)
    for row, line in enumerate(pattern, start=4):
        for column, pixel in enumerate(line, start=3):
            ink[0, row, column] = pixel == "#"
    seen = [in_pieces(way.flatten(1)).item() for way in (ink, ink.flip(1), ink.flip(2), ink.mT)]
    assert seen == [pattern in TORN] * 4
