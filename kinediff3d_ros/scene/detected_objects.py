"""Which boxes of a 2D detector are objects: their categories and numbers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.observation.image_boxes import (
    DetectedBox,
    ImageBox,
    overlap,
    without_duplicates,
)
from kinediff3d_ros.scene.parameters import (
    MAX_MASK_ID,
    PerceptionParameters,
    detection_classes,
    object_categories,
)


@dataclass(frozen=True)
class DetectionConfig:
    """How boxes of different objects are separated, and those of one object recognised."""

    duplicate_overlap: float = 0.7
    """Overlap (intersection over union) above which two boxes are on one object, of which the
    better one counts. Chosen: detectors remove the duplicates of one class by themselves, at 0.45
    to 0.7, but not those of several classes."""

    same_overlap: float = 0.3
    """Least overlap of two boxes without an id, in images one after the other, that are on one
    object. Chosen: that of the tracker SORT."""

    remembered: int = 1000
    """Most ids that are remembered, the newest. Bounds the memory. Chosen."""

    named: int = 20
    """Most classes that are named when they are ignored. Chosen."""


CONFIG = DetectionConfig()
"""The configuration where none is given."""


@dataclass(frozen=True)
class MarkedObjects:
    """The objects that a detector has marked in one image, by number.

    Attributes:
        boxes: of each, valid. categories: of each.
    """

    boxes: dict[int, ImageBox] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)


@dataclass
class _Thing:
    """What a number stands for.

    Attributes:
        seen: when it was seen last, monotonic, s.
    """

    number: int
    category: str
    seen: float
    box: ImageBox


class DetectedObjects:
    """Selects the boxes of objects, and gives an object the same number in each image.

    For one thread. The number of an object is that of the box's id, if that is a number from 1 to
    65535 and no other object has it. Other ids get the lowest free numbers, in the order in which
    they appear. A box without an id continues the object of its category whose last box it
    overlaps most.

    An id keeps the category that it had first. After it has been away for ``lost_after`` it may
    come back with another one, and is then another object.

    Args:
        loaded: categories with a pipeline.
        log: takes one line about boxes that are ignored.
    """

    def __init__(self, loaded: Collection[str], log: Callable[[str], None],
                 config: DetectionConfig = CONFIG) -> None:
        self._loaded, self._log, self._config = loaded, log, config
        # By the detector's id; without one by number.
        self._things: dict[str | int, _Thing] = {}
        self._ignored: set[str] = set()

    def select(self, boxes: Iterable[DetectedBox], parameters: PerceptionParameters,
               ) -> MarkedObjects:
        """The objects that the boxes of one image mark.

        With ``instances: one`` this is the best box of the category, or all of its boxes where
        ``mask_id`` selects one of them later.
        """
        usable = self._usable(boxes, parameters)
        named = {box: category for box, category in self._named(usable, parameters).items()
                 if parameters.instances != 'one' or parameters.category in (AUTO, category)}
        marked = MarkedObjects()
        for box in without_duplicates(named, self._config.duplicate_overlap):
            thing = self._thing(box, named[box], marked.boxes, parameters.lost_after)
            thing.seen, thing.box = time.monotonic(), box.box
            if thing.number not in marked.boxes:
                marked.boxes[thing.number] = box.box
                marked.categories[thing.number] = thing.category
            if parameters.instances == 'one' and not parameters.mask_id:
                break
        return marked

    def _usable(self, boxes: Iterable[DetectedBox], parameters: PerceptionParameters,
                ) -> list[DetectedBox]:
        """Boxes that are rectangles, with a score that is high enough."""
        found = list(boxes)
        valid = [box for box in found if box.box.is_valid]
        if len(valid) < len(found):
            self._log('boxes without a finite centre and sides longer than zero are ignored')
        return [box for box in valid if box.score >= parameters.min_detection_score]

    def _named(self, boxes: Iterable[DetectedBox], parameters: PerceptionParameters,
               ) -> dict[DetectedBox, str]:
        """The category of each box that is one in use; the classes of others are logged.

        With ``instances: listed``, ids say what is an object, whatever its class is.
        """
        classes = detection_classes(parameters.detection_classes)
        in_use = {*self._loaded, *classes.values(), parameters.category}
        listed = object_categories(parameters.objects) if parameters.instances != 'one' else {}
        named: dict[DetectedBox, str] = {}
        ignored: set[str] = set()
        for box in boxes:
            category = listed.get(_number(box.track_id) or 0, '')
            if not category and parameters.instances != 'listed':
                category = classes.get(box.class_id, box.class_id) or parameters.category
                if category not in in_use:
                    ignored.add(box.class_id)
                    continue
            if category:
                named[box] = category
        self._report(ignored)
        return named

    def _report(self, ignored: Collection[str]) -> None:
        """Log classes that are ignored, if one of them is new."""
        fresh = sorted(set(ignored) - self._ignored)[:self._config.named - len(self._ignored)]
        if fresh:
            self._ignored.update(fresh)
            self._log(f'boxes of the classes {", ".join(sorted(self._ignored))} are ignored: they '
                      f'are no category in use ({", ".join(sorted(self._loaded))}), and '
                      'detection_classes maps them to none')

    def _thing(self, box: DetectedBox, category: str, taken: Collection[int], away: float,
               ) -> _Thing:
        """What a box shows.

        Args:
            taken: numbers that other boxes of the image have.
            away: time after which an id may stand for another object, s.
        """
        key: str | int = box.track_id or self._continued(box.box, category, taken)
        thing = self._things.get(key)
        if thing is None or (thing.category != category
                             and time.monotonic() - thing.seen > away):
            number = self._free(_number(box.track_id))
            key, thing = box.track_id or number, _Thing(number, category, 0.0, box.box)
        self._things.pop(key, None)
        self._things[key] = thing
        while len(self._things) > self._config.remembered:
            self._things.pop(next(iter(self._things)))
        return thing

    def _continued(self, box: ImageBox, category: str, taken: Collection[int]) -> int:
        """Key of the object without an id whose last box a box overlaps most; 0 if there is none.
        """
        found = [(overlap(box, thing.box), key) for key, thing in self._things.items()
                 if isinstance(key, int) and thing.category == category
                 and thing.number not in taken]
        most, key = max(found, default=(0.0, 0))
        return key if most >= self._config.same_overlap else 0

    def _free(self, wanted: int | None) -> int:
        """A number that nothing has: the wanted one, or else the lowest."""
        taken = {thing.number for thing in self._things.values()}
        if wanted is not None and wanted not in taken:
            return wanted
        return next(n for n in itertools.count(1) if n not in taken)


def _number(track_id: str) -> int | None:
    """The number that a detector's id is, if it can be a mask id."""
    if track_id.isdecimal() and track_id.isascii() and len(track_id) <= len(str(MAX_MASK_ID)):
        number = int(track_id)
        return number if 1 <= number <= MAX_MASK_ID else None
    return None
