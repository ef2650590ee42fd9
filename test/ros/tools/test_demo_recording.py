"""The demo's recording: joints by name, estimates rebuilt from messages, frames by stamp."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from estimates import laptop_estimate  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from kinediff3d_core.objects.category import get_category  # noqa: E402
from kinediff3d_core.simulation.camera import SimulatedScene  # noqa: E402
from kinediff3d_ros.messages import clouds, images, markers, poses  # noqa: E402
from kinediff3d_ros.messages.diagnostics import diagnostic_status  # noqa: E402
from kinediff3d_ros.tools.demo_options import INTRINSICS  # noqa: E402
from kinediff3d_ros.tools.demo_recording import DemoRecording, ordered_positions  # noqa: E402

POSITIONS = {1: 0.5, 2: 0.5, 3: 0.9, 4: 1.3}
"""Stamp in s to the true joint position; the object moves from 3 s on."""


class Log:
    """Messages that arrive half a second after their stamp."""

    def __init__(self, messages) -> None:
        self.messages = messages

    @property
    def entries(self):
        return [(m.header.stamp.sec + 0.5, m) for m in self.messages]


def header(second: int) -> Header:
    return Header(stamp=Time(sec=second), frame_id='camera')


def recorded_laptop() -> DemoRecording:
    """Truth at every stamp, estimates at 2 s to 4 s, meshes from 3 s on, no mask at 4 s."""
    logs: dict[str, list] = {name: [] for name in (
        '/camera/depth/image_rect', '/camera/mask', '/camera/truth/joint_states',
        '/camera/truth/pose', '/laptop/joint_states', '/tf', '/points_used', '/markers',
        '/diagnostics')}
    image = np.full((4, 6), 1500, np.uint16)
    for second, position in POSITIONS.items():
        estimate, head = laptop_estimate(position), header(second)
        logs['/camera/depth/image_rect'].append(images.image_from_pixels(image, '16UC1', head))
        if second < 4:
            logs['/camera/mask'].append(images.image_from_pixels(
                np.eye(4, 6, dtype=np.uint8), 'mono8', head))
        logs['/camera/truth/joint_states'].append(JointState(
            header=head, name=['lid_joint'], position=[position]))
        logs['/camera/truth/pose'].append(PoseStamped(
            header=head, pose=poses.pose_from_matrix(estimate.T_camera_base)))
        if second > 1:
            logs['/laptop/joint_states'].append(poses.joint_state(estimate, head, 'laptop'))
            logs['/tf'].append(TFMessage(transforms=poses.transforms(estimate, head, 'laptop')))
            logs['/points_used'].append(clouds.cloud_from_points(estimate.points, head))
        if second > 2:
            logs['/markers'].append(markers.markers(estimate, head.stamp, 'laptop', 6000, 1.0))
    recorder = SimpleNamespace(subscribe=lambda kind, topic, *_, **__: Log(logs[topic]))
    return DemoRecording(recorder, get_category('laptop'))


def test_samples_are_estimates_with_a_truth_from_the_first_motion() -> None:
    samples = recorded_laptop().samples()
    assert [s.stamp for s in samples] == [3.0, 4.0]
    for sample, position in zip(samples, (0.9, 1.3), strict=True):
        np.testing.assert_allclose(sample.positions, [position])
        np.testing.assert_array_equal(sample.positions, sample.true_positions)
        np.testing.assert_allclose(sample.T_camera_base, sample.true_T_camera_base, atol=1e-12)
        assert sample.latency == pytest.approx(0.5)


def test_truth_is_in_the_order_of_its_stamps() -> None:
    recording = recorded_laptop()
    recording.true_joints.messages.reverse()
    stamps, positions = recording.truth()
    np.testing.assert_allclose(stamps, [1, 2, 3, 4])
    np.testing.assert_allclose(positions[:, 0], list(POSITIONS.values()))


def test_a_complete_frame_has_images_truth_and_an_estimate_with_meshes() -> None:
    recording = recorded_laptop()
    assert recording.complete_frames() == [(3, 0)]
    np.testing.assert_allclose(recording.depth_at((3, 0)), 1.5)
    assert recording.mask_at((3, 0)).sum() == 4
    assert recording.true_positions_at((3, 0)) == [0.9]
    recording.markers.messages.clear()
    assert recording.complete_frames() == []


def test_the_estimate_is_rebuilt_from_messages() -> None:
    expected, rebuilt = laptop_estimate(0.9), recorded_laptop().estimate_at((3, 0))
    assert [p.name for p in rebuilt.parts] == ['base', 'lid']
    for part, known in zip(rebuilt.parts, expected.parts, strict=True):
        np.testing.assert_allclose(part.T_camera_part, known.T_camera_part, atol=1e-9)
        assert len(part.mesh.vertices) == len(known.mesh.vertices) == 8
        corners = part.mesh.vertices[part.mesh.faces]
        np.testing.assert_allclose(corners, known.mesh.vertices[known.mesh.faces], atol=1e-9)
    joint, known = rebuilt.joints[0], expected.joints[0]
    assert (joint.name, joint.parent, joint.child) == (known.name, 'base', 'lid')
    assert joint.position == pytest.approx(0.9)
    np.testing.assert_allclose(joint.axis, known.axis, atol=1e-9)
    np.testing.assert_allclose(joint.origin, known.origin, atol=1e-9)
    np.testing.assert_allclose(rebuilt.points, expected.points, atol=1e-6)


def test_the_status_is_the_newest_of_the_object() -> None:
    recording = recorded_laptop()
    assert recording.status() == {} and recording.processed_frames() == 0
    for count in (1, 2):
        values = {'estimates': count, 'no_estimates': 1}
        recording.diagnostics.messages.append(DiagnosticArray(status=[
            DiagnosticStatus(name='/arm: motors', hardware_id='arm'),
            diagnostic_status('/perception: laptop', 'laptop', 'estimate', 'seen', values)]))
    recording.diagnostics.messages.append(DiagnosticArray(status=[DiagnosticStatus()]))
    assert recording.status() == {'estimates': '2', 'no_estimates': '1', 'message': 'seen'}
    assert recording.processed_frames() == 3


def test_joints_of_a_cabinet_with_two_drawers() -> None:
    scenes = (SimulatedScene.sample('drawer', 0, i, INTRINSICS, 2) for i in range(20))
    scene = next(s for s in scenes if len(s.joints) == 2)
    assert scene.joints == (0, 1)
    assert len(scene.meshes(np.zeros(4), voxel=0.02)) == 3
    positions = ordered_positions(
        JointState(name=['drawer_2_joint', 'drawer_0_joint'], position=[0.25, 0.5]),
        [j.name for j in get_category('drawer').joints])
    np.testing.assert_equal(positions, [0.5, np.nan, 0.25, np.nan])
