"""Latent denoiser (section 3.3, eq. 7): Z_0 from Z_t, t and the canonicalised partial cloud."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kinediff3d_core.networks.pointnet import AttentionBlock, PointTokens, sinusoidal_embedding
from kinediff3d_core.networks.whitening import Whitened
from kinediff3d_core.objects.category import Category


@dataclass(frozen=True)
class LatentConfig:
    """Sizes of the latent denoiser. All are chosen.

    Attributes:
        latent: D_z, as in the KA-VAE.
        latent_tokens: query tokens that Z is split into.
        width: width of all tokens.
        tokens: condition tokens per cloud.
        layers: self-attention layers of the condition encoder.
        blocks: cross- and self-attention blocks of the denoiser.
    """

    latent: int = 64
    latent_tokens: int = 8
    width: int = 128
    tokens: int = 48
    layers: int = 2
    blocks: int = 4


class LatentDenoiser(Whitened):
    """epsilon_theta of eq. 7: Z's tokens are the queries, the cloud's tokens keys and values.

    Codes are whitened vectors (..., D_z).
    """

    def __init__(self, category: Category, config: LatentConfig | None = None) -> None:
        c = config or LatentConfig()
        super().__init__(c.latent)
        self.config = c
        self.gamma = PointTokens(3 * len(category.parts), c.width, c.tokens, layers=c.layers)
        self.lift = nn.Linear(c.latent // c.latent_tokens, c.width)
        self.place = nn.Parameter(torch.randn(c.latent_tokens, c.width) * 0.1)
        self.time = nn.Sequential(nn.Linear(64, c.width), nn.GELU(approximate='tanh'),
                                  nn.Linear(c.width, c.width))
        self.cross = nn.ModuleList([AttentionBlock(c.width, 4) for _ in range(c.blocks)])
        self.own = nn.ModuleList([AttentionBlock(c.width, 4) for _ in range(c.blocks)])
        self.norm = nn.LayerNorm(c.width)
        self.out = nn.Linear(c.width, c.latent // c.latent_tokens)
        self.error: Tensor
        self.register_buffer('error', torch.eye(c.latent))

    def condition(self, part_points: Tensor) -> Tensor:
        """Gamma(C): tokens (B, T, width) of clouds (B, K, N, 3).

        The same points are given in the frame of every part (the base's first), so that the
        canonicalisation covers the joints as well as the pose. In the base's frame they are
        centred: the pose's estimate of the base's origin implies a thickness of the base, which
        the code would repeat.
        """
        base = part_points[:, :1]
        part_points = torch.cat([base - base.mean(2, keepdim=True), part_points[:, 1:]], dim=1)
        features = part_points.transpose(1, 2).flatten(2)
        out: Tensor = self.gamma(part_points[:, 0], features)
        return out

    def denoise(self, z: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Whitened Z_0 (B, D_z) from Z_t (B, D_z), t (B) in 0..1 and tokens (C, T, width).

        B is a multiple of C: the B / C codes of one cloud are neighbours and share its tokens.
        """
        c = self.config
        x = self.lift(z.view(z.shape[0], c.latent_tokens, -1)) + self.place
        x = x + self.time(sinusoidal_embedding(t, 64))[:, None]
        for cross, own in zip(self.cross, self.own, strict=True):
            # Queries do not affect each other in cross-attention: codes of a cloud share a batch.
            x = cross(x.reshape(len(condition), -1, c.width), condition).view(x.shape)
            x = own(x)
        out: Tensor = self.out(self.norm(x)).flatten(1)
        return out

    def code_covariance_sqrt(self) -> Tensor:
        """Square root (D_z, D_z) of the covariance of a code given one view.

        ``error`` is that covariance, whitened, measured in training where Z_t is almost pure
        noise.
        """
        eye = torch.eye(len(self.error), device=self.error.device)
        out: Tensor = self.std[:, None] * torch.linalg.cholesky(self.error + 1e-4 * eye)
        return out
