"""Objects that segmentation finds: their numbers, when it runs, and what is none of ours."""

from __future__ import annotations

import numpy as np
import pytest
from instant_models import TOO_FAR
from scene_bench import CAMERA, SECOND, SceneBench
from scipy import ndimage

from kinediff3d_core.observation.cloud import DepthView
from kinediff3d_core.observation.instances import Instances
from kinediff3d_ros.scene import object_search
from kinediff3d_ros.scene.config import SceneConfig, SearchConfig
from kinediff3d_ros.scene.frames import DepthArrays, Frame, FrameHeader
from kinediff3d_ros.scene.object_search import KnownObjects, ObjectSearch

LEFT, MIDDLE, RIGHT = 2, 24, 46
"""First column of things of 16 columns; those side by side are 0.1 m apart at 1 m."""
NEVER = 3600.0
FAR = TOO_FAR + 0.5
"""Of a thing at this depth there is no estimate."""


class SearchBench(SceneBench):
    """A scene that segments; every separate surface is a segment.

    Attributes:
        segmented: number of segmented frames.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, search: SearchConfig | None = None,
                 **parameters: object) -> None:
        super().__init__(SceneConfig(initial_frame_period=0.0, search=search or SearchConfig(
            soon=0.0, retry=NEVER)), **{'instances': 'each', 'mask_mode': 'ignored',
                                        'segment_period': 0.0, **parameters})
        self.segmented = 0
        monkeypatch.setattr(object_search, 'segment_instances', self._segment)

    def _segment(self, depth: np.ndarray, intrinsics: object) -> Instances:
        self.segmented += 1
        ids, count = ndimage.label(depth > 0)
        return Instances(ids, np.ones(count))

    def put(self, things: dict[int, float]) -> int:
        """Show things by their first column, with their depths; the stamp. Waits for the frame."""
        self.time += SECOND // 10
        depth, stamp = np.zeros((48, 64), np.float32), self.time
        for column, value in things.items():
            depth[8:40, column:column + 16] = value
        self.scene.submit(Frame(FrameHeader(stamp, 'camera'), lambda: DepthArrays(depth, CAMERA)))
        self.wait_for(lambda: not self.scene._tracking.keys)
        self.wait_for(lambda: not self.scene._estimator.pending)
        return stamp

    def numbers(self, stamp: int) -> dict[int, float]:
        """What is published with a stamp, by number."""
        with self.host.lock:
            return {n: p.position for n, o in self.host.objects.items()
                    for p in o.publisher.published if p.header.nanoseconds == stamp}


def test_each_thing_is_an_object_and_is_tracked_without_segmentation(monkeypatch) -> None:
    with SearchBench(monkeypatch, segment_period=NEVER) as bench:
        assert bench.numbers(bench.put({LEFT: 1.0, MIDDLE: 1.5})) == pytest.approx(
            {1: 1.0, 2: 1.5})
        for depth in (1.1, 1.2, 1.3):
            stamp = bench.put({LEFT: depth, MIDDLE: 1.5})
            assert bench.numbers(stamp) == pytest.approx({1: depth, 2: 1.5})
        assert bench.segmented == 1 and len(bench.models.calls) == 2


def test_a_thing_that_comes_later_gets_the_next_number_when_it_is_seen_again(monkeypatch) -> None:
    with SearchBench(monkeypatch) as bench:
        bench.put({LEFT: 1.0})
        assert set(bench.numbers(bench.put({LEFT: 1.0, RIGHT: 1.4}))) == {1}
        assert bench.numbers(bench.put({LEFT: 1.0, RIGHT: 1.4})) == pytest.approx({1: 1.0, 2: 1.4})
        assert len(bench.models.calls) == 2


def test_what_passes_by_gets_no_estimate(monkeypatch) -> None:
    with SearchBench(monkeypatch) as bench:
        bench.put({LEFT: 1.0})
        for depth in (1.2, 1.5, 1.8, 1.5, 1.2):  # never twice running at one place
            bench.put({LEFT: 1.0, RIGHT: depth})
        assert len(bench.models.calls) == 1 and set(bench.host.objects) == {1}


def test_the_number_of_an_object_that_was_taken_away_is_not_given_again(monkeypatch) -> None:
    with SearchBench(monkeypatch, segment_period=NEVER, lost_after=0.1) as bench:
        bench.put({LEFT: 1.0, RIGHT: 1.4})
        bench.put({LEFT: 1.0})
        bench.wait_for(lambda: bench.host.objects[2].health.state in ('waiting', 'lost'))
        assert not bench.host.objects[2].publisher.shown

        def removed() -> bool:
            bench.put({LEFT: 1.0})
            bench.scene.remove_absent()
            return 2 not in bench.host.objects

        bench.wait_for(removed)
        assert 'has not been found in the image' in bench.logged('lost')
        bench.set(segment_period=0.0)
        for _ in range(2):
            stamp = bench.put({LEFT: 1.0, RIGHT: 1.4})
        assert set(bench.numbers(stamp)) == {1, 3}


def test_an_object_that_is_lost_and_stands_elsewhere_keeps_its_number(monkeypatch) -> None:
    with SearchBench(monkeypatch, segment_period=NEVER, lost_after=60.0) as bench:
        bench.put({LEFT: 1.0, RIGHT: 0.8})
        bench.put({LEFT: 1.0})
        stamp = bench.put({LEFT: 1.0, MIDDLE: 0.8})  # 0.3 m aside
        assert bench.numbers(stamp) == pytest.approx({1: 1.0, 2: 0.8})
        assert set(bench.host.objects) == {1, 2}


def labelled(depth: np.ndarray, _: object) -> Instances:
    return Instances(*ndimage.label(depth > 0))


def shown(column: int) -> DepthView:
    """An image of one thing, by its first column."""
    depth = np.zeros((48, 64), np.float32)
    depth[8:40, column:column + 16] = 0.8
    return DepthView(depth, CAMERA)


@pytest.mark.parametrize('tracked_before', [False, True])
def test_an_object_that_is_moved_during_its_full_estimate_keeps_its_number(
        monkeypatch, tracked_before: bool) -> None:
    """The estimate is the first one, or one beside tracking: then the track is lost meanwhile."""
    monkeypatch.setattr(object_search, 'segment_instances', labelled)
    search = ObjectSearch(SearchConfig())

    def found(column: int, known: KnownObjects) -> set[int]:
        search.note(known, None)
        return set(search.search(shown(column), None, known, False))

    assert found(RIGHT, KnownObjects({}, (), ())) == {1}
    if tracked_before:
        points = shown(RIGHT).points(slice(48), slice(64))
        assert found(RIGHT, KnownObjects({1: points}, (1,), ())) == set()
    for _ in range(3):  # twice at one place is enough for a new thing
        assert found(MIDDLE, KnownObjects({}, (1,), ())) == set()
    assert found(MIDDLE, KnownObjects({}, (), (1,))) == {1}


def test_what_is_found_between_a_move_and_the_loss_of_the_track_is_the_moved_object(
        monkeypatch) -> None:
    """Two frames are segmented while the tracker still has the object at its old place."""
    monkeypatch.setattr(object_search, 'segment_instances', labelled)
    search = ObjectSearch(SearchConfig())

    def found(column: int, tracked: tuple[int, ...] = (), lost: tuple[int, ...] = ()) -> set[int]:
        """Numbers that get a full estimate with one thing in a column; it is tracked at RIGHT."""
        known = KnownObjects(dict.fromkeys(tracked, shown(RIGHT).points(slice(48), slice(64))),
                             (), lost)
        search.note(known, None)
        return set(search.search(shown(column), None, known, False))

    assert found(RIGHT) == {1}
    assert found(MIDDLE, tracked=(1,)) == set()
    search.note(KnownObjects({1: shown(RIGHT).points(slice(48), slice(64))}, (), ()), None)
    assert found(MIDDLE, lost=(1,)) == {1}


def test_things_that_are_none_of_ours_leave_and_are_not_estimated_again(monkeypatch) -> None:
    with SearchBench(monkeypatch, max_objects=1) as bench:
        bench.put({LEFT: FAR})
        assert bench.host.objects[1].health.message.startswith('laptop_1 is none of ours: too far')
        bench.scene.remove_absent()
        assert not bench.host.objects
        bench.put({LEFT: FAR})
        assert bench.host.health.state == 'no_estimate'
        assert bench.host.health.message.startswith('no object: 1 things stand out, none of them')
        for _ in range(3):
            stamp = bench.put({LEFT: FAR, RIGHT: 1.0})
        assert bench.numbers(stamp) == pytest.approx({2: 1.0})
        assert bench.models.begun == 2 and bench.counts['no_estimates'] == 1


def test_a_thing_of_too_few_points_is_no_object(monkeypatch) -> None:
    """It would take the place of another until it counts as lost."""
    with SearchBench(monkeypatch, max_objects=1, min_points=16 * 32 + 1) as bench:
        for _ in range(2):
            bench.put({LEFT: 1.0})
        assert not bench.models.begun and not bench.host.objects


def test_a_refused_thing_is_tried_again_under_its_number(monkeypatch) -> None:
    with SearchBench(monkeypatch, SearchConfig(soon=0.0, retry=1e-9)) as bench:
        bench.put({LEFT: FAR})
        bench.scene.remove_absent()
        begun = bench.models.begun
        bench.put({LEFT: FAR})
        assert bench.models.begun == begun + 1 and set(bench.host.objects) == {1}


def test_no_more_than_max_objects_at_a_time(monkeypatch) -> None:
    with SearchBench(monkeypatch, max_objects=2) as bench:
        for _ in range(3):
            stamp = bench.put({LEFT: 1.0, MIDDLE: 1.5, RIGHT: 2.0})
        assert set(bench.numbers(stamp)) == {1, 2} and bench.models.begun == 2


def test_each_thing_is_named_with_category_auto(monkeypatch) -> None:
    with SearchBench(monkeypatch, category='auto') as bench:
        bench.put({LEFT: 1.0, RIGHT: 2.5})
        assert {n: o.category for n, o in bench.host.objects.items()} == {
            1: 'laptop', 2: 'stapler'}


def test_segmentation_waits_for_its_period_unless_an_object_is_lost(monkeypatch) -> None:
    with SearchBench(monkeypatch, segment_period=NEVER, lost_after=60.0) as bench:
        for _ in range(3):
            bench.put({LEFT: 1.0, RIGHT: 1.4})
        assert bench.segmented == 1
        for _ in range(3):
            bench.put({LEFT: 1.0})
        assert bench.segmented == 4
        stamp = bench.put({LEFT: 1.0, RIGHT: 1.4})
        # Its tracker finds it again, without a segmentation.
        assert set(bench.numbers(stamp)) == {1, 2} and bench.segmented == 4
        bench.put({LEFT: 1.0, RIGHT: 1.4})
        assert bench.segmented == 4


def test_a_request_segments_at_once_and_waits_for_all(monkeypatch) -> None:
    with SearchBench(monkeypatch, segment_period=NEVER) as bench:
        bench.put({LEFT: 1.0})
        request = bench.scene.request_estimates()
        bench.put({LEFT: 1.0, RIGHT: 1.4})
        request.wait()
        assert request.success
        assert 'laptop_1' in request.message and 'laptop_2' in request.message


def test_a_request_without_any_thing_fails_with_the_reason(monkeypatch) -> None:
    with SearchBench(monkeypatch) as bench:
        request = bench.scene.request_estimates()
        bench.put({LEFT: FAR})
        request.wait()
        assert not request.success and request.message == 'laptop_1: too far'
        request = bench.scene.request_estimates()
        bench.put({})
        request.wait()
        assert not request.success and 'holds no measurement' in request.message


def test_a_mask_gives_the_numbers_from_its_first_frame_on(monkeypatch) -> None:
    with SearchBench(monkeypatch, mask_mode='auto') as bench:
        bench.put({LEFT: 1.0, RIGHT: 1.4})
        assert set(bench.host.objects) == {1, 2}
        stamp = bench.show({2: 1.0})
        assert bench.publication(stamp, 2).position == pytest.approx(1.0)
        assert len(bench.models.calls) == 3  # a full estimate: the mask's object 2 is another one


def test_things_keep_their_numbers_before_a_camera_that_moves(monkeypatch) -> None:
    with SearchBench(monkeypatch) as bench:
        bench.host.pose = np.eye(4)
        bench.put({LEFT: FAR, RIGHT: FAR})
        shift = (MIDDLE - LEFT) / CAMERA.fx * FAR
        bench.host.pose = np.eye(4)
        bench.host.pose[0, 3] = shift
        begun = bench.models.begun
        bench.put({MIDDLE: FAR})  # what was on the right
        bench.put({MIDDLE: FAR})
        assert bench.models.begun == begun == 2


def test_an_image_without_a_measurement_is_no_estimate(monkeypatch) -> None:
    with SearchBench(monkeypatch) as bench:
        bench.put({})
        assert bench.host.health.state == 'no_estimate'
        assert 'holds no measurement' in bench.host.health.message


