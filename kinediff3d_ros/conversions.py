"""Messages to arrays and estimates to messages: pure functions, no node, no clock.

Whatever a message cannot give is a ``ValueError`` with one line that names what was received.
Lengths are metres, quaternions x y z w, frames as in ``kinediff3d_core.geometry``.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np
from builtin_interfaces.msg import Time
from cv_bridge import CvBridge
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, TransformStamped
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import ColorRGBA, Header
from tf_transformations import quaternion_from_matrix, quaternion_matrix
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.estimate import ArticulatedEstimate, JointEstimate, Mesh, PartEstimate
from kinediff3d_core.geometry import Intrinsics

DEPTH_ENCODINGS = {'16UC1': 0.001, 'mono16': 0.001, '32FC1': 1.0}
"""Metres per unit of each depth encoding that is understood (REP 118)."""

MASK_ENCODINGS = ('mono8', 'mono16', '8UC1', '16UC1')

PRESENT = 0.5
"""Joints that are less probable than this are not there."""

PART_COLOURS = ((0.35, 0.55, 0.80), (0.95, 0.60, 0.20), (0.40, 0.75, 0.45), (0.80, 0.40, 0.55),
                (0.60, 0.50, 0.80))
AXIS_COLOUR = (0.85, 0.10, 0.10)

_BYTES = {'16UC1': 2, 'mono16': 2, '32FC1': 4, 'mono8': 1, '8UC1': 1}
_BRIDGE = CvBridge()


# --- in -----------------------------------------------------------------------------------------

def depth_from_image(image: Image) -> np.ndarray:
    """Depth (H, W) float32 in metres, zero where there is none, of a 16UC1 or 32FC1 image.

    Raises:
        ValueError: another encoding, or data that does not fit height, width and step.
    """
    if image.encoding not in DEPTH_ENCODINGS:
        raise ValueError(f'depth image has encoding {image.encoding!r}; '
                         'need 16UC1 (mm) or 32FC1 (m)')
    depth = _pixels(image, 'depth image')
    if depth.dtype.kind == 'u':
        return depth * np.float32(DEPTH_ENCODINGS[image.encoding])
    with np.errstate(invalid='ignore'):
        return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0)).astype(np.float32)


def mask_from_image(image: Image, mask_id: int = 0) -> np.ndarray:
    """Object pixels (H, W) bool of a mono8 or mono16 mask.

    Args:
        mask_id: instance id of the object; 0 takes every non-zero pixel.

    Raises:
        ValueError: another encoding, or data that does not fit height, width and step.
    """
    ids = instances_from_image(image)
    return ids != 0 if mask_id == 0 else ids == mask_id


def instances_from_image(image: Image) -> np.ndarray:
    """Instance ids (H, W) uint16 of a mono8 or mono16 mask, 0 where there is no object.

    Raises:
        ValueError: another encoding, or data that does not fit height, width and step.
    """
    if image.encoding not in MASK_ENCODINGS:
        raise ValueError(f'mask has encoding {image.encoding!r}; need mono8 or mono16')
    return _pixels(image, 'mask').astype(np.uint16)


def _pixels(image: Image, what: str) -> np.ndarray:
    """Pixels (H, W) in native byte order after checks that upstream's bridge leaves out."""
    least = image.width * _BYTES[image.encoding]
    if image.width == 0 or image.height == 0:
        raise ValueError(f'{what} is empty: {image.width} x {image.height} pixels')
    if image.step < least or image.step % _BYTES[image.encoding]:
        raise ValueError(f'{what} has step {image.step}, which does not fit {image.width} pixels '
                         f'of {image.encoding}')
    if len(image.data) < image.step * image.height:
        raise ValueError(f'{what} holds {len(image.data)} bytes; its header says '
                         f'{image.step * image.height} (step {image.step} x height '
                         f'{image.height})')
    return _BRIDGE.imgmsg_to_cv2(image, desired_encoding='passthrough')


def intrinsics_from_info(info: CameraInfo) -> Intrinsics:
    """Intrinsics of the rectified image: P where it is set, else K; binning and ROI applied.

    Raises:
        ValueError: both are zero (an uncalibrated camera), or not finite.
    """
    fx, fy, cx, cy = info.p[0], info.p[5], info.p[2], info.p[6]
    if not (fx > 0 and fy > 0):
        fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    if not (fx > 0 and fy > 0):
        raise ValueError('camera_info carries no calibration: the focal lengths in K and P are '
                         f'{info.k[0]:g} and {info.p[0]:g}')
    width, height = info.width, info.height
    if info.roi.width and info.roi.height:
        cx, cy = cx - info.roi.x_offset, cy - info.roi.y_offset
        width, height = info.roi.width, info.roi.height
    bin_x, bin_y = max(info.binning_x, 1), max(info.binning_y, 1)
    return Intrinsics(float(fx / bin_x), float(fy / bin_y), float(cx / bin_x), float(cy / bin_y),
                      int(width // bin_x), int(height // bin_y))


def points_from_cloud(cloud: PointCloud2) -> np.ndarray:
    """Points (N, 3) float32 in metres; those that are not finite are left out.

    Raises:
        ValueError: no x, y, z fields of a floating type, or data shorter than the header says.
    """
    types = {f.name: f.datatype for f in cloud.fields}
    for name in ('x', 'y', 'z'):
        if types.get(name) not in (PointField.FLOAT32, PointField.FLOAT64):
            raise ValueError(f'point cloud needs floating point fields x, y, z; it has '
                             f'{", ".join(types) or "no fields"}')
    row = cloud.width * cloud.point_step
    if cloud.row_step < row and cloud.height > 1 or len(cloud.data) < row * cloud.height:
        raise ValueError(f'point cloud holds {len(cloud.data)} bytes; its header says {row} x '
                         f'{cloud.height}')
    if cloud.height > 1 and cloud.row_step > row:
        cloud = _without_row_padding(cloud, row)
    table = point_cloud2.read_points(cloud, field_names=('x', 'y', 'z'))
    points = np.stack([table[n].astype(np.float32) for n in ('x', 'y', 'z')], axis=-1)
    return points[np.isfinite(points).all(axis=1)]


def _without_row_padding(cloud: PointCloud2, row: int) -> PointCloud2:
    rows = np.frombuffer(cloud.data, np.uint8)[:cloud.row_step * cloud.height]
    packed = PointCloud2(header=cloud.header, height=cloud.height, width=cloud.width,
                         fields=cloud.fields, is_bigendian=cloud.is_bigendian,
                         point_step=cloud.point_step, row_step=row, is_dense=cloud.is_dense)
    packed.data = rows.reshape(cloud.height, cloud.row_step)[:, :row].tobytes()
    return packed


# --- out ----------------------------------------------------------------------------------------

def present_joints(estimate: ArticulatedEstimate) -> tuple[JointEstimate, ...]:
    """Joints that the object has."""
    return tuple(j for j in estimate.joints if j.probability >= PRESENT)


def present_parts(estimate: ArticulatedEstimate) -> tuple[PartEstimate, ...]:
    """The base and the parts at the end of joints that the object has."""
    children = {j.child for j in present_joints(estimate)}
    return tuple(p for i, p in enumerate(estimate.parts) if i == 0 or p.name in children)


def part_frame(object_name: str, part: str) -> str:
    """TF frame of a part."""
    return f'{object_name}/{part}'


def pose_from_matrix(T: np.ndarray) -> Pose:
    """Pose message of a rigid transform (4, 4)."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(x) for x in T[:3, 3])
    (pose.orientation.x, pose.orientation.y, pose.orientation.z,
     pose.orientation.w) = (float(x) for x in quaternion_from_matrix(np.asarray(T, np.float64)))
    return pose


def matrix_from_pose(pose: Pose) -> np.ndarray:
    """Rigid transform (4, 4) float64 of a pose message."""
    q = pose.orientation
    T = quaternion_matrix([q.x, q.y, q.z, q.w])
    T[:3, 3] = pose.position.x, pose.position.y, pose.position.z
    return T


def transform_from_matrix(T: np.ndarray, header: Header, child_frame: str) -> TransformStamped:
    """TF of T_header_child (4, 4), with the stamp of the header."""
    pose = pose_from_matrix(T)
    message = TransformStamped(header=header, child_frame_id=child_frame)
    message.transform.translation.x = pose.position.x
    message.transform.translation.y = pose.position.y
    message.transform.translation.z = pose.position.z
    message.transform.rotation = pose.orientation
    return message


def matrix_from_transform(message: TransformStamped) -> np.ndarray:
    """T_header_child (4, 4) float64."""
    t = message.transform
    pose = Pose(orientation=t.rotation)
    pose.position.x, pose.position.y, pose.position.z = (
        t.translation.x, t.translation.y, t.translation.z)
    return matrix_from_pose(pose)


def transforms(estimate: ArticulatedEstimate, header: Header, object_name: str,
               base_only: bool = False) -> list[TransformStamped]:
    """One frame per part, ``<object>/<part>``, each a child of the camera's frame."""
    parts = estimate.parts[:1] if base_only else present_parts(estimate)
    return [transform_from_matrix(p.T_camera_part, header, part_frame(object_name, p.name))
            for p in parts]


def joint_state(estimate: ArticulatedEstimate, header: Header) -> JointState:
    """Names and positions (rad or m) as in the URDF of ``robot_description``.

    Velocities (rad/s or m/s) are there while the object is tracked, else the array is empty.
    """
    joints = present_joints(estimate)
    return JointState(header=header, name=[j.name for j in joints],
                      position=[float(j.position) for j in joints],
                      velocity=[float(j.velocity) for j in joints if j.velocity is not None])


def cloud_from_points(points: np.ndarray, header: Header) -> PointCloud2:
    """PointCloud2 with x, y, z (float32, m) of points (N, 3)."""
    cloud = point_cloud2.create_cloud_xyz32(header, np.ascontiguousarray(points, np.float32))
    cloud.is_dense = True
    return cloud


def image_from_pixels(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Image message of pixels (H, W) whose dtype fits the encoding."""
    image = _BRIDGE.cv2_to_imgmsg(pixels, encoding=encoding)
    image.header = header
    return image


def info_from_intrinsics(intrinsics: Intrinsics, header: Header) -> CameraInfo:
    """CameraInfo of a rectified camera without distortion."""
    i = intrinsics
    fx, fy, cx, cy = float(i.fx), float(i.fy), float(i.cx), float(i.cy)
    return CameraInfo(
        header=header, width=i.width, height=i.height, distortion_model='plumb_bob', d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])


# --- markers ------------------------------------------------------------------------------------

def markers(estimate: ArticulatedEstimate, stamp: Time, object_name: str,
            max_triangles: int) -> MarkerArray:
    """Part meshes and joint axes.

    A mesh is one TRIANGLE_LIST in its part's frame, namespace ``<object>``, id = index of the
    part in the category. An axis is an ARROW in the parent part's frame, namespace
    ``<object>/axis``, id = index of the joint. Parts without a mesh have no marker. Viewers let
    them follow their frames (``frame_locked``).
    """
    array = MarkerArray()
    present = present_parts(estimate)
    for i, part in enumerate(estimate.parts):
        if part.mesh is None or part not in present or not len(part.mesh.faces):
            continue
        marker = _marker(object_name, i, part_frame(object_name, part.name), stamp)
        marker.type = Marker.TRIANGLE_LIST
        marker.scale.x = marker.scale.y = marker.scale.z = 1.0
        marker.color = _colour(PART_COLOURS[i % len(PART_COLOURS)], 0.8)
        marker.points = corners(part.mesh, max_triangles)
        array.markers.append(marker)
    for i, joint in enumerate(estimate.joints):
        if joint.probability < PRESENT:
            continue
        marker = _marker(f'{object_name}/axis', i, part_frame(object_name, joint.parent), stamp)
        marker.type = Marker.ARROW
        length = 1.2 * _extent(estimate, joint)
        marker.scale.x, marker.scale.y, marker.scale.z = (0.02 * length, 0.05 * length,
                                                          0.1 * length)
        marker.color = _colour(AXIS_COLOUR, 1.0)
        half = 0.5 * length * np.asarray(joint.axis, float)
        for end in (joint.origin - half, joint.origin + half):
            x, y, z = (float(v) for v in end)
            marker.points.append(Point(x=x, y=y, z=z))
        array.markers.append(marker)
    return array


_CORNERS: WeakKeyDictionary[Mesh, tuple[int, list[Point]]] = WeakKeyDictionary()


def corners(mesh: Mesh, max_triangles: int) -> list[Point]:
    """Corners of the triangles of a mesh, simplified if it has too many; kept with the mesh."""
    kept = _CORNERS.get(mesh)
    if kept is None or kept[0] != max_triangles:
        small = simplify(mesh, max_triangles)
        points = [Point(x=x, y=y, z=z) for x, y, z in small.vertices.astype(float).tolist()]
        kept = max_triangles, [points[j] for j in small.faces.ravel().tolist()]
        _CORNERS[mesh] = kept
    return kept[1]


def marker_keys(array: MarkerArray) -> dict[tuple[str, int], str]:
    """(namespace, id) to frame of the markers that are shown."""
    return {(m.ns, m.id): m.header.frame_id for m in array.markers if m.action == Marker.ADD}


def deleted_markers(keys: Mapping[tuple[str, int], str], stamp: Time) -> MarkerArray:
    """A DELETE for each (namespace, id)."""
    array = MarkerArray()
    for (namespace, number), frame in keys.items():
        marker = _marker(namespace, number, frame, stamp)
        marker.action = Marker.DELETE
        array.markers.append(marker)
    return array


def delete_what_is_gone(array: MarkerArray, shown: Mapping[tuple[str, int], str],
                        stamp: Time) -> dict[tuple[str, int], str]:
    """Add a DELETE for what was shown and is not in the array; returns what is shown now."""
    now = marker_keys(array)
    gone = {key: frame for key, frame in shown.items() if key not in now}
    array.markers += deleted_markers(gone, stamp).markers
    return now


def simplify(mesh: Mesh, max_triangles: int) -> Mesh:
    """A mesh of at most that many triangles, for viewers.

    Algorithm: vertices in one cell of a grid that face the same way (of the six along the axes)
    become their mean, with ever larger cells. Flat sides stay flat and thin walls keep their two
    sides, which plain clustering would knit together.
    """
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    if len(faces) <= max_triangles:
        return mesh
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack([np.bincount(faces.ravel(), np.repeat(across[:, k], 3), len(vertices))
                        for k in range(3)], axis=1)
    facing = np.abs(normals).argmax(axis=1)
    facing += 3 * (np.take_along_axis(normals, facing[:, None], axis=1)[:, 0] < 0)
    offset = vertices - vertices.min(axis=0)
    cell = float(np.sqrt(np.linalg.norm(across, axis=1).sum() / max_triangles))
    while True:
        x, y, z = np.floor(offset / cell).astype(np.int64).T
        key = ((x * (y.max() + 1) + y) * (z.max() + 1) + z) * 6 + facing
        _, merged, count = np.unique(key, return_inverse=True, return_counts=True)
        kept = merged[faces]
        kept = kept[(kept != np.roll(kept, 1, axis=1)).all(axis=1)]
        if len(kept) <= max_triangles:
            means = np.stack([np.bincount(merged, vertices[:, k]) for k in range(3)], axis=1)
            return Mesh(means / count[:, None], kept)
        cell *= 1.15


def _extent(estimate: ArticulatedEstimate, joint: JointEstimate) -> float:
    """Size of the child along the axis, m; 0.2 where it has no mesh."""
    mesh = next(p.mesh for p in estimate.parts if p.name == joint.child)
    if mesh is None or not len(mesh.vertices):
        return 0.2
    along = np.asarray(mesh.vertices) @ np.asarray(joint.axis)
    return max(float(along.max() - along.min()), 0.05)


def _marker(namespace: str, number: int, frame: str, stamp: Time) -> Marker:
    marker = Marker(header=Header(frame_id=frame, stamp=stamp), ns=namespace, id=number,
                    action=Marker.ADD, frame_locked=True)
    marker.pose.orientation.w = 1.0
    return marker


def _colour(rgb: tuple[float, float, float], alpha: float) -> ColorRGBA:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)


# --- diagnostics --------------------------------------------------------------------------------

def diagnostic_status(name: str, hardware_id: str, level: bytes, message: str,
                      values: Mapping[str, object]) -> DiagnosticStatus:
    """One status; numbers are written with six digits at most."""
    def text(value: object) -> str:
        return f'{value:.6g}' if isinstance(value, float) else str(value)

    return DiagnosticStatus(name=name, hardware_id=hardware_id, level=level, message=message,
                            values=[KeyValue(key=k, value=text(v)) for k, v in values.items()])
