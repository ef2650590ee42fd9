"""A laptop and a stapler that a detector marks with boxes, over real DDS and with real weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from instant_models import LIMIT

pytest.importorskip('rclpy', reason='needs ROS 2')

from running_perception import running_perception  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import (  # noqa: E402
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.simulation.tabletop import (
    TABLE,
    PlacedObject,
    Scene,
    SceneView,
    render_scene,
    sample_scene,
)
from kinediff3d_ros.messages import camera_info, images
from kinediff3d_ros.messages.poses import matrix_from_pose
from kinediff3d_ros.nodes import perception
from kinediff3d_ros.tools.recorder import Recorder, stamp_key

pytestmark = pytest.mark.ros

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
LATE = 12
"""Depth images from that of the boxes to their arrival: 0.8 s at 15 Hz."""
MOVED = 0.1
"""By how much the lid has opened meanwhile, rad."""
PERIOD = 0.2
"""Time between two images, s."""
STAPLER, LAPTOP = 0, 1
"""Indices of the objects of the scene."""
CLASSES = {STAPLER: ('staple gun', '3', 'stapler'), LAPTOP: ('63', '7', 'laptop')}
"""The detector's class and id of each, and our category."""


class Desk:
    """The node, a camera above a table, a detector, and what the node publishes."""

    def __init__(self, node: perception.PerceptionNode, recorder: Recorder) -> None:
        self.node, self.recorder = node, recorder
        create = recorder.node.create_publisher
        self.depth = create(Image, '/depth/image_rect', 10)
        self.info = create(CameraInfo, '/depth/camera_info', 10)
        self.boxes = create(Detection2DArray, '/detections_2d', 10)
        self.found = recorder.subscribe(Detection3DArray, '/detections', 100)

    def header(self) -> Header:
        header = Header(frame_id='camera')
        now = self.recorder.node.get_clock().now().nanoseconds
        header.stamp.sec, header.stamp.nanosec = divmod(now, 1_000_000_000)
        return header

    def show(self, view: SceneView, header: Header) -> None:
        self.info.publish(camera_info.info_from_intrinsics(CAMERA, header))
        self.depth.publish(images.image_from_pixels(view.depth, '32FC1', header))

    def show_and_wait(self, view: SceneView, header: Header) -> None:
        """Show a view, and wait until the node has it."""
        received = self.node._host.health.counts['frames_received']
        self.show(view, header)
        self.wait(lambda: self.node._host.health.counts['frames_received'] > received, 'depth')

    def show_until(self, view: SceneView, condition, what: str) -> Detection3DArray:
        """Show a view until an array about one of these images meets a condition."""
        stamps = set()
        for _ in range(int(2 * LIMIT / PERIOD)):
            header = self.header()
            stamps.add((header.stamp.sec, header.stamp.nanosec))
            self.show(view, header)
            try:
                return self.recorder.wait_for(lambda: next(
                    (a for a in self.found.messages
                     if stamp_key(a) in stamps and condition(a)), None), PERIOD, what)
            except TimeoutError:
                continue
        raise AssertionError(f'no {what} within {2 * LIMIT:g} s; last of '
                             f'{[ids(a) for a in self.found.messages][-5:]}')

    def wait(self, condition, what: str):
        return self.recorder.wait_for(condition, LIMIT, what)


def ids(array: Detection3DArray) -> set[str]:
    return {d.id for d in array.detections}


def boxes_of(view: SceneView, header: Header) -> Detection2DArray:
    """What a detector makes of a view: with a person, and without a category of ours."""
    array = Detection2DArray(header=header)
    found = {k: (class_id, track_id) for k, (class_id, track_id, _) in CLASSES.items()}
    for k, (class_id, track_id) in {**found, 2: ('person', '1')}.items():
        v, u = np.nonzero(view.ids == k + 1 if k in found else view.ids == 0)
        one = Detection2D(header=header, id=track_id)
        one.bbox.center.position.x = float(u.min() + u.max() + 1) / 2
        one.bbox.center.position.y = float(v.min() + v.max() + 1) / 2
        one.bbox.size_x, one.bbox.size_y = float(np.ptp(u) + 7), float(np.ptp(v) + 7)
        for name, score in (('book', 0.2), (class_id, 0.8)):
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, score
            one.results.append(hypothesis)
        array.detections.append(one)
    return array


def with_lid(scene: Scene, opened: float) -> Scene:
    objects = list(scene.objects)
    objects[LAPTOP] = replace(objects[LAPTOP], positions=objects[LAPTOP].positions + opened)
    return replace(scene, objects=tuple(objects))


def rendered(scene: Scene) -> SceneView:
    return render_scene(scene, CAMERA, np.random.default_rng(0), torch.Generator().manual_seed(0))


def true_box(one: PlacedObject, T_camera_base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (3,) of an object in the camera's frame, and size (3,) along the base's axes, m."""
    poses = one.instances.part_poses(one.positions, torch.eye(4)[None])[0].numpy()
    points = np.concatenate([
        transform_points(poses[k], one.instances.surface_points(
            k, 2000, torch.Generator().manual_seed(k))[0][0].numpy())
        for k in range(one.instances.num_parts)])
    lower, upper = points.min(0), points.max(0)
    return transform_points(T_camera_base, ((lower + upper) / 2)[None])[0], upper - lower


def check(detection: Detection3D, one: PlacedObject, scene: Scene, category: str) -> None:
    """Class, score, pose with covariance, and box of one object."""
    truth = (scene.T_camera_world @ one.T_world_base).double().numpy()
    result, = detection.results
    assert result.hypothesis.class_id == category and 0.3 < result.hypothesis.score <= 1.0
    T = matrix_from_pose(result.pose.pose)
    assert np.linalg.norm(T[:3, 3] - truth[:3, 3]) < 0.02
    cosine = (np.trace(T[:3, :3].T @ truth[:3, :3]) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 8
    assert 0 < result.pose.covariance[0] < 0.02 ** 2
    centre, size = true_box(one, truth)
    box = matrix_from_pose(detection.bbox.center)
    np.testing.assert_allclose(box[:3, :3], T[:3, :3], atol=1e-6)
    assert np.linalg.norm(box[:3, 3] - centre) < 0.02
    given = detection.bbox.size
    np.testing.assert_allclose([given.x, given.y, given.z], size, atol=0.03)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    values = {'instances': 'each', 'mask_mode': 'initialize', 'mask_source': 'detections',
              'detection_classes': '"63:laptop, staple gun:stapler"', 'threads': 1,
              'description_dir': str(tmp_path), 'lost_after': LIMIT}
    with running_perception(values) as (node, _, recorder):
        yield Desk(node, recorder)


def test_late_boxes_initialize_objects_that_are_published_as_detections(desk: Desk) -> None:
    scene = sample_scene(7, 5, replace(TABLE, categories=('laptop', 'stapler'), objects=(2, 2),
                                       clutter=(0, 0), spread=(0.2, 0.25)))
    scene = replace(scene, clutter=())
    before, moved = rendered(scene), rendered(with_lid(scene, MOVED))
    desk.wait(lambda: all(p.get_subscription_count() for p in (desk.depth, desk.info, desk.boxes)),
              'subscriptions')
    first = desk.header()
    desk.show_and_wait(before, first)
    for _ in range(LATE):
        desk.show_and_wait(moved, desk.header())
    desk.boxes.publish(boxes_of(before, first))
    names = {f'{category}_{track_id}': k for k, (_, track_id, category) in CLASSES.items()}
    # The first array of both has one of them as the late full estimate has found it.
    array = desk.show_until(moved, lambda a: ids(a) == set(names) and all(
        d.header == a.header for d in a.detections), 'array of both, tracked')
    assert array.header.frame_id == 'camera'
    objects = with_lid(scene, MOVED).objects
    for detection in array.detections:
        k = names[detection.id]
        check(detection, objects[k], scene, CLASSES[k][2])
    # Taken away: an array without it. A covered lens: one without any.
    alone = rendered(replace(scene, objects=scene.objects[:LAPTOP]))
    desk.show_until(alone, lambda a: ids(a) == {'stapler_3'}, 'array of one')
    desk.show_and_wait(replace(alone, depth=np.zeros_like(alone.depth)), desk.header())
    desk.wait(lambda: not desk.found.messages[-1].detections, 'empty array')
