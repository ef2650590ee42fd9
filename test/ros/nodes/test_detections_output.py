"""When arrays of detections are published, and which objects are in them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from vision_msgs.msg import Detection3D, Detection3DArray  # noqa: E402

from kinediff3d_ros.messages.headers import header_from_stamp  # noqa: E402
from kinediff3d_ros.nodes.detections_output import DetectionsOutput  # noqa: E402

pytestmark = pytest.mark.ros


class Bench:
    """The output with a publisher that only records; stamps are seconds."""

    def __init__(self) -> None:
        self.arrays: list[Detection3DArray] = []
        self.subscribers = 1
        self.output = DetectionsOutput(SimpleNamespace(
            publish=self.arrays.append, get_subscription_count=lambda: self.subscribers))

    def add(self, second: int, *names: str) -> None:
        header = header_from_stamp(second * 10**9, 'camera')
        for name in names:
            self.output.add(name, lambda name=name: Detection3D(header=header, id=name))

    def end(self, second: int, late: bool = False) -> None:
        self.output.end_frame(second * 10**9, late)

    def published(self) -> list[tuple[int, dict[str, int]]]:
        """Second of each array since the last call, and that of each object in it."""
        found = [(a.header.stamp.sec, {d.id: d.header.stamp.sec for d in a.detections})
                 for a in self.arrays]
        self.arrays.clear()
        return found


def test_one_array_a_frame_has_all_of_its_objects() -> None:
    bench = Bench()
    bench.add(1, 'laptop_1', 'box_4')
    assert not bench.published()
    bench.end(1)
    bench.end(1)
    assert bench.published() == [(1, {'laptop_1': 1, 'box_4': 1})]
    # One without an estimate in this frame is not in its array.
    bench.add(2, 'box_4')
    bench.end(2)
    assert bench.published() == [(2, {'box_4': 2})]
    bench.end(3)
    assert not bench.published()


def test_a_late_full_estimate_joins_the_last_array() -> None:
    bench = Bench()
    bench.add(5, 'laptop_1')
    bench.end(5)
    bench.add(2, 'box_4')
    bench.end(2, late=True)
    bench.add(6, 'laptop_1', 'box_4')
    bench.end(6)
    assert bench.published() == [(5, {'laptop_1': 5}), (5, {'laptop_1': 5, 'box_4': 2}),
                                 (6, {'laptop_1': 6, 'box_4': 6})]


def test_a_late_array_within_a_frame_does_not_take_its_objects() -> None:
    bench = Bench()
    bench.add(5, 'laptop_1')
    bench.add(2, 'box_4')
    bench.end(2, late=True)
    bench.add(5, 'cup_3')
    bench.end(5)
    assert bench.published() == [(2, {'box_4': 2}), (5, {'laptop_1': 5, 'cup_3': 5})]


def test_an_object_that_is_withdrawn_leaves_and_the_last_one_leaves_an_empty_array() -> None:
    bench = Bench()
    bench.add(1, 'laptop_1', 'box_4')
    bench.end(1)
    bench.published()
    bench.output.remove('laptop_1')
    bench.output.remove('laptop_1')
    assert bench.published() == [(1, {'box_4': 1})]
    bench.output.remove('box_4')
    assert bench.published() == [(1, {})]
    bench.output.remove('never_seen')
    # Withdrawn before its frame was published.
    bench.add(2, 'box_4')
    bench.output.remove('box_4')
    bench.end(2)
    assert not bench.published()


def test_a_frame_that_has_ended_is_not_published_late_without_a_new_object() -> None:
    bench = Bench()
    bench.add(1, 'laptop_1')
    bench.end(1)
    bench.add(2, 'box_4')
    bench.output.remove('box_4')
    bench.end(2)
    bench.published()
    bench.end(2, late=True)
    assert not bench.published()


def test_nothing_is_made_or_kept_without_a_subscriber() -> None:
    bench = Bench()
    bench.add(1, 'laptop_1', 'box_4')
    bench.end(1)
    bench.published()
    bench.subscribers = 0
    bench.output.add('laptop_1', lambda: pytest.fail('made'))
    bench.end(2)
    bench.output.remove('box_4')
    bench.subscribers = 1
    bench.add(3, 'laptop_1')
    bench.end(3, late=True)
    assert bench.published() == [(3, {'laptop_1': 3})]


def test_after_a_clock_reset_arrays_are_those_of_the_new_frames() -> None:
    bench = Bench()
    bench.add(100, 'laptop_1', 'box_4')
    bench.end(100)
    bench.add(2, 'laptop_1')
    bench.end(2)
    assert bench.published()[-1] == (2, {'laptop_1': 2})
