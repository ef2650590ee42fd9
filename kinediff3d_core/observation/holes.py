"""Holes beside an object: where the camera measured nothing, though it did all around.

A part that returns no light (dark, shiny, or seen at a grazing angle) looks like such a hole.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from kinediff3d_core.observation.free_space import Observation

REACH = 2
"""A hole is beside the object if it comes within so many cells of the silhouette. Chosen."""


def hole_area(observation: Observation) -> float:
    """Area of the image in holes beside an object, as a share of its silhouette's.

    A hole does not reach the border of the observation's grid. It counts less where measurements
    are missing anyway, by the share of what is off the object that has one.
    """
    cells = observation.others.shape[0]
    silhouette = (observation.maps[:cells ** 2] == 0).cpu().numpy().reshape(cells, cells)
    missing = observation.others.isinf().cpu().numpy() & ~silhouette
    label, count = scipy.ndimage.label(missing)
    size = np.bincount(label.ravel(), minlength=count + 1)
    near = scipy.ndimage.binary_dilation(silhouette, iterations=REACH)
    beside = np.bincount(label[near], minlength=count + 1) > 0
    edge = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    beside[edge] = beside[0] = False
    measured = 1 - missing.sum() / max(1, int((~silhouette).sum()))
    return float(measured * size[beside].sum() / max(1, int(silhouette.sum())))
