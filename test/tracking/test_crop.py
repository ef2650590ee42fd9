"""Tracking without masks: which points of an image are on the object, and what comes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from tracking_scenes import CAMERA, START, camera_of, estimate_of, pipeline_of

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.observation.cloud import DepthView, object_cloud
from kinediff3d_core.simulation.arm import arm_depth, before_object
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame
from kinediff3d_core.simulation.tabletop import (
    TABLE,
    Scene,
    SceneView,
    render_scene,
    sample_scene,
)
from kinediff3d_core.tracking.config import DEFAULT
from kinediff3d_core.tracking.reinitialization import TrackingLost
from kinediff3d_core.tracking.sequence_tracker import SequenceTracker
from kinediff3d_core.tracking.tracker import Tracker

PERIOD = 0.1
"""Time between two frames, s."""
ON_OBJECT = 0.97
"""Share of the cloud's pixels that are on the object, or next to it."""


@pytest.fixture(scope='module')
def on_table() -> SimulatedCamera:
    """The laptop of the other tests of tracking, on a table."""
    return SimulatedCamera(camera_of('laptop', 1).scene, table=True)


def with_arm(frame: SimulatedFrame) -> SimulatedFrame:
    """An arm reaches over the middle of the object."""
    return before_object(frame, arm_depth(2.5, frame.T_camera_base[:3, 3], CAMERA))


def shares(tracker: Tracker, frame: SimulatedFrame) -> tuple[float, float]:
    """Of the pixels of the cloud, those on the object; of those on the object, those in it."""
    points = tracker.cloud.points
    u, v = (np.round(f * points[:, k] / points[:, 2] + c).astype(int) for k, f, c in (
        (0, CAMERA.fx, CAMERA.cx), (1, CAMERA.fy, CAMERA.cy)))
    found = np.zeros_like(frame.mask)
    found[v, u] = True
    measured = frame.mask & (frame.depth > 0)
    # Masks of the sensor model are up to two pixels too small.
    around = scipy.ndimage.binary_dilation(measured, iterations=3)
    return float(around[found].mean()), float(found[measured].mean())


@pytest.mark.parametrize('arm', [False, True])
def test_the_cloud_is_the_object_without_table_and_arm(pipeline, estimate, on_table, arm) -> None:
    tracker = Tracker(pipeline, estimate, 0.0)
    frame = on_table.state(START)
    frame = with_arm(frame) if arm else frame
    tracker.track(DepthView(frame.depth, CAMERA), PERIOD)
    on_object, complete = shares(tracker, frame)
    assert on_object > ON_OBJECT and complete > 0.8
    before = tracker.cloud.others[:, 2] < 0.8 * frame.T_camera_base[2, 3]
    assert before.any() == arm


def test_without_planes_the_table_beside_the_object_counts_as_its_own(
        pipeline, estimate, on_table) -> None:
    config = replace(DEFAULT, crop=replace(DEFAULT.crop, planes=0))
    tracker = Tracker(pipeline, estimate, 0.0, config=config)
    frame = on_table.state(START)
    tracker.track(DepthView(frame.depth, CAMERA), PERIOD)
    assert shares(tracker, frame)[0] < ON_OBJECT


def test_a_moving_lid_is_tracked_as_well_as_with_masks(pipeline, estimate, on_table) -> None:
    """The same frames with masks and without, an arm before the object in half of them."""
    errors: dict[bool, list[float]] = {True: [], False: []}
    for masked, found in errors.items():
        tracker = Tracker(pipeline, estimate, 0.0)
        for i, state in enumerate((5, 6, 7, 8, 9, 10, 9, 8)):
            frame = on_table.state(state)
            frame = with_arm(frame) if i % 4 > 1 else frame
            view = object_cloud(frame.depth, CAMERA, frame.mask) if masked \
                else DepthView(frame.depth, CAMERA)
            position = tracker.track(view, (i + 1) * PERIOD).joints[0].position
            found.append(float(np.degrees(abs(position - frame.positions[0]))))
    assert np.mean(errors[False]) < np.mean(errors[True]) + 1.0
    assert max(errors[False]) < max(errors[True]) + 3.0


def test_an_object_that_is_gone_is_lost(pipeline, estimate, on_table) -> None:
    tracker = Tracker(pipeline, estimate, 0.0)
    frame = on_table.state(START)
    tracker.track(DepthView(frame.depth, CAMERA), PERIOD)
    empty = np.where(frame.mask, np.float32(0), frame.depth)
    with pytest.raises(TrackingLost):
        tracker.track(DepthView(empty, CAMERA), 2 * PERIOD)


@pytest.mark.parametrize(('before', 'after'), [(5, 11), (9, 2), (12, 6)])
def test_a_lid_that_jumps_is_found_where_nothing_is_measured_behind_it(
        pipeline, camera, before, after) -> None:
    """No point near the prediction shows where it is, and nothing contradicts the prediction."""
    tracker = Tracker(pipeline, estimate_of('laptop', 1, before), 0.0)
    errors = []
    for i, state in enumerate([before] * 3 + [after] * 5):
        frame = camera.state(state)
        found = tracker.track(DepthView(frame.depth, CAMERA), 0.3 * (i + 1)).joints[0].position
        errors.append(float(np.degrees(abs(found - frame.positions[0]))))
    assert max(errors) < 6.0


def test_a_flat_object_that_is_taken_from_its_table_is_lost_at_once() -> None:
    """Half of its points are found again: those of the table where its plate was."""
    camera = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
    scene = sample_scene(0, 5, replace(TABLE, categories=('stapler',), objects=(1, 1),
                                       clutter=(0, 0)))

    def view(shown: Scene, seed: int) -> SceneView:
        return render_scene(shown, camera, np.random.default_rng(seed),
                            torch.Generator().manual_seed(seed))

    first = view(scene, 0)
    estimate = pipeline_of('stapler').infer(depth=first.depth, intrinsics=camera,
                                            mask=first.ids == 1, mesh=False)
    tracker = Tracker(pipeline_of('stapler'), estimate, 0.0)
    for i in (1, 2, 3):
        tracker.track(DepthView(view(scene, i).depth, camera), i * PERIOD)
    with pytest.raises(TrackingLost, match='something else is seen'):
        tracker.track(DepthView(view(replace(scene, objects=()), 5).depth, camera), 4 * PERIOD)


def test_a_sequence_needs_one_mask_or_none(pipeline, on_table) -> None:
    frame = on_table.state(START)
    view = DepthView(frame.depth, CAMERA)
    for first in (object_cloud(frame.depth, CAMERA, frame.mask), view):
        sequence = SequenceTracker(pipeline, mesh=False)
        assert sequence.update(first, 0.0).kind == 'full'
        found = sequence.update(view, PERIOD)
        assert found.kind == 'tracked'
        assert abs(found.estimate.joints[0].position - frame.positions[0]) < np.radians(5)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match='depth image is'):
        DepthView(np.zeros((10, 10), np.float32), CAMERA)
