"""Chamfer distances against values worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from estimates import box_mesh
from truths import laptop_truth, perfect

from kinediff3d_core.data.surfaces import MeshDistance, Surface, bounding_radius
from kinediff3d_core.data.truth import part_poses
from kinediff3d_core.evaluation.shape_metrics import (
    ShapeComparison,
    chamfer,
    chamfer_l1,
    distance_to_surfaces,
    generated_shape,
    generation_metrics,
    nearest_distances,
    shape_metrics,
)
from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.objects.mesh_sampling import sample_mesh


@pytest.fixture
def truth():
    return laptop_truth()


def test_chamfer_of_two_parallel_plates():
    """Two unit squares 0.1 apart, enclosed by a sphere of known radius."""
    def plate(z):
        return Mesh(np.array([[0, 0, z], [1, 0, z], [1, 1, z], [0, 1, z]], dtype=float),
                    np.array([[0, 1, 2], [0, 2, 3]]))

    radius = bounding_radius(plate(0.0).vertices)
    assert radius == pytest.approx(math.sqrt(0.5), rel=1e-3)
    rng = np.random.default_rng(1)
    a, b = sample_mesh(plate(0.0), 20000, rng), sample_mesh(plate(0.1), 20000, rng)
    near = nearest_distances(a, b)
    assert chamfer_l1(near.a_to_b, near.b_to_a, 1.0) == pytest.approx(100, rel=2e-3)
    assert chamfer_l1(near.a_to_b, near.b_to_a, 2.0) == pytest.approx(50, rel=2e-3)
    # The sum of both directions' 0.1 squared, and a quarter of it in twice the radius.
    assert chamfer(near, 1.0) == pytest.approx(20, rel=4e-3)
    assert chamfer(near, 2.0) == pytest.approx(5, rel=4e-3)
    assert MeshDistance(plate(0.1))(a) == pytest.approx(np.full(len(a), 0.1), abs=1e-6)


def test_true_state_and_own_joint_place_the_parts(truth):
    """A wrong state costs nothing in cd_w, a wrong pivot does."""
    e = perfect(truth)
    rng = np.random.default_rng
    wrong_state = replace(e, joints=(replace(e.joints[0], position=0.3),))
    assert shape_metrics(wrong_state, truth, rng(0), 2000)['cd_l1_w_surface'] < 1e-3
    wrong_pivot = replace(e, joints=(replace(e.joints[0], origin=np.array([-0.09, 0, 0.01])),))
    out = shape_metrics(wrong_pivot, truth, rng(0), 2000)
    assert out['cd_l1_w_surface'] > 5 and out['cd_l1_m_surface'] < 1e-3


def test_generated_meshes_in_the_base_frame(truth):
    e = perfect(truth)
    q = np.array([0.4])
    placed = part_poses(truth, q)
    meshes = [transform_mesh(T, s.mesh) for T, s in zip(placed, truth.surfaces, strict=True)]
    comparison = ShapeComparison(truth, q, np.random.default_rng(0), 2000)
    by_name = dict(zip(truth.part_names, meshes, strict=True))
    out = generation_metrics(by_name, e, comparison)
    assert {'cd_s', 'cd_m', 'cd_l1_s', 'cd_l1_m'} < set(out)
    out |= comparison.parts(generated_shape(by_name, e, truth, q))
    assert max(out['cd_l1_w_surface'], out['cd_l1_s_surface'], out['cd_l1_m_surface']) < 1e-3


def test_nearest_distances_in_both_directions():
    a = np.array([[0.0, 0, 0], [1, 0, 0]])
    b = np.array([[0.0, 0, 3]])
    near = nearest_distances(a, b)
    assert sorted(near.a_to_b) == pytest.approx([3, math.sqrt(10)])
    assert near.b_to_a == pytest.approx([3])
    assert chamfer_l1(near.a_to_b, near.b_to_a, 2.0) == pytest.approx(
        ((3 + math.sqrt(10)) / 2 + 3) / 2 * 1000 / 2)
    assert chamfer(near, 2.0) == pytest.approx(((9 + 10) / 2 + 9) * 1000 / 4)


def test_both_distances_agree_with_all_pairs_of_points():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(700, 3)), rng.normal(size=(900, 3)) * (1, 2, 0.5)
    pairs = torch.cdist(torch.from_numpy(a), torch.from_numpy(b),
                        compute_mode='donot_use_mm_for_euclid_dist')
    forth, back = pairs.min(1).values, pairs.min(0).values
    near = nearest_distances(a, b)
    assert chamfer(near, 0.7) == pytest.approx(
        float(forth.square().mean() + back.square().mean()) / 0.49 * 1000, rel=1e-9)
    assert chamfer_l1(near.a_to_b, near.b_to_a, 0.7) == pytest.approx(
        float(torch.stack([forth.mean(), back.mean()]).mean()) / 0.7 * 1000, rel=1e-9)


def test_the_distance_to_posed_surfaces_is_that_to_the_nearest():
    cube = Surface(box_mesh((2, 2, 2)))
    shifted = np.eye(4)
    shifted[:3, 3] = (10, 0, 0)
    p = np.array([[0.0, 0, 4], [10, 0, 3], [4.5, 0, 0], [30, 0, 0]])
    exact = [3, 2, 3.5, 19]
    found = distance_to_surfaces([cube, cube], [np.eye(4), shifted], p, np.full(4, np.inf))
    assert found == pytest.approx(exact, abs=1e-5)
    tight = distance_to_surfaces([cube, cube], [np.eye(4), shifted], p, np.array(exact))
    assert tight == pytest.approx(exact, abs=1e-5)


def test_only_the_posed_distance_depends_on_the_pose(truth):
    e = perfect(truth)
    shift = np.eye(4)
    shift[:3, 3] = (0, 0, 0.5)
    away = replace(e, parts=tuple(replace(p, T_camera_part=shift @ p.T_camera_part)
                                  for p in e.parts))
    out = shape_metrics(away, truth, np.random.default_rng(0), 1000)
    assert out['cd_l1_posed'] > 500 and out['cd_l1_w_surface'] < 1e-3


def test_unknown_poses_leave_out_the_posed_distance_only(truth):
    unknown = replace(truth, T_camera_part=np.full((2, 4, 4), np.nan))
    out = shape_metrics(perfect(truth), unknown, np.random.default_rng(0), 1000)
    assert 'cd_posed' not in out and out['cd_l1_w_surface'] < 1e-3


def test_parts_without_a_mesh_are_left_out(truth):
    e = perfect(truth)
    bare = replace(e, parts=(e.parts[0], replace(e.parts[1], mesh=None)))
    out = shape_metrics(bare, truth, np.random.default_rng(0), 1000)
    assert out['cd_l1_s_surface'] < 1e-3 and 'cd_m' not in out and out['cd_l1_w_surface'] > 1
    with pytest.raises(ValueError, match='no surfaces'):
        shape_metrics(e, replace(truth, surfaces=None), np.random.default_rng(0))
