"""Metrics against values that can be worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from kinediff3d_core.evaluation import metrics as M
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    Mode,
    PartEstimate,
)


def box_mesh(extents, centre=(0, 0, 0)):
    tm = trimesh.creation.box(extents=extents)
    tm.apply_translation(centre)
    return Mesh(np.asarray(tm.vertices), np.asarray(tm.faces))


def rotation(axis, angle):
    return trimesh.transformations.rotation_matrix(angle, axis)


@pytest.fixture
def truth():
    T = rotation((1, 2, 3), 2.0)
    T[:3, 3] = (0.1, -0.2, 1.0)
    surfaces = (M.Surface(box_mesh((0.22, 0.33, 0.02))),
                M.Surface(box_mesh((0.22, 0.33, 0.008), (0.11, 0, 0.008))))
    t = M.Truth('laptop', ('base', 'lid'), ('lid_joint',), ('revolute',), (0,), (1,),
                np.stack([T, T]), np.array([1.2]), np.array([[-0.11, 0.0, 0.01]]),
                np.array([[0.0, -1.0, 0.0]]), surfaces)
    poses = M.part_poses(t, t.positions)
    return replace(t, T_camera_part=np.stack([T @ p for p in poses]))


def perfect(truth):
    """The estimate that says exactly what is true."""
    parts = tuple(PartEstimate(n, T, s.mesh) for n, T, s in
                  zip(truth.part_names, truth.T_camera_part, truth.surfaces, strict=True))
    joint = JointEstimate('lid_joint', 'revolute', 'base', 'lid', truth.origin[0], truth.axis[0],
                          float(truth.positions[0]), 0.0, math.pi, 0.01)
    return ArticulatedEstimate('laptop', parts, (joint,), np.eye(6), 0.0, 1.0, (), np.zeros(4),
                               np.zeros((5, 3)))


def test_a_perfect_estimate_scores_zero_but_for_the_sampling_floor(truth):
    out = M.pose_metrics(perfect(truth), truth)
    assert max(out.values()) < 1e-5
    assert set(out) == {'rot_err_deg', 'trans_err_m', 'joint_state_err', 'axis_err_deg',
                        'axis_pos_err_m'}
    shape = M.shape_metrics(perfect(truth), truth, np.random.default_rng(0), samples=5000)
    for name in ('cd_w_surface', 'cd_s_surface', 'cd_m_surface'):
        assert shape[name] < 1e-3
    for name in ('cd_w', 'cd_posed'):
        assert shape[name] == pytest.approx(shape['cd_floor'], rel=0.05)


def test_pose_errors_are_the_ones_put_in(truth):
    e = perfect(truth)
    turn = rotation((0, 0, 1), math.radians(7))
    moved = []
    for p in e.parts:
        T = p.T_camera_part @ turn
        T[:3, 3] = p.T_camera_part[:3, 3] + (0.03, 0, 0.04)
        moved.append(replace(p, T_camera_part=T))
    e = replace(e, parts=tuple(moved), joints=(replace(e.joints[0], position=1.2 + 0.1),))
    out = M.pose_metrics(e, truth)
    assert out['rot_err_deg'] == pytest.approx(7, abs=1e-6)
    assert out['trans_err_m'] == pytest.approx(0.05, abs=1e-9)
    assert out['joint_state_err'] == pytest.approx(math.degrees(0.1), abs=1e-6)
    assert out['axis_err_deg'] == pytest.approx(7, abs=1e-6)


def test_axis_lines():
    x, y, o = np.eye(3)[0], np.eye(3)[1], np.zeros(3)
    assert M.line_distance(o, x, np.array([5.0, 7.0, 0.3]), y) == pytest.approx(0.3)
    assert M.line_distance(o, x, np.array([9.0, 0.4, 0.3]), x) == pytest.approx(0.5)
    slight = np.array([math.cos(0.01), math.sin(0.01), 0.0])
    # Skew lines that cross far away: measured at the pivot, not at the crossing.
    assert M.line_distance(o, x, np.array([0.0, 0.1, 0.0]), slight) == pytest.approx(0.1, rel=1e-3)


def test_axis_position_slides_along_the_axis_without_error(truth):
    e = perfect(truth)
    slid = replace(e, joints=(replace(e.joints[0], origin=e.joints[0].origin + (0, 0.2, 0)),))
    assert M.pose_metrics(slid, truth)['axis_pos_err_m'] < 1e-9
    off = replace(e, joints=(replace(e.joints[0], origin=e.joints[0].origin + (0, 0, 0.02)),))
    assert M.pose_metrics(off, truth)['axis_pos_err_m'] == pytest.approx(0.02, abs=1e-9)


def test_chamfer_of_two_parallel_plates():
    """Two unit squares 0.1 apart, enclosed by a sphere of known radius."""
    def plate(z):
        return Mesh(np.array([[0, 0, z], [1, 0, z], [1, 1, z], [0, 1, z]], dtype=float),
                    np.array([[0, 1, 2], [0, 2, 3]]))

    radius = M.bounding_radius(plate(0.0).vertices)
    assert radius == pytest.approx(math.sqrt(0.5), rel=1e-3)
    rng = np.random.default_rng(1)
    a, b = M.sample_mesh(plate(0.0), 20000, rng), M.sample_mesh(plate(0.1), 20000, rng)
    assert M.chamfer(a, b, 1.0) == pytest.approx(100, rel=2e-3)
    assert M.chamfer(a, b, 2.0) == pytest.approx(50, rel=2e-3)
    assert M.MeshDistance(plate(0.1))(a) == pytest.approx(np.full(len(a), 0.1), abs=1e-6)


def test_sampling_is_uniform_by_area():
    mesh = box_mesh((1, 1, 4))
    p = M.sample_mesh(mesh, 60000, np.random.default_rng(2))
    ends = (np.abs(np.abs(p[:, 2]) - 2) < 1e-9).mean()
    assert ends == pytest.approx(2 / 18, abs=0.005)
    assert np.abs(p.mean(0)).max() < 0.02


@pytest.mark.parametrize('seed', range(3))
def test_distance_without_open3d(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    mesh = box_mesh((0.3, 0.2, 0.01))
    p = rng.uniform(-0.2, 0.2, (500, 3))
    d = np.abs(p) - np.array([0.15, 0.1, 0.005])
    outside = np.linalg.norm(d.clip(min=0), axis=-1)
    exact = np.where(outside > 0, outside, np.abs(d.max(-1)))
    np.testing.assert_allclose(M.MeshDistance(mesh)(p), exact, atol=1e-6)
    monkeypatch.setitem(__import__('sys').modules, 'open3d', None)
    np.testing.assert_allclose(M.MeshDistance(mesh)(p), exact, atol=1e-9)


def test_bounding_sphere_of_a_sphere():
    rng = np.random.default_rng(3)
    p = rng.normal(size=(500, 3))
    p = 0.7 * p / np.linalg.norm(p, axis=-1, keepdims=True) + (3, 2, 1)
    assert M.bounding_radius(p) == pytest.approx(0.7, rel=1e-2)


def test_true_state_and_own_joint_place_the_parts(truth):
    """A wrong state costs nothing in cd_w, a wrong pivot does."""
    e = perfect(truth)
    rng = np.random.default_rng
    wrong_state = replace(e, joints=(replace(e.joints[0], position=0.3),))
    assert M.shape_metrics(wrong_state, truth, rng(0), 2000)['cd_w_surface'] < 1e-3
    wrong_pivot = replace(e, joints=(replace(e.joints[0], origin=np.array([-0.09, 0, 0.01])),))
    out = M.shape_metrics(wrong_pivot, truth, rng(0), 2000)
    assert out['cd_w_surface'] > 5 and out['cd_m_surface'] < 1e-3


def test_generated_meshes_in_the_base_frame(truth):
    e = perfect(truth)
    q = np.array([0.4])
    placed = M.part_poses(truth, q)
    meshes = [M.transform_mesh(T, s.mesh) for T, s in zip(placed, truth.surfaces, strict=True)]
    out = M.generation_metrics(meshes, truth.part_names, e, truth, q, np.random.default_rng(0),
                               2000)
    assert max(out['cd_w_surface'], out['cd_s_surface'], out['cd_m_surface']) < 1e-3


def test_summary_counts_failures_and_leaves_missing_ones_out_of_means():
    good = {'rot_err_deg': 1.0, 'cd_w': 2.0}
    bad = {'rot_err_deg': 41.0, 'cd_w': math.nan}
    out = M.summarise([good, bad, None, good])
    assert out['failure_rate'] == {'mean': 0.5, 'median': 0.5, 'std': 0.5, 'n': 4}
    assert out['rot_err_deg']['n'] == 3
    assert out['rot_err_deg']['mean'] == pytest.approx(43 / 3)
    assert out['cd_w'] == {'mean': 2.0, 'median': 2.0, 'std': 0.0, 'n': 2}
    assert M.summarise([None])['failure_rate']['mean'] == 1.0


def test_a_named_mode_that_is_right_saves_a_view_that_failed(truth):
    e = perfect(truth)
    turned = e.T_camera_base @ np.diag([-1.0, -1.0, 1.0, 1.0])
    modes = [Mode(w, T, np.zeros(1), 0.0) for w, T in
             ((0.7, turned), (0.25, e.T_camera_base), (0.05, turned))]
    wrong = replace(e, parts=(replace(e.parts[0], T_camera_part=turned), e.parts[1]))
    both, one = (M.mode_metrics(replace(wrong, modes=tuple(m)), [truth])
                 for m in (modes, modes[:1]))
    assert both['modes'] == 2 and both['rot_err_modes_deg'] == pytest.approx(0, abs=1e-5)
    assert one['modes'] == 1 and one['rot_err_modes_deg'] == pytest.approx(180)
    out = M.summarise([{'rot_err_deg': 90.0, **m} for m in (both, one)] + [None])
    assert out['failure_rate']['mean'] == 1.0
    assert out['failure_rate_modes']['mean'] == pytest.approx(2 / 3)
