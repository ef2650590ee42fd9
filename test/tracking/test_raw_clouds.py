"""Tracking of clouds as sensors give them: with points that are no measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kinediff3d_core import Intrinsics
from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.geometry.rigid import rotation_angle
from kinediff3d_core.inference.view import cloud_of
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedScene
from kinediff3d_core.tracking.tracker import Tracker, TrackingLost

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
FRAMES = 4


@pytest.fixture(scope='module')
def clouds():
    """Clouds of a laptop whose lid moves, one a frame."""
    camera = SimulatedCamera(SimulatedScene.sample('laptop', 0, 1, CAMERA, 16))
    frames = [camera.state(5 + i) for i in range(FRAMES)]
    return [backproject(f.depth, CAMERA, f.mask) for f in frames]


def tracked(pipeline, estimate, clouds):
    tracker = Tracker(pipeline, estimate, 0.0)
    return [tracker.track(cloud, 0.1 * (i + 1)) for i, cloud in enumerate(clouds)]


def assert_near(answer, expected, degrees, metres):
    R, t = answer.T_camera_base[:3, :3], answer.T_camera_base[:3, 3]
    assert np.degrees(rotation_angle(R, expected.T_camera_base[:3, :3])) < degrees
    assert np.linalg.norm(t - expected.T_camera_base[:3, 3]) < metres
    assert abs(answer.joints[0].position - expected.joints[0].position) < np.radians(degrees)


INVALID = {
    'zero': (0.0, 0.0, 0.0), 'nan': (np.nan, np.nan, np.nan), 'one nan': (0.1, np.nan, 0.8),
    'infinite': (np.inf, 0.0, 0.8), 'behind the camera': (0.1, 0.0, -0.7)}


@pytest.fixture(scope='module')
def estimate(pipeline, clouds):
    with torch.no_grad():
        return pipeline.infer(clouds[0], mesh=False)


@pytest.fixture(scope='module')
def expected(pipeline, estimate, clouds):
    return tracked(pipeline, estimate, clouds)


@pytest.mark.parametrize('kind', INVALID)
def test_one_point_that_is_no_measurement_changes_nothing(pipeline, estimate, clouds, expected,
                                                          kind):
    point = np.array([INVALID[kind]], np.float32)
    raw = [clouds[0], np.concatenate([clouds[1], point]), *clouds[2:]]
    for answer, same in zip(tracked(pipeline, estimate, raw), expected, strict=True):
        np.testing.assert_array_equal(answer.T_camera_base, same.T_camera_base)
        assert answer.joints[0].position == same.joints[0].position
        assert np.isfinite(answer.points).all() and (answer.points[:, 2] > 0).all()


def test_invalid_points_in_every_frame_change_nothing(pipeline, estimate, clouds, expected):
    points = np.array(list(INVALID.values()), np.float32)
    others = ObjectCloud(np.zeros((0, 3)), points).others
    raw = [ObjectCloud(np.concatenate([cloud, np.tile(points, (40, 1))]), others)
           for cloud in clouds]
    for answer, same in zip(tracked(pipeline, estimate, raw), expected, strict=True):
        assert_near(answer, same, 0.5, 0.003)


def test_far_outliers_leave_the_estimate_where_it_is(pipeline, estimate, clouds, expected):
    """Flying background: one point in a hundred at two to four times the object's distance."""
    rng = np.random.default_rng(0)
    raw = []
    for cloud in clouds:
        some = cloud[rng.choice(len(cloud), len(cloud) // 100, replace=False)]
        raw.append(np.concatenate([cloud, some * rng.uniform(2, 4, (len(some), 1))]).astype(
            np.float32))
    for answer, same in zip(tracked(pipeline, estimate, raw), expected, strict=True):
        assert_near(answer, same, 2.0, 0.01)


def test_tracking_leaves_out_the_points_that_inference_leaves_out(pipeline, estimate, clouds):
    """One filter for both: a point behind the camera, without a value, or far off the object."""
    bad = np.array([*INVALID.values(), clouds[0][0] * 4], np.float32)
    raw = ObjectCloud(np.concatenate([clouds[0], bad]), bad)
    used = cloud_of(raw, None, None, None)
    assert len(used) < len(raw) - len(INVALID) and len(used.others) == 1
    seen = []
    for cloud in (raw, used):
        tracker = Tracker(pipeline, estimate, 0.0)
        observe = tracker._fit.observe
        tracker._fit.observe = lambda cloud, observe=observe: seen.append(cloud) or observe(cloud)
        tracker.track(cloud, 0.1)
    assert seen[1] is used, 'filtered twice'
    np.testing.assert_array_equal(seen[0].points, used.points)
    np.testing.assert_array_equal(seen[0].others, used.others)


def test_a_cloud_of_invalid_points_is_named(pipeline, estimate, clouds):
    tracker = Tracker(pipeline, estimate, 0.0)
    with pytest.raises(TrackingLost, match='0 of 500 points'):
        tracker.track(np.full((500, 3), np.nan, np.float32), 0.1)
    tracker.track(clouds[0], 0.2)
