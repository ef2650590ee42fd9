"""Recordings that rosbags writes, without ROS; their messages have the fields of ROS messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_typestore

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene

INTRINSICS = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
CAMERA_FRAME = 'camera_optical'
DEPTH, INFO, MASK = '/cam/depth/image_rect', '/cam/depth/camera_info', '/cam/mask'
TRUTH, STATIC_TF, POINTS = '/cam/truth/joint_states', '/tf_static', '/cam/points'
PERIOD = 100_000_000
"""Time between two frames, ns."""
SMALL = (24, 32)
"""Height and width of small images."""

ROS2, ROS1 = get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS1_NOETIC)
Entry = tuple[str, int, str, Any]
"""Topic, time of recording in ns, type, message."""


def laptop_views() -> list[SimulatedFrame]:
    """Four views of a laptop while it opens."""
    scene = SimulatedScene.sample('laptop', 0, 0, INTRINSICS, states=24)
    camera = SimulatedCamera(replace(scene, positions=scene.positions[9:13]))
    return [camera.state(i) for i in range(4)]


def image(pixels: np.ndarray, encoding: str, stamp: int, frame: str, store: Any = ROS2) -> Any:
    """An Image of pixels (H, W)."""
    height, width = pixels.shape
    return store.types['sensor_msgs/msg/Image'](
        header(stamp, frame, store), height, width, encoding, 0, width * pixels.itemsize,
        np.frombuffer(pixels.tobytes(), np.uint8))


def header(stamp: int, frame: str, store: Any = ROS2) -> Any:
    """A Header with a stamp in ns."""
    time = store.types['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
    kind = store.types['std_msgs/msg/Header']
    return kind(0, time, frame) if store is ROS1 else kind(time, frame)


def camera_info(stamp: int, frame: str, size: Sequence[int], focal: float, store: Any = ROS2,
                ) -> Any:
    """A CameraInfo of a centred camera, with K alone: no P and no distortion."""
    height, width = size
    k = np.array([focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1])
    none = np.zeros(0)
    roi = store.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return store.types['sensor_msgs/msg/CameraInfo'](
        header(stamp, frame, store), height, width, '', none, k, np.zeros(9), np.zeros(12), 0, 0,
        roi)


def small_views(number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Depth in mm and masks of small images of a plate."""
    mask = np.zeros(SMALL, np.uint8)
    mask[4:20, 6:26] = 1
    slope = np.arange(SMALL[1], dtype=np.uint16)
    return [(np.full(SMALL, 900 + 2 * i, np.uint16) + slope, mask) for i in range(number)]


def camera_entries(views: Sequence[tuple[np.ndarray, np.ndarray]], focal: float = 30.0,
                   stamps: Sequence[int] | None = None, frame: str = CAMERA_FRAME,
                   store: Any = ROS2) -> list[Entry]:
    """Depth images, calibrations and masks of a camera, as they are recorded."""
    entries: list[Entry] = []
    for i, (depth, mask) in enumerate(views):
        recorded = 100 * 10**9 + PERIOD * i
        stamp = recorded if stamps is None else stamps[i]
        messages = ((INFO, 'CameraInfo', camera_info(stamp, frame, depth.shape, focal, store)),
                    (DEPTH, 'Image', image(depth, '16UC1', stamp, frame, store)),
                    (MASK, 'Image', image(mask, 'mono8', stamp, frame, store)))
        entries += [(topic, recorded + k, f'sensor_msgs/msg/{kind}', message)
                    for k, (topic, kind, message) in enumerate(messages)]
    return entries


def pixels_of(views: Sequence[SimulatedFrame]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Depth in mm and mask of simulated frames."""
    return [(np.round(v.depth * 1000).astype(np.uint16), v.mask.astype(np.uint8)) for v in views]


def write(path: Path, storage: str, entries: Sequence[Entry], compression: str = '') -> Path:
    """Write a recording and return its path: a folder, or for ``ros1`` a file.

    Args:
        compression: by zstd: '', ``file``, ``message`` or ``storage`` (the chunks of an MCAP);
            for ``ros1`` '', ``bz2`` or ``lz4``.
    """
    store = ROS1 if storage == 'ros1' else ROS2
    if storage == 'ros1':
        writer: Any = rosbag1.Writer(path)
        if compression:
            writer.set_compression(rosbag1.Writer.CompressionFormat[compression.upper()])
    else:
        writer = rosbag2.Writer(path, version=9,
                                storage_plugin=rosbag2.StoragePlugin[storage.upper()])
        if compression:
            writer.set_compression(rosbag2.CompressionMode[compression.upper()],
                                   rosbag2.CompressionFormat.ZSTD)
    connections: dict[str, Any] = {}
    with writer as bag:
        for topic, recorded, kind, message in entries:
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, kind, typestore=store)
            raw = store.serialize_ros1(message, kind) if storage == 'ros1' else \
                store.serialize_cdr(message, kind)
            bag.write(connections[topic], recorded, raw)
    return path


def storage_file(bag: Path) -> Path:
    """The one file with a recording's messages."""
    return next(p for p in bag.iterdir() if p.name != 'metadata.yaml')


def joint_states(stamp: int, positions: Mapping[str, float], names_only: bool = False) -> Any:
    """A JointState, with positions or without."""
    none = np.zeros(0)
    return ROS2.types['sensor_msgs/msg/JointState'](
        header(stamp, ''), list(positions),
        none if names_only else np.array(list(positions.values())), none, none)


def lz4_mcap(path: Path, entries: Sequence[Entry]) -> Path:
    """Write an MCAP of one chunk that is compressed with lz4, without an index and an end."""
    import struct

    import lz4.frame

    def text(value: str) -> bytes:
        return struct.pack('<I', len(value)) + value.encode()

    def record(code: int, content: bytes) -> bytes:
        return struct.pack('<BQ', code, len(content)) + content

    channels: dict[str, int] = {}
    records = b''
    for topic, recorded, kind, message in entries:
        if topic not in channels:
            number = channels[topic] = len(channels) + 1
            records += record(3, struct.pack('<H', number) + text(kind) + text('ros2msg')
                              + text(''))
            records += record(4, struct.pack('<HH', number, number) + text(topic) + text('cdr')
                              + struct.pack('<I', 0))
        records += record(5, struct.pack('<HIQQ', channels[topic], 0, recorded, recorded)
                          + bytes(ROS2.serialize_cdr(message, kind)))
    packed = lz4.frame.compress(records)
    chunk = struct.pack('<QQQI', 0, 2**62, len(records), 0) + text('lz4') + \
        struct.pack('<Q', len(packed)) + packed
    path.write_bytes(b'\x89MCAP0\r\n' + record(1, text('ros2') + text('')) + record(6, chunk))
    return path
