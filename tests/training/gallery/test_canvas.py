import io

import numpy as np
from PIL import Image
from vaegen_training.gallery import canvas

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 28, 28, 3)).astype(np.uint8)


def tiles(picture: Image.Image, image: canvas.Images, scale: int) -> int:
    """Count how often an image is found in a picture, enlarged."""
    pixels = np.asarray(picture)
    large = image.repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = large.shape[:2]
    corners = np.argwhere((pixels == large[0, 0]).all(2))
    return sum(np.array_equal(pixels[y : y + height, x : x + width], large) for y, x in corners)


def test_a_sheet_shows_every_image_once_and_whole() -> None:
    labels = {"rows": ["a", "a much longer label"], "columns": ["1", (255, 0, 0), "3"]}
    for options in ({}, labels):
        picture = canvas.sheet(IMAGES, title="A title that needs more than the one line it has", scale=2, **options)  # type: ignore[arg-type]
        assert [tiles(picture, image, 2) for image in IMAGES.reshape(-1, 28, 28, 3)] == [1] * 6


def test_a_wheel_shows_every_image_and_cuts_none_off() -> None:
    disc = np.zeros((28, 28, 3), np.uint8)
    disc[6:22, 8:20] = 255  # as much of its square as a digit fills
    picture = np.asarray(canvas.wheel([np.repeat(disc[None], n, 0) for n in (1, 6, 12)], scale=2))
    assert picture.shape[0] == picture.shape[1]
    assert (picture > 0).all(2).sum() == 19 * 4 * 16 * 12
    assert not picture[[0, -1]].any()
    assert not picture[:, [0, -1]].any()


def test_small_pictures_keep_their_colors_and_large_ones_get_small() -> None:
    small = Image.fromarray(IMAGES[0, 0])
    with Image.open(io.BytesIO(canvas.png(small))) as again:
        np.testing.assert_array_equal(np.asarray(again.convert("RGB")), IMAGES[0, 0])
    gradient = np.stack([*np.meshgrid(np.arange(400), np.arange(400)), np.full((400, 400), 90)], 2) * 255 // 399
    noisy = (gradient + np.random.default_rng(0).integers(0, 9, gradient.shape)).clip(0, 255).astype(np.uint8)
    data = canvas.png(Image.fromarray(noisy))
    assert len(data) < noisy.size / 3
    with Image.open(io.BytesIO(data)) as again:
        difference = np.abs(np.asarray(again.convert("RGB")).astype(int) - noisy)
    assert difference.mean() < 12
    assert data == canvas.png(Image.fromarray(noisy))
