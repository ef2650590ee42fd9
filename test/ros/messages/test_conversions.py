"""Messages and arrays: round trips, units, and what is refused."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from visualization_msgs.msg import Marker  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    Mode,
    PartEstimate,
)
from kinediff3d_ros.messages import camera_info, clouds, diagnostics, images, markers, poses

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


def image(pixels: np.ndarray, encoding: str, pad: int = 0, big: bool = False) -> Image:
    """An image message written by hand, with row padding and either byte order."""
    order = '>' if big else '<'
    data = pixels.astype(pixels.dtype.newbyteorder(order))
    rows = [row.tobytes() + b'\xff' * pad for row in data]
    return Image(header=HEADER, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                 is_bigendian=big, step=len(rows[0]), data=b''.join(rows))


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('pad', [0, 8])
def test_depth_in_millimetres_becomes_metres(pad: int, big: bool) -> None:
    pixels = np.arange(1, 13, dtype=np.uint16).reshape(3, 4) * 321
    depth = images.depth_from_image(image(pixels, '16UC1', pad, big))
    np.testing.assert_allclose(depth, pixels * 0.001, rtol=1e-6)
    assert depth.dtype == np.float32


@pytest.mark.parametrize('big', [False, True])
def test_depth_in_metres_keeps_what_is_measured(big: bool) -> None:
    pixels = np.array([[1.5, np.nan, np.inf], [-1.0, 0.0, 2.25]], np.float32)
    depth = images.depth_from_image(image(pixels, '32FC1', 4, big))
    np.testing.assert_array_equal(depth, [[1.5, 0, 0], [0, 0, 2.25]])


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', '16SC1', '64FC1', 'mono8', ''])
def test_other_depth_encodings_are_refused_by_name(encoding: str) -> None:
    with pytest.raises(ValueError, match=f"encoding '{encoding}'"):
        images.depth_from_image(
            Image(height=2, width=2, encoding=encoding, step=16, data=bytes(32)))


def test_short_or_crooked_images_are_refused() -> None:
    good = image(np.ones((3, 4), np.uint16), '16UC1')
    with pytest.raises(ValueError, match='holds 10 bytes'):
        images.depth_from_image(Image(height=3, width=4, encoding='16UC1', step=8,
                                           data=bytes(10)))
    good.step = 6
    with pytest.raises(ValueError, match='step 6'):
        images.depth_from_image(good)
    with pytest.raises(ValueError, match='empty'):
        images.depth_from_image(Image(encoding='16UC1'))


def test_masks_pick_an_instance() -> None:
    ids = np.array([[0, 1, 2], [300, 2, 0]], np.uint16)
    np.testing.assert_array_equal(images.instances_from_image(image(ids, 'mono16')), ids)
    np.testing.assert_array_equal(images.mask_from_image(image(ids, 'mono16')), ids != 0)
    np.testing.assert_array_equal(images.mask_from_image(image(ids, 'mono16', 2, True), 300),
                                  ids == 300)
    small = (ids % 256).astype(np.uint8)
    np.testing.assert_array_equal(images.mask_from_image(image(small, 'mono8', 1), 2),
                                  small == 2)
    with pytest.raises(ValueError, match="encoding 'rgb8'"):
        images.mask_from_image(Image(height=1, width=1, encoding='rgb8', step=3,
                                          data=bytes(3)))


def test_image_round_trip() -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    message = images.image_from_pixels(pixels, '16UC1', HEADER)
    assert message.header == HEADER
    np.testing.assert_allclose(images.depth_from_image(message), pixels * 0.001, rtol=1e-6)


def test_intrinsics_round_trip_and_prefer_the_rectified_ones() -> None:
    intrinsics = Intrinsics(600.0, 610.0, 319.5, 239.5, 640, 480)
    info = camera_info.info_from_intrinsics(intrinsics, HEADER)
    assert camera_info.intrinsics_from_info(info) == intrinsics
    info.k[0] = 500.0
    assert camera_info.intrinsics_from_info(info).fx == 600.0
    info.p = np.zeros(12)
    assert camera_info.intrinsics_from_info(info).fx == 500.0


def test_binning_and_region_of_interest_move_the_intrinsics() -> None:
    info = camera_info.info_from_intrinsics(Intrinsics(600, 600, 320, 240, 640, 480), HEADER)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 40, 320, 240
    info.binning_x = info.binning_y = 2
    assert camera_info.intrinsics_from_info(info) == Intrinsics(300, 300, 110, 100, 160, 120)


def test_uncalibrated_camera_is_refused() -> None:
    with pytest.raises(ValueError, match='no calibration'):
        camera_info.intrinsics_from_info(CameraInfo(width=640, height=480))


def test_cloud_round_trip() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    cloud = clouds.cloud_from_points(points, HEADER)
    assert cloud.header == HEADER and cloud.width == 50
    np.testing.assert_array_equal(clouds.points_from_cloud(cloud), points)


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('kind', [np.float32, np.float64])
def test_organised_cloud_with_padding_colour_and_holes(kind: type, big: bool) -> None:
    """An organised cloud as cameras send it: colour between, padded rows, NaN where blind."""
    order = '>' if big else '<'
    plain = np.dtype(kind)
    dtype = np.dtype({'names': ['rgb', 'x', 'y', 'z'],
                      'formats': [f'{order}f4', *[plain.newbyteorder(order)] * 3],
                      'offsets': [0, 8, 8 + plain.itemsize, 8 + 2 * plain.itemsize],
                      'itemsize': 40})
    points = np.arange(18, dtype=kind).reshape(2, 3, 3)
    points[0, 1, 2] = np.nan
    table = np.zeros((2, 3), dtype)
    for i, name in enumerate('xyz'):
        table[name] = points[..., i]
    number = PointField.FLOAT32 if kind is np.float32 else PointField.FLOAT64
    fields = [PointField(name=n, offset=dtype.fields[n][1], count=1,
                         datatype=PointField.FLOAT32 if n == 'rgb' else number)
              for n in dtype.names]
    cloud = PointCloud2(header=HEADER, height=2, width=3, fields=fields, is_bigendian=big,
                        point_step=40, row_step=128, is_dense=False,
                        data=b''.join(row.tobytes() + bytes(8) for row in table))
    expected = points.reshape(-1, 3)[[0, 2, 3, 4, 5]]
    np.testing.assert_array_equal(clouds.points_from_cloud(cloud), expected)


def test_clouds_without_coordinates_or_data_are_refused() -> None:
    cloud = clouds.cloud_from_points(np.ones((4, 3)), HEADER)
    cloud.data = cloud.data[:20]
    with pytest.raises(ValueError, match='holds 20 bytes'):
        clouds.points_from_cloud(cloud)
    cloud.fields = cloud.fields[:2]
    with pytest.raises(ValueError, match='fields x, y, z; it has x, y'):
        clouds.points_from_cloud(cloud)


def random_pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    T = np.eye(4)
    T[:3, :3] = Q * np.sign(np.linalg.det(Q))
    T[:3, 3] = rng.normal(size=3)
    return T


@pytest.mark.parametrize('seed', range(5))
def test_pose_round_trip(seed: int) -> None:
    T = random_pose(seed)
    np.testing.assert_allclose(poses.matrix_from_pose(poses.pose_from_matrix(T)), T,
                               atol=1e-12)
    message = poses.transform_from_matrix(T, HEADER, 'laptop/base')
    assert (message.header, message.child_frame_id) == (HEADER, 'laptop/base')
    np.testing.assert_allclose(poses.matrix_from_transform(message), T, atol=1e-12)


def box(lower: tuple, upper: tuple, cuts: int = 1) -> Mesh:
    """A closed box, finely cut."""
    import trimesh

    mesh = trimesh.creation.box(bounds=[lower, upper])
    for _ in range(cuts):
        mesh = mesh.subdivide()
    return Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def estimate(probability: float = 1.0) -> ArticulatedEstimate:
    base, lid = random_pose(1), random_pose(2)
    return ArticulatedEstimate(
        'laptop',
        (PartEstimate('base', base, box((-0.1, -0.15, -0.01), (0.1, 0.15, 0.01))),
         PartEstimate('lid', lid, box((0, -0.15, 0), (0.2, 0.15, 0.01)))),
        (JointEstimate('lid_joint', 'revolute', 'base', 'lid', np.array([-0.1, 0.0, 0.01]),
                       np.array([0.0, -1.0, 0.0]), 1.2, 0.0, 3.1, 0.01, probability),),
        np.eye(6), 0.001, 0.9, (Mode(1.0, base, np.array([1.2]), 0.001),), np.zeros(4),
        np.zeros((10, 3)))


def test_transforms_name_the_parts_under_the_camera() -> None:
    value = estimate()
    messages = poses.transforms(value, HEADER, 'bench/laptop')
    assert [m.child_frame_id for m in messages] == ['bench/laptop/base', 'bench/laptop/lid']
    assert all(m.header == HEADER for m in messages)
    for message, part in zip(messages, value.parts, strict=True):
        np.testing.assert_allclose(poses.matrix_from_transform(message),
                                   part.T_camera_part, atol=1e-9)
    assert len(poses.transforms(value, HEADER, 'x', base_only=True)) == 1


def test_joint_state_is_the_estimates() -> None:
    state = poses.joint_state(estimate(), HEADER)
    assert (state.header, list(state.name), list(state.position)) == (HEADER, ['lid_joint'], [1.2])


def test_a_joint_that_is_not_there_is_nowhere() -> None:
    value = estimate(probability=0.2)
    assert not poses.joint_state(value, HEADER).name
    assert [m.child_frame_id for m in poses.transforms(value, HEADER, 'a')] == ['a/base']
    assert [(m.ns, m.id) for m in markers.markers(value, HEADER.stamp, 'a', 1000).markers] == [
        ('a', 0)]


def test_markers_carry_meshes_in_part_frames_and_the_axis() -> None:
    value = estimate()
    array = markers.markers(value, HEADER.stamp, 'laptop', 100_000)
    base, lid, axis = array.markers
    assert [(m.ns, m.id, m.header.frame_id) for m in array.markers] == [
        ('laptop', 0, 'laptop/base'), ('laptop', 1, 'laptop/lid'),
        ('laptop/axis', 0, 'laptop/base')]
    assert all(m.header.stamp == HEADER.stamp and m.pose.orientation.w == 1.0
               for m in array.markers)
    assert base.type == lid.type == Marker.TRIANGLE_LIST and axis.type == Marker.ARROW
    corners = np.array([[p.x, p.y, p.z] for p in lid.points]).reshape(-1, 3, 3)
    mesh = value.parts[1].mesh
    np.testing.assert_allclose(corners, mesh.vertices[mesh.faces], atol=1e-9)
    ends = np.array([[p.x, p.y, p.z] for p in axis.points])
    np.testing.assert_allclose(ends.mean(axis=0), value.joints[0].origin, atol=1e-9)
    along = ends[1] - ends[0]
    np.testing.assert_allclose(along / np.linalg.norm(along), value.joints[0].axis, atol=1e-9)


def test_deleting_markers_names_each_of_them() -> None:
    array = markers.markers(estimate(), HEADER.stamp, 'laptop', 1000)
    keys = markers.marker_keys(array)
    deleted = markers.deleted_markers(keys, HEADER.stamp).markers
    assert {(m.ns, m.id) for m in deleted} == {(m.ns, m.id) for m in array.markers}
    assert all(m.action == Marker.DELETE for m in deleted)


def test_estimate_without_meshes_still_has_an_axis() -> None:
    value = estimate()
    bare = dataclasses.replace(value, parts=tuple(
        dataclasses.replace(p, mesh=None) for p in value.parts))
    assert [m.type for m in markers.markers(bare, HEADER.stamp, 'a', 100).markers] == [
        Marker.ARROW]


def test_simplified_thin_plate_keeps_both_sides() -> None:
    plate = box((-0.15, -0.1, -0.002), (0.15, 0.1, 0.002), cuts=6)
    small = markers.simplify(plate, 1500)
    assert len(plate.faces) > 40_000 and len(small.faces) <= 1500
    z = np.sort(np.abs(small.vertices[:, 2]))
    assert z[len(z) // 2] == pytest.approx(0.002, abs=1e-9)
    np.testing.assert_allclose(small.vertices.min(0), [-0.15, -0.1, -0.002], atol=0.006)
    np.testing.assert_allclose(small.vertices.max(0), [0.15, 0.1, 0.002], atol=0.006)
    assert markers.simplify(plate, 10**6) is plate


def test_diagnostics_are_readable_text() -> None:
    status = diagnostics.diagnostic_status('perception: laptop', 'laptop', b'\x01', 'no estimate',
                                           {'residual_m': 0.00123456789, 'frames': 7})
    assert {v.key: v.value for v in status.values} == {'residual_m': '0.00123457', 'frames': '7'}
    assert (status.level, status.message) == (b'\x01', 'no estimate')


if __name__ == '__main__':
    sys.exit(pytest.main([__file__]))
