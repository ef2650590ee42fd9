"""Writing estimates to a ROS 2 bag as the messages that the node would publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from kinediff3d_ros.messages import markers, poses
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.frames import header_message
from kinediff3d_ros.tools.bag_reader import DEFAULTS
from kinediff3d_ros.tools.replay_frames import ReplayResult

BAG_VERSION = 9
"""Version of rosbag2's metadata, that of ROS 2 Jazzy."""



class EstimateBag:
    """A new bag with TF, joint states and markers.

    Args:
        path: folder of the bag.
        storage: ``mcap`` or ``sqlite3``.
        object_name: as the perception node's; the joint states are ``/<object>/joint_states``.

    Raises:
        ValueError: the folder exists.
    """

    def __init__(self, path: Path, storage: str, object_name: str) -> None:
        from rosbags import rosbag2
        from rosbags.typesys import Stores, get_typestore

        store = get_typestore(Stores.ROS2_JAZZY)
        try:
            self._writer = rosbag2.Writer(
                path, version=BAG_VERSION, storage_plugin=rosbag2.StoragePlugin[storage.upper()])
            self._writer.open()
        except rosbag2.WriterError as error:
            raise ValueError(str(error)) from error
        self._object_name, self._joint_states = object_name, f'/{object_name}/joint_states'
        self._shown: dict[tuple[str, int], str] = {}
        self._connections = {
            topic: self._writer.add_connection(topic, kind, typestore=store)
            for topic, kind in (('/tf', 'tf2_msgs/msg/TFMessage'),
                                (self._joint_states, 'sensor_msgs/msg/JointState'),
                                ('/markers', 'visualization_msgs/msg/MarkerArray'))}

    def add(self, result: ReplayResult) -> None:
        """Write the messages of one frame at the time at which the frame was recorded."""
        header, recorded = header_message(result.frame.header), result.frame.recorded
        array = MarkerArray()
        if result.estimate is not None:
            self._write('/tf', recorded, TFMessage(transforms=poses.transforms(
                result.estimate, header, self._object_name)))
            self._write(self._joint_states, recorded, poses.joint_state(
                result.estimate, header, self._object_name))
            array = markers.markers(result.estimate, header.stamp, self._object_name,
                                    DEFAULTS.marker_triangles, NodeConfig.marker_lifetime)
        self._shown = markers.delete_missing_markers(array, self._shown, header.stamp)
        if array.markers:
            self._write('/markers', recorded, array)

    def _write(self, topic: str, recorded: int, message: Any) -> None:
        self._writer.write(self._connections[topic], recorded, serialize_message(message))

    def close(self) -> None:
        """Complete the bag."""
        self._writer.close()
