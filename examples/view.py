"""What a depth camera sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """What the depth camera sees.

    Attributes:
        depth: (H, W) float32 m with the sensor's errors, 0 where there is nothing.
        mask: (H, W) bool, the object as a segmenter sees it.
        seconds: of the simulation.
    """

    seconds: float
    depth: np.ndarray
    mask: np.ndarray
