"""What the perception node makes of its inputs: real messages, models that answer at once.

``points_used`` shows which points of which frame an estimate is from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from compressed_depth import compress
from instant_models import LIMIT, InstantModels
from scipy.spatial.transform import Rotation

pytest.importorskip('rclpy', reason='needs ROS 2')

import rclpy  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from running_perception import running_perception  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from vision_msgs.msg import (  # noqa: E402
    Detection2D,
    Detection2DArray,
    ObjectHypothesisWithPose,
)

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene
from kinediff3d_ros.messages import camera_info, clouds, images, poses
from kinediff3d_ros.nodes import endpoints, perception
from kinediff3d_ros.tools.recorder import Recorder, stamp_key

pytestmark = pytest.mark.ros

DEPTH_CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)
COLOUR_CAMERA = Intrinsics(310.0, 308.0, 165.0, 116.0, 320, 240)
T_COLOUR_DEPTH = np.eye(4)
T_COLOUR_DEPTH[:3, :3] = Rotation.from_euler('xyz', (1, -3, 2), degrees=True).as_matrix()
T_COLOUR_DEPTH[:3, 3] = 0.05, 0.01, 0.02
DEPTH_FRAME, COLOUR_FRAME = 'depth_optical', 'colour_optical'

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


class Bench:
    """The node, publishers of its inputs and subscriptions to its outputs."""

    def __init__(self, node: perception.PerceptionNode, recorder: Recorder) -> None:
        self.node, self.recorder = node, recorder
        create = recorder.node.create_publisher
        # A driver with best effort, and others that are reliable.
        self.depth = create(Image, '/depth/image_rect', BEST_EFFORT)
        self.compressed = create(CompressedImage, '/depth/image_rect/compressedDepth', 5)
        self.info = create(CameraInfo, '/depth/camera_info', 10)
        self.mask = create(Image, '/mask', 5)
        self.mask_info = create(CameraInfo, '/mask/camera_info', 10)
        self.static = create(TFMessage, '/tf_static', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self._client = recorder.node.create_client(ChangeState, '/perception/change_state')
        assert self._client.wait_for_service(LIMIT)
        self.used = recorder.subscribe(PointCloud2, '/points_used', 50)
        self.diagnostics = recorder.subscribe(DiagnosticArray, '/diagnostics', 100)

    def wait(self, condition, what: str):
        return self.recorder.wait_for(condition, LIMIT, what)

    def start(self, *publishers, **values: object) -> None:
        """Configure with these parameters, activate, and wait until publishers are matched."""
        for name, value in values.items():
            assert self.node.set_parameters([Parameter(name, value=value)])[0].successful, name
        self.diagnostics.entries.clear()
        self.used.entries.clear()
        self._change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
        self.wait(lambda: all(p.get_subscription_count() for p in publishers), 'subscriptions')
        self.wait(self.node._host._publishers[-1].get_subscription_count, 'diagnostics')

    def stop(self) -> None:
        self._change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)

    def _change(self, *transitions: int) -> None:
        for number in transitions:
            future = self._client.call_async(ChangeState.Request(
                transition=Transition(id=number)))
            self.wait(future.done, 'transition')
            assert future.result().success

    def header(self, frame_id: str) -> Header:
        header = Header(frame_id=frame_id)
        now = self.recorder.node.get_clock().now().nanoseconds
        header.stamp.sec, header.stamp.nanosec = divmod(now, 1_000_000_000)
        return header

    def show(self, view: SimulatedFrame, mask: np.ndarray | None = None,
             frames: tuple[str, str, str] = (DEPTH_FRAME,) * 3) -> tuple[int, int]:
        """Publish a depth image, its calibration and a mask; the stamp.

        Args:
            frames: of the depth image, the camera_info and the mask.
        """
        header = self.header(frames[0])
        in_frame = [Header(stamp=header.stamp, frame_id=f) for f in frames]
        mask = view.mask if mask is None else mask
        self.info.publish(camera_info.info_from_intrinsics(DEPTH_CAMERA, in_frame[1]))
        self.mask.publish(images.image_from_pixels(mask.astype(np.uint8), 'mono8', in_frame[2]))
        self.depth.publish(images.image_from_pixels(millimetres(view), '16UC1', header))
        return header.stamp.sec, header.stamp.nanosec

    def cloud(self, stamp: tuple[int, int]) -> PointCloud2:
        return self.wait(lambda: next((m for m in self.used.messages if stamp_key(m) == stamp),
                                      None), 'points used')

    def status(self, state: str, text: str) -> str:
        """The first message of the diagnostics with a state and a text."""
        return self.wait(lambda: next(
            (s.message for m in self.diagnostics.messages for s in m.status
             if text in s.message and {v.key: v.value for v in s.values}['state'] == state),
            None), f'{state} with {text!r}')


def millimetres(view: SimulatedFrame) -> np.ndarray:
    return np.round(view.depth * 1000).astype(np.uint16)


def measured(view: SimulatedFrame, camera: Intrinsics = DEPTH_CAMERA) -> np.ndarray:
    """Points (N, 3) on the object, after rounding to millimetres."""
    return backproject(millimetres(view) / np.float32(1000), camera, view.mask)


@pytest.fixture(scope='module')
def views() -> tuple[SimulatedFrame, SimulatedFrame]:
    """A laptop on a table as the depth camera and as the colour camera see it."""
    scene = SimulatedScene.sample('laptop', 0, 1, DEPTH_CAMERA, states=1)
    other = replace(scene, intrinsics=COLOUR_CAMERA, T_camera_base=torch.from_numpy(
        T_COLOUR_DEPTH).float() @ scene.T_camera_base)
    return tuple(SimulatedCamera(s, table=True, noise=False).state(0) for s in (scene, other))


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    patch = pytest.MonkeyPatch()
    patch.setattr(perception, 'Models', lambda categories, *_: InstantModels(categories))
    patch.setattr(endpoints, 'CHECK_PERIOD', 0.1)
    folder = tmp_path_factory.mktemp('inputs')
    values = {'autostart': 'false', 'description_dir': folder}
    with running_perception(values) as (node, _, recorder):
        yield Bench(node, recorder)
    patch.undo()


@pytest.fixture
def bench(graph: Bench) -> Iterator[Bench]:
    graph.node.set_parameters([Parameter(k, value=v) for k, v in (
        ('depth_transport', 'raw'), ('register_depth', False), ('mask_mode', 'auto'),
        ('mask_queue', 30), ('mask_source', 'image'), ('tracking', True),
        ('detection_classes', '63:laptop'))])
    yield graph
    graph.stop()


def test_a_best_effort_driver_and_reliable_masks(bench: Bench, views: tuple) -> None:
    bench.start(bench.depth, bench.info, bench.mask)
    cloud = bench.cloud(bench.show(views[0]))
    np.testing.assert_allclose(clouds.points_from_cloud(cloud), measured(views[0]), atol=1e-6)
    assert cloud.header.frame_id == DEPTH_FRAME


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_compressed_depth(bench: Bench, views: tuple, encoding: str) -> None:
    """A damaged image is reported by one line, and the next one is used."""
    bench.start(bench.compressed, bench.info, bench.mask, depth_transport='compressedDepth')
    assert bench.node._inputs.topic == '/depth/image_rect/compressedDepth'
    pixels = millimetres(views[0]) if encoding == '16UC1' else views[0].depth
    image_format, data = compress(pixels)

    def show(data: bytes, text: str = image_format) -> tuple[int, int]:
        header = bench.header(DEPTH_FRAME)
        bench.info.publish(camera_info.info_from_intrinsics(DEPTH_CAMERA, header))
        bench.mask.publish(images.image_from_pixels(
            views[0].mask.astype(np.uint8), 'mono8', header))
        bench.compressed.publish(CompressedImage(header=header, format=text, data=data))
        return header.stamp.sec, header.stamp.nanosec

    def check() -> None:
        points = clouds.points_from_cloud(bench.cloud(show(data)))
        # Inverse depth has steps of z^2 / 10,100.
        np.testing.assert_allclose(points, measured(views[0]),
                                   atol=1e-6 if encoding == '16UC1' else 2e-3)

    check()
    show(data[:200])
    assert bench.status('bad_input', 'not readable').count('\n') == 0
    show(data, f'{encoding}; compressedDepth rvl')
    bench.status('bad_input', "format '" + encoding + "; compressedDepth rvl'")
    check()


@pytest.mark.parametrize(('frames', 'text'), [
    ((DEPTH_FRAME, DEPTH_FRAME, COLOUR_FRAME),
     f"mask is in frame '{COLOUR_FRAME}' but the depth image is in '{DEPTH_FRAME}'; register"),
    ((DEPTH_FRAME, COLOUR_FRAME, DEPTH_FRAME),
     f"camera_info is in frame '{COLOUR_FRAME}' but the depth image is in '{DEPTH_FRAME}'; remap"),
], ids=['mask', 'camera_info'])
def test_another_frame_is_refused_by_name(bench: Bench, views: tuple, frames: tuple,
                                          text: str) -> None:
    bench.start(bench.depth, bench.info, bench.mask)
    stamp = bench.show(views[0], frames=frames)
    message = bench.status('bad_input', text)
    if frames[2] == COLOUR_FRAME:
        assert 'depth_image_proc' in message and 'register_depth' in message
    bench.cloud(bench.show(views[0]))
    assert stamp not in {stamp_key(m) for m in bench.used.messages}


def test_messages_without_a_frame_are_taken_to_be_in_the_frame_of_the_image(
        bench: Bench, views: tuple) -> None:
    bench.start(bench.depth, bench.info, bench.mask)
    assert bench.cloud(bench.show(views[0], frames=(DEPTH_FRAME, '', ''))
                       ).header.frame_id == DEPTH_FRAME
    assert bench.cloud(bench.show(views[0], frames=('', DEPTH_FRAME, ''))
                       ).header.frame_id == DEPTH_FRAME
    bench.show(views[0], frames=('', DEPTH_FRAME, COLOUR_FRAME))
    bench.status('bad_input', 'mask is in frame')


def test_an_image_gets_the_calibration_of_its_own_stamp(bench: Bench, views: tuple) -> None:
    """The calibration changes between two images; that of the second arrives before the first."""
    bench.start(bench.depth, bench.info, bench.mask)
    zoomed = replace(DEPTH_CAMERA, fx=300.0, fy=300.0)
    headers = [bench.header(DEPTH_FRAME), None]
    time.sleep(0.05)
    headers[1] = bench.header(DEPTH_FRAME)
    for header, camera in zip(headers, (DEPTH_CAMERA, zoomed), strict=True):
        bench.info.publish(camera_info.info_from_intrinsics(camera, header))
    bench.wait(lambda: len(bench.node._inputs._frames._depths._calibrations) == 2, 'both')
    for header, camera in zip(headers, (DEPTH_CAMERA, zoomed), strict=True):
        bench.mask.publish(images.image_from_pixels(
            views[0].mask.astype(np.uint8), 'mono8', header))
        bench.depth.publish(images.image_from_pixels(millimetres(views[0]), '16UC1', header))
        points = clouds.points_from_cloud(bench.cloud(
            (header.stamp.sec, header.stamp.nanosec)))
        np.testing.assert_allclose(points, measured(views[0], camera), atol=1e-6)


# --- masks that are late ------------------------------------------------------------------------

LATE = 12
"""Depth images from that of a mask to its arrival: 0.8 s at 15 Hz."""


def show_without_mask(bench: Bench, view: SimulatedFrame) -> Header:
    """Publish a depth image and its calibration, and wait until the node has them; the header."""
    received = bench.node._host.health.counts['frames_received']
    header = bench.header(DEPTH_FRAME)
    bench.info.publish(camera_info.info_from_intrinsics(DEPTH_CAMERA, header))
    bench.depth.publish(images.image_from_pixels(millimetres(view), '16UC1', header))
    bench.wait(lambda: bench.node._host.health.counts['frames_received'] > received, 'depth')
    return header


def show_mask(bench: Bench, view: SimulatedFrame, header: Header) -> tuple[int, int]:
    """Publish the mask of an image; the stamp."""
    bench.mask.publish(images.image_from_pixels(view.mask.astype(np.uint8), 'mono8', header))
    return header.stamp.sec, header.stamp.nanosec


def test_a_segmenter_that_answers_once_and_late(bench: Bench, views: tuple) -> None:
    bench.start(bench.depth, bench.info, bench.mask, mask_mode='initialize')
    headers = [show_without_mask(bench, views[0]) for _ in range(LATE + 1)]
    bench.status('waiting', 'waits for a mask')
    used = clouds.points_from_cloud(bench.cloud(show_mask(bench, views[0], headers[0])))
    np.testing.assert_allclose(used, measured(views[0]), atol=1e-6)
    for _ in range(3):
        header = show_without_mask(bench, views[0])
        bench.cloud((header.stamp.sec, header.stamp.nanosec))
    counts = bench.node._host.health.counts
    assert (counts['full_estimates'], counts['frames_unpaired'], counts['clock_resets']) == (
        1, 0, 0)


def test_every_mask_is_used_though_it_is_late(bench: Bench, views: tuple) -> None:
    bench.start(bench.depth, bench.info, bench.mask, mask_mode='required')
    headers = [show_without_mask(bench, views[0]) for _ in range(LATE)]
    for _ in range(3):
        headers.append(show_without_mask(bench, views[0]))
        bench.cloud(show_mask(bench, views[0], headers.pop(0)))


def test_the_queue_bounds_how_late_a_mask_may_be(bench: Bench, views: tuple) -> None:
    bench.start(bench.depth, bench.info, bench.mask, mask_mode='initialize', mask_queue=3)
    headers = [show_without_mask(bench, views[0]) for _ in range(4)]
    show_mask(bench, views[0], headers[0])
    found = show_mask(bench, views[0], headers[1])
    bench.cloud(found)
    assert {stamp_key(m) for m in bench.used.messages} == {found}


@pytest.mark.parametrize('values', [{'register_depth': True}, {'input': 'points'}])
def test_initialization_by_masks_needs_their_own_pixels(graph: Bench, values: dict) -> None:
    before = {k: graph.node.get_parameter(k).value for k in (*values, 'mask_mode')}
    graph.node.set_parameters([Parameter(k, value=v) for k, v in (
        *values.items(), ('mask_mode', 'initialize'))])
    with pytest.raises(AssertionError):
        graph.start()
    assert "parameter 'mask_mode'" in graph.node._fault
    graph.node.set_parameters([Parameter(k, value=v) for k, v in before.items()])


# --- registration to the mask's camera -----------------------------------------------------------

def show_unregistered(bench: Bench, views: tuple, mask: np.ndarray | None = None,
                      info: Intrinsics | None = COLOUR_CAMERA) -> tuple[int, int]:
    """A depth image, and the mask of the colour image; its calibration unless that is None."""
    if info is not None:
        bench.mask_info.publish(camera_info.info_from_intrinsics(
            info, bench.header(COLOUR_FRAME)))
        time.sleep(0.05)  # it has a topic and a stamp of its own
    return bench.show(views[0], views[1].mask if mask is None else mask,
                      (DEPTH_FRAME, DEPTH_FRAME, COLOUR_FRAME))


def test_depth_is_registered_to_the_camera_of_the_mask(bench: Bench, views: tuple) -> None:
    """What is missing is said: first the calibration, then TF. Then estimates are made."""
    bench.start(bench.depth, bench.info, bench.mask, bench.mask_info, register_depth=True)

    def uncalibrated() -> bool:
        show_unregistered(bench, views, info=None)
        return any('no camera_info of the mask on /mask/camera_info' in s.message
                   for m in bench.diagnostics.messages for s in m.status)

    bench.wait(uncalibrated, 'report')
    show_unregistered(bench, views)
    assert COLOUR_FRAME in bench.status('no_estimate', f'the pose of {DEPTH_FRAME}')
    bench.static.publish(TFMessage(transforms=[poses.transform_from_matrix(
        T_COLOUR_DEPTH, Header(frame_id=COLOUR_FRAME), DEPTH_FRAME)]))
    bench.wait(lambda: bench.node._host.transforms._buffer.can_transform(
        COLOUR_FRAME, DEPTH_FRAME, rclpy.time.Time()), 'TF')
    check_registered(bench.cloud(show_unregistered(bench, views)), views)
    # A mask of another size than its calibration says.
    show_unregistered(bench, views, views[0].mask)
    bench.status('bad_input', 'mask is (160, 120) but its camera_info is for (320, 240)')
    bench.cloud(show_unregistered(bench, views))


def check_registered(cloud: PointCloud2, views: tuple) -> None:
    """The points are on the object as the colour camera sees it."""
    assert cloud.header.frame_id == COLOUR_FRAME
    points = clouds.points_from_cloud(cloud)
    u, v = (np.round(points[:, k] / points[:, 2] * f + c).astype(int) for k, f, c in (
        (0, COLOUR_CAMERA.fx, COLOUR_CAMERA.cx), (1, COLOUR_CAMERA.fy, COLOUR_CAMERA.cy)))
    seen = np.zeros_like(views[1].mask)
    seen[v, u] = True
    assert views[1].mask[seen].all() and seen.sum() > 0.85 * views[1].mask.sum()
    error = np.abs(points[:, 2] - views[1].depth[v, u])
    assert np.median(error) < 0.002 and np.percentile(error, 90) < 0.01


def test_a_mask_of_another_size_is_refused(bench: Bench, views: tuple) -> None:
    bench.start(bench.depth, bench.info, bench.mask)
    bench.show(views[0], views[1].mask)
    bench.status('bad_input', 'mask is (320, 240) but the depth image is (160, 120)')
    bench.cloud(bench.show(views[0]))


@pytest.mark.parametrize('values', [{'mask_mode': 'ignored'}, {'input': 'points'}])
def test_registration_needs_depth_and_a_mask(graph: Bench, values: dict) -> None:
    before = {k: graph.node.get_parameter(k).value for k in values}
    graph.node.set_parameters([Parameter(k, value=v) for k, v in (
        *values.items(), ('register_depth', True))])
    with pytest.raises(AssertionError):
        graph.start()
    assert "parameter 'register_depth'" in graph.node._fault
    graph.node.set_parameters([Parameter(k, value=v) for k, v in (
        *before.items(), ('register_depth', False))])


# --- boxes of a detector in place of masks -------------------------------------------------------

def box_around(view: SimulatedFrame, class_id: str = '63', grow: int = 3,
               header: Header | None = None) -> Detection2D:
    """What a detector makes of a view."""
    v, u = np.nonzero(view.mask)
    box = Detection2D(header=header or Header())
    box.bbox.center.position.x = float(u.min() + u.max() + 1) / 2
    box.bbox.center.position.y = float(v.min() + v.max() + 1) / 2
    box.bbox.size_x, box.bbox.size_y = (float(np.ptp(x) + 1 + 2 * grow) for x in (u, v))
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = class_id, 0.9
    box.results.append(hypothesis)
    return box


def broken(view: SimulatedFrame, **values: float) -> Detection2D:
    box = box_around(view)
    for name, value in values.items():
        setattr(box.bbox.center.position if name == 'x' else box.bbox, name, value)
    return box


def on_object(cloud: PointCloud2, view: SimulatedFrame, camera: Intrinsics) -> tuple[float, float]:
    """Share of the points that is on the object, and points as a share of its pixels."""
    points = clouds.points_from_cloud(cloud)
    u, v = (np.round(points[:, k] / points[:, 2] * f + c).astype(int) for k, f, c in (
        (0, camera.fx, camera.cx), (1, camera.fy, camera.cy)))
    seen = np.zeros_like(view.mask)
    seen[v, u] = True
    return float(view.mask[v, u].mean()), float((seen & view.mask).sum() / view.mask.sum())


@pytest.fixture
def detector(bench: Bench) -> Iterator:
    publisher = bench.recorder.node.create_publisher(Detection2DArray, '/detections_2d', 5)
    yield publisher
    bench.recorder.node.destroy_publisher(publisher)


def test_boxes_that_cannot_be_used_end_nothing(bench: Bench, views: tuple, detector) -> None:
    bench.start(bench.depth, bench.info, detector, mask_source='detections', mask_mode='required',
                tracking=False)
    lines: list[str] = []
    bench.node._host.log = lambda state, line: lines.append(line)
    bench.node._host.detected._log = lines.append

    def show(*boxes: Detection2D, ahead: int = 0) -> tuple[int, int]:
        header = show_without_mask(bench, views[0])
        stamp = Header(frame_id=DEPTH_FRAME, stamp=header.stamp)
        stamp.stamp.sec += ahead
        detector.publish(Detection2DArray(header=stamp, detections=boxes))
        return header.stamp.sec, header.stamp.nanosec

    nothing = [(), (broken(views[0], size_x=float('nan')),), (broken(views[0], x=float('inf')),),
               (broken(views[0], size_y=-4.0),), (broken(views[0], x=-500.0),),
               (box_around(views[0], 'person'),)]
    unused = set()
    for boxes in nothing:
        bench.diagnostics.entries.clear()
        unused.add(show(*boxes))
        bench.status('no_estimate', 'no detection of the object has a pixel of the image')
    unused.add(show(box_around(views[0]), ahead=5))
    # Partly outside of the image: what is inside counts.
    used = show(box_around(views[0], 'person'), broken(views[0], size_x=1e9))
    assert bench.cloud(used).width > 1000
    exact, covered = on_object(bench.cloud(show(box_around(views[0]))), views[0], DEPTH_CAMERA)
    assert exact > 0.95 and covered > 0.9
    assert not unused & {stamp_key(m) for m in bench.used.messages}
    assert sum('finite centre' in line for line in lines) == 3
    assert sum('boxes of the classes person are ignored' in line for line in lines) == 1
    assert sum('/detections_2d are more than max_future = 0.5 s ahead' in x for x in lines) == 1


def test_one_late_box_a_message(bench: Bench, views: tuple) -> None:
    publisher = bench.recorder.node.create_publisher(Detection2D, '/detections_2d', 5)
    bench.start(bench.depth, bench.info, publisher, mask_source='detection',
                mask_mode='initialize')
    headers = [show_without_mask(bench, views[0]) for _ in range(LATE + 1)]
    publisher.publish(box_around(views[0], 'laptop', header=headers[0]))
    cloud = bench.cloud((headers[0].stamp.sec, headers[0].stamp.nanosec))
    assert min(on_object(cloud, views[0], DEPTH_CAMERA)) > 0.9
    header = show_without_mask(bench, views[0])
    bench.cloud((header.stamp.sec, header.stamp.nanosec))
    bench.recorder.node.destroy_publisher(publisher)


def test_depth_is_registered_to_the_camera_of_the_boxes(bench: Bench, views: tuple, detector,
                                                        ) -> None:
    bench.start(bench.depth, bench.info, bench.mask_info, detector, register_depth=True,
                mask_source='detections')
    bench.static.publish(TFMessage(transforms=[poses.transform_from_matrix(
        T_COLOUR_DEPTH, Header(frame_id=COLOUR_FRAME), DEPTH_FRAME)]))
    bench.wait(lambda: bench.node._host.transforms._buffer.can_transform(
        COLOUR_FRAME, DEPTH_FRAME, rclpy.time.Time()), 'TF')
    bench.mask_info.publish(camera_info.info_from_intrinsics(
        COLOUR_CAMERA, bench.header(COLOUR_FRAME)))
    bench.wait(lambda: bench.node._inputs._frames.mask_calibrated, 'camera_info of the boxes')
    header = show_without_mask(bench, views[0])
    stamp = header.stamp
    detector.publish(Detection2DArray(header=Header(frame_id=COLOUR_FRAME, stamp=stamp),
                                      detections=[box_around(views[1])]))
    cloud = bench.cloud((stamp.sec, stamp.nanosec))
    assert cloud.header.frame_id == COLOUR_FRAME
    exact, covered = on_object(cloud, views[1], COLOUR_CAMERA)
    assert exact > 0.95 and covered > 0.8
