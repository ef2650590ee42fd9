"""Training samples of mesh objects: distances, views, and stretched objects."""

import numpy as np
import pytest
import torch
from estimates import box_mesh
from open3d_or_skip import import_open3d

from kinediff3d_core.data import mesh_samples
from kinediff3d_core.data.mesh_objects import MeshObject, load_object
from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh

LAPTOP = get_category('laptop')


def test_signed_distances_of_solids_with_holes_and_of_sheets():
    import_open3d()
    g = torch.Generator().manual_seed(0)
    solid = box_mesh((0.3, 0.2, 0.1))
    got = mesh_samples.part_samples(solid, LAPTOP, g)
    half = torch.tensor([0.15, 0.1, 0.05])
    out = got['query'].abs() - half
    exact = out.clamp_min(0).norm(dim=-1) + out.amax(-1).clamp_max(0)
    torch.testing.assert_close(got['distance'], exact, atol=1e-5, rtol=0)
    assert ((got['surface'].abs() - half).amax(-1).abs() < 1e-6).all()

    holed = Mesh(solid.vertices, solid.faces[2:])
    got = mesh_samples.part_samples(holed, LAPTOP, g)
    deep = (got['query'].abs() < half - 0.03).all(-1)
    assert deep.sum() > 20 and (got['distance'][deep] < 0).float().mean() > 0.95

    sheet = Mesh(np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.1,
                 np.array([[0, 1, 2], [0, 2, 3]]))
    got = mesh_samples.part_samples(sheet, LAPTOP, g)
    shell = mesh_samples.SHELL * LAPTOP.scale
    assert (got['distance'] < 0).sum() > 100
    assert got['distance'].min() == pytest.approx(-shell, abs=1e-4)
    assert got['bounds'][1, 2] == pytest.approx(shell, abs=1e-6)


def test_clouds_lie_on_the_object_at_their_poses(imported):
    obj, x = imported
    assert x['exists'].all() and len(x['points']) == 3
    for cloud, T, q in zip(x['points'], x['T_camera_base'], x['q'], strict=True):
        poses = obj.part_poses(q, T)
        near = []
        for pose, mesh in zip(poses, obj.meshes, strict=True):
            p = transform_points(torch.linalg.inv(pose), cloud)
            low, high = (torch.from_numpy(b).float() for b in (mesh.vertices.min(0),
                                                               mesh.vertices.max(0)))
            near.append(((p - (low + high) / 2).abs() - (high - low) / 2).amax(-1))
        off = torch.stack(near).amin(0)
        assert off.median().abs() < 0.003 and (off < 0.02).float().mean() > 0.9


def one_door():
    """A cabinet without a left door, of boxes."""
    joint = Joint('door_right_joint', 'revolute', 0, 1, (0.0, 0.0, 1.0), 0.0, 1.6)
    return MeshObject('cabinet_own', 'cabinet', ('base', 'door_right'), (joint,),
                      (box_mesh((0.4, 0.6, 0.8)), box_mesh((0.02, 0.5, 0.7))),
                      np.array([[0.21, 0.25, 0.0]]))


def test_the_samples_of_an_object_say_which_parts_are_missing():
    """Also the first moving one."""
    import_open3d()
    x = mesh_samples.shape_samples(one_door(), torch.Generator().manual_seed(0))
    assert x['exists'].tolist() == [True, False, True]
    assert not x['surface'][1].any() and x['surface'][2].abs().amax(0)[1] > 0.2
    torch.testing.assert_close(x['origin'], torch.tensor([[0.0, 0, 0], [0.21, 0.25, 0]]))
    assert x['axis'].tolist() == [[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]
    view = torch.zeros(8, 3), torch.eye(4), torch.tensor([0.7])
    q = mesh_samples.view_tensors([view], 2, one_door())['q']
    torch.testing.assert_close(q, torch.tensor([[0.0, 0.7]] * 2))


def test_stretched_objects_keep_unit_axes_and_scaled_pivots(folder):
    obj = load_object(folder)
    other = mesh_samples.stretched(obj, torch.Generator().manual_seed(3))
    factor = other.meshes[0].vertices.max(0) / obj.meshes[0].vertices.max(0)
    assert (abs(np.log(factor)) <= mesh_samples.STRETCH + 1e-6).all() and np.ptp(factor) > 0.01
    np.testing.assert_allclose(other.origin, obj.origin * factor, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(other.axis, axis=-1), 1)
