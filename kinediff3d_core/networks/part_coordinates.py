"""Part-centric head: to which part a point belongs, and where it is in that part's frame.

The head of the baseline after A-NCSH (Li et al., CVPR 2020). Its input is what the trained cloud
encoder of the score model says about the cloud; that encoder does not change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from torch import Tensor, nn

from kinediff3d_core.networks.pointnet import AttentionBlock
from kinediff3d_core.networks.score import ScoreModel
from kinediff3d_core.objects.category import Category

ENCODER = 'encoder'
"""Note of the training: :func:`encoder_digest` of the score model that the head belongs to."""


def encoder_digest(pose: ScoreModel) -> str:
    """A digest of the weights that make tokens and feature; a head fits one encoder alone."""
    digest = hashlib.sha256()
    for module in (pose.encoder, pose.features):
        for value in module.state_dict().values():
            digest.update(value.half().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def sliding_parts(category: Category) -> tuple[int, ...]:
    """The children of prismatic joints, in the order of the joints."""
    return tuple(j.child for j in category.joints if j.joint_type == 'prismatic')


@dataclass(frozen=True)
class PartConfig:
    """Sizes of the head. All are chosen; the first two are those of the score model's encoder.

    Attributes:
        width: width of the encoder's tokens.
        feature: width of the encoder's feature of a whole cloud.
        blocks: attention blocks.
        heads: heads of an attention block.
    """

    width: int = 128
    feature: int = 256
    blocks: int = 1
    heads: int = 4


@dataclass(frozen=True)
class PointVotes:
    """What each of N points says, canonical units.

    Attributes:
        part: (B, N, K) logits of the part that the point belongs to.
        coordinates: (B, N, K, 3) the point in the frame of each part.
        rest: (B, N, S, 3) where the frame of each of the S prismatic joints' children is in its
            parent's frame at q = 0, which the poses of the parts do not tell.
    """

    part: Tensor
    coordinates: Tensor
    rest: Tensor


class PartCoordinates(nn.Module):
    """Votes of points, each for itself, from the tokens and the feature of their cloud."""

    def __init__(self, category: Category, config: PartConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PartConfig()
        self.parts = len(category.parts)
        self.sliding = sliding_parts(category)
        self.embed = nn.Sequential(nn.Linear(3, c.width), nn.GELU(approximate='tanh'),
                                   nn.Linear(c.width, c.width))
        self.modulate = nn.Linear(c.feature, 2 * c.width)
        self.blocks = nn.ModuleList([AttentionBlock(c.width, c.heads) for _ in range(c.blocks)])
        self.out = nn.Sequential(
            nn.LayerNorm(c.width), nn.Linear(c.width, c.width), nn.GELU(approximate='tanh'),
            nn.Linear(c.width, 4 * self.parts + 3 * len(self.sliding)))

    def forward(self, points: Tensor, tokens: Tensor, feature: Tensor) -> PointVotes:
        """The votes of points (B, N, 3) relative to the centroids of their clouds.

        The feature scales and shifts the embedding of a point: a coordinate is a product of pose
        and position.

        Args:
            tokens: (B, T, width) and feature: (B, F) of :class:`ScoreModel`'s encoder.
        """
        scale, shift = self.modulate(feature)[:, None].chunk(2, dim=-1)
        x = self.embed(points) * (1 + scale) + shift
        for block in self.blocks:
            x = block(x, tokens)
        part, coordinates, rest = self.out(x).split(
            [self.parts, 3 * self.parts, 3 * len(self.sliding)], dim=-1)
        return PointVotes(part, coordinates.unflatten(-1, (self.parts, 3)),
                          rest.unflatten(-1, (len(self.sliding), 3)))
