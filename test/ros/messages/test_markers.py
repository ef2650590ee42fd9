"""Markers of meshes and axes, and their deletion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from estimates import box, boxes_estimate

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from visualization_msgs.msg import Marker  # noqa: E402

from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_ros.messages import markers

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


def test_markers_carry_meshes_in_part_frames_and_the_axis() -> None:
    value = boxes_estimate()
    array = markers.markers(value, HEADER.stamp, 'laptop', 100_000, 12.5)
    base, lid, axis = array.markers
    assert [(m.ns, m.id, m.header.frame_id) for m in array.markers] == [
        ('laptop', 0, 'laptop_base'), ('laptop', 1, 'laptop_lid'),
        ('laptop/axis', 0, 'laptop_base')]
    assert all(m.header.stamp == HEADER.stamp and m.pose.orientation.w == 1.0
               for m in array.markers)
    assert all((m.lifetime.sec, m.lifetime.nanosec) == (12, 500_000_000) for m in array.markers)
    assert base.type == lid.type == Marker.TRIANGLE_LIST and axis.type == Marker.ARROW
    corners = np.array([[p.x, p.y, p.z] for p in lid.points]).reshape(-1, 3, 3)
    mesh = value.parts[1].mesh
    np.testing.assert_allclose(corners, mesh.vertices[mesh.faces], atol=1e-9)
    ends = np.array([[p.x, p.y, p.z] for p in axis.points])
    np.testing.assert_allclose(ends.mean(axis=0), value.joints[0].origin, atol=1e-9)
    along = ends[1] - ends[0]
    np.testing.assert_allclose(along / np.linalg.norm(along), value.joints[0].axis, atol=1e-9)


def test_the_id_of_a_marker_is_the_index_in_the_category() -> None:
    """Also of an estimate that lacks parts before it: viewers and the demo know parts by it."""
    value = boxes_estimate()
    base, door = value.parts
    value = dataclasses.replace(
        value, category='cabinet', parts=(base, dataclasses.replace(door, name='door_right')),
        joints=(dataclasses.replace(value.joints[0], name='door_right_joint',
                                    child='door_right'),))
    shown = markers.markers(value, HEADER.stamp, 'a', 1000, 1.0).markers
    assert [(m.ns, m.id) for m in shown] == [('a', 0), ('a', 2), ('a/axis', 1)]


def test_deleting_markers_names_each_of_them() -> None:
    array = markers.markers(boxes_estimate(), HEADER.stamp, 'laptop', 1000, 1.0)
    keys = markers.marker_keys(array)
    deleted = markers.deleted_markers(keys, HEADER.stamp).markers
    assert {(m.ns, m.id) for m in deleted} == {(m.ns, m.id) for m in array.markers}
    assert all(m.action == Marker.DELETE for m in deleted)


def test_estimate_without_meshes_still_has_an_axis() -> None:
    value = boxes_estimate()
    bare = dataclasses.replace(value, parts=tuple(
        dataclasses.replace(p, mesh=None) for p in value.parts))
    assert [m.type for m in markers.markers(bare, HEADER.stamp, 'a', 100, 1.0).markers] == [
        Marker.ARROW]


def test_a_joint_that_is_not_present_has_no_marker() -> None:
    def shown(probability: float) -> list[tuple[str, int]]:
        array = markers.markers(boxes_estimate(probability), HEADER.stamp, 'a', 1000, 1.0)
        return [(m.ns, m.id) for m in array.markers]

    assert shown(0.49) == [('a', 0)]
    assert shown(0.5) == [('a', 0), ('a', 1), ('a/axis', 0)]


def test_the_arrow_is_longer_than_the_part_along_the_axis() -> None:
    """By a fifth; 0.2 m stand for a part without a mesh, 0.05 m for a smaller one."""
    def arrow(value: ArticulatedEstimate) -> tuple[float, Marker]:
        marker = markers.markers(value, HEADER.stamp, 'a', 1000, 1.0).markers[-1]
        ends = np.array([[p.x, p.y, p.z] for p in marker.points])
        return float(np.linalg.norm(ends[1] - ends[0])), marker

    def with_lid(mesh: Mesh | None) -> ArticulatedEstimate:
        value = boxes_estimate()
        base, lid = value.parts
        return dataclasses.replace(value, parts=(base, dataclasses.replace(lid, mesh=mesh)))

    length, marker = arrow(boxes_estimate())  # the lid is 0.3 m along its axis
    assert length == pytest.approx(0.36)
    assert [marker.scale.x, marker.scale.y, marker.scale.z] == pytest.approx(
        [0.02 * 0.36, 0.05 * 0.36, 0.1 * 0.36])
    assert arrow(with_lid(None))[0] == pytest.approx(1.2 * 0.2)
    assert arrow(with_lid(Mesh(np.zeros((0, 3)), np.zeros((0, 3), int))))[0] == pytest.approx(
        1.2 * 0.2)
    assert arrow(with_lid(box((0, 0, 0), (0.2, 0.01, 0.01))))[0] == pytest.approx(1.2 * 0.05)


def test_parts_have_colours_of_their_own_and_axes_another() -> None:
    base, lid, axis = markers.markers(boxes_estimate(), HEADER.stamp, 'a', 1000, 1.0).markers
    colours = {(m.color.r, m.color.g, m.color.b) for m in (base, lid, axis)}
    assert len(colours) == 3 and axis.color.a == 1.0 and 0 < base.color.a < 1
    assert all(m.frame_locked and m.action == Marker.ADD for m in (base, lid, axis))


def test_meshes_are_simplified_to_the_limit_and_cached() -> None:
    value = boxes_estimate()  # 48 triangles a part
    mesh = value.parts[0].mesh
    full = markers.corners(mesh, 48)
    assert len(full) == 3 * 48 and markers.corners(mesh, 48) is full
    assert 0 < len(markers.corners(mesh, 12)) <= 3 * 12
    assert len(markers.corners(mesh, 48)) == 3 * 48


def test_markers_that_are_not_in_the_newest_array_are_deleted() -> None:
    def array(probability: float):
        return markers.markers(boxes_estimate(probability), HEADER.stamp, 'a', 1000, 1.0)

    shown = markers.delete_missing_markers(array(1.0), {}, HEADER.stamp)
    assert shown == {('a', 0): 'a_base', ('a', 1): 'a_lid', ('a/axis', 0): 'a_base'}
    fewer = array(0.0)
    assert markers.delete_missing_markers(fewer, shown, HEADER.stamp) == {('a', 0): 'a_base'}
    assert [(m.ns, m.id, m.action, m.header.frame_id) for m in fewer.markers] == [
        ('a', 0, Marker.ADD, 'a_base'), ('a', 1, Marker.DELETE, 'a_lid'),
        ('a/axis', 0, Marker.DELETE, 'a_base')]
    assert all(m.header.stamp == HEADER.stamp for m in fewer.markers)
