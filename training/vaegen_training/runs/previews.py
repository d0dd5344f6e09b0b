"""Sample grids that a run draws as it goes."""

from pathlib import Path

import torch
from torch import Tensor
from vaegen.spec import DIGITS

from vaegen_training.data import Mnist, paint
from vaegen_training.models import latents
from vaegen_training.models.vae import Vae
from vaegen_training.prior import Prior

# Columns of the sample sheets: red, orange, yellow, green, cyan, blue, magenta, white.
SHEET_COLORS = (
    (1.0, 0.0, 0.0), (1.0, 0.65, 0.0), (1.0, 1.0, 0.0), (0.0, 0.5, 0.0),
    (0.0, 1.0, 1.0), (0.0, 0.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 1.0),
)  # fmt: skip
_PAIRS = 16  # test digits beside their reconstructions


class Previews:
    """Draws with inputs and noise that stay the same throughout a run, so that previews can be compared."""

    def __init__(self, data: Mnist) -> None:
        gray = paint.to_float(data.test_images[:_PAIRS])
        self.images = paint.paint(gray, paint.fixed_colors(len(gray)).to(gray.device))

    @torch.no_grad()
    def reconstructions(self, vae: Vae, path: Path) -> None:
        """Draw test digits and, below each, its reconstruction on the deterministic path."""
        images = vae.decode(latents.deterministic(vae.encode(self.images)))
        _write(torch.cat([self.images, images]), _PAIRS, path)

    @torch.no_grad()
    def samples(self, prior: Prior, temperature: float, path: Path) -> None:
        """Draw a sheet: digits 0 to 9 down, the colors above across."""
        colors = torch.tensor(SHEET_COLORS, device=self.images.device)
        digit = torch.arange(DIGITS, device=colors.device).repeat_interleave(len(colors))
        noise = torch.rand(len(digit), prior.noise_size, generator=torch.Generator().manual_seed(0))
        latent = prior(
            digit,
            colors.repeat(DIGITS, 1),
            noise.to(colors.device),
            torch.tensor(temperature, device=colors.device),
        )
        _write(prior.vae.decode(latent), len(colors), path)


def _write(images: Tensor, columns: int, path: Path) -> None:
    # Imported here: torchvision takes a second to load, which `vaegen train --help` need not wait for.
    from torchvision.utils import save_image

    save_image(images.cpu(), path, nrow=columns, padding=2, pad_value=0.25)
