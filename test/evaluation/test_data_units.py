"""Lengths of an evaluation in a data set's own unit."""

from dataclasses import replace

import numpy as np
import pytest
from truths import laptop_truth, perfect

from kinediff3d_core.evaluation.calibration import predicted_errors
from kinediff3d_core.evaluation.data_units import in_data_unit
from kinediff3d_core.evaluation.pose_metrics import pose_metrics
from kinediff3d_core.evaluation.published_metrics import omad
from kinediff3d_core.evaluation.shape_metrics import shape_metrics


def wrong_laptop():
    """A laptop's truth and an estimate with errors of all kinds."""
    truth = laptop_truth()
    shift = np.eye(4)
    shift[:3, 3] = (0.01, 0.02, -0.01)
    estimate = perfect(replace(truth, T_camera_part=shift @ truth.T_camera_part,
                               origin=truth.origin + 0.003))
    return estimate, truth


def test_only_lengths_change():
    estimate, truth = wrong_laptop()
    metrics = (pose_metrics(estimate, truth) | predicted_errors(estimate)
               | omad(estimate, truth)
               | shape_metrics(estimate, truth, np.random.default_rng(0), 500))
    found = in_data_unit(metrics, 0.25, estimate.joints)
    lengths = {name for name in metrics if found[name] != metrics[name]}
    assert lengths == {'trans_err_m', 'axis_pos_err_m', 'trans_std_m', 'omad/base/trans_err_m',
                       'omad/lid/trans_err_m', 'omad/lid_joint/axis_pos_err_m'}
    assert found['trans_err_m'] == pytest.approx(4 * np.sqrt(6) / 100)
    assert {'cd_m', 'cd_l1_m', 'rot_err_deg', 'joint_state_err'} <= set(found) - lengths


def test_states_of_sliding_joints_are_lengths():
    estimate, _ = wrong_laptop()
    slides = [replace(j, joint_type='prismatic') for j in estimate.joints]
    metrics = {'joint_state_err': 0.1, 'joint_state_std': 0.02, 'seconds': 3.0}
    assert in_data_unit(metrics, 0.5, slides) == {
        'joint_state_err': 0.2, 'joint_state_std': 0.04, 'seconds': 3.0}
    assert in_data_unit(metrics, 0.5, estimate.joints) == metrics
