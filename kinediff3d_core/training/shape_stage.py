"""Training of the KA-VAE by eq. 2: encode an instance, decode it in another joint state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.geometry.kinematics import forward_kinematics, joint_units
from kinediff3d_core.geometry.rigid import to_part_frames, transform_points
from kinediff3d_core.networks.kavae import (
    KAVAE,
    Field,
    kl_to_prior,
    layout_mask,
    pack_layout,
    segmentation_logits,
)
from kinediff3d_core.objects.category import Category
from kinediff3d_core.simulation.views import joint_range
from kinediff3d_core.training.matmul_precision import tf32_matmul
from kinediff3d_core.training.pool import Pool, ShapeSamples


@dataclass(frozen=True)
class ShapeLossConfig:
    """Points and weights of the loss. Lengths are canonical units."""

    encoded_points: int = 512
    """Surface points of each part that the encoder is given. Chosen."""
    query_points: int = 512
    """Points of each part at which the distance is compared. Chosen."""
    labelled_points: int = 96
    """Surface points of each part whose part label is compared. Chosen."""
    near: float = 0.03
    """A query point is near the surface below this distance. Chosen."""
    near_weight: float = 2.0
    """Weight of distance errors near the surface. Chosen."""
    far_weight: float = 0.5
    """Weight of distance errors elsewhere. Chosen."""
    part: float = 0.1 * 0.1
    """Weight of the part labels: eq. 2's 0.1, times 0.1 (chosen)."""
    joint: float = 0.1 * 0.1
    """Weight of the joint positions: eq. 2's 0.1, times 0.1 (chosen)."""
    layout: float = 0.1
    """Weight of the parts' boxes and pivots, which eq. 2 does not have. Chosen."""
    exists: float = 0.02
    """Weight of which parts exist, in categories where that varies. Chosen."""
    beta: float = 1e-5
    """Weight of the KL divergence summed over dimensions. The paper's 1e-3 collapses the
    posterior; 1e-5 is Diffusion-SDF's."""


@dataclass(frozen=True)
class Shapes(ShapeSamples):
    """Samples of a batch of instances.

    Attributes: exists (B, K), which parts each instance has.
    """

    exists: Tensor


@dataclass(frozen=True)
class Queries:
    """Where the decoded field is evaluated, and what is right there.

    Attributes:
        points: (B, K, Q + K S, 3) in part frames: Q of each part, then the labelled ones.
        distance: (B, K, Q) of the first Q.
        label: (B, K S) part of the labelled points.
    """

    points: Tensor
    distance: Tensor
    label: Tensor


def over_rows(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of x (B, ...) over the rows where the mask (B, ...) holds."""
    return (x * mask).sum(0) / mask.sum(0).clamp_min(1)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of x over the entries where the mask holds; shapes broadcast."""
    return (x * mask).sum() / mask.expand_as(x).sum().clamp_min(1)


class ShapeStage(nn.Module):
    """The KA-VAE and its loss, eq. 2."""

    def __init__(self, category: Category, config: ShapeLossConfig | None = None) -> None:
        super().__init__()
        self.network = KAVAE(category)
        self.category, self.config = category, config or ShapeLossConfig()
        self.ready = False

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        """Losses of a random batch by name; ``total`` is minimised."""
        g, net = pool.generator, self.network
        rows = pool.draw_rows(batch)
        shapes = Shapes(*(pool.store[k][rows] for k in (
            'surface', 'query', 'distance', 'centre', 'half', 'origin', 'exists')))
        self._set_layout_statistics(pool)
        with tf32_matmul():
            mu, log_var = net.encode(
                shapes.surface[:, :, _some(shapes.surface, self.config.encoded_points, g)],
                shapes.centre, shapes.half, shapes.origin, shapes.exists)
        z = mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=g, device=pool.device)
        q = self._random_positions(batch, g)
        with tf32_matmul():
            field = net.decode(z, q)
        log_odds, field = field.exists, replace(field, exists=shapes.exists.float() - 0.5)
        queries = self._queries(shapes, q, g)
        with tf32_matmul():
            sdf = net.query(field, queries.points)
        losses = (self._distance_terms(sdf, queries, shapes.exists)
                  | self._layout_terms(field, shapes, q) | {'kl': kl_to_prior(mu, log_var)})
        return self._with_total(losses, log_odds, shapes.exists)

    def _set_layout_statistics(self, pool: Pool) -> None:
        """Measure the usual boxes and pivots once, unless the network has them already."""
        if not self.ready and bool((self.network.layout_std == 1).all()):
            self.network.set_layout_statistics(*(pool.store[k][:pool.rows]
                                     for k in ('centre', 'half', 'origin', 'exists')))
        self.ready = True

    def _random_positions(self, batch: int, g: torch.Generator) -> Tensor:
        """Joint positions (batch, J) uniform over the training range, canonical units."""
        unit = joint_units(self.category.joints, self.category.scale)
        low, high = ((x / unit).to(g.device) for x in joint_range(self.category, train=True))
        return low + (high - low) * torch.rand(batch, len(low), generator=g, device=g.device)

    def _queries(self, shapes: Shapes, q: Tensor, g: torch.Generator) -> Queries:
        """Query points of each part, and surface points of all parts as seen from each part.

        The surface points are posed at q (B, J), the state that is decoded.
        """
        pick = _some(shapes.query, self.config.query_points, g)
        points, distance = shapes.query[:, :, pick], shapes.distance[:, :, pick]
        labelled = self.config.labelled_points
        surface = shapes.surface[:, :, _some(shapes.surface, labelled, g)]
        batch, parts = surface.shape[:2]
        eye = torch.eye(4, device=q.device).expand(batch, 4, 4)
        poses = forward_kinematics(self.category.joints, eye, q, shapes.origin,
                                   self.network.axis.expand(batch, -1, 3))
        in_base = transform_points(poses, surface).flatten(1, 2)
        label = torch.arange(parts, device=q.device).repeat_interleave(labelled)
        return Queries(torch.cat([points, to_part_frames(in_base, poses)], dim=2), distance,
                       label.expand(batch, -1))

    def _distance_terms(self, sdf: Tensor, queries: Queries, exists: Tensor) -> dict[str, Tensor]:
        """Errors of the distances, mm of those near the surface, and of the part labels.

        Args:
            sdf: (B, K, Q + K S) decoded at the queries.
            exists: (B, K) bool.
        """
        c, count = self.config, queries.distance.shape[2]
        near = (queries.distance.abs() < c.near) & exists[..., None]
        error = (sdf[:, :, :count] - queries.distance).abs()
        wrong_part = F.cross_entropy(segmentation_logits(sdf[:, :, count:]).transpose(1, 2),
                                     queries.label, reduction='none')
        labelled = exists.repeat_interleave(c.labelled_points, dim=1)
        return {
            'sdf': masked_mean(error * torch.where(near, c.near_weight, c.far_weight),
                               exists[..., None].float()),
            'surface_mm': masked_mean(error.detach(), near.float()) * self.category.scale * 1e3,
            'part': masked_mean(wrong_part, labelled.float()),
        }

    def _layout_terms(self, field: Field, shapes: Shapes, q: Tensor) -> dict[str, Tensor]:
        """Errors of decoded joint positions, boxes and pivots, and mm of the latter two."""
        exists = shapes.exists[..., None].float()
        layout = (pack_layout(field.centre, field.half, field.origin)
                  - pack_layout(shapes.centre, shapes.half, shapes.origin)) / \
            self.network.layout_std
        scale = self.category.scale
        return {
            'joint': masked_mean((field.positions - q).abs(), exists[:, 1:, 0]),
            'layout': masked_mean(layout.abs(), layout_mask(shapes.exists)),
            'box_mm': masked_mean((field.half - shapes.half).detach().abs(), exists)
                      * scale * 1e3,
            'origin_mm': masked_mean((field.origin - shapes.origin).detach().abs(), exists[:, 1:])
                         * scale * 1e3,
        }

    def _with_total(self, losses: dict[str, Tensor], log_odds: Tensor, exists: Tensor,
                    ) -> dict[str, Tensor]:
        """The losses with their weighted sum, and where parts are optional their existence.

        Args:
            log_odds: (B, K) decoded, that a part exists.
        """
        c = self.config
        losses['total'] = (losses['sdf'] + c.part * losses['part'] + c.joint * losses['joint']
                           + c.layout * losses['layout'] + c.beta * losses['kl'])
        if self.category.optional_parts:
            losses['exists'] = F.binary_cross_entropy_with_logits(
                log_odds[:, self.network.optional], exists[:, self.network.optional].float())
            losses['total'] = losses['total'] + c.exists * losses['exists']
        return losses


def _some(samples: Tensor, n: int, g: torch.Generator) -> Tensor:
    """n random indices into the samples (B, K, S, ...) of each part, the same for all parts."""
    return torch.randint(samples.shape[2], (n,), generator=g, device=g.device)
