"""Frames from bags of both storages, and bags that cannot be used."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

import bags  # noqa: E402
from compressed_depth import compress  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from vision_msgs.msg import (  # noqa: E402
    Detection2D,
    Detection2DArray,
    ObjectHypothesisWithPose,
)

from kinediff3d_core.geometry.camera import backproject  # noqa: E402
from kinediff3d_core.observation.cloud import DepthView, filter_cloud  # noqa: E402
from kinediff3d_core.simulation.camera import SimulatedFrame  # noqa: E402
from kinediff3d_ros.messages.poses import transform_from_matrix  # noqa: E402
from kinediff3d_ros.tools.bag_reader import DEFAULTS, FrameReader  # noqa: E402
from kinediff3d_ros.tools.bag_storage import open_bag  # noqa: E402
from kinediff3d_ros.tools.bag_topics import Topics, choose_topics  # noqa: E402


def test_frames_are_those_of_the_recording(bag: Path, views: list[SimulatedFrame]) -> None:
    for path in (bag, bags.bag_file(bag)):
        with open_bag(path) as content:
            topics = choose_topics(content, Topics())
            assert topics == Topics(bags.DEPTH, bags.INFO, bags.MASK, '', bags.TRUTH)
            reader = FrameReader(topics)
            frames = list(reader.read(content))
        assert [f.header.nanoseconds for f in frames] == [
            100 * 10**9 + bags.PERIOD * i for i in range(4)]
        for frame, view in zip(frames, views, strict=True):
            depth = np.round(view.depth * 1000).astype(np.float32) * np.float32(0.001)
            points = backproject(depth, bags.INTRINSICS, view.mask & (depth > 0))
            np.testing.assert_allclose(
                frame.cloud.points, filter_cloud(points).points, atol=1e-6)
            assert frame.header.frame_id == bags.CAMERA_FRAME
        assert [m.positions for m in reader.truth] == [
            {'lid_joint': float(v.positions[0])} for v in views]


@pytest.mark.parametrize('storage', bags.STORAGES)
def test_boxes_of_a_detector_in_place_of_masks(views: list, tmp_path: Path, storage: str) -> None:
    """Every second image has a box, and one of another class."""
    entries = bags.recorded_messages(views, (bags.DEPTH, bags.INFO, bags.MASK))
    for view, (_, recorded, image) in zip(views[::2], entries[::6], strict=True):
        v, u = np.nonzero(view.mask)
        array = Detection2DArray(header=image.header)
        for class_id, score in (('63', 0.8), ('person', 0.9)):
            box, hypothesis = Detection2D(), ObjectHypothesisWithPose()
            box.bbox.center.position.x = float(u.min() + u.max() + 1) / 2
            box.bbox.center.position.y = float(v.min() + v.max() + 1) / 2
            box.bbox.size_x, box.bbox.size_y = float(np.ptp(u) + 1), float(np.ptp(v) + 1)
            hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = class_id, score
            box.results.append(hypothesis)
            array.detections.append(box)
        entries.append(('/detections_2d', recorded + 5, array))
    path = bags.write_bag(tmp_path / 'boxes', storage, sorted(entries, key=lambda e: e[1]))
    with open_bag(path) as content:
        topics = choose_topics(content, Topics(detections='/detections_2d'))
        assert (topics.mask, topics.marks) == ('', '/detections_2d')
        reader = FrameReader(topics, replace(DEFAULTS, detection_classes='63:laptop'))
        frames = list(reader.read(content))
    assert [f.header.nanoseconds for f in frames] == [
        100 * 10**9 + bags.PERIOD * i for i in (0, 2)]
    for frame, view in zip(frames, views[::2], strict=True):
        assert len(frame.cloud) == pytest.approx(view.mask.sum(), rel=0.1)
    assert len(reader.notes) == 1 and 'classes person are ignored' in reader.notes[0]
    assert '2 depth images have no boxes within' in reader.unused


def test_a_frame_without_the_object_has_the_reason(bag: Path) -> None:
    with open_bag(bag) as content:
        reader = FrameReader(choose_topics(content, Topics()), replace(DEFAULTS, mask_id=2))
        frame = next(reader.read(content))
    assert frame.cloud is None and frame.reason == 'the mask has no pixel of id 2'


def test_images_before_the_first_camera_info_are_used(views: list, tmp_path: Path) -> None:
    """All pairs of image and mask are complete when the only camera_info comes, at the end."""
    entries = bags.recorded_messages(views, (bags.DEPTH, bags.MASK))
    info = bags.recorded_messages(views[:1], (bags.INFO,))[0]
    entries.append((bags.INFO, 200_000_000_000, info[2]))
    path = bags.write_bag(tmp_path / 'late', 'mcap', entries)
    with open_bag(path) as content:
        frames = list(FrameReader(choose_topics(content, Topics())).read(content))
    assert [f.recorded - 100_000_000_000 for f in frames] == [bags.PERIOD * i for i in range(4)]


def test_an_image_keeps_the_calibration_that_it_came_with(views: list, tmp_path: Path) -> None:
    entries = bags.recorded_messages(views[:1], (bags.DEPTH, bags.INFO, bags.MASK))
    (_, _, depth), (_, _, info), (_, _, mask) = entries
    other = deepcopy(info)
    other.width, other.height = 640, 480
    order = ((bags.INFO, info), (bags.DEPTH, depth), (bags.INFO, other), (bags.MASK, mask))
    path = bags.write_bag(tmp_path / 'two', 'mcap', [
        (topic, i, message) for i, (topic, message) in enumerate(order)])
    with open_bag(path) as content:
        frame, = FrameReader(choose_topics(content, Topics())).read(content)
    assert frame.cloud is not None and frame.recorded == 1


def test_clouds_are_used_where_there_is_no_depth(views: list, tmp_path: Path) -> None:
    path = bags.record(tmp_path / 'bag', 'mcap', views, bags.POINTS)
    with open_bag(path) as content:
        topics = choose_topics(content, Topics())
        assert topics == Topics(points=bags.POINTS)
        frames = list(FrameReader(topics).read(content))
    assert [len(f.cloud) for f in frames] == [
        len(filter_cloud(backproject(v.depth, bags.INTRINSICS, v.mask))) for v in views]


def test_images_without_a_mask_are_whole(views: list, tmp_path: Path) -> None:
    path = bags.record(tmp_path / 'bag', 'mcap', views, bags.DEPTH, bags.INFO)
    with open_bag(path) as content:
        frames = list(FrameReader(choose_topics(content, Topics())).read(content))
    for frame, view in zip(frames, views, strict=True):
        assert isinstance(frame.cloud, DepthView)
        np.testing.assert_allclose(frame.cloud.depth, view.depth, atol=5.1e-4)


def compressed_entries(views: list) -> list[bags.Entry]:
    """The messages of a camera whose depth images are compressed, as 16UC1."""
    entries = []
    for topic, recorded, message in bags.recorded_messages(
            views, (bags.DEPTH, bags.INFO, bags.MASK)):
        if topic == bags.DEPTH:
            text, data = compress(np.frombuffer(message.data, np.uint16).reshape(
                message.height, message.width))
            topic, message = f'{topic}/compressedDepth', CompressedImage(
                header=message.header, format=text, data=data)
        entries.append((topic, recorded, message))
    return entries


def test_compressed_depth_is_recognised_and_raw_preferred(bag, views, tmp_path: Path) -> None:
    entries = compressed_entries(views)
    path = bags.write_bag(tmp_path / 'compressed', 'mcap', entries)
    name = f'{bags.DEPTH}/compressedDepth'
    with open_bag(path) as content:
        for wanted in (Topics(), Topics(depth=bags.DEPTH), Topics(depth=name)):
            topics = choose_topics(content, wanted)
            assert topics == Topics(name, bags.INFO, bags.MASK)
        frames = list(FrameReader(topics).read(content))
    with open_bag(bag) as content:
        raw = list(FrameReader(choose_topics(content, Topics())).read(content))
    assert len(frames) == len(raw) == 4
    for frame, other in zip(frames, raw, strict=True):
        np.testing.assert_array_equal(frame.cloud.points, other.cloud.points)
        assert frame.header == other.header
    both = bags.recorded_messages(views, (bags.DEPTH,)) + entries
    with open_bag(bags.write_bag(tmp_path / 'both', 'mcap', both)) as content:
        assert choose_topics(content, Topics()).depth == bags.DEPTH
        assert choose_topics(content, Topics(depth=name)).depth == name


def test_damaged_compressed_depth_is_the_reason_of_its_frame(views, tmp_path: Path) -> None:
    entries = compressed_entries(views[:2])
    next(m for _, _, m in entries if isinstance(m, CompressedImage)).data = b'nothing'
    with open_bag(bags.write_bag(tmp_path / 'bag', 'mcap', entries)) as content:
        first, second = FrameReader(choose_topics(content, Topics())).read(content)
    assert first.cloud is None and 'holds 7 bytes' in first.reason
    assert second.cloud is not None


def test_the_last_image_needs_no_calibration_of_its_own(views, tmp_path: Path) -> None:
    entries = bags.recorded_messages(views, (bags.DEPTH, bags.INFO, bags.MASK))
    last = max(i for i, (topic, _, _) in enumerate(entries) if topic == bags.INFO)
    with open_bag(bags.write_bag(tmp_path / 'bag', 'mcap',
                                 entries[:last] + entries[last + 1:])) as content:
        frames = list(FrameReader(choose_topics(content, Topics())).read(content))
    assert len(frames) == 4 and all(f.cloud is not None for f in frames)


def test_masks_of_another_camera(views: list, tmp_path: Path) -> None:
    """Refused by name; used with their calibration and the recorded TF of both cameras."""
    entries = bags.recorded_messages(views[:2], (bags.DEPTH, bags.INFO, bags.MASK))
    for topic, recorded, message in list(entries):
        if topic in (bags.MASK, bags.INFO):
            copied = deepcopy(message)
            copied.header.frame_id = 'colour'
            if topic == bags.INFO:
                entries.append(('/colour/camera_info', recorded, copied))
            else:
                message.header = copied.header
    with open_bag(bags.write_bag(tmp_path / 'refused', 'mcap', entries)) as content:
        topics = choose_topics(content, Topics(camera_info=bags.INFO))
        reasons = [f.reason for f in FrameReader(topics).read(content)]
        known = replace(topics, mask_camera_info='/colour/camera_info')
        assert choose_topics(content, replace(known, camera_info='')) == known
        blind = [f.reason for f in FrameReader(known).read(content)]
    assert len(reasons) == 2 and all(r.startswith("mask is in frame 'colour'") for r in reasons)
    assert len(blind) == 2 and all('is not known at the stamp' in r for r in blind)
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    entries.append(('/tf_static', 0, TFMessage(transforms=[transform_from_matrix(
        turned, Header(frame_id='colour'), bags.CAMERA_FRAME)])))
    for topic, _, message in entries:
        if topic == bags.MASK:  # the image is turned by half a turn, too
            message.data = bytes(message.data)[::-1]
    entries.sort(key=lambda entry: entry[1])
    with open_bag(bags.write_bag(tmp_path / 'registered', 'mcap', entries)) as content:
        frames = list(FrameReader(choose_topics(content, known)).read(content))
    for frame, view in zip(frames, views[:2], strict=True):
        assert frame.header.frame_id == 'colour'
        depth = np.round(view.depth * 1000).astype(np.float32) * np.float32(0.001)
        points = filter_cloud(backproject(depth, bags.INTRINSICS, view.mask & (depth > 0))).points
        np.testing.assert_allclose(frame.cloud.points[::-1], points * [-1, -1, 1], atol=1e-3)


def test_noise_is_no_recording(bag: Path, tmp_path: Path, refusal) -> None:
    spoilt = tmp_path / f'spoilt{bags.bag_file(bag).suffix}'
    spoilt.write_bytes(np.random.default_rng(0).bytes(5000))
    assert 'spoilt' in refusal(spoilt)


def test_files_that_are_no_bag(tmp_path: Path, refusal) -> None:
    assert 'does not exist' in refusal(tmp_path / 'none')
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n' + bytes(100))
    assert 'rosbag reindex old.bag' in refusal(tmp_path / 'old.bag')
    (tmp_path / 'empty').mkdir()
    assert 'empty' in refusal(tmp_path / 'empty')
    (tmp_path / 'empty.mcap').write_bytes(b'')
    assert 'empty.mcap is not a readable recording' in refusal(tmp_path / 'empty.mcap')


def test_bags_without_the_needed_topics(views: list, tmp_path: Path, refusal) -> None:
    chatter = [('/chatter', 1, String(data='hello'))]
    foreign = bags.write_bag(tmp_path / 'foreign', 'mcap', chatter)
    assert 'must be one depth image' in refusal(foreign)
    blind = bags.record(tmp_path / 'blind', 'sqlite3', views[:1], bags.DEPTH)
    assert 'must be one camera_info' in refusal(blind)
    missing = refusal(blind, '--depth-topic', '/other')
    assert f'no topic /other; did you mean {bags.DEPTH}? ' in missing
    assert 'not sensor_msgs/msg/PointCloud2' in refusal(blind, '--points-topic', bags.DEPTH)
    two = bags.recorded_messages(views[:1], (bags.DEPTH, bags.INFO))
    two.append(('/left/depth', 5, two[0][2]))
    assert '--depth-topic' in refusal(bags.write_bag(tmp_path / 'two', 'mcap', two))
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
