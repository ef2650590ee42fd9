"""The interface packages that ``pip_ros/interfaces`` builds."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import Point, Pose, PoseWithCovariance  # noqa: E402
from moveit_msgs.msg import CollisionObject  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from shape_msgs.msg import Mesh, MeshTriangle  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from transform_messages import stamped  # noqa: E402
from vision_msgs.msg import (  # noqa: E402
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

HEADER = Header(frame_id='camera')
HYPOTHESIS = ObjectHypothesisWithPose(
    hypothesis=ObjectHypothesis(class_id='laptop', score=0.9),
    pose=PoseWithCovariance(covariance=np.arange(36.0)))


@pytest.mark.parametrize('sent', [
    TFMessage(transforms=[stamped('a', 'b', 1.5, (1, 2, 3)), stamped('b', 'c', 2.5)]),
    Detection2DArray(header=HEADER, detections=[Detection2D(
        header=HEADER, id='7', results=[HYPOTHESIS], bbox=BoundingBox2D(
            center=Pose2D(position=Point2D(x=4.0, y=5.0)), size_x=6.0, size_y=7.0))]),
    Detection3DArray(header=HEADER, detections=[Detection3D(
        header=HEADER, id='laptop', results=[HYPOTHESIS])]),
    CollisionObject(
        header=HEADER, id='laptop_lid', operation=CollisionObject.MOVE, mesh_poses=[Pose()],
        meshes=[Mesh(vertices=[Point(x=1.0)] * 3,
                     triangles=[MeshTriangle(vertex_indices=[0, 1, 2])])],
        subframe_names=['hinge'], subframe_poses=[Pose()]),
], ids=lambda message: type(message).__name__)
def test_message_is_unchanged_by_serialization(sent: object) -> None:
    assert deserialize_message(serialize_message(sent), type(sent)) == sent


@pytest.mark.parametrize(('kind', 'fields'), [
    (CollisionObject, {
        'header': 'std_msgs/Header', 'pose': 'geometry_msgs/Pose', 'id': 'string',
        'type': 'object_recognition_msgs/ObjectType',
        'primitives': 'sequence<shape_msgs/SolidPrimitive>',
        'primitive_poses': 'sequence<geometry_msgs/Pose>',
        'meshes': 'sequence<shape_msgs/Mesh>', 'mesh_poses': 'sequence<geometry_msgs/Pose>',
        'planes': 'sequence<shape_msgs/Plane>', 'plane_poses': 'sequence<geometry_msgs/Pose>',
        'subframe_names': 'sequence<string>', 'subframe_poses': 'sequence<geometry_msgs/Pose>',
        'operation': 'octet'}),
    (Detection3D, {
        'header': 'std_msgs/Header', 'results': 'sequence<vision_msgs/ObjectHypothesisWithPose>',
        'bbox': 'vision_msgs/BoundingBox3D', 'id': 'string'}),
    (BoundingBox2D, {'center': 'vision_msgs/Pose2D', 'size_x': 'double', 'size_y': 'double'}),
])
def test_fields_are_those_of_ros_2_jazzy(kind: type, fields: dict[str, str]) -> None:
    """Order and types make the type hash, without which nodes of ROS 2 see another type."""
    assert list(kind.get_fields_and_field_types().items()) == list(fields.items())


def test_operations_are_those_of_moveit() -> None:
    operations = (CollisionObject.ADD, CollisionObject.REMOVE, CollisionObject.APPEND,
                  CollisionObject.MOVE)
    assert operations == (b'\0', b'\1', b'\2', b'\3')


def test_tf_message_is_serialized_as_a_plain_sequence() -> None:
    """CDR of one transform, byte by byte: header, length 1, stamp, two strings, seven doubles."""
    data = bytes(serialize_message(TFMessage(transforms=[stamped('a', 'b', 3.0, (1, 0, 0))])))
    order = 'little' if data[1] == 1 else 'big'
    words = [int.from_bytes(data[i : i + 4], order) for i in range(4, 20, 4)]
    assert words == [1, 3, 0, 2]  # one transform; 3 s, 0 ns; 'a' and its terminating zero
    assert data[20:22] == b'a\0'
    assert np.frombuffer(data[-56:], '<f8' if order == 'little' else '>f8').tolist() == [
        *(1.0, 0.0, 0.0),
        *(0.0, 0.0, 0.0, 1.0),
    ]
