"""Bags with the messages of a simulated camera, for tests of the readers of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from plain_bags import CAMERA_FRAME, DEPTH, INFO, INTRINSICS, MASK, PERIOD, POINTS, TRUTH
from rclpy.serialization import serialize_message
from rosbags import rosbag2
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.simulation.camera import SimulatedFrame
from kinediff3d_ros.messages import camera_info, clouds, images
from kinediff3d_ros.tools.bag_types import register_vision_types

STORAGES = ('mcap', 'sqlite3')
Entry = tuple[str, int, object]
"""Topic, time of recording in ns, message."""


def recorded_messages(views: Sequence[SimulatedFrame], topics: Sequence[str]) -> list[Entry]:
    """The messages of a camera; the first camera_info comes after the first image."""
    entries: list[Entry] = []
    for i, view in enumerate(views):
        header = Header(stamp=Time(sec=100, nanosec=PERIOD * i), frame_id=CAMERA_FRAME)
        millimetres = np.round(view.depth * 1000).astype(np.uint16)
        messages = {
            DEPTH: images.image_from_pixels(millimetres, '16UC1', header),
            INFO: camera_info.info_from_intrinsics(INTRINSICS, header),
            MASK: images.image_from_pixels(view.mask.astype(np.uint8), 'mono8', header),
            POINTS: clouds.cloud_from_points(
                backproject(view.depth, INTRINSICS, view.mask), header),
            TRUTH: JointState(header=header, name=['lid_joint'],
                              position=[float(view.positions[0])]),
        }
        recorded = 100_000_000_000 + PERIOD * i
        entries += [(topic, recorded + k, message)
                    for k, (topic, message) in enumerate(messages.items()) if topic in topics]
    return entries


def write_bag(path: Path, storage: str, entries: Sequence[Entry]) -> Path:
    """Write a bag and return its folder."""
    store = get_typestore(Stores.ROS2_JAZZY)
    register_vision_types(store)
    connections: dict[str, object] = {}
    with rosbag2.Writer(path, version=9,
                        storage_plugin=rosbag2.StoragePlugin[storage.upper()]) as bag:
        for topic, recorded, message in entries:
            kind = f'{type(message).__module__.split(".")[0]}/msg/{type(message).__name__}'
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, kind, typestore=store)
            bag.write(connections[topic], recorded, serialize_message(message))
    return path


def record(path: Path, storage: str, views: Sequence[SimulatedFrame], *topics: str) -> Path:
    """Write the bag of a camera that sees the views; returns its folder."""
    return write_bag(path, storage, recorded_messages(views, topics))


def bag_file(bag: Path) -> Path:
    """The one file with a bag's messages."""
    return next(p for p in bag.iterdir() if p.suffix in ('.mcap', '.db3'))
