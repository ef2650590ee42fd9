"""Verification of hypotheses: what the image contradicts or a shape does not explain, how unusual
the shape is, and whether both sides of a joint are seen.

The refinement minimises robust distances, which saturate: a lid that covers the table around
scissors, or a chest of drawers of the size of a cup, costs it little. Here both count in full. One
flat face fits every category; what it says about a joint is the prior's. Two parts in one plane
look like one: a lid that is open by just as much as makes it go on from the wall below it is a
coincidence (the generic viewpoint assumption, Freeman 1994), and a face of one part more likely.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kinediff3d_core.geometry.kinematics import kinematic_tree
from kinediff3d_core.geometry.rigid import to_part_frames, transform_points
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.presets import VerificationConfig
from kinediff3d_core.inference.residuals import Problem, part_poses
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation.contradiction import contradiction, silhouette_area
from kinediff3d_core.observation.flat_face import FlatFace, largest_face
from kinediff3d_core.observation.holes import hole_area


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
    seen, moved = seen_side(problem, state, distance, config)
    unseen = (1 - seen / _needed_side(problem, moved, config)) / config.unseen
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


def _needed_side(problem: Problem, moved: Tensor, config: VerificationConfig) -> Tensor:
    """Share (H) of the observed points that either side of a joint needs to be seen.

    Args:
        moved: (H) of :func:`seen_side`.
    """
    doubt = moved + hole_area(problem.observation)
    return (config.seen + config.doubtful * doubt).clamp_max(config.enough)


def seen_side(problem: Problem, state: State, distance: Tensor, config: VerificationConfig,
              ) -> tuple[Tensor, Tensor]:
    """Shares (H) of the observed points: those on the side of the joints, base or moving parts,
    that has fewer, and those that may be of either side.

    The largest flat face is of one side, that which has more of it; its points on the other may be
    of either. Not if the joint keeps it flat: blades of scissors are in one plane in every state.

    Args:
        distance: (H, K, N) of :func:`part_distances`; a point is on the nearest part.
    """
    face = largest_face(problem.observation.points.cpu().numpy() * problem.shape.category.scale)
    part = distance.argmin(dim=1)
    moving, on = part > 0, torch.from_numpy(face.on).to(part.device)
    across = motion_across(problem, state, part, face) > config.across
    count = (moving & on).sum(-1)
    breaks = 2 * (across & moving & on).sum(-1) > count
    own = torch.where(on & breaks[:, None], 2 * count[:, None] > on.sum(), moving)
    share = own.float().mean(-1)
    return torch.minimum(share, 1 - share), (own != moving).float().mean(-1)


def motion_across(problem: Problem, state: State, part: Tensor, face: FlatFace) -> Tensor:
    """Motion (H, N) of each observed point across a face, for a motion of one unit of the joint
    that moves it most across; 0 on the base.

    Args:
        part: (H, N) that each of the points is on.
    """
    shape, points = problem.shape, problem.observation.points
    tree = kinematic_tree(shape.category.joints, points.device)
    jacobian = tree.motion_jacobian(
        part_poses(shape, state), state.axis, problem.observation.centroid,
        points.expand(*part.shape, 3), torch.from_numpy(face.normal).to(points).expand(
            *part.shape, 3), part)
    return jacobian[..., 6:].abs().amax(-1)


def code_distance(latent: LatentDenoiser, codes: Tensor) -> Tensor:
    """Mean squared distance (H) of shape codes (H, D_z) from the mean of the training objects, in
    their standard deviations; the mean of these objects' own is 1."""
    return latent.whiten(codes).square().mean(-1)
