"""Which known objects the segments of a depth image show, so that an object keeps its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class AssociationConfig:
    """When a segment and a known object are the same thing. All values are chosen."""

    near: float = 0.03
    """Points of a segment are explained by a point of a known object that is no farther away, m:
    the noise of the depth at 2 m, and half the distance of the samples on furniture."""
    share: float = 0.5
    """A segment is explained if more than this share of its points is."""
    segment_samples: int = 300
    """Points of a segment that are used. They show a share to 3 %."""
    object_samples: int = 2000
    """Points of a known object that are used: 2 cm apart on a square metre."""
    moved: float = 0.4
    """Largest distance between the centres of a lost object and of the segment of a new place, m:
    a hand moves things about so far while the object is lost."""
    size_ratio: float = 1.5
    """Largest ratio of their extents: one sees more of an object from another side."""


CONFIG = AssociationConfig()


def sampled(points: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the points (N, 3), evenly over their order."""
    return points[::max(1, -(-len(points) // count))]


def explained(segments: Sequence[np.ndarray], known: Mapping[int, np.ndarray],
              config: AssociationConfig = CONFIG) -> list[int | None]:
    """The number of the known object that each segment shows; None for a new thing.

    A segment of several known objects, which segmentation has not separated, shows the one that
    explains most of it.

    Args:
        segments: points (N, 3) of each, m.
        known: points (M, 3) of the known objects by number, in the same frame.
    """
    if not known or not segments:
        return [None] * len(segments)
    numbers = list(known)
    samples = [sampled(known[n], config.object_samples) for n in numbers]
    owner = np.repeat(np.arange(len(numbers)), [len(s) for s in samples])
    if not len(owner):
        return [None] * len(segments)
    tree = cKDTree(np.concatenate(samples))
    found: list[int | None] = []
    for points in segments:
        distance, index = tree.query(sampled(points, config.segment_samples),
                                     distance_upper_bound=config.near)
        hit = np.isfinite(distance)
        votes = np.bincount(owner[index[hit]], minlength=len(numbers))
        enough = votes.sum() > config.share * len(hit)
        found.append(numbers[int(votes.argmax())] if enough else None)
    return found


def moved(segments: Mapping[int, np.ndarray], lost: Mapping[int, np.ndarray],
          config: AssociationConfig = CONFIG) -> dict[int, int]:
    """Which lost objects have been moved to which new segments: segment to number.

    The nearest pairs of about equal extent go together.

    Args:
        segments: points (N, 3) of the segments that no known object explains, m.
        lost: points (M, 3) of the objects that are not tracked any more, by number, where they
            were seen last.
    """
    pairs = []
    for k, points in segments.items():
        for number, last in lost.items():
            distance = float(np.linalg.norm(np.median(points, 0) - np.median(last, 0)))
            ratio = _extent(points) / max(_extent(last), config.near)
            if distance <= config.moved and max(ratio, 1 / ratio) <= config.size_ratio:
                pairs.append((distance, k, number))
    found: dict[int, int] = {}
    for _, k, number in sorted(pairs):
        if k not in found and number not in found.values():
            found[k] = number
    return found


def _extent(points: np.ndarray) -> float:
    """Diagonal of the box around most of the points (N, 3), m, never 0."""
    low, high = np.percentile(points, (5, 95), axis=0)
    return max(float(np.linalg.norm(high - low)), CONFIG.near)
