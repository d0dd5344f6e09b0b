"""From a request to a latent: features from the generator, then the VAE's own posterior."""

import torch
from torch import Tensor, nn

from vaegen_training.models import latents
from vaegen_training.models.vae import Analysis, Vae
from vaegen_training.prior.generator import FeatureGenerator


class Prior(nn.Module):
    """From (digit, rgb, noise, temperature, style) to a latent; what `prior.onnx` holds."""

    def __init__(self, vae: Vae, network: FeatureGenerator) -> None:
        super().__init__()
        self.vae = vae
        self.network = network

    @property
    def noise_size(self) -> int:
        """S: a uniform for each feature, each Gaussian coordinate and each categorical."""
        return self.network.space.size + self.vae.spec.continuous + self.vae.spec.categorical[0]

    def forward(
        self, digit: Tensor, rgb: Tensor, uniform: Tensor, temperature: Tensor, style: Tensor | None = None
    ) -> Tensor:
        """Draw latents.

        Args:
            digit: int64 (n,), 0 to 9.
            rgb: float32 (n, 3) in [0, 1].
            uniform: float32 (n, S) in (0, 1).
            temperature: float32 scalar in (0, 1]: scales the standard deviation of all Gaussian noise and
                divides the logits.
            style: float32 (n, 2), slant in degrees and thickness in pixels, as `FeatureSpace.context` takes them.

        Returns:
            float32 (n, L).
        """
        spec, space = self.vae.spec, self.network.space
        split = space.size + spec.continuous
        noise = latents.normal(uniform[:, :split]) * temperature
        standard = self.network(noise[:, : space.size], space.context(digit, rgb, style))
        posterior = self.vae.posterior(Analysis(space.restore(standard), rgb, self.vae.known_digit(digit)))
        parts = []
        if posterior.mean is not None and posterior.log_variance is not None:
            parts.append(posterior.mean + torch.exp(0.5 * posterior.log_variance) * noise[:, space.size :])
        if posterior.logits is not None:
            parts.append(invert_cdf(posterior.logits / temperature, uniform[:, split:]))
        assert spec.size == sum(part.shape[1] for part in parts)
        return torch.cat(parts, dim=1)


def invert_cdf(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw one-hots with one uniform for each variable, where Gumbel noise takes K.

    Args:
        logits: float32 (n, N, K).
        uniform: float32 (n, N) in (0, 1).

    Returns:
        float32 (n, N*K), one-hot: class k where the cumulative probability first reaches the uniform.
    """
    # Held against the sum itself, and a little below it: rounding must not draw the last class, however unlikely.
    # Not written as a product with 1 - 2^-18, which torch's exporter takes for 1 and leaves out.
    cumulative = torch.exp(logits - logits.amax(dim=-1, keepdim=True)).cumsum(dim=-1)
    threshold = (uniform - uniform * 2.0**-18)[:, :, None] * cumulative[:, :, -1:]
    reached = (cumulative[:, :, :-1] >= threshold).to(logits.dtype)  # (n, N, K - 1), 0..0 1..1
    ones, zeros = torch.ones_like(logits[:, :, :1]), torch.zeros_like(logits[:, :, :1])
    upper, lower = torch.cat([reached, ones], dim=-1), torch.cat([zeros, reached], dim=-1)
    return (upper - lower).flatten(1)
