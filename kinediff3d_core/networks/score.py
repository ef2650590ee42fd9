"""Pose and joint score model (section 3.2): a cloud encoder and a denoiser of the state x.

The state of one object is ``[r_6D, t, (q, l, d) of each joint]``: rotation and translation of the
base in the camera frame (t relative to the cloud's centroid), joint position, pivot and direction
in the parent's frame; canonical units. It is whitened by the training set's mean and standard
deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from kinediff3d_core.geometry.rigid import make_transform, rotation_from_6d, rotation_to_6d
from kinediff3d_core.networks.pointnet import PointTokens, sinusoidal_embedding
from kinediff3d_core.networks.whitening import Whitened
from kinediff3d_core.objects.category import Category


@dataclass(frozen=True)
class State:
    """A batch of pose and joint hypotheses, canonical units, camera frame.

    Attributes: T_camera_base (..., 4, 4); q (..., J); origin, axis (..., J, 3).
    """

    T_camera_base: Tensor
    q: Tensor
    origin: Tensor
    axis: Tensor

    def to(self, device: torch.device | str) -> State:
        return State(self.T_camera_base.to(device), self.q.to(device), self.origin.to(device),
                     self.axis.to(device))

    @classmethod
    def concatenate(cls, states: Sequence[State]) -> State:
        """All hypotheses, in order."""
        return cls(*(torch.cat([getattr(s, f.name) for s in states]) for f in fields(cls)))

    def __getitem__(self, index: int | slice | Tensor | tuple[slice, None] | None) -> State:
        return State(self.T_camera_base[index], self.q[index], self.origin[index],
                     self.axis[index])


def pack_state(state: State, centroid: Tensor) -> Tensor:
    """State vector (..., 9 + 7 J), its translation relative to the cloud's centroid (..., 3)."""
    T = state.T_camera_base
    joints = torch.cat([state.q[..., None], state.origin, state.axis], dim=-1).flatten(-2)
    return torch.cat([rotation_to_6d(T[..., :3, :3]), T[..., :3, 3] - centroid, joints], dim=-1)


def unpack_state(x: Tensor, centroid: Tensor) -> State:
    """Inverse of :func:`pack_state`; rotation and axes are made orthonormal."""
    joints = x[..., 9:].reshape(*x.shape[:-1], -1, 7)
    T = make_transform(rotation_from_6d(x[..., :6]), x[..., 6:9] + centroid)
    axis = nn.functional.normalize(joints[..., 4:7], dim=-1)
    return State(T, joints[..., 0], joints[..., 1:4], axis)


@dataclass(frozen=True)
class ScoreConfig:
    """Sizes of the score model. All are chosen.

    Attributes:
        width: width of the tokens.
        tokens: tokens per cloud.
        layers: self-attention layers of the encoder.
        hidden: width of the denoiser.
        blocks: residual blocks of the denoiser.
        sigma_data: standard deviation of the whitened state.
    """

    width: int = 128
    tokens: int = 48
    layers: int = 3
    hidden: int = 384
    blocks: int = 3
    sigma_data: float = 1.0


class ScoreModel(Whitened):
    """Denoiser D(x, sigma | O) with the score (D - x) / sigma^2, and a regressed estimate.

    States are whitened vectors (..., size) in the order of :func:`pack_state`.
    """

    def __init__(self, category: Category, config: ScoreConfig | None = None) -> None:
        size = 9 + 7 * len(category.joints)
        super().__init__(size)
        self.config = c = config or ScoreConfig()
        self.size = size
        self.encoder = PointTokens(3, c.width, c.tokens, layers=c.layers)
        self.features = nn.Sequential(nn.Linear(2 * c.width, 256), nn.GELU(approximate='tanh'))
        self.regressor = nn.Sequential(nn.Linear(256, 256), nn.GELU(approximate='tanh'),
                                       nn.Linear(256, self.size))
        self.lift = nn.Linear(self.size + 64 + 256, c.hidden)
        self.blocks = nn.ModuleList([nn.Sequential(
            nn.LayerNorm(c.hidden), nn.Linear(c.hidden, c.hidden), nn.GELU(approximate='tanh'),
            nn.Linear(c.hidden, c.hidden)) for _ in range(c.blocks)])
        self.out = nn.Linear(c.hidden, self.size)

    @property
    def mean_positions(self) -> Tensor:
        """Mean joint positions (J) of the training set, canonical units."""
        return self.mean[9::7]

    def encode(self, points: Tensor) -> Tensor:
        """Feature (B, 256) of clouds (B, N, 3) relative to their centroids, canonical units."""
        return self.encode_tokens(points)[1]

    def encode_tokens(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, width) and feature (B, 256) of clouds, as :meth:`encode` takes them."""
        tokens = self.encoder(points, points)
        return tokens, self.features(torch.cat([tokens.amax(1), tokens.mean(1)], dim=-1))

    def denoise(self, x: Tensor, sigma: Tensor, feature: Tensor) -> Tensor:
        """Clean state D(x, sigma | O) (..., S) of x (..., S), whitened and noisy.

        Preconditioned as in Karras et al. 2022, so that the network sees and predicts values of
        unit variance at every noise level.

        Args:
            sigma: (...) noise levels. feature: (..., 256) of the clouds.
        """
        d = self.config.sigma_data
        s = sigma[..., None]
        total = (s.square() + d ** 2).sqrt()
        embedding = sinusoidal_embedding(sigma.log() / 4, 64, scale=100.0)
        h = self.lift(torch.cat([x / total, embedding, feature], dim=-1))
        for block in self.blocks:
            h = h + block(h)
        out: Tensor = d ** 2 / total.square() * x + s * d / total * self.out(h)
        return out

    def regress(self, feature: Tensor) -> Tensor:
        """Whitened state (..., S) regressed from the feature: one more hypothesis."""
        out: Tensor = self.regressor(feature)
        return out
