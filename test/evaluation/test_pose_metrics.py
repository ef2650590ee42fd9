"""Errors of pose and joints against values worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from truths import laptop_truth, perfect, rotation

from kinediff3d_core.evaluation.pose_metrics import line_distance, mode_metrics, pose_metrics
from kinediff3d_core.evaluation.shape_metrics import shape_metrics
from kinediff3d_core.evaluation.summary import summarise
from kinediff3d_core.objects.estimate import Mode


@pytest.fixture
def truth():
    return laptop_truth()


def test_a_perfect_estimate_scores_zero_but_for_the_sampling_floor(truth):
    out = pose_metrics(perfect(truth), truth)
    assert max(out.values()) < 1e-5
    assert set(out) == {'rot_err_deg', 'trans_err_m', 'joint_state_err', 'axis_err_deg',
                        'axis_pos_err_m'}
    shape = shape_metrics(perfect(truth), truth, np.random.default_rng(0), samples=5000)
    for name in ('cd_l1_w_surface', 'cd_l1_s_surface', 'cd_l1_m_surface'):
        assert shape[name] < 1e-3
    for name in ('w', 'posed'):
        for distance in ('cd', 'cd_l1'):
            assert shape[f'{distance}_{name}'] == pytest.approx(shape[f'{distance}_floor'],
                                                                rel=0.05)


def test_pose_errors_are_the_ones_put_in(truth):
    e = perfect(truth)
    turn = rotation((0, 0, 1), math.radians(7))
    moved = []
    for p in e.parts:
        T = p.T_camera_part @ turn
        T[:3, 3] = p.T_camera_part[:3, 3] + (0.03, 0, 0.04)
        moved.append(replace(p, T_camera_part=T))
    e = replace(e, parts=tuple(moved), joints=(replace(e.joints[0], position=1.2 + 0.1),))
    out = pose_metrics(e, truth)
    assert out['rot_err_deg'] == pytest.approx(7, abs=1e-6)
    assert out['trans_err_m'] == pytest.approx(0.05, abs=1e-9)
    assert out['joint_state_err'] == pytest.approx(math.degrees(0.1), abs=1e-6)
    assert out['axis_err_deg'] == pytest.approx(7, abs=1e-6)


def test_axis_lines():
    x, y, o = np.eye(3)[0], np.eye(3)[1], np.zeros(3)
    assert line_distance(o, x, np.array([5.0, 7.0, 0.3]), y) == pytest.approx(0.3)
    assert line_distance(o, x, np.array([9.0, 0.4, 0.3]), x) == pytest.approx(0.5)
    slight = np.array([math.cos(0.01), math.sin(0.01), 0.0])
    # Skew lines that cross far away: measured at the pivot, not at the crossing.
    assert line_distance(o, x, np.array([0.0, 0.1, 0.0]), slight) == pytest.approx(0.1, rel=1e-3)


def test_axis_position_slides_along_the_axis_without_error(truth):
    e = perfect(truth)
    slid = replace(e, joints=(replace(e.joints[0], origin=e.joints[0].origin + (0, 0.2, 0)),))
    assert pose_metrics(slid, truth)['axis_pos_err_m'] < 1e-9
    off = replace(e, joints=(replace(e.joints[0], origin=e.joints[0].origin + (0, 0, 0.02)),))
    assert pose_metrics(off, truth)['axis_pos_err_m'] == pytest.approx(0.02, abs=1e-9)


def test_a_named_mode_that_is_right_saves_a_view_that_failed(truth):
    e = perfect(truth)
    turned = e.T_camera_base @ np.diag([-1.0, -1.0, 1.0, 1.0])
    modes = [Mode(w, T, np.zeros(1), 0.0) for w, T in
             ((0.7, turned), (0.25, e.T_camera_base), (0.05, turned))]
    wrong = replace(e, parts=(replace(e.parts[0], T_camera_part=turned), e.parts[1]))
    both, one = (mode_metrics(replace(wrong, modes=tuple(m)), [truth])
                 for m in (modes, modes[:1]))
    assert both['modes'] == 2 and both['rot_err_modes_deg'] == pytest.approx(0, abs=1e-5)
    assert one['modes'] == 1 and one['rot_err_modes_deg'] == pytest.approx(180)
    out = summarise([{'rot_err_deg': 90.0, **m} for m in (both, one)] + [None])
    assert out['failure_rate']['mean'] == 1.0
    assert out['failure_rate_modes']['mean'] == pytest.approx(2 / 3)


def test_sliding_joints_have_errors_in_metres_and_no_axis_position(truth):
    slides = replace(truth, joint_types=('prismatic',), positions=np.array([0.2]))
    joint = replace(perfect(truth).joints[0], joint_type='prismatic', position=0.23)
    out = pose_metrics(replace(perfect(truth), joints=(joint,)), slides)
    assert out['joint_state_err'] == pytest.approx(0.03)
    assert 'axis_pos_err_m' not in out


def test_missed_and_invented_joints_are_counted(truth):
    two = replace(truth, category='eyeglasses', joint_names=('lid_joint', 'other'),
                  joint_types=('revolute',) * 2, parents=(0, 0), children=(1, 1),
                  positions=np.array([1.2, 0.0]),
                  origin=np.repeat(truth.origin, 2, 0), axis=np.repeat(truth.axis, 2, 0))
    e = perfect(truth)
    out = pose_metrics(e, two)
    assert (out['joints_missed'], out['joints_invented']) == (1.0, 0.0)
    more = replace(e, joints=(e.joints[0], *(replace(e.joints[0], name=n) for n in 'abc')))
    out = pose_metrics(more, two)
    assert (out['joints_missed'], out['joints_invented']) == (1.0, 3.0)
    one = replace(truth, category='drawer')
    assert pose_metrics(more, one)['joints_invented'] == 3.0, 'also where one of several is there'
    none = pose_metrics(replace(e, joints=()), two)
    assert math.isnan(none['joint_state_err']) and none['rot_err_deg'] < 1e-5


def test_modes_are_named_from_a_weight_of_a_tenth_on(truth):
    e = perfect(truth)
    modes = [Mode(w, e.T_camera_base, np.zeros(1), 0.0) for w in (0.02, 0.1, 0.099, 0.3)]
    assert mode_metrics(replace(e, modes=tuple(modes)), [truth])['modes'] == 3
