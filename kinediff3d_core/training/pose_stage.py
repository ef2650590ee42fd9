"""Training of the score model by eq. 4, and of a regression from the same feature."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.diffusion.ve_sde import DELTA, dsm_loss
from kinediff3d_core.geometry.rigid import rotation_angle, rotation_from_6d
from kinediff3d_core.networks.score import ScoreModel, State, pack_state
from kinediff3d_core.objects.category import Category
from kinediff3d_core.training.config import CLOUD_POINTS
from kinediff3d_core.training.matmul_precision import tf32_matmul
from kinediff3d_core.training.pool import Pool


@dataclass(frozen=True)
class PoseLossConfig:
    """Sizes and constants of the loss."""

    points: int = CLOUD_POINTS
    """Points of a cloud."""
    draws: int = 16
    """Noise levels drawn for each view: the encoder, which costs most, runs once for all."""
    measured_views: int = 4096
    """Views from which the mean and standard deviation of states are measured. Chosen."""
    least_std: float = 0.02
    """Smallest standard deviation by which an entry of the state is whitened. Chosen."""
    huber: float = 0.1
    """Whitened errors of the regression above this count linearly. Chosen."""


class PoseStage(nn.Module):
    """The score model and its losses."""

    def __init__(self, category: Category, config: PoseLossConfig | None = None) -> None:
        super().__init__()
        self.network = ScoreModel(category)
        self.config = config or PoseLossConfig()
        self.ready = False

    def draw_states(self, pool: Pool, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Centred clouds (n, P, 3), state vectors (n, S), and a mask (n, S) of their entries.

        The mask is 0 at entries of joints that the object does not have.
        """
        views = pool.draw_views(n, self.config.points)
        row, cloud = views.row, views.cloud
        centroid = cloud.mean(1)
        x = pack_state(State(views.T, views.q, pool.store['origin'][row],
                             pool.store['axis'][row]), centroid)
        mask = torch.ones_like(x)
        mask[:, 9:] = pool.store['exists'][row, 1:].repeat_interleave(7, dim=1)
        return cloud - centroid[:, None], x, mask

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        """Losses of a random batch by name; ``total`` is minimised."""
        net = self.network
        self._measure_states(pool)
        cloud, x, mask = self.draw_states(pool, batch)
        # Entries of joints that do not exist are at their mean, and have no loss.
        x0 = net.whiten(x) * mask
        with tf32_matmul():
            feature = net.encode(cloud)
        score = self._score_matching(feature, x0, pool.generator)
        with tf32_matmul():
            guess = net.regress(feature)
        regression = F.smooth_l1_loss(guess, x0, beta=self.config.huber)
        rotation, joint = self._regression_errors(guess, x)
        return {'score': score.mean(), 'regression': regression, 'rot_deg': rotation,
                'joint': joint, 'total': score.mean() + regression}

    def _measure_states(self, pool: Pool) -> None:
        """Measure the whitening of states once, unless the network has one already."""
        net = self.network
        if not self.ready and not net.mean.any():
            _, x, mask = self.draw_states(pool, self.config.measured_views)
            count = mask.sum(0).clamp_min(1)
            net.mean.copy_((x * mask).sum(0) / count)
            var = ((x - net.mean).square() * mask).sum(0) / count
            net.std.copy_(var.sqrt().clamp_min(self.config.least_std))
        self.ready = True

    def _score_matching(self, feature: Tensor, x0: Tensor, g: torch.Generator) -> Tensor:
        """Denoising score matching (eq. 4) of whitened states x0 (B, S), a loss per draw.

        Args:
            feature: (B, F) of the clouds.
        """
        net, batch, draws = self.network, len(x0), self.config.draws
        repeated = feature[:, None].expand(-1, draws, -1)
        t = DELTA + (1 - DELTA) * torch.rand(batch, draws, generator=g, device=g.device)
        target = x0[:, None].expand(-1, draws, -1)
        noise = torch.randn(target.shape, generator=g, device=g.device)
        with tf32_matmul():
            return dsm_loss(lambda xt, s: net.denoise(xt, s, repeated), target, t, noise,
                            net.config.sigma_data)

    @torch.no_grad()
    def _regression_errors(self, guess: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Median rotation error, deg, and median error of the first joint, canonical units."""
        y = self.network.unwhiten(guess)
        angle = rotation_angle(rotation_from_6d(y[:, :6]), rotation_from_6d(x[:, :6]))
        return torch.rad2deg(angle.median()), (y[:, 9] - x[:, 9]).abs().median()
