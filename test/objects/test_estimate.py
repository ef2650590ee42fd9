"""Content of an estimate: poses at other joint positions, JSON, meshes that move."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from estimates import box_mesh, laptop_estimate

from kinediff3d_core.objects.estimate import JointEstimate, PartEstimate, transform_mesh


def test_poses_at_other_positions_by_hand():
    """The lid turns about its pivot (-0.11, 0, 0.01) along -y: a quarter turn makes x to z."""
    e = laptop_estimate(0.4)
    poses = e.part_poses_at(np.array([math.pi / 2]))
    assert list(poses) == ['base', 'lid']
    np.testing.assert_array_equal(poses['base'], np.eye(4))
    np.testing.assert_allclose(poses['lid'] @ [0.2, 0.1, 0.0, 1.0], [-0.11, 0.1, 0.21, 1.0],
                               atol=1e-12)
    own = e.part_poses_at(np.array([0.4]))['lid']
    np.testing.assert_allclose(e.T_camera_base @ own, e.parts[1].T_camera_part, atol=1e-12)


def test_poses_of_a_chain_and_of_an_object_without_joints():
    e = laptop_estimate()
    tray = JointEstimate('tray_joint', 'prismatic', 'lid', 'tray', np.array([0.1, 0.0, 0.0]),
                         np.array([0.0, 0.0, 1.0]), 0.0, 0.0, 1.0, 0.0)
    chain = replace(e, parts=(*e.parts, PartEstimate('tray', np.eye(4))),
                    joints=(*e.joints, tray))
    tip = chain.part_poses_at(np.array([math.pi / 2, 0.5]))['tray'][:3, 3]
    np.testing.assert_allclose(tip, [-0.11 - 0.5, 0.0, 0.01 + 0.1], atol=1e-12)
    alone = replace(e, parts=e.parts[:1], joints=())
    assert list(alone.part_poses_at(np.zeros(0))) == ['base']


def test_json_has_everything_but_meshes_and_points():
    e = laptop_estimate()
    content = json.loads(json.dumps(e.to_dict(), allow_nan=False))
    assert content['joints'][0]['limit'] == {'lower': 0.0, 'upper': pytest.approx(math.pi)}
    assert content['parts'][1]['T_camera_part'] == e.parts[1].T_camera_part.tolist()
    assert content['modes'][0]['weight'] == 0.9
    assert 'points' not in content and 'mesh' not in content['parts'][0]


def test_a_mesh_moves_with_its_vertices():
    mesh = box_mesh((1, 2, 3))
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]], (1, 2, 3)
    moved = transform_mesh(T, mesh)
    x, y, z = mesh.vertices.T
    np.testing.assert_allclose(moved.vertices, np.stack([1 - y, 2 + x, 3 + z], axis=1))
    assert moved.faces is mesh.faces and moved.vertices.dtype == np.float64
