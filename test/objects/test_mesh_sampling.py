"""Points on meshes, against values worked out by hand."""

import numpy as np
import pytest
from estimates import box_mesh

from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.mesh_sampling import sample_mesh, triangle_areas, triangles_at


def test_sampling_is_uniform_by_area():
    mesh = box_mesh((1, 1, 4))
    p = sample_mesh(mesh, 60000, np.random.default_rng(2))
    ends = (np.abs(np.abs(p[:, 2]) - 2) < 1e-9).mean()
    assert ends == pytest.approx(2 / 18, abs=0.005)
    assert np.abs(p.mean(0)).max() < 0.02


def test_triangles_take_shares_in_their_order():
    mesh = Mesh(np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 0.0]]),
                np.array([[0, 1, 3], [0, 1, 2], [0, 2, 1], [0, 0, 0]]))
    np.testing.assert_allclose(triangle_areas(mesh), [0, 1, 1, 0])
    index = triangles_at(triangle_areas(mesh), np.array([0.1, 0.49, 0.51, 1.0]))
    assert index.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize('corner', [0.0, np.nan])
def test_a_mesh_without_area_has_no_points(corner):
    mesh = Mesh(np.array([[0, 0, 0], [1, 0, 0], [corner, 0, 0]]), np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match='1 faces has no area'):
        sample_mesh(mesh, 3, np.random.default_rng(0))
