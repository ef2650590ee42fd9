"""The figures of a demo on samples whose errors are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from scipy.spatial.transform import Rotation  # noqa: E402

from kinediff3d_core.objects.category import get_category  # noqa: E402
from kinediff3d_ros.tools.demo_options import DemoOptions  # noqa: E402
from kinediff3d_ros.tools.demo_recording import Sample  # noqa: E402
from kinediff3d_ros.tools.demo_summary import in_words, pose_errors, summarize  # noqa: E402


def sample(positions, true_positions, T=None) -> Sample:
    return Sample(0.0, np.array(positions), np.array(true_positions),
                  np.eye(4) if T is None else T, np.eye(4), 0.1)


def options(category: str, rate: float = 5.0) -> DemoOptions:
    return DemoOptions(get_category(category), 1.0, rate, True, Path())


def test_errors_are_of_the_joints_that_both_have() -> None:
    samples = [sample([0.1, np.nan, 0.3, 0.4], [0.2, 0.2, 0.3, np.nan])]
    summary = summarize(options('drawer'), {}, 1.0, samples)
    assert summary['joints_missed'] == summary['joints_invented'] == 1
    assert summary['joint_error_m'] == {'median': 0.05, 'p95': 0.095}
    assert 'joint_error_deg' not in summary


def test_revolute_errors_are_in_degrees() -> None:
    samples = [sample([0.0], [np.radians(error)]) for error in (1.0, 2.0, 4.0)]
    summary = summarize(options('laptop'), {}, 1.0, samples)
    assert summary['joint_error_deg'] == {'median': 2.0, 'p95': 3.8}
    assert 'joint_error_m' not in summary and 'joints_missed' not in summary
    assert summary['latency_ms'] == {'median': 100.0, 'p95': 100.0}


def test_pose_errors_are_the_angle_and_the_distance_to_the_truth() -> None:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(np.radians(30) * np.array([0.6, 0.0, 0.8])).as_matrix()
    T[:3, 3] = 0.03, 0.0, 0.04
    errors = pose_errors([sample([0.0], [0.0], T)])
    assert errors['rotation_error_deg'] == {'median': 30.0, 'p95': 30.0}
    assert errors['translation_error_m'] == {'median': 0.05, 'p95': 0.05}


def test_counts_are_those_of_the_diagnostics() -> None:
    status = {'frames_received': '9', 'estimates': '5', 'no_estimates': '2', 'frames_dropped': '3',
              'frames_unpaired': '1', 'frames_uncalibrated': '6', 'full_estimates': '4',
              'message': 'tracking'}
    summary = summarize(options('laptop', 10.0), status, 1.234, [])
    names = ('frames', 'estimates', 'no_estimates', 'dropped', 'unpaired', 'uncalibrated',
             'full_estimates')
    assert [summary[name] for name in names] == [9, 5, 2, 3, 1, 6, 4]
    assert summary['rate_hz'] == 1.23 and summary['compared'] == 0
    assert summary['command'] == 'kinediff3d demo --category laptop --seconds 1 --rate 10'
    words = in_words({**summary, 'first_image_s': 1.5, 'first_answer_s': 2.5}).splitlines()
    assert len(words) == 2 and words[0].startswith('5 estimates of 9 frames, 1.23 per second')


@pytest.mark.parametrize(('seconds', 'rate'), [(0.0, 5.0), (-1.0, 5.0), (1.0, 0.05), (1.0, 61.0)])
def test_durations_and_rates_out_of_range_are_refused(seconds: float, rate: float) -> None:
    with pytest.raises(ValueError, match='--seconds|--rate'):
        DemoOptions(get_category('laptop'), seconds, rate, True, Path())
