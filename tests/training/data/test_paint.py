"""Painting: exact colors on black, and augmentation that leaves digits digits."""

import pytest
import torch
from vaegen_training.data import Mnist, paint


def test_a_painted_digit_is_gray_times_color_in_every_pixel(digits: Mnist) -> None:
    images = digits.test_images
    rgb = paint.random_colors(len(images), torch.Generator().manual_seed(0))
    painting = paint.paint(paint.to_float(images), rgb)
    assert painting.shape == (len(images), 3, 28, 28)
    for item, row, column in ((0, 14, 14), (7, 9, 13), (199, 20, 12)):
        value = float(images[item, row, column]) / 255
        assert painting[item, :, row, column].tolist() == pytest.approx((rgb[item] * value).tolist(), rel=1e-6)
    assert (painting.movedim(1, -1)[images == 0] == 0).all()
    full = images == 255
    expected = rgb[:, None, None, :].expand(*images.shape, 3)[full]
    assert torch.equal(painting.movedim(1, -1)[full], expected)


def test_white_paint_gives_back_the_bytes(digits: Mnist) -> None:
    painting = paint.paint(paint.to_float(digits.test_images), torch.ones(200, 3))
    for channel in range(3):
        assert torch.equal((painting[:, channel] * 255).round().byte(), digits.test_images)


def test_random_colors_are_uniform_and_depend_on_the_generator_alone() -> None:
    colors = paint.random_colors(30_000, torch.Generator().manual_seed(5))
    assert torch.equal(colors, paint.random_colors(30_000, torch.Generator().manual_seed(5)))
    shares = torch.stack([torch.histc(colors[:, channel], 10, 0, 1) for channel in range(3)]) / 30_000
    assert (shares - 0.1).abs().max() < 0.01
    assert (torch.corrcoef(colors.T) - torch.eye(3)).abs().max() < 0.03


def test_a_margin_puts_pure_channels_among_the_colors() -> None:
    colors = paint.random_colors(30_000, torch.Generator().manual_seed(5), margin=0.05)
    assert colors.amin() == 0
    assert colors.amax() == 1
    for end in (0, 1):
        assert float((colors == end).float().mean()) == pytest.approx(0.05 / 1.1, rel=0.1)


def test_no_augmentation_gives_the_digits_back(digits: Mnist) -> None:
    gray = paint.to_float(digits.test_images)
    assert paint.augment(gray, 0, torch.Generator()) is gray


def test_augmentation_moves_about_every_other_digit_a_little(digits: Mnist) -> None:
    gray = paint.to_float(digits.train_images)
    before = gray.clone()
    moved = paint.augment(gray, 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(gray, before)
    assert torch.equal(moved, paint.augment(gray, 1.0, torch.Generator().manual_seed(1)))
    assert moved.amin() >= 0
    assert moved.amax() <= 1
    same = (moved == gray).all(1)
    assert 0.45 < float(same.float().mean()) < 0.55
    # What was moved still covers most of what it was, and has about as much ink.
    overlap = torch.nn.functional.cosine_similarity(moved[~same], gray[~same])
    assert 0.6 < float(overlap.mean()) < 0.98
    assert float(moved[~same].mean() / gray[~same].mean()) == pytest.approx(1, abs=0.1)


def test_more_strength_moves_digits_further(digits: Mnist) -> None:
    gray = paint.to_float(digits.train_images)
    distance = [
        float((paint.augment(gray, strength, torch.Generator().manual_seed(1)) - gray).square().mean())
        for strength in (0.3, 1.0, 2.0)
    ]
    assert 0 < distance[0] < distance[1] < distance[2]


def test_augmentation_shifts_by_a_pixel_either_way() -> None:
    dot = torch.zeros(4000, 28, 28)
    dot[:, 13:15, 13:15] = 1
    moved = paint.augment(dot.reshape(4000, -1), 1.0, torch.Generator().manual_seed(1)).reshape(4000, 28, 28)
    weight = moved.sum((1, 2))
    axis = torch.arange(28.0)
    centers = torch.stack([(moved.sum(2) @ axis) / weight, (moved.sum(1) @ axis) / weight], 1) - 13.5
    assert centers.mean(0).abs().max() < 0.05
    assert 0.7 < float(centers.abs().max()) < 1.5


def test_the_colors_of_the_test_set_never_change() -> None:
    colors = paint.fixed_colors(10_000)
    assert torch.equal(colors[:100], paint.fixed_colors(100))
    assert torch.equal(colors[3:103], paint.fixed_colors(100, seed=3))
    expected = [[0.819173, 0.671044, 0.549700], [0.638345, 0.342088, 0.099401]]
    torch.testing.assert_close(colors[:2], torch.tensor(expected), rtol=0, atol=1e-6)


def test_the_colors_of_the_test_set_fill_the_cube_and_are_never_too_dark_to_judge() -> None:
    colors = paint.fixed_colors(10_000)
    assert colors.amin() >= 0
    assert colors.amax() <= 1
    assert ((colors.amax(1) * 255).round() >= 64).all()
    cells = (colors * 4).clamp_max(3).long()
    cells = cells[:, 0] * 16 + cells[:, 1] * 4 + cells[:, 2]
    counts = torch.bincount(cells, minlength=64)[1:]  # all but the dark corner
    assert counts.amin() > 0.8 * 10_000 / 64
