"""Frames from bags of both storages, and bags that cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

from bags import (  # noqa: E402
    CAMERA_FRAME,
    DEPTH,
    INFO,
    INTRINSICS,
    MASK,
    PERIOD,
    POINTS,
    STORAGES,
    TRUTH,
    bag_file,
    laptop_views,
    recorded_messages,
    write_bag,
)
from std_msgs.msg import String  # noqa: E402

from kinediff3d_core.geometry.camera import backproject  # noqa: E402
from kinediff3d_core.simulation.camera import SimulatedFrame  # noqa: E402
from kinediff3d_ros.tools.bag_reader import (  # noqa: E402
    DEFAULTS,
    FrameReader,
    Topics,
    choose_topics,
    open_bag,
)


@pytest.fixture(scope='module')
def views() -> list[SimulatedFrame]:
    return laptop_views()


@pytest.fixture(scope='module', params=STORAGES)
def bag(request, views, tmp_path_factory) -> Path:
    return write_bag(tmp_path_factory.mktemp('bags') / request.param, request.param,
                     recorded_messages(views, (DEPTH, INFO, MASK, TRUTH)))


def test_frames_are_those_of_the_recording(bag: Path, views: list[SimulatedFrame]) -> None:
    for path in (bag, bag_file(bag)):
        with open_bag(path) as content:
            topics = choose_topics(content, Topics())
            assert topics == Topics(DEPTH, INFO, MASK, '', TRUTH)
            reader = FrameReader(topics)
            frames = list(reader.read(content))
        assert [f.header.stamp.nanosec for f in frames] == [PERIOD * i for i in range(4)]
        for frame, view in zip(frames, views, strict=True):
            depth = np.round(view.depth * 1000).astype(np.float32) * np.float32(0.001)
            np.testing.assert_allclose(frame.cloud.points, backproject(
                depth, INTRINSICS, view.mask & (depth > 0)), atol=1e-6)
            assert frame.header.frame_id == CAMERA_FRAME and frame.seconds > 100 - 1e-6
        assert [m.position[0] for m in reader.truth] == [float(v.positions[0]) for v in views]


def test_a_frame_without_the_object_has_the_reason(bag: Path) -> None:
    with open_bag(bag) as content:
        reader = FrameReader(choose_topics(content, Topics()), replace(DEFAULTS, mask_id=2))
        frame = next(reader.read(content))
    assert frame.cloud is None and frame.reason == 'the mask has no pixel of id 2'


def test_images_before_the_first_camera_info_are_used(views: list, tmp_path: Path) -> None:
    """All pairs of image and mask are complete when the only camera_info comes, at the end."""
    entries = recorded_messages(views, (DEPTH, MASK))
    info = recorded_messages(views[:1], (INFO,))[0]
    path = write_bag(tmp_path / 'late', 'mcap', [*entries, (INFO, 200_000_000_000, info[2])])
    with open_bag(path) as content:
        frames = list(FrameReader(choose_topics(content, Topics())).read(content))
    assert [f.recorded - 100_000_000_000 for f in frames] == [PERIOD * i for i in range(4)]


def test_clouds_are_used_where_there_is_no_depth(views: list, tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', 'mcap', recorded_messages(views, (POINTS,)))
    with open_bag(path) as content:
        topics = choose_topics(content, Topics())
        assert topics == Topics(points=POINTS)
        frames = list(FrameReader(topics).read(content))
    assert [len(f.cloud) for f in frames] == [
        len(backproject(v.depth, INTRINSICS, v.mask)) for v in views]


@pytest.mark.parametrize('damage', ['cut', 'noise'])
def test_damaged_bags(bag: Path, tmp_path: Path, damage: str, refusal) -> None:
    whole = bag_file(bag)
    content = whole.read_bytes()
    spoilt = tmp_path / f'spoilt{whole.suffix}'
    spoilt.write_bytes(content[:len(content) // 3] if damage == 'cut' else
                       np.random.default_rng(0).bytes(5000))
    assert 'spoilt' in refusal(spoilt)


def test_files_that_are_no_bag(tmp_path: Path, refusal) -> None:
    assert 'does not exist' in refusal(tmp_path / 'none')
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n' + bytes(100))
    assert 'not a readable ROS 2 bag' in refusal(tmp_path / 'old.bag')
    (tmp_path / 'empty').mkdir()
    assert 'empty' in refusal(tmp_path / 'empty')
    (tmp_path / 'empty.mcap').write_bytes(b'')
    assert 'not a readable ROS 2 bag' in refusal(tmp_path / 'empty.mcap')


def test_bags_without_the_needed_topics(views: list, tmp_path: Path, refusal) -> None:
    foreign = write_bag(tmp_path / 'foreign', 'mcap', [('/chatter', 1, String(data='hello'))])
    assert 'one depth image, it has none' in refusal(foreign)
    blind = write_bag(tmp_path / 'blind', 'sqlite3', recorded_messages(views[:1], (DEPTH,)))
    assert 'one camera_info, it has none' in refusal(blind)
    assert f'no topic /other; it has {DEPTH}' in refusal(blind, '--depth-topic', '/other')
    assert 'not sensor_msgs/msg/PointCloud2' in refusal(blind, '--points-topic', DEPTH)
    two = recorded_messages(views[:1], (DEPTH, INFO))
    two.append(('/left/depth', 5, two[0][2]))
    assert '--depth-topic' in refusal(write_bag(tmp_path / 'two', 'mcap', two))
    assert 'unknown category' in refusal(blind, '--category', 'chair')


@pytest.fixture
def refusal(capsys):
    """The one line that ``kinediff3d replay`` prints about a bag that cannot be used."""
    from kinediff3d_core.cli import main

    def refusal(path: Path, *arguments: str) -> str:
        out = path.parent / 'never'
        status = main.main(['replay', str(path), '--category', 'laptop', '--out', str(out),
                            *arguments])
        lines = capsys.readouterr().err.strip().splitlines()
        assert status == 2 and len(lines) == 1, lines
        assert not out.exists()
        return lines[0].removeprefix('kinediff3d: error: ')

    return refusal
