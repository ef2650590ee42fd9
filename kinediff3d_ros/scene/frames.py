"""One input frame as plain data: stamp, frame name, and a function that converts it to arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""


@dataclass(frozen=True)
class FrameHeader:
    """Stamp and coordinate frame of one input.

    Attributes:
        nanoseconds: the stamp, ns.
        frame_id: name of the camera's optical frame.
    """

    nanoseconds: int
    frame_id: str

    @property
    def seconds(self) -> float:
        """The stamp, s."""
        seconds, rest = divmod(self.nanoseconds, NANOSECONDS)
        return seconds + 1e-9 * rest

    def stamp_text(self, separator: str) -> str:
        """The stamp to the last digit: seconds, a separator, nine digits of nanoseconds."""
        seconds, rest = divmod(self.nanoseconds, NANOSECONDS)
        return f'{seconds}{separator}{rest:09d}'


@dataclass(frozen=True)
class DepthArrays:
    """A depth image, its camera and, where there is one, its mask.

    Attributes:
        depth: (H, W) float32, m; zero where there is no measurement.
        instances: (H, W) instance ids of the mask, zero where there is no object; None without a
            mask.
        boxed: the mask shows bounding boxes, also where they overlap or are turned.
        categories: of instance ids, by a detector's classes.
    """

    depth: np.ndarray
    intrinsics: Intrinsics
    instances: np.ndarray | None = None
    boxed: bool = False
    categories: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """One frame that is not converted yet.

    Attributes:
        convert: returns a depth image, or points (N, 3) in the camera frame, m; ValueError says
            why the input cannot be used. It takes milliseconds and is called on the scene's
            thread.
        initializes: it has the mask of an image that has been used already, or is older than
            others that have: objects that are not tracked get a full estimate of it.
    """

    header: FrameHeader
    convert: Callable[[], DepthArrays | np.ndarray]
    initializes: bool = False
