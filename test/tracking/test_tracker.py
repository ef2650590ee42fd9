"""Tracking on simulated views: no drift, velocities, moving cameras, and lost objects."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tracking_scenes import (
    START,
    STATES,
    camera_of,
    cloud_of,
    estimate_of,
    moved,
    pipeline_of,
    rotation,
)

from kinediff3d_core.evaluation.pose_metrics import angle_deg
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.inference import residuals
from kinediff3d_core.tracking import tracker as tracker_module
from kinediff3d_core.tracking.config import (
    DEFAULT,
    JointSearchConfig,
    MotionConfig,
    QualityConfig,
)
from kinediff3d_core.tracking.fit import FrameFit
from kinediff3d_core.tracking.reinitialization import TrackingLost
from kinediff3d_core.tracking.tracker import Tracker


def test_no_drift_over_a_minute_of_moving_object_and_joint(pipeline, camera, estimate):
    """Sixty seconds, three sweeps of the lid, the whole object swaying: errors stay as they were.

    Their size is that of the full estimate's error, which tracking keeps.
    """
    tracker = Tracker(pipeline, estimate, 0.0)
    about = cloud_of(camera, START).mean(0)
    errors, turns, states = [], [], []
    for i in range(180):
        seconds = (i + 1) / 3
        phase = (START / (STATES - 1) + i / 30) % 2
        state = round((STATES - 1) * (phase if phase <= 1 else 2 - phase))
        turn = rotation(2, 20 * math.sin(seconds / 3))
        shift = np.array([0.1 * math.sin(seconds / 2), 0.0, 0.05 * math.sin(seconds / 4)])
        answer = tracker.track(moved(cloud_of(camera, state), turn, shift, about), seconds)
        truth = camera.state(state)
        errors.append(math.degrees(answer.joints[0].position - truth.positions[0]))
        turns.append(angle_deg(answer.T_camera_base[:3, :3].T @ turn
                               @ truth.T_camera_base[:3, :3]))
        states.append(state)
    errors, states = np.array(errors), np.array(states)
    drift = [errors[120:][states[120:] == s].mean() - errors[:60][states[:60] == s].mean()
             for s in set(states[:60]) & set(states[120:])]
    assert np.median(np.abs(drift)) < 0.7 and np.abs(drift).max() < 2.5, drift
    first = abs(math.degrees(estimate.joints[0].position - camera.state(START).positions[0]))
    assert np.median(np.abs(errors)) < max(3.0, 1.5 * first)
    assert np.median(turns[120:]) < np.median(turns[:60]) + 0.5


@pytest.mark.parametrize('state', [START - 4, START + 5])
def test_a_joint_that_moved_during_the_full_estimate_is_found(pipeline, camera, estimate, state):
    answer = Tracker(pipeline, estimate, 0.0).track(cloud_of(camera, state), 2.0)
    gap = answer.joints[0].position - estimate.joints[0].position
    truth = camera.state(state).positions[0] - camera.state(START).positions[0]
    assert abs(truth) > math.radians(30)
    assert gap == pytest.approx(truth, abs=math.radians(8))


@pytest.mark.parametrize(('axis', 'shift'), [
    (0, (0, 0, 0)), (1, (0, 0, 0)), (2, (0, 0, 0)),
    (None, (0.3, 0, 0)), (None, (0, -0.3, 0)), (None, (0, 0, 0.3))])
def test_jumps_are_tracked_or_lose_the_object(pipeline, camera, estimate, axis, shift):
    tracker = Tracker(pipeline, estimate, 0.0)
    before = tracker.track(cloud_of(camera, START), 0.1)
    turn = np.eye(3) if axis is None else rotation(axis, 90.0)
    try:
        after = tracker.track(moved(cloud_of(camera, START), turn, shift), 0.2)
    except TrackingLost:
        return
    assert axis is None
    jump = after.T_camera_base[:3, 3] - before.T_camera_base[:3, 3]
    assert np.linalg.norm(jump - shift) < 0.03


def test_another_object_in_its_place_loses_the_object(pipeline, camera, estimate):
    tracker = Tracker(pipeline, estimate, 0.0)
    cloud = cloud_of(camera, START)
    tracker.track(cloud, 0.1)
    ball = np.random.default_rng(0).normal(size=(3000, 3))
    ball *= 0.12 / np.linalg.norm(ball, axis=1, keepdims=True)
    ball = ball[ball @ cloud.mean(0) < 0] + cloud.mean(0)
    with pytest.raises(TrackingLost, match='no longer explained|moved by|jumped'):
        tracker.track(ball.astype(np.float32), 0.2)


@pytest.mark.parametrize(('cloud', 'seconds', 'message'), [
    (np.zeros((20, 3), np.float32), 0.2, '20 points'),
    (np.ones((500, 3), np.float32), 0.1, '0.00 s between')])
def test_frames_without_information_lose_the_object(pipeline, camera, estimate, cloud,
                                                        seconds, message):
    tracker = Tracker(pipeline, estimate, 0.0)
    tracker.track(cloud_of(camera, START), 0.1)
    with pytest.raises(TrackingLost, match=message):
        tracker.track(cloud, seconds)


def test_a_jump_of_the_camera_is_tracked_if_its_pose_is_known(pipeline, camera, estimate):
    cloud = cloud_of(camera, START)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation(1, 65.0), (0.2, 0.1, -0.1)
    elsewhere = (cloud @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
    known = Tracker(pipeline, estimate, 0.0, np.eye(4))
    before = known.track(cloud, 0.1, np.eye(4))
    after = known.track(elsewhere, 0.2, np.linalg.inv(T))
    assert angle_deg(after.T_camera_base[:3, :3].T @ T[:3, :3]
                     @ before.T_camera_base[:3, :3]) < 2.0
    unknown = Tracker(pipeline, estimate, 0.0)
    unknown.track(cloud, 0.1)
    with pytest.raises(TrackingLost):
        unknown.track(elsewhere, 0.2)


def test_view_changes_once_and_not_by_a_turn_about_the_line_of_sight(pipeline, camera, estimate):
    tracker = Tracker(pipeline, estimate, 0.0)
    assert not tracker.view_changed
    tracker.track(cloud_of(camera, START), 0.1)
    tracker.track(cloud_of(camera, START + 1), 0.2)
    assert not tracker.view_changed
    for i, state in enumerate(range(START + 2, START + 9)):
        tracker.track(cloud_of(camera, state), 0.3 + 0.1 * i)
    assert tracker.view_changed
    tracker.mark_view()
    assert not tracker.view_changed
    cloud = cloud_of(camera, START + 8)
    for i in range(1, 9):
        tracker.track(moved(cloud, rotation(2, 5.0 * i), about=np.zeros(3)), 1.0 + 0.1 * i)
    assert not tracker.view_changed  # a turn about the line of sight shows nothing else


def test_velocity_of_a_joint_at_constant_speed(pipeline, estimate):
    """The decoded object itself, its lid turning by 0.4 rad/s."""
    net, scale = pipeline.shape, pipeline.category.scale
    g = torch.Generator().manual_seed(0)
    field = net.decode(torch.from_numpy(estimate.latent).float()[None],
                       torch.tensor([[estimate.joints[0].position]]))
    surface, normals = residuals.surface_samples(net, field, 800, g)
    tracker = Tracker(pipeline, estimate, 0.0)
    for i in range(1, 21):
        state = replace(tracker._state, q=torch.tensor(
            [[estimate.joints[0].position - 0.04 * i]]),
            T_camera_base=torch.from_numpy(estimate.T_camera_base).float()[None].clone())
        state.T_camera_base[:, :3, 3] /= scale
        poses = residuals.part_poses(net, state)
        y = transform_points(poses, surface)
        facing = ((poses[..., :3, :3] @ normals.transpose(-1, -2)).transpose(-1, -2) * y).sum(-1)
        answer = tracker.track((y[facing < 0] * scale).numpy(), 0.1 * i)
    assert answer.joints[0].velocity == pytest.approx(-0.4, abs=0.08)
    assert answer.joints[0].position == pytest.approx(estimate.joints[0].position - 0.8, abs=0.05)
    assert 0 < answer.joints[0].std < 0.2 and (np.linalg.eigvalsh(answer.covariance) > 0).all()


def close_and_open(scene: int, back: int = 8, stride: int = 1, config=DEFAULT,
                   ) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the drawers (F) and of the base along them (F), m, while they close and open.

    Args:
        back: state to start from. stride: states from one frame to the next, at 15 frames a
            second.
    """
    pipeline, camera = pipeline_of('drawer'), camera_of('drawer', scene)
    tracker = Tracker(pipeline, estimate_of('drawer', scene, back), 0.0, config=config)
    joints, bases = [], []
    for i, state in enumerate([*range(back, -1, -stride), *range(0, back + 4, stride)]):
        answer = tracker.track(cloud_of(camera, state), (i + 1) / 15)
        truth = camera.state(state)
        joints.append(np.mean([j.position for j in answer.joints]) - truth.positions[0])
        bases.append((answer.T_camera_base - truth.T_camera_base)[:3, 3]
                     @ truth.T_camera_base[:3, 0])
    return np.array(joints), np.array(bases)


def test_opening_drawers_do_not_pull_the_cabinet_nearer():
    """At half a metre a second, from closed, where only fronts are visible."""
    joints, bases = close_and_open(5)
    assert np.abs(joints[-5:]).max() < 0.02 and np.abs(bases - bases[8]).max() < 0.05


def test_drawers_that_do_not_exist_do_not_pull_the_cabinet():
    """Without a prior of the motion, nothing but the observation holds the base."""
    loose = replace(DEFAULT, motion=MotionConfig(
        translation_std=100.0, rotation_std=100.0, joint_std=100.0))
    _, bases = close_and_open(5, config=loose)
    assert np.abs(bases - bases[8]).max() < 0.05


def test_a_still_cabinet_keeps_its_place_while_drawers_move():
    """Drawers hide the cabinet behind them: without the still model it moves with them."""
    _, still = close_and_open(3)
    always_moving = replace(DEFAULT, motion=MotionConfig(
        moving_score_ratio=math.inf, still_speed=0.0, still_turn_rate=0.0))
    _, moving = close_and_open(3, config=always_moving)
    assert np.ptp(still) < 0.01 and np.ptp(still) < 0.5 * np.ptp(moving)


@pytest.mark.parametrize('speed', [0.005, 0.02])
def test_an_object_that_starts_to_move_slowly_is_tracked(pipeline, camera, estimate, speed):
    tracker, cloud = Tracker(pipeline, estimate, 0.0), cloud_of(camera, START)
    errors = []
    for i in range(75):
        shift = np.array([speed * max(0, i - 15) / 30, 0.0, 0.0])
        T = tracker.track(moved(cloud, np.eye(3), shift), (i + 1) / 30).T_camera_base
        errors.append(T[:3, 3] - shift)
    lag = np.linalg.norm(np.array(errors) - np.mean(errors[5:15], axis=0), axis=1)
    assert lag[5:15].max() < 0.001 and lag[15:].max() < 0.008
    assert shift[0] > 0.009


def test_joints_that_gradients_lose_are_found_by_the_search():
    found = np.abs(close_and_open(4, stride=3)[0][-4:]).mean()
    no_search = replace(DEFAULT, joint_search=JointSearchConfig(min_growth=math.inf, every=1))
    behind = np.abs(close_and_open(4, stride=3, config=no_search)[0][-4:]).mean()
    assert found < 0.05 and found < 0.5 * behind


@pytest.mark.parametrize(('pause', 'max_gap', 'found'), [
    (1.1, 1.0, True), (0.9, 1.0, False), (1.1, 1.2, False)])
def test_joints_are_searched_after_a_long_pause(pipeline, camera, estimate, pause, max_gap, found):
    """The lid moves by 48 degrees while no frame comes."""
    config = replace(DEFAULT, joint_search=JointSearchConfig(
        max_gap=max_gap, min_growth=math.inf, always_growth=math.inf))
    tracker = Tracker(pipeline, estimate, 0.0, config=config)
    before = tracker.track(cloud_of(camera, START), 0.1).joints[0].position
    try:
        answer = tracker.track(cloud_of(camera, START + 6), 0.1 + pause)
    except TrackingLost:
        assert not found
        return
    expected = camera.state(START + 6).positions[0] - camera.state(START).positions[0]
    error = abs(answer.joints[0].position - before - expected)
    assert expected > math.radians(30) and found == (error < math.radians(5))


def counted_searches(monkeypatch):
    """Numbers of hypotheses of the joint searches of trackers made from now on."""
    calls = []

    class CountingFit(FrameFit):
        def search_joints(self, state, seen):
            calls.append(len(state.q))
            return super().search_joints(state, seen)

    monkeypatch.setattr(tracker_module, 'FrameFit', CountingFit)
    return calls


@pytest.mark.parametrize(('min_growth', 'always_growth', 'searches'), [
    (math.inf, math.inf, 1), (-1.0, math.inf, 3), (-1.0, -1.0, 7), (math.inf, -1.0, 7)])
def test_growth_of_the_score_starts_searches(pipeline, camera, estimate, monkeypatch, min_growth,
                                             always_growth, searches):
    """The first frame is searched; then every third with some growth, or every one with much."""
    calls = counted_searches(monkeypatch)
    config = replace(DEFAULT, joint_search=JointSearchConfig(
        min_growth=min_growth, every=3, always_growth=always_growth))
    tracker = Tracker(pipeline, estimate, 0.0, config=config)
    for i in range(7):
        tracker.track(cloud_of(camera, START), 0.1 * (i + 1))
    assert calls == [1] * searches


def test_a_search_takes_more_than_the_limits(pipeline, camera, estimate, monkeypatch):
    """The gap and the growth are the configured ones; the first frame alone is searched."""
    calls = counted_searches(monkeypatch)
    monkeypatch.setattr(tracker_module.TrackQuality, 'growth', lambda self, score: 0.25)
    config = replace(DEFAULT, joint_search=JointSearchConfig(
        max_gap=1.0, min_growth=0.25, every=1, always_growth=0.25))
    tracker = Tracker(pipeline, estimate, 0.0, config=config)
    for seconds in (1.0, 2.0, 3.0):
        tracker.track(cloud_of(camera, START), seconds)
    assert calls == [1]
    tracker.track(cloud_of(camera, START), 4.01)
    assert calls == [1, 1]


def test_uncertainty_of_the_pose_does_not_depend_on_the_motion_model(pipeline, camera, estimate):
    moving = replace(DEFAULT, motion=MotionConfig(
        moving_score_ratio=math.inf, still_speed=0.0, still_turn_rate=0.0))
    covariances, cloud = [], cloud_of(camera, START)
    for config in (DEFAULT, moving):
        tracker = Tracker(pipeline, estimate, 0.0, config=config)
        tracker.track(cloud, 0.1)
        answer = [tracker.track(cloud, 0.1 + 0.04 * i) for i in range(1, 6)][-1]
        covariances.append(np.diag(answer.covariance) / answer.residual ** 2)
    assert covariances[0] == pytest.approx(covariances[1], rel=0.15)


@pytest.mark.parametrize(('share', 'uncertain'), [(1.0, False), (0.1, True)])
def test_the_first_score_is_compared_with_the_residual_of_the_estimate(pipeline, camera, estimate,
                                                                       share, uncertain):
    cloud = cloud_of(camera, START)
    tracker = Tracker(pipeline, estimate, 0.0)
    tracker.track(cloud, 0.1)
    config = replace(DEFAULT, quality=QualityConfig(growth_offset=0.0, lost_growth=math.inf))
    residual = share * tracker.score * pipeline.category.scale
    tracker = Tracker(pipeline, replace(estimate, residual=residual), 0.0, config=config)
    tracker.track(cloud, 0.1)
    assert tracker.uncertain == uncertain


@pytest.mark.parametrize(('device', 'inference'), [('cpu', True), ('cuda', False)])
def test_frames_for_cuda_graphs_are_not_tracked_in_inference_mode(pipeline, estimate, monkeypatch,
                                                                  device, inference):
    """Tensors of inference mode are no inputs of CUDA graphs."""
    tracker, modes = Tracker(pipeline, estimate, 0.0), []
    monkeypatch.setattr(tracker, '_device', torch.device(device))
    monkeypatch.setattr(tracker, '_track', lambda *_: modes.append(
        (torch.is_inference_mode_enabled(), torch.is_grad_enabled())))
    tracker.track(np.zeros((0, 3)), 0.1)
    assert modes == [(inference, False)]


def test_a_hundred_points_are_enough_to_track(pipeline, camera, estimate):
    cloud = cloud_of(camera, START)
    cloud = cloud[::len(cloud) // 100][:100]
    tracker = Tracker(pipeline, estimate, 0.0)
    with pytest.raises(TrackingLost, match='99 '):
        tracker.track(cloud[:99], 0.1)
    assert len(tracker.track(cloud, 0.1).points) == 100
