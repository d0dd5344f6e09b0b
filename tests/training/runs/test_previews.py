"""The sample grids of a run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from vaegen_training.data import Mnist, paint
from vaegen_training.models.vae import FactoredVae
from vaegen_training.presets import preset
from vaegen_training.prior import Prior
from vaegen_training.runs import previews
from vaegen_training.runs.previews import Previews
from vaegen_training.runs.run_folder import build_networks

TILE = 28 + 2  # pixels, with the line between two tiles


def tiles(path: Path) -> np.ndarray:
    """Cut a grid into its images: uint8 (rows, columns, 28, 28, 3)."""
    with Image.open(path) as image:
        grid = np.asarray(image.convert("RGB"))[2:, 2:]
    rows, columns = grid.shape[0] // TILE, grid.shape[1] // TILE
    cut = grid.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cut[:, :, :28, :28])


def test_reconstructions_stand_below_their_originals(tmp_path: Path, digits: Mnist) -> None:
    vae, _, _ = build_networks(preset("default", "continuous"))
    board = Previews(digits)
    board.reconstructions(vae.eval(), tmp_path / "a.png")
    board.reconstructions(vae.eval(), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    grid = tiles(tmp_path / "a.png")
    assert grid.shape == (2, 16, 28, 28, 3)
    # Originals are drawn exactly: their brightest channel is the digit times the brightest channel of its paint.
    strongest = board.images.amax(1).mul(255).add(0.5).byte().numpy()
    np.testing.assert_array_equal(grid[0].max(-1), strongest)


class Flat(FactoredVae):
    """Decodes (brightness, rgb) to a tile of that brightness and color."""

    def decode(self, latent: Tensor) -> Tensor:
        return paint.paint(latent[:, :1].expand(-1, 784), latent[:, 1:])


class Told(Prior):
    """Passes on what it is asked for: the digit as a brightness, the color as it is."""

    def forward(
        self, digit: Tensor, rgb: Tensor, uniform: Tensor, temperature: Tensor, style: Tensor | None = None
    ) -> Tensor:
        assert style is None
        assert uniform.shape == (80, self.noise_size)
        assert temperature.item() == pytest.approx(0.8)
        return torch.cat([(digit[:, None] + 1) / 10, rgb], dim=1)


def test_samples_are_a_sheet_of_digits_down_and_colors_across(tmp_path: Path, digits: Mnist) -> None:
    config = preset("default", "continuous")
    prior = Told(Flat(config.model), build_networks(config)[2])
    Previews(digits).samples(prior, 0.8, tmp_path / "sheet.png")
    grid = tiles(tmp_path / "sheet.png")
    assert grid.shape == (10, 8, 28, 28, 3)
    for digit in range(10):
        for column, rgb in enumerate(previews.SHEET_COLORS):
            expected = np.array(rgb) * (digit + 1) / 10 * 255
            assert abs(grid[digit, column] - expected).max() <= 0.51
