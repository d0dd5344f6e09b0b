"""The student report's training loop, written afresh: what the part `training` measures vaegen against.

A DataLoader, a picture a digit that is painted, turned into a Pillow image and back into a tensor, plain autograd, and
Adam as torch makes it.
"""

from collections.abc import Callable
from typing import Literal, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as transforms

from tests.benchmarks.loops.gate import Loop
from tests.benchmarks.loops.job import Job

Z, N, K = 2, 3, 20
VALUES = 3 * 28 * 28  # 2352


class ColoredDigits(Dataset[Tensor]):
    """Digits, each in a new random color every time it is looked at."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        rgb = torch.randint(0, 256, (3,)) / 255
        picture = torch.zeros(3, 28, 28, dtype=torch.uint8)
        for channel, share in enumerate(rgb):
            picture[channel] = self.images[index] * share
        tensor: Tensor = transforms.to_tensor(transforms.to_pil_image(picture))
        return tensor


class Continuous(nn.Module):
    """2352-512-2Z and Z-512-2352."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(VALUES, 512), nn.ReLU(), nn.Linear(512, 2 * Z))
        self.decoder = nn.Sequential(nn.Linear(Z, 512), nn.ReLU(), nn.Linear(512, VALUES), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        """Return the loss of a batch."""
        flat = image.flatten(1)
        mean, log_variance = self.encoder(flat).chunk(2, dim=1)
        latent = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return F.binary_cross_entropy(self.decoder(latent), flat, reduction="sum") + kl


class Discrete(nn.Module):
    """2352-512-256-NK and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(VALUES, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, N * K), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.Linear(N * K, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, VALUES), nn.Sigmoid()
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the loss of a batch."""
        flat = image.flatten(1)
        logits = self.encoder(flat).reshape(-1, N, K)
        gumbel = -torch.log(1e-20 - torch.log(torch.rand(logits.shape) + 1e-20))
        code = F.softmax(logits + gumbel, dim=-1).flatten(1)
        q = F.softmax(logits, dim=-1)
        kl = torch.sum(q * torch.log(q * K + 1e-20))
        return F.binary_cross_entropy(self.decoder(code), flat, reduction="sum") + kl


class Both(nn.Module):
    """The two side by side, their losses summed."""

    def __init__(self) -> None:
        super().__init__()
        self.continuous, self.discrete = Continuous(), Discrete()

    def forward(self, image: Tensor) -> Tensor:
        """Return the loss of a batch."""
        loss: Tensor = self.continuous(image) + self.discrete(image)
        return loss


MODELS: dict[str, type[nn.Module]] = {"continuous": Continuous, "discrete": Discrete, "joint": Both}


def loop(workers: Literal[0, 2]) -> Loop:
    """Return the report's loop, with as many processes that load."""

    def train(job: Job, images: Tensor, gate: Callable[[], None]) -> NoReturn:
        vae = MODELS[job.kind]()
        loader = _loader(images, job.batch, workers)
        optimizer = torch.optim.Adam(vae.parameters(), lr=0.001)
        total = 0.0
        while True:
            for image in loader:
                gate()
                optimizer.zero_grad()
                loss = vae(image)
                loss.backward()
                total += loss.item()
                optimizer.step()

    return train


def load(job: Job, images: Tensor, gate: Callable[[], None]) -> NoReturn:
    """Fetch batches and do nothing with them."""
    loader = _loader(images, job.batch, 0)
    while True:
        for _ in loader:
            gate()


def _loader(images: Tensor, batch: int, workers: int) -> "DataLoader[Tensor]":
    return DataLoader(ColoredDigits(images), batch, shuffle=True, num_workers=workers, drop_last=True)
