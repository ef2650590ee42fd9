"""Verification of hypotheses: what the image contradicts or a shape does not explain, how unusual
the shape is, and whether both sides of a joint are seen.

The refinement minimises robust distances, which saturate: a lid that covers the table around
scissors, or a chest of drawers of the size of a cup, costs it little. Here both count in full. One
flat face fits every category; what it says about a joint is the prior's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import to_part_frames, transform_points
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.presets import VerificationConfig
from kinediff3d_core.inference.residuals import Problem, part_poses
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation.contradiction import contradiction, silhouette_area


def log_support(latent: LatentDenoiser, problem: Problem, normals: Tensor,
                hypotheses: Hypotheses, config: VerificationConfig) -> Tensor:
    """Logarithm (H), at most 0, of the share of a hypothesis's probability that is left.

    Args:
        latent: knows the codes of the training objects.
        normals: (H, K, S, 3) of the problem's surface samples, part frames.
    """
    state = hypotheses.state
    contradicted = contradicted_area(problem, normals, state) / config.contradicted
    distance = part_distances(problem, state)
    unexplained = unexplained_share(problem, distance, config) / config.unexplained
    unusual = (code_distance(latent, hypotheses.z) - config.usual_code) / config.unusual_code
    unseen = (1 - seen_side(distance) / config.seen) / config.unseen
    return -(contradicted.square() + unexplained.square() + unusual.clamp_min(0).square()
             + unseen.clamp_min(0).square())


def contradicted_area(problem: Problem, normals: Tensor, state: State) -> Tensor:
    """Area (H) of the image with predicted surface that the image contradicts, as a share of the
    silhouette's.

    Only surface that faces the camera counts. Of surface samples, those on faces count, the first
    half (:func:`~kinediff3d_core.inference.residuals.surface_samples`).

    Args:
        normals: (H, K, S, 3) of the problem's surface samples, part frames.
    """
    poses, field = part_poses(problem.shape, state), problem.field
    count = problem.surface.shape[2] // 2
    points = transform_points(poses, problem.surface[:, :, :count])
    outward = normals[:, :, :count] @ poses[..., :3, :3].transpose(-1, -2)
    half = field.half
    faces = 8 * (half * half.roll(1, -1)).sum(-1) * (field.exists > 0)
    depth = points[..., 2].clamp_min(1e-6)
    facing = -(outward * points).sum(-1) / points.norm(dim=-1).clamp_min(1e-6)
    area = facing.clamp_min(0) * faces[..., None] / count / depth.square()
    seen = contradiction(problem.observation, points)
    share: Tensor = (area * seen).sum((1, 2)) / silhouette_area(problem.observation)
    return share


def part_distances(problem: Problem, state: State) -> Tensor:
    """Distances (H, K, N) of the observed points from the surface of each part."""
    local = to_part_frames(problem.observation.points, part_poses(problem.shape, state))
    return problem.shape.query(problem.field, local).abs()


def unexplained_share(problem: Problem, distance: Tensor, config: VerificationConfig) -> Tensor:
    """Share (H) of the observed points that lie farther from the surface than noise.

    Args:
        distance: (H, K, N) of :func:`part_distances`.
    """
    noise = (config.noise_per_m2 * problem.shape.category.scale
             * problem.observation.points[:, 2].square())
    return (distance.amin(dim=1) > config.tolerance + noise).float().mean(-1)


def seen_side(distance: Tensor) -> Tensor:
    """Share (H) of the observed points on the base or on the moving parts, whichever is less.

    Args:
        distance: (H, K, N) of :func:`part_distances`; a point is on the nearest part.
    """
    base = (distance.argmin(dim=1) == 0).float().mean(-1)
    return torch.minimum(base, 1 - base)


def code_distance(latent: LatentDenoiser, codes: Tensor) -> Tensor:
    """Mean squared distance (H) of shape codes (H, D_z) from the mean of the training objects, in
    their standard deviations; the mean of these objects' own is 1."""
    return latent.whiten(codes).square().mean(-1)
