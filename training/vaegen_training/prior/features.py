"""What the prior models: features of painted digits, standardised, and the context that they depend on."""

import torch
from torch import Tensor, nn
from vaegen.spec import CHANNELS, DIGITS

from vaegen_training import painter
from vaegen_training.config import TrainConfig
from vaegen_training.data import Mnist
from vaegen_training.models import Vae, analyse
from vaegen_training.objectives import COLOR_MARGIN
from vaegen_training.processes import ALONE, Share


class FeatureSpace(nn.Module):
    """Mean and scale of each of F features, and the form in which digit and color are given to a network."""

    center: Tensor
    scale: Tensor

    def __init__(self, size: int, *, use_color: bool) -> None:
        super().__init__()
        self.size = size
        """F."""
        self.use_color = use_color
        self.context_size = DIGITS + (2 * CHANNELS if use_color else 0)
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Take mean and standard deviation from features (n, F) of the training set."""
        self.center.copy_(features.mean(0))
        self.scale.copy_(features.std(0).clamp_min(1e-4))

    def standardise(self, features: Tensor) -> Tensor:
        """Give features (n, F) zero mean and unit variance."""
        return (features - self.center) / self.scale

    def restore(self, standard: Tensor) -> Tensor:
        """Undo `standardise`."""
        return standard * self.scale + self.center

    def context(self, digit: Tensor, rgb: Tensor) -> Tensor:
        """Turn digit int64 (n,) and rgb float32 (n, 3) into a network's context, float32 (n, C)."""
        one_hot = (digit[:, None] == torch.arange(DIGITS, device=digit.device)).to(rgb.dtype)
        # Squares let the first layer bend: the features of a color are no linear function of it.
        return torch.cat([one_hot, rgb, rgb.square()], dim=1) if self.use_color else one_hot


@torch.no_grad()
def painted(
    vae: Vae, data: Mnist, config: TrainConfig, index: Tensor, random: torch.Generator, share: Share = ALONE
) -> tuple[Tensor, Tensor]:
    """Paint training digits `index` afresh and give their features (n, F) and colors (n, 3)."""
    gray = painter.augment(painter.to_float(data.train_images[index]), config.flow_stage.augment, random, share)
    rgb = painter.random_colors(len(gray), random, margin=COLOR_MARGIN, share=share)
    features, _ = analyse(vae, gray, rgb)
    return features, rgb
