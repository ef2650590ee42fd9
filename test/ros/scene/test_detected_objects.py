"""Which boxes of a detector are objects, and under which numbers."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from kinediff3d_core.observation.image_boxes import DetectedBox, ImageBox
from kinediff3d_ros.scene import detected_objects
from kinediff3d_ros.scene.detected_objects import (
    DetectedObjects,
    DetectionConfig,
    MarkedObjects,
)
from kinediff3d_ros.scene.parameters import PerceptionParameters

CLASSES = '63:laptop, suitcase:box, thing:auto'


def box(class_id: str, track_id: str = '', u: float = 50.0, score: float = 0.9) -> DetectedBox:
    return DetectedBox(ImageBox(u, 40.0, 20.0, 20.0), class_id, score, track_id)


class Bench:
    """With pipelines of some categories, at a time that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        self.now = 100.0
        monkeypatch.setattr(detected_objects, 'time', SimpleNamespace(monotonic=lambda: self.now))
        self.use(('laptop', 'box', 'stapler'))

    def use(self, categories: tuple[str, ...], **config: int) -> None:
        self.objects = DetectedObjects(categories, self.lines.append, DetectionConfig(**config))

    def select(self, *boxes: DetectedBox, **parameters: object) -> MarkedObjects:
        values = {'instances': 'each', 'detection_classes': CLASSES, **parameters}
        self.marked = self.objects.select(boxes, PerceptionParameters(**values))
        assert self.marked.boxes.keys() == self.marked.categories.keys()
        return self.marked

    def categories(self, *boxes: DetectedBox, **parameters: object) -> dict[int, str]:
        return self.select(*boxes, **parameters).categories


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_classes_are_mapped_to_categories_and_ids_to_numbers(bench: Bench) -> None:
    marked = bench.select(box('63', '7', 50), box('suitcase', '3', 90), box('stapler', '9', 130),
                          box('thing', '12', 170), box('', '13', 210))
    assert marked.categories == {7: 'laptop', 3: 'box', 9: 'stapler', 12: 'auto', 13: 'laptop'}
    assert marked.boxes[3].u == 90
    assert not bench.lines


def test_unknown_classes_are_named_once(bench: Bench) -> None:
    assert bench.categories(box('person', '1'), box('63', '2', 90)) == {2: 'laptop'}
    assert bench.categories(box('person', '1'), box('drawer', '5', 90)) == {}
    bench.categories(box('person', '1'))
    first, second = bench.lines
    assert 'classes person are ignored' in first and 'detection_classes' in first
    assert ('classes drawer, person are ignored: they are no category in use '
            '(box, laptop, stapler)') in second


def test_auto_is_a_category_only_if_it_is_mapped_or_the_nodes_own(bench: Bench) -> None:
    assert bench.categories(box('auto'), detection_classes='63:laptop') == {}
    assert bench.categories(box(''), category='auto', detection_classes='') == {1: 'auto'}
    # With one object, classes of other categories are known, and not the object.
    bench.lines.clear()
    bench.use(('laptop',))
    assert bench.categories(box('suitcase'), instances='one') == {} and not bench.lines


def test_the_log_of_ever_new_classes_ends(bench: Bench) -> None:
    bench.use(('laptop',), named=3)
    for i in range(10):
        bench.select(box(f'class {i}'), detection_classes='')
    assert len(bench.lines) == 3


@pytest.mark.parametrize('score', [0.29, math.nan])
def test_low_scores_do_not_count(bench: Bench, score: float) -> None:
    assert bench.categories(box('63', score=score)) == {}
    assert bench.categories(box('63', score=0.3)) == {1: 'laptop'}
    assert bench.categories(box('63', score=0.3), min_detection_score=0.5) == {}


def test_boxes_that_are_no_rectangles_are_ignored_with_a_line(bench: Bench) -> None:
    bad = DetectedBox(ImageBox(math.nan, 1, 1, 1), '63', 0.9, '1')
    assert bench.categories(bad, box('63', '2')) == {2: 'laptop'}
    assert len(bench.lines) == 1 and 'finite centre' in bench.lines[0]


def test_of_two_boxes_on_one_object_the_better_counts(bench: Bench) -> None:
    assert bench.categories(box('63', '1', 50, 0.5), box('suitcase', '2', 51, 0.8)) == {2: 'box'}


def test_one_object_is_the_best_box_of_the_category(bench: Bench) -> None:
    boxes = box('63', '4', 50, 0.5), box('63', '5', 90, 0.8), box('suitcase', '6', 130, 0.9)
    assert bench.select(*boxes, instances='one').boxes == {5: boxes[1].box}
    assert bench.select(*boxes, instances='one', category='auto').boxes == {6: boxes[2].box}
    # mask_id selects the detector's id later.
    assert set(bench.select(*boxes, instances='one', mask_id=4).boxes) == {4, 5}


def test_listed_ids_have_their_category_whatever_the_class_is(bench: Bench) -> None:
    boxes = box('person', '4'), box('63', '5', 90), box('63', '', 130)
    assert bench.categories(*boxes, instances='listed', objects='4:stapler') == {4: 'stapler'}
    assert not bench.lines
    # With each, others are found by their class.
    assert bench.categories(*boxes, objects='4:stapler') == {4: 'stapler', 5: 'laptop',
                                                             1: 'laptop'}


def test_ids_that_are_no_mask_ids_get_free_numbers_in_their_order(bench: Bench) -> None:
    assert bench.categories(box('63', 'left', 50), box('63', '0', 90), box('63', '70000', 130),
                            box('63', '2', 170)) == dict.fromkeys((1, 2, 3, 4), 'laptop')
    # Each keeps its number, in any order.
    marked = bench.select(box('63', '2', 50), box('63', 'left', 90))
    assert {n: b.u for n, b in marked.boxes.items()} == {4: 50, 1: 90}
    assert set(bench.select(box('63', 'right', 50)).boxes) == {5}


def test_boxes_without_ids_continue_those_that_they_overlap(bench: Bench) -> None:
    def places(*boxes: DetectedBox) -> dict[int, float]:
        return {n: b.u for n, b in bench.select(*boxes).boxes.items()}

    first = places(box('63', u=50), box('63', u=100))
    assert first == {1: 50, 2: 100}
    # Others score better now.
    assert places(box('63', u=55, score=0.5), box('63', u=95, score=0.8)) == {1: 55, 2: 95}
    # One is away for an image, and another category is another object.
    assert places(box('63', u=95)) == {2: 95}
    assert places(box('63', u=57), box('stapler', u=95)) == {1: 57, 3: 95}
    assert places(box('63', u=300)) == {4: 300}
    # An id of the detector is none of them.
    assert places(box('63', '4', u=300)) == {5: 300}


def test_an_id_keeps_its_category_until_it_was_away(bench: Bench) -> None:
    assert bench.categories(box('63', '7')) == {7: 'laptop'}
    bench.now += 1.9
    assert bench.categories(box('suitcase', '7')) == {7: 'laptop'}
    bench.now += 1.9
    assert bench.categories(box('suitcase', '7')) == {7: 'laptop'}
    bench.now += 2.1
    assert bench.categories(box('suitcase', '7')) == {1: 'box'}
    assert bench.categories(box('suitcase', '7')) == {1: 'box'}


def test_an_id_that_is_there_twice_is_one_object(bench: Bench) -> None:
    marked = bench.select(box('63', '7', 50, 0.5), box('63', '7', 90, 0.8))
    assert {n: b.u for n, b in marked.boxes.items()} == {7: 90}


def test_ever_new_ids_are_forgotten(bench: Bench) -> None:
    bench.use(('laptop',), remembered=5)
    for i in range(100):
        bench.select(box('63', f'id {i}'))
    assert max(bench.marked.boxes) <= 6 and len(bench.objects._things) == 5
