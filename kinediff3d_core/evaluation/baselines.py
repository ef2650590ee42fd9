"""Baselines: other methods with the same networks, data and metrics.

Each takes a pipeline and a test view and returns an estimate. A baseline estimates every view that
has enough points, where the pipeline may refuse. All of its errors count.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import log10, radians
from pathlib import Path
from typing import cast

import roma
import torch
from torch import Tensor

from kinediff3d_core.diffusion.ve_sde import sample_fixed, sample_rk45
from kinediff3d_core.evaluation.evaluate import Method, prepared_view
from kinediff3d_core.evaluation.part_baseline import part_centric
from kinediff3d_core.evaluation.samples import Sample
from kinediff3d_core.geometry.rigid import make_transform, to_part_frames
from kinediff3d_core.inference import refinement, residuals
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.networks.checkpoints import (
    folder_of,
    load_network,
    read_notes,
    train_command,
)
from kinediff3d_core.networks.kavae import KAVAE, PRIOR_STD
from kinediff3d_core.networks.part_coordinates import ENCODER, PartCoordinates, encoder_digest
from kinediff3d_core.networks.score import ScoreModel, State, unpack_state
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.simulation.views import joint_range

ASDF_ITERATIONS = 800
"""Steps of each of A-SDF's two rounds."""
ASDF_RATE = 5e-3
"""Adam's learning rate for the code; a tenth of it in the second half of a round."""
ASDF_JOINT_RATE = 5.0
"""The same for joints, in degrees; where they slide, in ninetieths of their range."""
ASDF_PRIOR = 1e-4
"""Weight of the mean square of the code, in standard deviations of its prior."""
ASDF_POINTS = 512
"""Observed points in a step (A-SDF: 8000 samples)."""

HYPOTHESES = 50
"""GenPose's samples of the score model a cloud."""
KEPT = 0.6
"""Share of them, best first, that GenPose averages."""
LEVELS, DRAWS = (0.02, 2.0, 10), 2
"""Noise levels (from, to, how many) and draws a level of the bound that ranks them."""


@torch.no_grad()
def regression(pipeline: Pipeline, sample: Sample, mesh: bool = True, seed: int = 0,
               ) -> ArticulatedEstimate:
    """Direct regression of pose, joints and code: no samples, no refinement.

    The state is the one that the pose network regresses; the code is what the latent denoiser
    predicts from pure noise (t = 1), its conditional mean.
    """
    generator, view = prepared_view(pipeline, sample, seed)
    net, cloud = pipeline.pose, view.network_clouds[:1]
    centroid = cloud[0].mean(0)
    x = net.unwhiten(net.regress(net.encode(cloud - centroid)))
    state = refinement.limit_joints(pipeline.shape, unpack_state(x, centroid))
    once = Pipeline(pipeline.model, replace(pipeline.preset, latent_sampler='ddim',
                                            latent_steps=1))
    return pipeline.evaluate_state(once.regenerate(cloud, state, generator), view, generator, mesh)


@torch.no_grad()
def score(pipeline: Pipeline, sample: Sample, mesh: bool = True, seed: int = 0,
          ) -> ArticulatedEstimate:
    """The score model alone, by GenPose's recipe (Zhang et al. 2023): sample, rank, average.

    50 samples, by the preset's sampler; the best 60 % are averaged. GenPose ranks with a second
    network's energy; here it is the score model's own bound on the likelihood. The code comes
    from the latent denoiser at that average, without refinement.
    """
    generator, view = prepared_view(pipeline, sample, seed)
    preset, net, cloud = pipeline.preset, pipeline.pose, view.network_clouds[:1]
    centroid = cloud[0].mean(0)
    feature = net.encode(cloud - centroid)
    noise = torch.randn(HYPOTHESES, net.size, generator=generator, device=pipeline.device)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return net.denoise(x, sigma, feature.expand(*x.shape[:-1], -1))

    x = sample_rk45(denoise, noise) if preset.sampler == 'rk45' else \
        sample_fixed(denoise, noise, preset.sampler_steps)
    best = energy(net, x, feature, generator).argsort()[:round(KEPT * HYPOTHESES)]
    state = mean_state(unpack_state(net.unwhiten(x[best]), centroid))
    state = refinement.limit_joints(pipeline.shape, state)
    return pipeline.evaluate_state(pipeline.regenerate(cloud, state, generator), view, generator,
                                   mesh)


@torch.no_grad()
def asdf(pipeline: Pipeline, sample: Sample, mesh: bool = True, seed: int = 0,
         iterations: int = ASDF_ITERATIONS) -> ArticulatedEstimate:
    """A-SDF's test-time optimisation (Mu et al. 2021) on our decoder: the true pose is given.

    Args:
        iterations: steps of each of the two rounds.
    """
    generator, view = prepared_view(pipeline, sample, seed)
    net = pipeline.shape
    T = torch.from_numpy(sample.truth.T_camera_part[:1]).float().to(pipeline.device)
    T[:, :3, 3] /= pipeline.category.scale
    z, q = fit_code(pipeline, view.points, T, generator, iterations)
    field = net.decode(z, q)
    state = refinement.limit_joints(net, State(T, q, field.origin, net.axis[None]))
    return pipeline.evaluate_state(Hypotheses(z, field, state), view, generator, mesh)


BASELINES: dict[str, Method] = {'regression': regression, 'asdf': asdf, 'score': score}
"""Baselines with the networks of the pipeline alone, by the names of ``evaluate --peer``."""


def baseline(name: str, pipeline: Pipeline, weights: Path | None) -> Method:
    """The baseline of a name of ``evaluate --peer``.

    Args:
        weights: folder of the weights of a baseline's own network, as of :func:`load_network`.

    Raises:
        ValueError: the baseline's own network does not load, or belongs to another pose network.
    """
    if name != 'ancsh':
        return BASELINES[name]
    category = pipeline.category.name
    head = load_network('parts', category, weights, pipeline.device)
    path = folder_of(category, weights) / 'parts.safetensors'
    if read_notes(path).get(ENCODER) != encoder_digest(pipeline.pose):
        raise ValueError(f'{path} was trained with another pose network than the one beside it; '
                         f'train it again with {train_command("parts", category)}')
    return partial(part_centric, cast(PartCoordinates, head))


def fit_code(pipeline: Pipeline, points: Tensor, T_camera_base: Tensor,
             generator: torch.Generator, iterations: int) -> tuple[Tensor, Tensor]:
    """Code (1, D_z) and joint positions (1, J) by Adam on the observed points' distances.

    A-SDF's two rounds: code and joints together; then the code again, from the same start, with
    the joints of the first round. Codes start within 0.01 of zero, joints in the middle of their
    range. The loss is the mean absolute distance, here without A-SDF's clamp at 0.1 (points
    beyond it would have no gradient), and the code's prior.

    Args:
        points: (N, 3) observed, canonical units, camera frame. T_camera_base: (1, 4, 4) given.
    """
    net, device = pipeline.shape, pipeline.device
    low, high = (x.to(device) / pipeline.units for x in joint_range(pipeline.category))
    degree = torch.tensor([radians(1) if j.joint_type == 'revolute' else float(high[i] - low[i])
                           / 90 for i, j in enumerate(pipeline.category.joints)], device=device)
    start = 0.01 * torch.randn(1, net.config.latent, generator=generator, device=device)
    turn = torch.zeros(1, len(low), device=device, requires_grad=True)
    z = start

    def joints() -> Tensor:
        return (low + high) / 2 + degree * turn

    for with_joints in (True, False):
        z = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([{'params': [z], 'lr': ASDF_RATE}])
        if with_joints:
            optimizer.add_param_group({'params': [turn], 'lr': ASDF_JOINT_RATE})
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(iterations // 2, 1), 0.1)
        for _ in range(iterations):
            pick = torch.randint(len(points), (ASDF_POINTS,), generator=generator, device=device)
            with torch.enable_grad():
                q = joints() if with_joints else joints().detach()
                distance = surface_distance(net, z, q, T_camera_base, points[pick])
                loss = distance.mean() + ASDF_PRIOR * (z / PRIOR_STD).square().mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return z.detach(), joints().detach()


def surface_distance(net: KAVAE, z: Tensor, q: Tensor, T_camera_base: Tensor, points: Tensor,
                     ) -> Tensor:
    """Distance (B, N) of points (N, 3) to objects of codes z (B, D_z) at q (B, J), T (B, 4, 4)."""
    field = net.decode(z, q)
    poses = residuals.part_poses(net, State(T_camera_base, q, field.origin,
                                         net.axis.expand(len(z), -1, 3)))
    local = to_part_frames(points, poses)
    # Queries have no gradient with respect to the boxes. Points that move relative to the boxes
    # have the same values, and on the surface they have that gradient.
    centre, half = field.centre[:, :, None], field.half[:, :, None]
    local = centre.detach() + (local - centre) * (half.detach() / half)
    return net.query(field, local).amin(1).abs()


def energy(net: ScoreModel, x: Tensor, feature: Tensor, generator: torch.Generator) -> Tensor:
    """Bound on the negative log likelihood of whitened states x (H, S), up to a constant: (H).

    The bound of Song et al. 2021 (Maximum likelihood training of score-based diffusion models):
    the integral of |D(x + sigma n, sigma) - x|^2 / sigma^2 over log sigma, with the same noise
    for all states.

    Args:
        feature: (1, 256) of the cloud.
    """
    start, end, levels = LEVELS
    sigma = torch.logspace(log10(start), log10(end), levels, device=x.device)
    sigma = sigma.repeat(DRAWS)[:, None]
    noise = torch.randn(len(sigma), 1, x.shape[1], generator=generator, device=x.device)
    noisy = x + sigma[..., None] * noise
    clean = net.denoise(noisy, sigma.expand(-1, len(x)), feature.expand(*noisy.shape[:-1], -1))
    bound: Tensor = ((clean - x).square().sum(-1) / sigma.square()).mean(0)
    return bound


def mean_state(states: State) -> State:
    """The mean of hypotheses (H), as a batch of one.

    Rotations by the rotation nearest to the mean matrix, which is the mean of quaternions that
    GenPose takes (Markley et al. 2007).
    """
    T = states.T_camera_base
    R = roma.special_procrustes(T[:, :3, :3].mean(0, keepdim=True))
    return State(make_transform(R, T[:, :3, 3].mean(0, keepdim=True)),
                 states.q.mean(0, keepdim=True), states.origin.mean(0, keepdim=True),
                 torch.nn.functional.normalize(states.axis.mean(0, keepdim=True), dim=-1))
