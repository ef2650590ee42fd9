"""What each network is trained on: one module a stage, ``forward(pool) -> losses``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import roma
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.diffusion.ddpm import diffuse
from kinediff3d_core.diffusion.ve_sde import DELTA, dsm_loss, sample_fixed
from kinediff3d_core.geometry.kinematics import forward_kinematics, joint_units
from kinediff3d_core.geometry.rigid import (
    make_transform,
    rotation_angle,
    rotation_from_6d,
    to_part_frames,
    transform_points,
)
from kinediff3d_core.inference.refinement import limit_joints
from kinediff3d_core.networks.kavae import (
    KAVAE,
    kl_to_prior,
    layout_mask,
    pack_layout,
    segmentation_logits,
)
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel, State, pack_state, unpack_state
from kinediff3d_core.objects.category import Category
from kinediff3d_core.simulation.views import joint_range
from kinediff3d_core.training.fast import fast_matmul
from kinediff3d_core.training.pool import Pool


@dataclass(frozen=True)
class StageConfig:
    """How a stage is trained."""

    batch: int
    """Instances (shape) or views (pose, latent) a step."""
    lr: float
    """Peak learning rate of AdamW, warmed up and decayed along a cosine."""
    steps: int
    """Steps of a full run on a CPU."""
    views: int
    """Views made for each new instance; 0 for the shape stage."""
    fill: int
    """Instances made before the first step."""
    refresh: int
    """New instances every ten steps."""
    capacity: int
    """Instances kept."""


STAGES = {
    'shape': StageConfig(batch=24, lr=3e-3, steps=5000, views=0, fill=400, refresh=4,
                         capacity=6000),
    'pose': StageConfig(batch=64, lr=7e-4, steps=6000, views=4, fill=512, refresh=8,
                        capacity=6000),
    'latent': StageConfig(batch=64, lr=7e-4, steps=4000, views=4, fill=512, refresh=8,
                          capacity=6000),
}


def over_rows(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of x (B, ...) over the rows where the mask (B, ...) holds."""
    return (x * mask).sum(0) / mask.sum(0).clamp_min(1)


class ShapeStage(nn.Module):
    """KA-VAE with eq. 2: encode an instance, decode it in another joint state."""

    def __init__(self, category: Category, beta: float = 1e-5) -> None:
        super().__init__()
        self.network = KAVAE(category)
        self.category, self.beta = category, beta
        self.ready = False

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        g, device = pool.generator, pool.device
        rows = pool.draw_rows(batch)
        surface, query, distance, centre, half, origin, exists = (
            pool.store[k][rows] for k in ('surface', 'query', 'distance', 'centre', 'half',
                                          'origin', 'exists'))
        net = self.network
        if not self.ready and bool((net.layout_std == 1).all()):
            net.set_layout_statistics(*(pool.store[k][:pool.rows]
                            for k in ('centre', 'half', 'origin', 'exists')))
        self.ready = True

        def some(total: int, n: int) -> Tensor:
            return torch.randint(total, (n,), generator=g, device=device)

        def over(x: Tensor, mask: Tensor) -> Tensor:
            return (x * mask).sum() / mask.expand_as(x).sum().clamp_min(1)

        with fast_matmul():
            mu, log_var = net.encode(surface[:, :, some(surface.shape[2], 512)], centre, half,
                                     origin, exists)
        z = mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=g, device=device)
        unit = joint_units(self.category.joints, self.category.scale)
        low, high = ((x / unit).to(device) for x in joint_range(self.category, train=True))
        q = low + (high - low) * torch.rand(batch, len(low), generator=g, device=device)
        with fast_matmul():
            field = net.decode(z, q)
        log_odds, field = field.exists, replace(field, exists=exists.float() - 0.5)

        pick = some(query.shape[2], 512)
        points, truth = query[:, :, pick], distance[:, :, pick]
        # Surface points of every part, posed at the decoded state and seen from all parts.
        seen = surface[:, :, some(surface.shape[2], 96)]
        eye = torch.eye(4, device=device).expand(batch, 4, 4)
        poses = forward_kinematics(self.category.joints, eye, q, origin,
                                   net.axis.expand(batch, -1, 3))
        in_base = transform_points(poses, seen).flatten(1, 2)
        labels = torch.arange(net.parts, device=device).repeat_interleave(96).expand(batch, -1)
        asked = torch.cat([points, to_part_frames(in_base, poses)], dim=2)
        with fast_matmul():
            sdf = net.query(field, asked)
        there = exists[..., None].float()
        near = (truth.abs() < 0.03) & exists[..., None]
        error = (sdf[:, :, :512] - truth).abs()
        wrong_part = F.cross_entropy(segmentation_logits(sdf[:, :, 512:]).transpose(1, 2), labels,
                                     reduction='none')
        layout = (pack_layout(field.centre, field.half, field.origin)
                  - pack_layout(centre, half, origin)) / net.layout_std
        losses = {
            'sdf': over(error * torch.where(near, 2.0, 0.5), there),
            'surface_mm': over(error.detach(), near.float()) * self.category.scale * 1e3,
            'part': over(wrong_part, exists.repeat_interleave(96, dim=1).float()),
            'joint': over((field.positions - q).abs(), there[:, 1:, 0]),
            'layout': over(layout.abs(), layout_mask(exists)),
            'box_mm': over((field.half - half).detach().abs(), there) * self.category.scale * 1e3,
            'origin_mm': over((field.origin - origin).detach().abs(), there[:, 1:])
                         * self.category.scale * 1e3,
            'kl': kl_to_prior(mu, log_var),
        }
        losses['total'] = (losses['sdf'] + 0.1 * 0.1 * losses['part'] + 0.1 * 0.1 * losses['joint']
                           + 0.1 * losses['layout'] + self.beta * losses['kl'])
        if self.category.optional_parts:
            losses['exists'] = F.binary_cross_entropy_with_logits(log_odds[:, 2:],
                                                                  exists[:, 2:].float())
            losses['total'] = losses['total'] + 0.02 * losses['exists']
        return losses


class PoseStage(nn.Module):
    """Score model with eq. 4, and a regressed estimate from the same feature."""

    def __init__(self, category: Category, draws: int = 16) -> None:
        super().__init__()
        self.network = ScoreModel(category)
        self.draws = draws
        self.points = 512
        self.ready = False

    def state(self, pool: Pool, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Centred clouds (n, P, 3), state vectors (n, S), and which entries (n, S) mean something
        (those of joints that are there)."""
        row, cloud, T, q = pool.draw_views(n, self.points)
        centroid = cloud.mean(1)
        x = pack_state(State(T, q, pool.store['origin'][row], pool.store['axis'][row]), centroid)
        mask = torch.ones_like(x)
        mask[:, 9:] = pool.store['exists'][row, 1:].repeat_interleave(7, dim=1)
        return cloud - centroid[:, None], x, mask

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        net, g = self.network, pool.generator
        if not self.ready and not net.mean.any():
            _, x, mask = self.state(pool, 4096)
            count = mask.sum(0).clamp_min(1)
            net.mean.copy_((x * mask).sum(0) / count)
            var = ((x - net.mean).square() * mask).sum(0) / count
            net.std.copy_(var.sqrt().clamp_min(0.02))
        self.ready = True
        cloud, x, mask = self.state(pool, batch)
        # What does not exist is at its mean: no distance, and nothing to learn about.
        x0 = net.whiten(x) * mask
        with fast_matmul():
            feature = net.encode(cloud)
        repeated = feature[:, None].expand(-1, self.draws, -1)
        t = DELTA + (1 - DELTA) * torch.rand(batch, self.draws, generator=g, device=pool.device)
        target = x0[:, None].expand(-1, self.draws, -1)
        noise = torch.randn(target.shape, generator=g, device=pool.device)
        with fast_matmul():
            score = dsm_loss(lambda xt, s: net.denoise(xt, s, repeated), target, t, noise,
                             net.config.sigma_data)
            guess = net.regress(feature)
        regression = F.smooth_l1_loss(guess, x0, beta=0.1)
        with torch.no_grad():
            y = net.unwhiten(guess)
            angle = rotation_angle(rotation_from_6d(y[:, :6]), rotation_from_6d(x[:, :6]))
            joint = (y[:, 9] - x[:, 9]).abs()
        return {'score': score.mean(), 'regression': regression,
                'rot_deg': torch.rad2deg(angle.median()), 'joint': joint.median(),
                'total': score.mean() + regression}


ENCODED = ('surface', 'centre', 'half', 'origin', 'exists')
"""What the encoder is given of an instance."""


class LatentStage(nn.Module):
    """Latent denoiser with eq. 7, on clouds canonicalised with true, noisy and predicted states.

    Beside eq. 7's error of the code, that of the boxes and pivots decoded from it. Predicted
    states are those that inference starts from: without them the denoiser trusts positions of
    joints far more than the score model knows them.

    Args:
        shape: the trained KA-VAE. pose: the trained score model; None goes without its states.
    """

    def __init__(self, category: Category, shape: KAVAE, pose: ScoreModel | None = None) -> None:
        super().__init__()
        self.network = LatentDenoiser(category)
        self.category = category
        self.shape, self.pose = [shape], [pose]  # in lists: frozen, not submodules
        self.points = 512
        self.ready = False

    def annotate(self, fresh: dict[str, Tensor]) -> dict[str, Tensor]:
        """Adds the code 'z' of fresh instances and drops what only the encoder needs."""
        with torch.no_grad():
            fresh['z'], _ = self.shape[0].encode(*(fresh[k] for k in ENCODED))
        return {k: fresh[k] for k in ('origin', 'axis', 'exists', 'z', 'points', 'T', 'q',
                                      'valid')}

    @torch.no_grad()
    def predicted(self, pose: ScoreModel, cloud: Tensor, g: torch.Generator) -> State:
        """Hypotheses that inference would start from on clouds (n, P, 3): half regressed, half
        sampled."""
        centroid = cloud.mean(1)
        with fast_matmul():
            feature = pose.encode(cloud - centroid[:, None])
            x, given = pose.regress(feature), feature[1::2]
            noise = torch.randn(len(given), pose.size, generator=g, device=cloud.device)
            x[1::2] = sample_fixed(lambda x, sigma: pose.denoise(x, sigma, given), noise, steps=14)
        return limit_joints(self.shape[0], unpack_state(pose.unwhiten(x), centroid))

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        net, g, device = self.network, pool.generator, pool.device
        if not self.ready and not net.mean.any():
            z = pool.store['z'][:pool.rows]
            net.mean.copy_(z.mean(0))
            # One scale for all: dimensions that the KL has emptied must not weigh like others.
            net.std.fill_((z - z.mean(0)).square().mean().sqrt())
        self.ready = True
        row, cloud, T, q = pool.draw_views(batch, self.points)
        origin, axis, exists = (pool.store[k][row] for k in ('origin', 'axis', 'exists'))
        there = exists[:, 1:]
        if self.category.optional_parts and self.pose[0] is None:
            q = torch.where(there, q, over_rows(q, there))
            origin = torch.where(there[..., None], origin, over_rows(origin, there[..., None]))

        def noise(*shape: int) -> Tensor:
            return torch.randn(batch, *shape, generator=g, device=device)

        # How wrong the pose is: a third of the views is exact, the rest up to 2 standard levels.
        level = (torch.rand(batch, generator=g, device=device) * 3 - 1).clamp_min(0)
        turn = make_transform(roma.rotvec_to_rotmat(0.04 * level[:, None] * noise(3)),
                              0.02 * level[:, None] * noise(3))
        state = State(T @ turn, q + 0.04 * level[:, None] * noise(q.shape[1]),
                      origin + 0.012 * level[:, None, None] * noise(q.shape[1], 3), axis)
        if self.pose[0] is not None:
            # Half as predicted. Joints that are not there always are: were they at a place of
            # their own, that would say how many there are.
            half = batch // 2
            n = batch if self.category.optional_parts else half
            seen = self.predicted(self.pose[0], cloud[:n], g)
            lost = (torch.arange(batch, device=device) < half)[:, None] | ~there
            T = torch.cat([seen.T_camera_base[:half], state.T_camera_base[half:]])
            if n < batch:
                seen = State(T, *(torch.cat([a, b[half:]]) for a, b in (
                    (seen.q, state.q), (seen.origin, state.origin), (seen.axis, state.axis))))
            state = State(T, torch.where(lost, seen.q, state.q),
                          torch.where(lost[..., None], seen.origin, state.origin),
                          torch.where(lost[..., None], seen.axis, state.axis))
        poses = forward_kinematics(self.category.joints, state.T_camera_base, state.q,
                                   state.origin, state.axis)
        local = to_part_frames(cloud, poses)
        with fast_matmul():
            condition = net.condition(local)
        z0 = net.whiten(pool.store['z'][row])
        draws = 4
        z0 = z0.repeat_interleave(draws, dim=0)
        # Few-step sampling lives on what is said of almost pure noise: more of the steps go there.
        t = torch.rand(len(z0), generator=g, device=device).sqrt()
        eps = torch.randn(z0.shape, generator=g, device=device)
        with fast_matmul():
            guess = net.denoise(diffuse(z0, t, eps), t, condition)
        off = guess - z0
        error = off.square().mean(-1)
        late = (t > 0.8).float()
        with torch.no_grad():
            count = late.sum().clamp_min(1)
            net.error.lerp_((off * late[:, None]).T @ off / count, 0.02)
        # What a dimension of the code does to the shape differs from one to the next: compare the
        # boxes and pivots that the decoder makes of both codes, too.
        shape, at = self.shape[0], q.repeat_interleave(draws, dim=0)
        made, wanted = (shape.feature(net.unwhiten(z), at) for z in (guess, z0))
        geometry = (shape.layout_head(made) - shape.layout_head(wanted)).abs().mean(-1)
        losses = {'code': error.mean(), 'late': (error * late).sum() / count,
                  'geometry': geometry.mean(), 'geometry_late': (geometry * late).sum() / count,
                  'total': error.mean() + 2 * geometry.mean()}
        if self.category.optional_parts:
            losses['exists'] = F.binary_cross_entropy_with_logits(
                shape.exists_head(made)[:, 2:], exists[:, 2:].float().repeat_interleave(draws, 0))
            losses['total'] = losses['total'] + 0.2 * losses['exists']
        return losses
