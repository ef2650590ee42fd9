"""Sizes of objects without a unit: those of the procedural objects."""

import pytest
import torch

from kinediff3d_core.data.datasets.mesh_models import HALF_DIAGONAL
from kinediff3d_core.data.datasets.shape2motion_objects import CLOSED_DIAGONAL
from kinediff3d_core.simulation.families import sample_instances
from kinediff3d_core.simulation.views import posed_corners, sample_views


def median_diagonal(category, closed):
    """Of the boxes of 200 procedural objects, closed or as in test views."""
    generator = torch.Generator().manual_seed(0)
    objects = sample_instances(category, 200, generator)
    q, _ = sample_views(objects, generator)
    corners = posed_corners(objects, 0 * q if closed else q, torch.eye(4).expand(200, 4, 4))
    return float((corners.amax(1) - corners.amin(1)).norm(dim=-1).median())


@pytest.mark.parametrize('category', HALF_DIAGONAL)
def test_objects_get_the_median_size_of_procedural_ones(category):
    assert HALF_DIAGONAL[category] == pytest.approx(median_diagonal(category, False) / 2, rel=0.05)


@pytest.mark.parametrize('category', CLOSED_DIAGONAL)
def test_closed_objects_get_the_median_size_of_closed_procedural_ones(category):
    assert CLOSED_DIAGONAL[category] == pytest.approx(median_diagonal(category, True), rel=0.05)
