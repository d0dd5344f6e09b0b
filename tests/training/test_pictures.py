"""The sample grids of a run."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from vaegen_training import pictures
from vaegen_training.data import Mnist
from vaegen_training.pictures import Board
from vaegen_training.presets import preset
from vaegen_training.prior import Prior
from vaegen_training.run import fresh

TILE = 28 + 2  # pixels, with the line between two tiles


def tiles(path: Path) -> np.ndarray:
    """Cut a grid into its images: uint8 (rows, columns, 28, 28, 3)."""
    with Image.open(path) as image:
        grid = np.asarray(image.convert("RGB"))[2:, 2:]
    rows, columns = grid.shape[0] // TILE, grid.shape[1] // TILE
    cut = grid.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cut[:, :, :28, :28])


def test_reconstructions_stand_below_their_originals(tmp_path: Path, digits: Mnist) -> None:
    vae, _ = fresh(preset("default", "continuous"))
    board = Board(digits)
    board.reconstructions(vae.eval(), tmp_path / "a.png")
    board.reconstructions(vae.eval(), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    grid = tiles(tmp_path / "a.png")
    assert grid.shape == (2, 16, 28, 28, 3)
    # Originals are drawn exactly: their brightest channel is the digit times the brightest channel of its paint.
    strongest = board.images.amax(1).mul(255).add(0.5).byte().numpy()
    np.testing.assert_array_equal(grid[0].max(-1), strongest)


def test_samples_are_a_sheet_of_digits_by_colors(tmp_path: Path, digits: Mnist) -> None:
    vae, flow = fresh(preset("default", "continuous"))
    Board(digits).samples(Prior(vae.eval(), flow.eval()), 0.8, tmp_path / "sheet.png")
    grid = tiles(tmp_path / "sheet.png")
    assert grid.shape == (10, 8, 28, 28, 3)
    # The factored model colors exactly even before it can draw: column c is of color c.
    for column, rgb in enumerate(pictures.SHEET_COLORS):
        color = torch.tensor(rgb).numpy()
        painted = grid[:, column].reshape(-1, 3).astype(float)
        painted = painted / painted.max(axis=1, keepdims=True).clip(1)
        assert abs(painted.mean(0) - color / color.max()).max() < 0.05
