"""What each network is trained on: one module a stage, ``forward(pool) -> losses``."""

from __future__ import annotations

from dataclasses import dataclass

import roma
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinediff3d_core.categories import Category
from kinediff3d_core.data.views import joint_range
from kinediff3d_core.diffusion.ddpm import diffuse
from kinediff3d_core.diffusion.ve_sde import DELTA, dsm_loss
from kinediff3d_core.geometry import (
    make_transform,
    rotation_angle,
    rotation_from_6d,
    to_part_frames,
    transform_points,
)
from kinediff3d_core.kinematics import forward_kinematics
from kinediff3d_core.networks.kavae import KAVAE, kl_to_prior, segmentation_logits
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel, State, pack_state
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
    'shape': StageConfig(batch=24, lr=1e-3, steps=5000, views=0, fill=400, refresh=4,
                         capacity=6000),
    'decoder': StageConfig(batch=24, lr=1e-3, steps=3000, views=0, fill=400, refresh=4,
                           capacity=6000),
    'pose': StageConfig(batch=64, lr=7e-4, steps=6000, views=8, fill=256, refresh=4,
                        capacity=6000),
    'latent': StageConfig(batch=64, lr=7e-4, steps=4000, views=8, fill=256, refresh=4,
                          capacity=6000),
}


class ShapeStage(nn.Module):
    """KA-VAE with eq. 2: encode an instance, decode it in another joint state.

    Given a trained network, its encoder is frozen and only the decoder goes on learning: codes,
    and the latent denoiser trained on them, stay valid.
    """

    def __init__(self, category: Category, trained: KAVAE | None = None, beta: float = 3e-6,
                 ) -> None:
        super().__init__()
        self.network = trained or KAVAE(category)
        self.network.requires_grad_()
        if trained is not None:
            self.network.phi.requires_grad_(False)
            self.network.theta_enc.requires_grad_(False)
        self.category, self.beta = category, beta

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        g, device = pool.generator, pool.device
        rows = pool.draw_rows(batch)
        surface, query, distance, centre, half, origin = (
            pool.store[k][rows] for k in ('surface', 'query', 'distance', 'centre', 'half',
                                          'origin'))
        net = self.network
        if bool((net.half_mean == 1).all()):
            net.set_usual(*(pool.store[k][:pool.rows] for k in ('centre', 'half', 'origin')))

        def some(total: int, n: int) -> Tensor:
            return torch.randint(total, (n,), generator=g, device=device)

        mu, log_var = net.encode(surface[:, :, some(surface.shape[2], 512)])
        z = mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=g, device=device)
        low, high = (x.to(device) for x in joint_range(self.category, train=True))
        q = low + (high - low) * torch.rand(batch, len(low), generator=g, device=device)
        field = net.decode(z, q)

        pick = some(query.shape[2], 512)
        points, truth = query[:, :, pick], distance[:, :, pick]
        # Surface points of every part, posed at the decoded state and seen from all parts.
        seen = surface[:, :, some(surface.shape[2], 96)]
        eye = torch.eye(4, device=device).expand(batch, 4, 4)
        poses = forward_kinematics(self.category.joints, eye, q, origin,
                                   net.axis.expand(batch, -1, 3))
        in_base = transform_points(poses, seen).flatten(1, 2)
        labels = torch.arange(net.parts, device=device).repeat_interleave(96).expand(batch, -1)
        sdf = net.query(field, torch.cat([points, to_part_frames(in_base, poses)], dim=2))
        near = truth.abs() < 0.03
        error = (sdf[:, :, :512] - truth).abs()
        losses = {
            'sdf': (error * torch.where(near, 2.0, 0.5)).mean(),
            'surface_mm': error.detach()[near].mean() * self.category.scale * 1e3,
            'part': F.cross_entropy(segmentation_logits(sdf[:, :, 512:]).flatten(0, 1),
                                    labels.flatten()),
            'joint': (field.positions - q).abs().mean(),
            'box': (((field.centre - centre) / net.half_mean).abs().mean()
                    + (field.half / half).log().abs().mean()),
            'origin': ((field.origin - origin) / net.origin_std).abs().mean(),
            'kl': kl_to_prior(mu, log_var),
        }
        losses['total'] = (losses['sdf'] + 0.1 * 0.1 * losses['part'] + 0.1 * 0.1 * losses['joint']
                           + 0.5 * losses['box'] + 0.05 * losses['origin']
                           + self.beta * losses['kl'])
        return losses


class PoseStage(nn.Module):
    """Score model with eq. 4, and a regressed estimate from the same feature."""

    def __init__(self, category: Category, draws: int = 16) -> None:
        super().__init__()
        self.network = ScoreModel(category)
        self.draws = draws
        self.points = 512
        self.ready = False

    def state(self, pool: Pool, n: int) -> tuple[Tensor, Tensor]:
        """Centred clouds (n, P, 3) and state vectors (n, S)."""
        row, cloud, T, q = pool.draw_views(n, self.points)
        centroid = cloud.mean(1)
        x = pack_state(State(T, q, pool.store['origin'][row], pool.store['axis'][row]), centroid)
        return cloud - centroid[:, None], x

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        net, g = self.network, pool.generator
        if not self.ready and not net.mean.any():
            _, x = self.state(pool, 4096)
            net.mean.copy_(x.mean(0))
            net.std.copy_(x.std(0).clamp_min(0.02))
        self.ready = True
        cloud, x = self.state(pool, batch)
        x0 = net.whiten(x)
        feature = net.encode(cloud)
        repeated = feature[:, None].expand(-1, self.draws, -1)
        t = DELTA + (1 - DELTA) * torch.rand(batch, self.draws, generator=g, device=pool.device)
        target = x0[:, None].expand(-1, self.draws, -1)
        noise = torch.randn(target.shape, generator=g, device=pool.device)
        score = dsm_loss(lambda xt, s: net.denoise(xt, s, repeated), target, t, noise,
                         net.config.sigma_data)
        guess = net.regress(feature)
        regression = F.smooth_l1_loss(guess, x0, beta=0.1)
        with torch.no_grad():
            y = net.unwhiten(guess)
            angle = rotation_angle(rotation_from_6d(y[:, :6]), rotation_from_6d(x[:, :6]))
            joint = (y[:, 9] - x[:, 9]).abs()
        return {'score': score.mean(), 'regression': regression,
                'rot_deg': torch.rad2deg(angle.median()),
                'joint_deg': torch.rad2deg(joint.median()),
                'total': score.mean() + regression}


class LatentStage(nn.Module):
    """Latent denoiser with eq. 7, on clouds canonicalised with true and with noisy estimates.

    Beside eq. 7's error of the code, that of the boxes and pivots decoded from it.
    """

    def __init__(self, category: Category, shape: KAVAE) -> None:
        super().__init__()
        self.network = LatentDenoiser(category)
        self.category = category
        self.shape = [shape]  # in a list: frozen, not a submodule
        self.points = 512
        self.ready = False

    def annotate(self, fresh: dict[str, Tensor]) -> dict[str, Tensor]:
        """Adds the code 'z' of fresh instances and drops what only the encoder needs."""
        with torch.no_grad():
            fresh['z'], _ = self.shape[0].encode(fresh['surface'])
        return {k: v for k, v in fresh.items() if k not in ('surface', 'query', 'distance')}

    def forward(self, pool: Pool, batch: int) -> dict[str, Tensor]:
        net, g, device = self.network, pool.generator, pool.device
        if not self.ready and not net.mean.any():
            z = pool.store['z'][:pool.rows]
            net.mean.copy_(z.mean(0))
            net.std.copy_(z.std(0).clamp_min(1e-3))
        self.ready = True
        row, cloud, T, q = pool.draw_views(batch, self.points)
        origin, axis = pool.store['origin'][row], pool.store['axis'][row]

        def noise(*shape: int) -> Tensor:
            return torch.randn(batch, *shape, generator=g, device=device)

        # How wrong the pose is: a third of the views is exact, the rest up to 2 standard levels.
        level = (torch.rand(batch, generator=g, device=device) * 3 - 1).clamp_min(0)
        turn = make_transform(roma.rotvec_to_rotmat(0.04 * level[:, None] * noise(3)),
                              0.02 * level[:, None] * noise(3))
        poses = forward_kinematics(self.category.joints, T @ turn,
                                   q + 0.04 * level[:, None] * noise(q.shape[1]),
                                   origin + 0.012 * level[:, None, None] * noise(q.shape[1], 3),
                                   axis)
        condition = net.condition(to_part_frames(cloud, poses))
        z0 = net.whiten(pool.store['z'][row])
        draws = 4
        z0 = z0.repeat_interleave(draws, dim=0)
        t = torch.rand(len(z0), generator=g, device=device)
        eps = torch.randn(z0.shape, generator=g, device=device)
        guess = net.denoise(diffuse(z0, t, eps), t, condition)
        error = (guess - z0).square().mean(-1)
        # All dimensions of a whitened code weigh the same, but what they do to the shape differs:
        # compare what the decoder makes of both codes, too.
        shape, state = self.shape[0], q.repeat_interleave(draws, dim=0)
        made, wanted = (torch.cat([shape.box_head(f), shape.joint_head(f)], dim=-1) for f in (
            shape.feature(net.unwhiten(z), state) for z in (guess, z0)))
        geometry = (made - wanted).abs().mean(-1)
        return {'code': error.mean(), 'late': error[t > 0.8].mean().nan_to_num(),
                'geometry': geometry.mean(),
                'geometry_late': geometry[t > 0.8].mean().nan_to_num(),
                'total': error.mean() + 2 * geometry.mean()}
