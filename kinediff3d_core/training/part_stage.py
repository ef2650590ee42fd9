"""Training of the part-centric head: part and canonical coordinates of each point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.data.samples import FOREIGN
from kinediff3d_core.geometry.kinematics import forward_kinematics
from kinediff3d_core.geometry.rigid import to_part_frames
from kinediff3d_core.networks.part_coordinates import ENCODER, PartCoordinates, encoder_digest
from kinediff3d_core.networks.score import ScoreModel
from kinediff3d_core.objects.category import Category
from kinediff3d_core.training.config import CLOUD_POINTS
from kinediff3d_core.training.matmul_precision import tf32_matmul
from kinediff3d_core.training.pool import Pool


@dataclass(frozen=True)
class PartLossConfig:
    """Sizes and weights of the loss. Lengths are canonical units."""

    points: int = CLOUD_POINTS
    """Points of a cloud."""
    voters: int = 96
    """Points of a cloud that vote in a step. The encoder, which costs as much as 100 of them,
    sees the whole cloud. Chosen."""
    huber: float = 0.05
    """Errors of a coordinate above this count linearly. Chosen."""
    coordinates: float = 10.0
    """Weight of the coordinates beside the cross-entropy of the parts: A-NCSH's."""
    rest: float = 10.0
    """Weight of where prismatic joints are at rest. Chosen: as the coordinates."""


class PartStage(nn.Module):
    """The head and its loss: which part a point belongs to, and where it is in that part's frame.

    Args:
        pose: the trained score model, whose encoder does not change.

    Attributes:
        notes: what the file of weights says of the encoder.
    """

    def __init__(self, category: Category, pose: ScoreModel, config: PartLossConfig | None = None,
                 ) -> None:
        super().__init__()
        self.network = PartCoordinates(category)
        self.category, self.config = category, config or PartLossConfig()
        self.pose = [pose]  # in a list: frozen, not a submodule
        self.notes = {ENCODER: encoder_digest(pose)}

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        """Losses of a random batch by name; ``total`` is minimised."""
        c, net = self.config, self.network
        views = pool.draw_views(batch, c.points)
        origin, axis = (pool.store[k][views.row] for k in ('origin', 'axis'))
        poses = forward_kinematics(self.category.joints, views.T, views.q, origin, axis)
        centred = views.cloud - views.cloud.mean(1, keepdim=True)
        with tf32_matmul():
            with torch.no_grad():
                tokens, feature = self.pose[0].encode_tokens(centred)
            votes = net(centred[:, :c.voters], tokens, feature)
        label = views.label[:, :c.voters]
        truth = to_part_frames(views.cloud[:, :c.voters], poses).transpose(1, 2)
        on_object = label != FOREIGN
        own = torch.where(on_object, label, 0)[..., None, None].expand(-1, -1, 1, 3)
        guess, truth = (x.gather(2, own)[:, :, 0] for x in (votes.coordinates, truth))
        losses = {'part': F.cross_entropy(votes.part.flatten(0, 1), label.flatten(),
                                          ignore_index=FOREIGN),
                  'coordinates': self._huber(guess, truth)[on_object].mean()}
        losses['total'] = losses['part'] + c.coordinates * losses['coordinates']
        if net.sliding:
            losses['rest'] = self._rest_error(votes.rest, label, origin)
            losses['total'] = losses['total'] + c.rest * losses['rest']
        with torch.no_grad():
            losses['wrong'] = (votes.part.argmax(-1) != label)[on_object].float().mean()
            losses['median_mm'] = ((guess - truth).norm(dim=-1)[on_object].median()
                                   * self.category.scale * 1e3)
        return losses

    def _rest_error(self, rest: Tensor, label: Tensor, origin: Tensor) -> Tensor:
        """Mean error of votes (B, N, S, 3), of the points on each child that slides.

        Args:
            label: (B, N). origin: (B, J, 3) of the joints in the parents' frames.
        """
        children = torch.tensor(self.network.sliding, device=label.device)
        joints = [i for i, j in enumerate(self.category.joints) if j.child in self.network.sliding]
        mask = (label[..., None] == children).float()[..., None]
        error = self._huber(rest, origin[:, None, joints])
        return (error * mask).sum() / (3 * mask.sum()).clamp_min(1)

    def _huber(self, guess: Tensor, truth: Tensor) -> Tensor:
        """Huber loss over its threshold, so that large errors count as their absolute value."""
        return F.smooth_l1_loss(guess, truth.expand_as(guess), reduction='none',
                                beta=self.config.huber)
