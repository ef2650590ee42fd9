"""Training of the latent denoiser by eq. 7, on canonicalised clouds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.diffusion.ddpm import diffuse
from kinediff3d_core.diffusion.ve_sde import sample_fixed
from kinediff3d_core.geometry.kinematics import forward_kinematics
from kinediff3d_core.geometry.rigid import to_part_frames
from kinediff3d_core.inference.refinement import limit_joints
from kinediff3d_core.networks.kavae import KAVAE
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel, State, unpack_state
from kinediff3d_core.objects.category import Category
from kinediff3d_core.training.config import CLOUD_POINTS
from kinediff3d_core.training.matmul_precision import tf32_matmul
from kinediff3d_core.training.pool import Pool
from kinediff3d_core.training.shape_stage import over_rows
from kinediff3d_core.training.state_noise import StateNoise, add_noise

ENCODED = ('surface', 'centre', 'half', 'origin', 'exists')
"""Samples of an instance that the encoder is given."""
NEEDED = ('origin', 'axis', 'exists', 'z', 'points', 'label', 'T', 'q', 'valid')
"""Samples of an instance that this stage keeps."""


@dataclass(frozen=True)
class LatentLossConfig:
    """Noise of the states, and weights of the loss. Lengths are canonical units."""

    points: int = CLOUD_POINTS
    """Points of a cloud."""
    noise: StateNoise = StateNoise()
    """Noise of the states with which clouds are canonicalised."""
    sampler_steps: int = 14
    """Steps in which the score model samples predicted states. Chosen."""
    draws: int = 4
    """Diffusion times drawn for each view."""
    late: float = 0.8
    """Diffusion times above this are almost pure noise: what few-step sampling relies on."""
    covariance_rate: float = 0.02
    """Share by which a step moves the covariance of the errors at late times. Chosen."""
    geometry: float = 2.0
    """Weight of boxes and pivots decoded from the code. Chosen."""
    exists: float = 0.2
    """Weight of which parts exist, in categories where that varies. Chosen."""


class LatentStage(nn.Module):
    """The latent denoiser and its loss: eq. 7's error of the code, and that of its geometry.

    Clouds are canonicalised with true, noisy and predicted states. Inference starts from
    predicted ones. Without them in training, the denoiser relies on joint positions more than
    the score model's accuracy allows.

    Args:
        shape: the trained KA-VAE.
        pose: the trained score model; None trains without predicted states.
    """

    def __init__(self, category: Category, shape: KAVAE, pose: ScoreModel | None = None,
                 config: LatentLossConfig | None = None) -> None:
        super().__init__()
        self.network = LatentDenoiser(category)
        self.category, self.config = category, config or LatentLossConfig()
        self.shape, self.pose = [shape], [pose]  # in lists: frozen, not submodules
        self.ready = False

    def annotate(self, fresh: dict[str, Tensor]) -> dict[str, Tensor]:
        """Samples of fresh instances with their code 'z', without what only the encoder needs."""
        with torch.no_grad():
            fresh['z'], _ = self.shape[0].encode(*(fresh[k] for k in ENCODED))
        return {k: fresh[k] for k in NEEDED}

    @torch.no_grad()
    def predicted_states(self, pose: ScoreModel, cloud: Tensor, g: torch.Generator) -> State:
        """Hypotheses that inference would start from on clouds (n, P, 3).

        Those of even rows are regressed, those of odd rows sampled.
        """
        centroid = cloud.mean(1)
        with tf32_matmul():
            feature = pose.encode(cloud - centroid[:, None])
            x, given = pose.regress(feature), feature[1::2]
            noise = torch.randn(len(given), pose.size, generator=g, device=cloud.device)
            x[1::2] = sample_fixed(lambda x, sigma: pose.denoise(x, sigma, given), noise,
                                   steps=self.config.sampler_steps)
        return limit_joints(self.shape[0], unpack_state(pose.unwhiten(x), centroid))

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        """Losses of a random batch by name; ``total`` is minimised."""
        net, g = self.network, pool.generator
        self._measure_codes(pool)
        views = pool.draw_views(batch, self.config.points)
        row, cloud, T, q = views.row, views.cloud, views.T, views.q
        origin, axis, exists = (pool.store[k][row] for k in ('origin', 'axis', 'exists'))
        has_joint = exists[:, 1:]
        if self.category.optional_parts and self.pose[0] is None:
            q = torch.where(has_joint, q, over_rows(q, has_joint))
            origin = torch.where(has_joint[..., None], origin,
                                 over_rows(origin, has_joint[..., None]))
        state = add_noise(State(T, q, origin, axis), self.config.noise, g)
        if self.pose[0] is not None:
            state = self._half_predicted(self.pose[0], state, has_joint, cloud, g)
        poses = forward_kinematics(self.category.joints, state.T_camera_base, state.q,
                                   state.origin, state.axis)
        with tf32_matmul():
            condition = net.condition(to_part_frames(cloud, poses))
        z0 = net.whiten(pool.store['z'][row]).repeat_interleave(self.config.draws, dim=0)
        return self._losses(z0, condition, q, exists, g)

    def _measure_codes(self, pool: Pool) -> None:
        """Measure the whitening of codes once, unless the network has one already."""
        net = self.network
        if not self.ready and not net.mean.any():
            z = pool.store['z'][:pool.rows]
            net.mean.copy_(z.mean(0))
            # One scale for all: dimensions that the KL has emptied must not weigh like others.
            net.std.fill_((z - z.mean(0)).square().mean().sqrt())
        self.ready = True

    def _half_predicted(self, pose: ScoreModel, state: State, has_joint: Tensor, cloud: Tensor,
                        g: torch.Generator) -> State:
        """States (B) of which the first half is replaced by predicted ones.

        Joints that an object does not have are predicted in every row. A fixed place for them
        would show the denoiser how many joints there are.

        Args:
            has_joint: (B, J) bool. cloud: (B, P, 3) camera frame.
        """
        batch = len(cloud)
        half = batch // 2
        n = batch if self.category.optional_parts else half
        seen = self.predicted_states(pose, cloud[:n], g)
        replaced = (torch.arange(batch, device=g.device) < half)[:, None] | ~has_joint
        T = torch.cat([seen.T_camera_base[:half], state.T_camera_base[half:]])
        if n < batch:
            seen = State(T, *(torch.cat([a, b[half:]]) for a, b in (
                (seen.q, state.q), (seen.origin, state.origin), (seen.axis, state.axis))))
        return State(T, torch.where(replaced, seen.q, state.q),
                     torch.where(replaced[..., None], seen.origin, state.origin),
                     torch.where(replaced[..., None], seen.axis, state.axis))

    def _losses(self, z0: Tensor, condition: Tensor, q: Tensor, exists: Tensor,
                g: torch.Generator) -> dict[str, Tensor]:
        """All terms of the loss of whitened codes z0 (B draws, D).

        Args:
            condition: tokens of the B clouds. q: (B, J) at which codes are decoded.
            exists: (B, K) bool.
        """
        c, net = self.config, self.network
        # The square root: more of the draws are late.
        t = torch.rand(len(z0), generator=g, device=g.device).sqrt()
        eps = torch.randn(z0.shape, generator=g, device=g.device)
        with tf32_matmul():
            guess = net.denoise(diffuse(z0, t, eps), t, condition)
        off = guess - z0
        error = off.square().mean(-1)
        late = (t > c.late).float()
        count = late.sum().clamp_min(1)
        with torch.no_grad():
            net.error.lerp_((off * late[:, None]).T @ off / count, c.covariance_rate)
        decoded, wanted = self._features(guess, z0, q)
        head = self.shape[0].layout_head
        geometry = (head(decoded) - head(wanted)).abs().mean(-1)
        losses = {'code': error.mean(), 'late': (error * late).sum() / count,
                  'geometry': geometry.mean(), 'geometry_late': (geometry * late).sum() / count,
                  'total': error.mean() + c.geometry * geometry.mean()}
        if self.category.optional_parts:
            optional = self.shape[0].optional
            losses['exists'] = F.binary_cross_entropy_with_logits(
                self.shape[0].exists_head(decoded)[:, optional],
                exists[:, optional].float().repeat_interleave(c.draws, 0))
            losses['total'] = losses['total'] + c.exists * losses['exists']
        return losses

    def _features(self, guess: Tensor, z0: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """Decoder features of guessed and true codes at q (B, J).

        How much a dimension of the code changes the shape differs between dimensions, so the
        loss compares decoded boxes and pivots, too.
        """
        at = q.repeat_interleave(self.config.draws, dim=0)
        decoded, wanted = (self.shape[0].feature(self.network.unwhiten(z), at)
                           for z in (guess, z0))
        return decoded, wanted
