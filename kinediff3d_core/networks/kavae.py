"""Kinematic-aware VAE (section 3.1, eq. 1 and 2): shape code Z, articulation feature, SDFs.

Names follow eq. 1: Phi encodes a complete cloud, Theta_enc gives the Gaussian of Z, Psi embeds the
joint positions A, Theta_dec makes the kinematic-aware feature F_kg, Omega answers queries.
Two choices make Z encode the shape alone: the encoder gets points with the articulation undone,
and every part has its own SDF in its own frame, so that segmentation is the arg-min over parts and
articulation is exact. Lengths are canonical units (metres / category scale).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.geometry.kinematics import forward_kinematics
from kinediff3d_core.geometry.rigid import to_part_frames
from kinediff3d_core.networks.pointnet import PointNet
from kinediff3d_core.objects.category import Category

PRIOR_STD = 0.25
"""Standard deviation of the prior of Z (eq. 2). That of Diffusion-SDF (Chou et al. 2023)."""
PLANE_GAIN = 10.0
"""Factor of the planes' features, so that differences between objects are learnt first. Chosen."""
FAR = 10.0
"""Distance to a part that does not exist, canonical units. Chosen."""
MIN_POSITION_STD, MIN_SIZE_STD = 0.004, 0.02
"""Least standard deviations by which the layout is scaled: positions (canonical) and log half
sizes. Chosen."""
BOX_REACH = 1.2
"""Box coordinates beyond which queries are clamped; 1 is the box's face. Chosen."""


@dataclass(frozen=True)
class Field:
    """F_kg prepared for queries by Omega, of B objects.

    Attributes:
        centre, half: (B, K, 3) boxes of the parts in their frames.
        planes: (B, K, 3, C, R, R) features on the xy, xz and yz planes of each box.
        bias: (B, K, 2, W) of the two hidden layers of the SDF network.
        positions: (B, K-1) joint positions read back from F_kg.
        origin: (B, K-1, 3) pivots in the parents' frames.
        exists: (B, K) log-odds that the object has that part; infinite where it always has.
    """

    centre: Tensor
    half: Tensor
    planes: Tensor
    bias: Tensor
    positions: Tensor
    origin: Tensor
    exists: Tensor

    def __getitem__(self, index: slice | Tensor) -> Field:
        return Field(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class KAVAEConfig:
    """Sizes of the KA-VAE. All are chosen.

    Attributes:
        latent: D_z, length of Z and of alpha.
        width: width of the MLPs Theta_enc and Theta_dec.
        plane_channels: features a texel of the planes carries.
        plane_size: texels along a plane's side: 4 times a power of two.
        sdf_width: width of the SDF network of Omega.
    """

    latent: int = 64
    width: int = 256
    plane_channels: int = 16
    plane_size: int = 32
    sdf_width: int = 64


class PlaneDecoder(nn.Module):
    """Feature planes of every part from F_kg: a linear layer for 4 x 4 texels, then convolutions
    that double the side each."""

    START, CHANNELS = 4, 24

    def __init__(self, parts: int, config: KAVAEConfig) -> None:
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(config.width, parts * 3 * self.CHANNELS * self.START ** 2)
        layers: list[nn.Module] = []
        size = self.START
        while size < config.plane_size:
            size *= 2
            out = config.plane_channels if size >= config.plane_size else self.CHANNELS
            layers += [nn.GELU(approximate='tanh'), nn.Upsample(scale_factor=2, mode='bilinear'),
                       nn.Conv2d(self.CHANNELS, out, 3, padding=1)]
        self.up = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x).view(-1, self.CHANNELS, self.START, self.START)
        # Channels last: upsampling of small planes is many times faster in that order on a GPU.
        y = self.up(y.contiguous(memory_format=torch.channels_last)).contiguous()
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
        layout = 6 * parts + 3 * joints
        known = layout + (parts if category.optional_parts else 0)
        self.phi = nn.ModuleList([PointNet(3) for _ in range(parts)])
        self.theta_enc = nn.Sequential(nn.Linear(256 * parts + known, c.width),
                                       nn.GELU(approximate='tanh'))
        self.gaussian = nn.Linear(c.width + known, 2 * c.latent)
        self.psi = nn.Sequential(nn.Linear(2 * joints, 64), nn.GELU(approximate='tanh'),
                                 nn.Linear(64, c.latent))
        self.theta_dec = nn.Sequential(
            nn.Linear(2 * c.latent, c.width), nn.GELU(approximate='tanh'),
            nn.Linear(c.width, c.width))
        self.theta_skip = nn.Linear(2 * c.latent, c.width)
        self.layout_head = nn.Linear(c.width, layout)
        self.joint_head = nn.Linear(c.width, joints)
        if category.optional_parts:
            self.exists_head = nn.Linear(c.width, parts)
        self.plane_decoder = PlaneDecoder(parts, c)
        self.bias_head = nn.Linear(c.width, parts * 2 * c.sdf_width)
        self.sdf_in = nn.Parameter(torch.randn(parts, 3 * c.plane_channels + 4, c.sdf_width)
                                   / (3 * c.plane_channels + 4) ** 0.5)
        self.sdf_mid = nn.Parameter(torch.randn(parts, c.sdf_width, c.sdf_width)
                                    / c.sdf_width ** 0.5)
        self.sdf_out = nn.Parameter(torch.zeros(parts, c.sdf_width, 1))
        self.optional: Tensor
        self.register_buffer('optional', torch.tensor(
            [k in category.optional_parts for k in range(parts)]), persistent=False)
        axis = torch.tensor([j.axis for j in category.joints]).view(joints, 3)
        self.axis: Tensor
        self.register_buffer('axis', axis, persistent=False)
        # Parts can be a hundred times thinner than long, and the thickness has to count as much as
        # the length.
        self.layout_mean: Tensor
        self.layout_std: Tensor
        self.register_buffer('layout_mean', torch.zeros(layout))
        self.register_buffer('layout_std', torch.ones(layout))

    def set_layout_statistics(self, centre: Tensor, half: Tensor, origin: Tensor, exists: Tensor,
                              ) -> None:
        """Set mean and standard deviation of the layout from many instances.

        Args:
            centre, half: (n, K, 3) boxes of the parts. origin: (n, K-1, 3) pivots.
            exists: (n, K) which parts each instance has.
        """
        x, mask = pack_layout(centre, half, origin), layout_mask(exists)
        count = mask.sum(0).clamp_min(1)
        mean = (x * mask).sum(0) / count
        std = ((x - mean).square() * mask).sum(0).div(count).sqrt()
        floor = torch.full_like(std, MIN_POSITION_STD)
        floor[3 * self.parts:6 * self.parts] = MIN_SIZE_STD
        self.layout_mean.copy_(mean)
        self.layout_std.copy_(torch.maximum(std, floor))

    def part_frames(self, points: Tensor, q: Tensor, origin: Tensor) -> Tensor:
        """Points (B, N, 3) of the base frame in every part's frame, (B, K, N, 3).

        Args:
            q: (B, K-1) joint positions. origin: (B, K-1, 3) pivots.
        """
        eye = torch.eye(4, device=q.device, dtype=q.dtype).expand(q.shape[0], 4, 4)
        poses = forward_kinematics(self.category.joints, eye, q, origin,
                                   self.axis.expand(q.shape[0], -1, 3))
        return to_part_frames(points, poses)

    def encode(self, part_points: Tensor, centre: Tensor, half: Tensor, origin: Tensor,
               exists: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussian of Z by Phi and Theta_enc, from complete clouds with the articulation undone.

        Args:
            part_points: (B, K, N, 3) surface points of each part in its own frame
                (:meth:`part_frames` moves a labelled cloud in any joint state there).
            centre, half: (B, K, 3) boxes of the parts. origin: (B, K-1, 3) pivots.
            exists: (B, K) which parts exist; the other arguments are ignored for the rest.

        Returns:
            mu, log variance: (B, D_z).
        """
        x = (part_points - centre[:, :, None]) / half[:, :, None]
        layout = (pack_layout(centre, half, origin) - self.layout_mean) / self.layout_std
        known = layout * layout_mask(exists)
        if self.category.optional_parts:
            known = torch.cat([known, exists.to(known.dtype)], dim=-1)
        features = torch.cat([phi(x[:, k]) * exists[:, k:k + 1]
                              for k, phi in enumerate(self.phi)] + [known], dim=-1)
        hidden = torch.cat([self.theta_enc(features), known], dim=-1)
        mu, log_var = self.gaussian(hidden).chunk(2, dim=-1)
        return mu * PRIOR_STD, log_var.clamp(-12, 4) + 2 * math.log(PRIOR_STD)

    def decode(self, z: Tensor, q: Tensor) -> Field:
        """Psi and Theta_dec: F_kg of codes z (B, D_z) at joint positions q (B, K-1)."""
        f_kg = self.feature(z, q)
        centre, half, origin, exists = self._boxes(f_kg)
        bias = self.bias_head(f_kg).view(len(z), self.parts, 2, -1)
        return Field(centre, half, self.plane_decoder(f_kg), bias, self.joint_head(f_kg), origin,
                     exists)

    def with_layout(self, field: Field, z: Tensor, q: Tensor) -> Field:
        """The field with the boxes and pivots of other codes z (B, D_z); its planes stretch."""
        centre, half, origin, _ = self._boxes(self.feature(z, q))
        return replace(field, centre=centre, half=half, origin=origin)

    def _boxes(self, f_kg: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        layout = self.layout_mean + self.layout_std * self.layout_head(f_kg)
        boxes, pivots = layout.split([6 * self.parts, layout.shape[1] - 6 * self.parts], dim=1)
        centre, log_half = boxes.view(-1, 2, self.parts, 3).unbind(1)
        origin = pivots.view(-1, len(self.category.joints), 3)
        exists = torch.full((len(f_kg), self.parts), torch.inf, device=f_kg.device)
        if self.category.optional_parts:
            exists = torch.where(self.optional, self.exists_head(f_kg), exists)
            mean_origin = self.layout_mean[6 * self.parts:].view(-1, 3)
            origin = torch.where(exists[:, 1:, None] > 0, origin, mean_origin)
        return centre, log_half.clamp(-8, 3).exp(), origin, exists

    def feature(self, z: Tensor, q: Tensor) -> Tensor:
        """F_kg (B, width) of codes z (B, D_z) at joint positions q (B, K-1)."""
        alpha = self.psi(torch.cat([q.sin(), q.cos()], dim=-1))
        x = torch.cat([z / PRIOR_STD, alpha], dim=-1)
        out: Tensor = self.theta_skip(x) + self.theta_dec(x)
        return out

    def layout_derivative(self, z: Tensor, q: Tensor) -> Tensor:
        """d(boxes and pivots, in the order of :func:`pack_layout`) / d(code): (B, L, D_z)."""
        # A copy of the batch for each row, so that one backward pass gives all rows. torch.func
        # would do the same, but imports torch's compiler first, which takes seconds.
        rows = len(self.layout_std)
        with torch.enable_grad():
            code = z.detach().repeat(rows, 1).requires_grad_()
            layout = self.layout_std * self.layout_head(self.feature(code, q.repeat(rows, 1)))
            own = layout.view(rows, len(z), rows).diagonal(dim1=0, dim2=2)
            out, = torch.autograd.grad(own.sum(), code)
        return out.view(rows, len(z), -1).transpose(0, 1)

    def query(self, field: Field, points: Tensor, part: int | None = None) -> Tensor:
        """Omega's SDF head: signed distances (B, K, N) of points (B, K, N, 3) in part frames.

        The distance of a point to the part's box plus the output of a small MLP on the feature
        planes, with biases of the object. The depth inside the box is an input of the MLP only:
        as a summand it would be wrong wherever the box is hollow.

        Args:
            part: the only part that is queried, by points (B, 1, N, 3); distances are (B, 1, N).
                Parts that do not exist are ``FAR`` from everything.
        """
        one = slice(None) if part is None else slice(part, part + 1)
        B, K, N = points.shape[:3]
        # Boxes are trained by their own loss alone, or the MLP would adapt to wrong boxes.
        centre, half = (x.detach()[:, one, None] for x in (field.centre, field.half))
        offset = points - centre
        outside = offset.abs() - half
        beyond = outside.clamp_min(0).square().sum(-1).add(1e-12).sqrt()
        box = beyond + outside.amax(-1).clamp_max(0)
        u = (offset / half).clamp(-BOX_REACH, BOX_REACH)
        grid = torch.stack([u[..., :2], u[..., ::2], u[..., 1:]], dim=2) / BOX_REACH
        sampled = F.grid_sample(field.planes[:, one].flatten(0, 2), grid.view(B * K * 3, 1, N, 2),
                                mode='bilinear', padding_mode='border', align_corners=True)
        features = PLANE_GAIN * sampled.view(B, K, -1, N).transpose(2, 3)
        x = torch.cat([features, u, box[..., None].clamp(-0.2, 0.2) * 5], dim=-1)
        first, second = field.bias[:, one, :, None].unbind(2)
        x = F.relu(x @ self.sdf_in[one] + first)
        x = F.relu(x @ self.sdf_mid[one] + second)
        distance: Tensor = beyond + 0.1 * (x @ self.sdf_out[one])[..., 0]
        if self.category.optional_parts:
            distance = torch.where(field.exists[:, one, None] > 0, distance, FAR)
        return distance

    def nearest(self, field: Field, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest part of each point, given in the frames of all parts (B, K, N, 3).

        Returns:
            its signed distance (B, N), the gradient (B, N, 3) in its frame, its index (B, N).
        """
        with torch.enable_grad():
            local = points.detach().requires_grad_()
            distance, part = self.query(field, local).min(dim=1)
            (gradient,) = torch.autograd.grad(distance.sum(), local)
        return distance.detach(), gradient.sum(1), part


def pack_layout(centre: Tensor, half: Tensor, origin: Tensor) -> Tensor:
    """Layout (B, 6 K + 3 J): centres, log half sizes (B, K, 3) and pivots (B, J, 3)."""
    return torch.cat([centre.flatten(1), half.log().flatten(1), origin.flatten(1)], dim=1)


def layout_mask(exists: Tensor) -> Tensor:
    """1 for the entries of :func:`pack_layout` (B, L) that belong to parts that exist (B, K)."""
    box = exists[..., None].expand(-1, -1, 3).flatten(1)
    return torch.cat([box, box, box[:, 3:]], dim=1).float()


def segmentation_logits(sdf: Tensor, temperature: float = 0.01) -> Tensor:
    """Part logits (B, N, K) from part distances (B, K, N), largest for the nearest part."""
    return -sdf.transpose(1, 2) / temperature


def kl_to_prior(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL( N(mu, var) || N(0, 0.25^2) ), summed over dimensions, mean over the batch (eq. 2)."""
    prior = PRIOR_STD ** 2
    kl = 0.5 * ((log_var.exp() + mu.square()) / prior - 1 - log_var
                + math.log(prior))
    return kl.sum(-1).mean()
