"""Objects in ANCSH's layout of Shape2Motion, and in A-SDF's; nothing third-party."""

import json
from dataclasses import replace

import numpy as np
import trimesh

from kinediff3d_core.data.surfaces import MeshDistance
from kinediff3d_core.geometry.kinematics import poses_in_base
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.mesh_sampling import sample_mesh

AXES = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
"""From our canonical axes into a y-up frame whose z is the front."""


def write_ancsh(folder, obj, rest, unit=1.0):
    """Write an object with its joints at ``rest``, of ``unit`` metres a unit."""
    (folder / 'part_objs').mkdir(parents=True)
    turn, shift = AXES / unit, np.array([0.3, 0.1, -0.2])
    nodes = []
    for k, (mesh, T) in enumerate(zip(obj.meshes, _poses(obj, rest), strict=True)):
        name = 'none_motion' if k == 0 else f'dof_{k}'
        write_obj(folder / 'part_objs' / f'{name}.obj',
                  Mesh(transform_points(T, mesh.vertices) @ turn.T + shift, mesh.faces))
    for i, axis in enumerate(obj.axis):
        nodes.append({'dof_name': f'dof_{i + 1}', 'motion_type': 'rotation', 'children': None,
                      'center': (turn @ obj.origin[i] + shift).tolist(),
                      'direction': (AXES @ axis * 2).tolist()})
    (folder / 'motion.json').write_text(json.dumps(
        {'dof_name': 'dof_rootd', 'motion_type': 'none', 'children': nodes}))


def write_asdf(root, kind, instance, obj, states, base_label=0):
    """Write states (tuples of degrees) of an object whose zero is its own; return their names.

    Args:
        base_label: of the base; the others follow.
    """
    names = []
    for n, angles in enumerate(states):
        name = f'{instance:04d}art' + ''.join(f'{a:04d}' for a in angles)
        names.append(name)
        parts = [_fine(Mesh(transform_points(T, m.vertices) @ AXES.T * 4 + 0.1, m.faces))
                 for m, T in zip(obj.meshes, _poses(obj, np.radians(angles)), strict=True)]
        points, distance, label = _samples(parts, np.random.default_rng(n))
        label = (label + base_label) % len(parts)
        offset, scale = np.array([0.2, 0.05 * n, -0.1]), 0.7 + 0.05 * n
        rows = np.column_stack([(points + offset) * scale, distance * scale, label])
        rows[0, 3] = np.nan  # as the release has some
        whole = trimesh.util.concatenate([trimesh.Trimesh(p.vertices, p.faces, process=False)
                                          for p in parts])
        for folder in ('SdfSamples', 'NormalizationParameters', 'SurfaceSamples'):
            (root / 'data' / folder / 'shape2motion' / kind).mkdir(parents=True, exist_ok=True)
        data = root / 'data'
        np.savez(data / 'SdfSamples' / 'shape2motion' / kind / f'{name}.npz',
                 pos=rows[rows[:, 3] >= 0], neg=rows[~(rows[:, 3] >= 0)])
        np.savez(data / 'NormalizationParameters' / 'shape2motion' / kind / f'{name}.npz',
                 offset=offset, scale=scale)
        write_obj(data / 'SurfaceSamples' / 'shape2motion' / kind / f'{name}.obj',
                  Mesh(np.array(whole.vertices), np.array(whole.faces)))
    return names


def write_split(root, kind, split, names):
    """Write a split file of A-SDF."""
    folder = root / 'examples' / 'splits'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'sm_{kind}_6_angle_{split}.json').write_text(
        json.dumps({'shape2motion': {kind: names}}))


def write_obj(path, mesh):
    """Write a mesh as an ``.obj`` file."""
    path.write_text('\n'.join([f'v {x:.12f} {y:.12f} {z:.12f}' for x, y, z in mesh.vertices]
                              + [f'f {a + 1} {b + 1} {c + 1}' for a, b, c in mesh.faces]))


def _poses(obj, positions):
    return list(poses_in_base(obj.joints, np.asarray(positions, dtype=float), obj.origin,
                              obj.axis))


def _fine(mesh):
    """The mesh with smaller triangles."""
    vertices, faces = trimesh.remesh.subdivide(*trimesh.remesh.subdivide(mesh.vertices,
                                                                         mesh.faces))
    return Mesh(np.array(vertices), np.array(faces))


def _samples(parts, rng):
    """Points near closed convex parts, their signed distances to the nearest, and its index."""
    points = np.concatenate([sample_mesh(p, 6000, rng) for p in parts])
    points += 0.005 * rng.standard_normal(points.shape)
    signed = []
    for part in parts:
        solid = trimesh.Trimesh(part.vertices, part.faces).convex_hull
        inside = (points @ solid.face_normals.T < (solid.triangles_center
                                                   * solid.face_normals).sum(-1)).all(-1)
        signed.append(np.where(inside, -1, 1) * MeshDistance(part)(points))
    return points, np.min(signed, axis=0), np.argmin(signed, axis=0)


def scaled_to(obj, diagonal):
    """The object with a box of all parts at q = 0 of this diagonal."""
    ends = np.concatenate([transform_points(T, m.vertices) for T, m in zip(
        _poses(obj, np.zeros(len(obj.joints))), obj.meshes, strict=True)])
    factor = diagonal / np.linalg.norm(np.ptp(ends, axis=0))
    return replace(obj, origin=obj.origin * factor, meshes=tuple(
        Mesh(m.vertices * factor, m.faces) for m in obj.meshes))


def turned_to(obj, positions):
    """The object with these positions as the zero of its joints; limits stay."""
    poses = _poses(obj, positions)
    return replace(obj, meshes=tuple(Mesh(m.vertices @ T[:3, :3].T, m.faces)
                                     for m, T in zip(obj.meshes, poses, strict=True)))
