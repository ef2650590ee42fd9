"""Estimates back to decoded shapes: meshes, and the object in new joint states (section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.inference.cancellation import check_cancelled
from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.inference.model import CategoryModel
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh, NoEstimate


@dataclass(frozen=True)
class Generated:
    """An object in a new joint state: part meshes in the base's frame, by two ways.

    Attributes:
        positions: (K-1,) rad or m.
        decoder: decoded again, Omega(Q | Theta_dec(Z, Psi(A'))).
        chain: the estimate's meshes, posed by the kinematic chain.
    """

    positions: np.ndarray
    decoder: tuple[Mesh, ...]
    chain: tuple[Mesh, ...]


def decode_estimate(model: CategoryModel, estimate: ArticulatedEstimate) -> tuple[Field, State]:
    """Decoded shape, pose and joints (one of each) of an estimate, canonical units.

    Raises:
        ValueError: an estimate of another category.
    """
    q = _joint_positions(model, estimate, np.array([j.position for j in estimate.joints]))
    field = _decode(model, estimate, q)
    T = torch.from_numpy(estimate.T_camera_base).to(q)
    T[:3, 3] /= model.category.scale
    return field, State(T[None], q[None], field.origin, model.shape.axis[None])


def generate(model: CategoryModel, preset: Preset, estimate: ArticulatedEstimate,
             positions: Sequence[float]) -> Generated:
    """The estimated object at other joint positions, rad or m.

    Raises:
        ValueError: not one finite position a joint, or an estimate of another category.
        NoEstimate: the decoded shape has no mesh.
    """
    given = np.asarray(positions, dtype=np.float64)
    if given.shape != (len(estimate.joints),) or not np.isfinite(given).all():
        raise ValueError(f'this {estimate.category} needs {len(estimate.joints)} finite '
                         f'joint position(s), got {list(positions)}')
    q = _joint_positions(model, estimate, given)
    decoded = part_meshes(model, preset, _decode(model, estimate, q))
    pose_of = estimate.part_poses_at(given)
    poses = [pose_of[p.name] for p in estimate.parts]
    chain = [p.mesh if p.mesh is not None else mesh
             for p, mesh in zip(estimate.parts, decoded, strict=True)]
    return Generated(given, tuple(_moved(m, T) for m, T in zip(decoded, poses, strict=True)),
                     tuple(_moved(m, T) for m, T in zip(chain, poses, strict=True)))


def part_meshes(model: CategoryModel, preset: Preset, field: Field) -> tuple[Mesh, ...]:
    """Meshes, metres, part frames, of the parts that the first object of a field has.

    Raises:
        NoEstimate: a part has no surface that could be meshed; the message names the part.
    """
    return tuple(_part_mesh(model, preset, field, k) for k in range(model.shape.parts)
                 if field.exists[0, k] > 0)


def _part_mesh(model: CategoryModel, preset: Preset, field: Field, k: int) -> Mesh:
    """Mesh of part k of the first object of a field, metres.

    Raises:
        NoEstimate: the decoded distances have no surface, or are not finite.
    """
    centre, half, config = field.centre[0, k], field.half[0, k], preset.mesh

    def sdf(p: Tensor) -> Tensor:
        check_cancelled()
        return model.shape.query(field, p[None, None], part=k)[0, 0]

    largest = max(preset.voxel, 2 * float(half.max()) / preset.cells)
    voxel = (half / config.cells_per_half).clamp(config.min_voxel * preset.voxel, largest)
    reach = config.margin * half
    try:
        mesh = extract_mesh(sdf, centre - reach - voxel, centre + reach + voxel, voxel,
                            dense=preset.dense)
    except ValueError as error:  # of the decoded shape, not of the caller's input
        raise NoEstimate(f'the estimated shape of part {model.category.parts[k]} has no mesh: '
                         f'{error}') from error
    return Mesh(mesh.vertices * model.category.scale, mesh.faces)


def _joint_positions(model: CategoryModel, estimate: ArticulatedEstimate, positions: np.ndarray,
                     ) -> Tensor:
    """Canonical positions (J) of all joints of the category.

    Joints that the object does not have are at the training set's mean.

    Args:
        positions: of the estimate's joints, rad or m.
    """
    if estimate.category != model.category.name:
        raise ValueError(f'estimate is of a {estimate.category}, weights of a '
                         f'{model.category.name}')
    names = [j.name for j in model.category.joints]
    index = [names.index(j.name) for j in estimate.joints]
    q = model.pose.mean_positions.clone()
    q[index] = torch.from_numpy(positions).to(q) / model.units[index]
    return q


def _decode(model: CategoryModel, estimate: ArticulatedEstimate, q: Tensor) -> Field:
    """The shape of an estimate at canonical joint positions (J), with the estimate's parts."""
    z = torch.from_numpy(estimate.latent).to(q)[None]
    field = model.shape.decode(z, q[None])
    present = {p.name for p in estimate.parts}
    log_odds = [torch.inf if name in present else -torch.inf for name in model.category.parts]
    return replace(field, exists=torch.tensor([log_odds], device=model.device))


def _moved(mesh: Mesh, T: np.ndarray) -> Mesh:
    """The mesh with its vertices moved by T (4, 4)."""
    return Mesh(mesh.vertices @ T[:3, :3].T + T[:3, 3], mesh.faces)
