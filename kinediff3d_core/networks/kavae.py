"""Kinematic-aware VAE (section 3.1, eq. 1 and 2): shape code Z, articulation feature, SDFs.

Names follow eq. 1: Phi encodes a complete cloud, Theta_enc gives the Gaussian of Z, Psi embeds the
joint positions A, Theta_dec makes the kinematic-aware feature F_kg, Omega answers queries.
Two choices make Z carry shape alone: the encoder undoes the articulation before it looks at the
points, and every part has an SDF of its own in its own frame, so that segmentation is the arg-min
over parts and articulation is exact. Lengths are canonical units (metres / category scale).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.categories import Category
from kinediff3d_core.geometry import to_part_frames
from kinediff3d_core.kinematics import forward_kinematics
from kinediff3d_core.networks.pointnet import PointNet

PRIOR_STD = 0.25


@dataclass(frozen=True)
class KAVAEConfig:
    """Sizes of the KA-VAE."""

    latent: int = 64
    """D_z, length of Z and of alpha."""
    width: int = 256
    """Width of the MLPs Theta_enc and Theta_dec."""
    plane_channels: int = 16
    """Features a texel of the planes carries."""
    plane_size: int = 16
    """Texels along a plane's side; a multiple of 4."""
    sdf_width: int = 64
    """Width of the SDF network of Omega."""


@dataclass(frozen=True)
class Field:
    """F_kg, ready for queries: what Omega needs of one object in a batch of B.

    Attributes:
        centre, half: (B, K, 3) boxes of the parts in their frames.
        planes: (B, K, 3, C, R, R) features on the xy, xz and yz planes of each box.
        positions: (B, K-1) joint positions read back from F_kg.
        origin: (B, K-1, 3) pivots in the parents' frames.
    """

    centre: Tensor
    half: Tensor
    planes: Tensor
    positions: Tensor
    origin: Tensor

    def __getitem__(self, index: slice | Tensor) -> Field:
        return Field(self.centre[index], self.half[index], self.planes[index],
                     self.positions[index], self.origin[index])


class PlaneDecoder(nn.Module):
    """Feature planes of every part from F_kg: a linear layer and two upsampling convolutions."""

    def __init__(self, parts: int, config: KAVAEConfig) -> None:
        super().__init__()
        self.parts, self.start, channels = parts, config.plane_size // 4, 24
        self.channels = channels
        self.linear = nn.Linear(config.width, parts * 3 * channels * self.start ** 2)
        self.up = nn.Sequential(
            nn.GELU(approximate='tanh'), nn.Upsample(scale_factor=2, mode='bilinear'),
            nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(approximate='tanh'),
            nn.Upsample(scale_factor=2, mode='bilinear'),
            nn.Conv2d(channels, config.plane_channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x).view(-1, self.channels, self.start, self.start)
        y = self.up(y)
        out: Tensor = y.view(x.shape[0], self.parts, 3, *y.shape[1:])
        return out


class KAVAE(nn.Module):
    """The kinematic-aware VAE of one category."""

    def __init__(self, category: Category, config: KAVAEConfig | None = None) -> None:
        super().__init__()
        self.category = category
        self.config = c = config or KAVAEConfig()
        parts, joints = len(category.parts), len(category.joints)
        self.parts = parts
        self.phi = nn.ModuleList([PointNet(3) for _ in range(parts)])
        self.theta_enc = nn.Sequential(
            nn.Linear(256 * parts, c.width), nn.GELU(approximate='tanh'),
            nn.Linear(c.width, 2 * c.latent))
        self.psi = nn.Sequential(nn.Linear(2 * joints, 64), nn.GELU(approximate='tanh'),
                                 nn.Linear(64, c.latent))
        self.theta_dec = nn.Sequential(
            nn.Linear(2 * c.latent, c.width), nn.GELU(approximate='tanh'),
            nn.Linear(c.width, c.width), nn.GELU(approximate='tanh'))
        self.box_head = nn.Linear(c.width, parts * 6)
        self.joint_head = nn.Linear(c.width, joints * 4)
        self.plane_decoder = PlaneDecoder(parts, c)
        self.sdf_in = nn.Parameter(torch.randn(parts, 3 * c.plane_channels + 4, c.sdf_width)
                                   / (3 * c.plane_channels + 4) ** 0.5)
        self.sdf_in_bias = nn.Parameter(torch.zeros(parts, 1, c.sdf_width))
        self.sdf_mid = nn.Parameter(torch.randn(parts, c.sdf_width, c.sdf_width)
                                    / c.sdf_width ** 0.5)
        self.sdf_mid_bias = nn.Parameter(torch.zeros(parts, 1, c.sdf_width))
        self.sdf_out = nn.Parameter(torch.zeros(parts, c.sdf_width, 1))
        axis = torch.tensor([j.axis for j in category.joints]).view(joints, 3)
        self.axis: Tensor
        self.register_buffer('axis', axis, persistent=False)
        # What is usual in the category: parts can be a hundred times thinner than long, and the
        # thickness has to count as much as the length.
        self.centre_mean: Tensor
        self.half_mean: Tensor
        self.origin_mean: Tensor
        self.origin_std: Tensor
        self.register_buffer('centre_mean', torch.zeros(parts, 3))
        self.register_buffer('half_mean', torch.ones(parts, 3))
        self.register_buffer('origin_mean', torch.zeros(joints, 3))
        self.register_buffer('origin_std', torch.ones(joints, 3))

    def set_usual(self, centre: Tensor, half: Tensor, origin: Tensor) -> None:
        """Scale inputs and heads to boxes (n, K, 3) and pivots (n, K-1, 3) of many instances."""
        self.centre_mean.copy_(centre.mean(0))
        self.half_mean.copy_(half.log().mean(0).exp())
        self.origin_mean.copy_(origin.mean(0))
        self.origin_std.copy_(origin.std(0).clamp_min(0.004))

    def part_frames(self, points: Tensor, q: Tensor, origin: Tensor) -> Tensor:
        """Points (B, N, 3) of the base frame in every part's frame, (B, K, N, 3).

        Args:
            q: (B, K-1) joint positions. origin: (B, K-1, 3) pivots.
        """
        eye = torch.eye(4, device=q.device, dtype=q.dtype).expand(q.shape[0], 4, 4)
        poses = forward_kinematics(self.category.joints, eye, q, origin,
                                   self.axis.expand(q.shape[0], -1, 3))
        return to_part_frames(points, poses)

    def encode(self, part_points: Tensor) -> tuple[Tensor, Tensor]:
        """Phi and Theta_enc on complete, labelled clouds with the articulation undone.

        Args:
            part_points: (B, K, N, 3) surface points of each part in its own frame
                (:meth:`part_frames` takes a labelled cloud in any joint state there).

        Returns:
            mu, log variance: (B, D_z).
        """
        x = (part_points - self.centre_mean[:, None]) / self.half_mean[:, None]
        features = torch.cat([phi(x[:, k]) for k, phi in enumerate(self.phi)], dim=-1)
        mu, log_var = self.theta_enc(features).chunk(2, dim=-1)
        return mu * PRIOR_STD, log_var.clamp(-12, 4) + 2 * math.log(PRIOR_STD)

    def decode(self, z: Tensor, q: Tensor) -> Field:
        """Psi and Theta_dec: F_kg of codes z (B, D_z) at joint positions q (B, K-1)."""
        f_kg = self.feature(z, q)
        box = self.box_head(f_kg).view(-1, self.parts, 6)
        joint = self.joint_head(f_kg).view(-1, len(self.category.joints), 4)
        return Field(centre=self.centre_mean + self.half_mean * box[..., :3],
                     half=self.half_mean * box[..., 3:].clamp(-4, 4).exp(),
                     planes=self.plane_decoder(f_kg), positions=joint[..., 0],
                     origin=self.origin_mean + self.origin_std * joint[..., 1:])

    def feature(self, z: Tensor, q: Tensor) -> Tensor:
        """F_kg (B, width) of codes z (B, D_z) at joint positions q (B, K-1)."""
        alpha = self.psi(torch.cat([q.sin(), q.cos()], dim=-1))
        out: Tensor = self.theta_dec(torch.cat([z / PRIOR_STD, alpha], dim=-1))
        return out

    def query(self, field: Field, points: Tensor, part: int | None = None) -> Tensor:
        """Omega's SDF head: signed distances (B, K, N) of points (B, K, N, 3) in part frames.

        The distance to the part's box plus what the feature planes and a small MLP add to it.
        With ``part``, points (B, 1, N, 3) and distances (B, 1, N) are of that part alone.
        """
        one = slice(None) if part is None else slice(part, part + 1)
        B, K, N = points.shape[:3]
        # The boxes learn from their own loss alone, or the rest would settle on wrong ones.
        centre, half = (x.detach()[:, one, None] for x in (field.centre, field.half))
        offset = points - centre
        outside = offset.abs() - half
        box = (outside.clamp_min(0).square().sum(-1).add(1e-12).sqrt()
               + outside.amax(-1).clamp_max(0))
        u = (offset / half).clamp(-1.2, 1.2)
        grid = torch.stack([u[..., [0, 1]], u[..., [0, 2]], u[..., [1, 2]]], dim=2) / 1.2
        sampled = F.grid_sample(field.planes[:, one].flatten(0, 2), grid.view(B * K * 3, 1, N, 2),
                                mode='bilinear', padding_mode='border', align_corners=True)
        features = sampled.view(B, K, -1, N).transpose(2, 3)
        x = torch.cat([features, u, box[..., None].clamp(-0.2, 0.2) * 5], dim=-1)
        x = F.relu(x @ self.sdf_in[one] + self.sdf_in_bias[one])
        x = F.relu(x @ self.sdf_mid[one] + self.sdf_mid_bias[one])
        return box + 0.1 * (x @ self.sdf_out[one])[..., 0]


def segmentation_logits(sdf: Tensor, temperature: float = 0.01) -> Tensor:
    """Part logits (B, N, K) from part distances (B, K, N): the nearest part wins."""
    return -sdf.transpose(1, 2) / temperature


def kl_to_prior(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL( N(mu, var) || N(0, 0.25^2) ), summed over dimensions, mean over the batch (eq. 2)."""
    prior = PRIOR_STD ** 2
    kl = 0.5 * ((log_var.exp() + mu.square()) / prior - 1 - log_var
                + math.log(prior))
    return kl.sum(-1).mean()
