"""Final losses of a model on the painted test digits."""

from typing import Any

import torch

from vaegen_training import latents, losses, painter
from vaegen_training.data import Mnist
from vaegen_training.models import FactoredVae, SeedVae


@torch.no_grad()
def losses_on_test(vae: SeedVae | FactoredVae, data: Mnist, batch: int = 1000) -> dict[str, Any]:
    """Measure the deterministic path on every test digit, each in its own fixed color.

    Returns:
        excess_bce (reconstruction on the deterministic path) and kl, nats per image, means over n digits.
    """
    n = len(data.test_images)
    colors = painter.fixed_colors(n).to(data.test_images.device)
    excess = kl = 0.0
    for start in range(0, n, batch):
        rows = slice(start, start + batch)
        image = painter.paint(painter.to_float(data.test_images[rows]), colors[rows])
        posterior = vae.encode(image)
        prediction = vae.decode(latents.deterministic(posterior))
        excess += float((losses.bce(prediction, image) - losses.entropy(image)).sum())
        kl += float(latents.kl_divergence(posterior).sum())
    return {"excess_bce": excess / n, "kl": kl / n, "n": n}
