"""The surface of a mesh that is visible from outside."""

import numpy as np
import pytest
from estimates import box_mesh
from open3d_or_skip import import_open3d

from kinediff3d_core.data.visible_surface import visible_surface
from kinediff3d_core.objects.estimate import Mesh

import_open3d()


def test_only_the_outer_wall_is_visible():
    outer, inner = box_mesh((0.3, 0.2, 0.1)), box_mesh((0.28, 0.18, 0.08))
    both = Mesh(np.concatenate([outer.vertices, inner.vertices]),
                np.concatenate([outer.faces, inner.faces + len(outer.vertices)]))
    points, seen, area = visible_surface(both, 3000, np.random.default_rng(0))
    assert np.abs(np.abs(points) / (0.15, 0.1, 0.05)).max(-1).min() > 0.999
    assert len(seen.faces) == 12 and len(points) >= 3000
    assert area == pytest.approx(0.22, rel=0.05)
