"""Metrics of other papers against values worked out by hand, and against their formulas."""

import math
from dataclasses import replace

import numpy as np
import pytest
from truths import laptop_truth, perfect, rotation

from kinediff3d_core.cli.arguments import METRICS
from kinediff3d_core.data.datasets.canonical import CanonicalModel
from kinediff3d_core.evaluation.evaluate import EvaluationConfig, score
from kinediff3d_core.evaluation.published_metrics import PROTOCOLS, ancsh, omad
from kinediff3d_core.evaluation.records import Record, summary_of, table
from kinediff3d_core.evaluation.samples import Sample
from kinediff3d_core.objects.category import get_category


@pytest.fixture
def truth():
    return laptop_truth()


def moved(estimate, part, T):
    """The estimate with one part after T in its own frame."""
    parts = list(estimate.parts)
    parts[part] = replace(parts[part], T_camera_part=parts[part].T_camera_part @ T)
    return replace(estimate, parts=tuple(parts))


def shift(*by):
    T = np.eye(4)
    T[:3, 3] = by
    return T


def test_the_command_line_offers_all_protocols():
    assert tuple(PROTOCOLS) == METRICS


def test_a_perfect_estimate_has_no_error_and_is_within_all_bounds(truth):
    found = omad(perfect(truth), truth)
    assert set(found) == {
        'omad/base/rot_err_deg', 'omad/base/trans_err_m', 'omad/lid/rot_err_deg',
        'omad/lid/trans_err_m', 'omad/lid_joint/axis_err_deg', 'omad/lid_joint/axis_pos_err_m',
        'omad/lid_joint/state_err_deg'}
    assert max(found.values()) < 1e-5
    found = ancsh(perfect(truth), truth)
    rates = {k: found.pop(k) for k in list(found) if 'within' in k}
    assert list(rates.values()) == [1.0] * 4 and max(found.values()) < 1e-5


def test_each_part_has_its_own_errors(truth):
    e = moved(perfect(truth), 1, shift(0.03, 0, 0.04) @ rotation((0, 0, 1), math.radians(6)))
    found = omad(e, truth)
    assert found['omad/lid/rot_err_deg'] == pytest.approx(6)
    assert found['omad/lid/trans_err_m'] == pytest.approx(0.05)
    assert found['omad/base/rot_err_deg'] < 1e-5 and found['omad/base/trans_err_m'] < 1e-9


def test_translations_are_those_of_the_frames_that_the_data_set_states(truth):
    """A rotation of 6° about z moves a frame 0.5 m away on x by 2 sin(3°) 0.5 m."""
    stated = replace(truth, T_part_stated=np.stack([np.eye(4), shift(0.5, 0, 0.2)]))
    e = moved(perfect(truth), 1, rotation((0, 0, 1), math.radians(6)))
    found = omad(e, stated)
    assert found['omad/lid/trans_err_m'] == pytest.approx(math.sin(math.radians(3)))
    assert found['omad/lid/rot_err_deg'] == pytest.approx(6)
    assert ancsh(e, stated)['ancsh/lid/trans_err_m'] == pytest.approx(math.sin(math.radians(3)))
    assert omad(e, truth)['omad/lid/trans_err_m'] == pytest.approx(0, abs=1e-12)


def test_stated_frames_are_those_of_the_poses_that_the_data_set_gives():
    frames = rotation((1, 2, 0), 0.4)[None] @ shift(0.1, 0.2, 0.3)
    model = CanonicalModel(get_category('laptop'), ('base',), (), np.zeros((0, 3)), (1,), frames,
                           1.0, np.zeros((1, 2, 3)))
    given = np.stack([np.eye(4), shift(0, 0, 2) @ rotation((0, 1, 0), 1.0)])
    truth = model.truth(given, scale=1.25)
    np.testing.assert_allclose(truth.T_camera_part @ truth.T_part_stated, given[1:], atol=1e-12)


@pytest.mark.parametrize(('degrees', 'metres', 'rates'), [
    (4.9, 0.049, (1, 1)), (4.9, 0.051, (1, 0)), (5.1, 0.049, (0, 0)), (5.1, 0.051, (0, 0))])
def test_rates_of_parts_within_five_degrees_and_five_centimetres(truth, degrees, metres, rates):
    e = moved(perfect(truth), 0, shift(0, metres, 0) @ rotation((1, 0, 0), math.radians(degrees)))
    found = ancsh(e, truth)
    assert (found['ancsh/base/within_5deg'], found['ancsh/base/within_5deg_5cm']) == rates
    assert found['ancsh/lid/within_5deg_5cm'] == 1


def test_axis_errors_have_a_sign_for_omad_and_none_for_ancsh(truth):
    e = perfect(truth)
    axis = rotation((0, 0, 1), math.radians(170))[:3, :3] @ e.joints[0].axis
    turned = replace(e, joints=(replace(e.joints[0], axis=axis),))
    assert omad(turned, truth)['omad/lid_joint/axis_err_deg'] == pytest.approx(170)
    assert ancsh(turned, truth)['ancsh/lid_joint/axis_err_deg'] == pytest.approx(10)


def test_axis_positions_are_distances_of_lines_at_any_angle(truth):
    """Also below 5°, where our own metric measures at the pivot; parallel lines are defined."""
    joint = perfect(truth).joints[0]
    slight = rotation((0, 0, 1), math.radians(2))[:3, :3] @ joint.axis
    off = replace(joint, axis=slight, origin=joint.origin + (0.3, 0, 0.02))
    aside = replace(joint, origin=joint.origin + (0.03, 7, 0.04))
    for e, expected in ((off, 0.02), (aside, 0.05)):
        made = replace(perfect(truth), joints=(e,))
        assert omad(made, truth)['omad/lid_joint/axis_pos_err_m'] == pytest.approx(expected)
        assert ancsh(made, truth)['ancsh/lid_joint/axis_pos_err_m'] == pytest.approx(expected)


def test_the_joint_state_of_ancsh_is_that_of_the_poses(truth):
    """OMAD compares positions; ANCSH the rotation of the child relative to the base."""
    e = perfect(truth)
    e = replace(e, joints=(replace(e.joints[0], position=1.2 + math.radians(8)),))
    e = moved(e, 1, rotation((0, 1, 0), math.radians(3)))
    e = replace(e, parts=tuple(  # A motion of the whole object changes no state.
        replace(p, T_camera_part=rotation((3, 1, 2), 0.7) @ p.T_camera_part) for p in e.parts))
    assert omad(e, truth)['omad/lid_joint/state_err_deg'] == pytest.approx(8)
    assert ancsh(e, truth)['ancsh/lid_joint/state_err_deg'] == pytest.approx(3)


def test_sliding_joints_have_states_in_metres_and_no_axis_position(truth):
    slides = replace(truth, joint_types=('prismatic',), positions=np.array([0.3]))
    joint = replace(perfect(truth).joints[0], joint_type='prismatic', position=0.4,
                    axis=np.array([0.0, 0.0, 1.0]))
    e = replace(perfect(truth), joints=(joint,))
    found = omad(e, slides)
    assert found['omad/lid_joint/state_err_m'] == pytest.approx(0.1)
    assert not any('axis_pos' in name for name in (*found, *ancsh(e, slides)))
    # 0.4 along z instead of 0.3 along -y.
    assert ancsh(e, slides)['ancsh/lid_joint/state_err_m'] == pytest.approx(0.5)


def test_missed_parts_count_in_rates_only(truth):
    e = perfect(truth)
    e = replace(e, parts=e.parts[:1], joints=())
    assert set(omad(e, truth)) == {'omad/base/rot_err_deg', 'omad/base/trans_err_m'}
    found = ancsh(e, truth)
    assert found['ancsh/lid/within_5deg'] == found['ancsh/lid/within_5deg_5cm'] == 0
    assert 'ancsh/lid/rot_err_deg' not in found and 'ancsh/lid_joint/axis_err_deg' not in found


@pytest.mark.parametrize('protocol', ['omad', 'ancsh'])
def test_what_the_truth_leaves_open_is_unknown(truth, protocol):
    """The pose of the lid and the state are unknown, all else is known."""
    poses = truth.T_camera_part.copy()
    poses[1] = np.nan
    found = PROTOCOLS[protocol](perfect(truth), replace(truth, T_camera_part=poses,
                                                        positions=np.array([np.nan])))
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert unknown == {name for name in found if '/lid/' in name or 'state' in name}
    assert 'n' in table('laptop', summary_of([Record(0, 'a', {'rot_err_deg': 1.0, **found})]))


def test_scored_views_and_their_table_have_the_metrics(truth):
    truth = replace(truth, surfaces=None)
    depth = np.zeros((4, 4))
    sample = Sample(0, 'a', depth, depth > 0, None, truth, np.zeros(1), 0.3)
    e = perfect(laptop_truth())
    config = EvaluationConfig(1, protocol=ancsh, method=lambda *_: e)
    record, _ = score(None, sample, config)
    assert record.metrics['ancsh/base/within_5deg'] == 1
    lines = table('laptop', summary_of([record, Record(1, 'b', None)])).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('as ancsh defines'))
    rows = {line.split()[0]: line.split()[1:] for line in lines[start + 1:] if '/' in line}
    assert rows['ancsh/lid/within_5deg_5cm'] == ['1', '1', '0', '1']
    assert rows['ancsh/lid_joint/state_err_deg'][0] == '°'
    assert not any('/lid/' in line for line in lines[:start])
