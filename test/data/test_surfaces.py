"""Distances to meshes and spheres around them, against values worked out by hand."""

import numpy as np
import pytest
from estimates import box_mesh

from kinediff3d_core.data.surfaces import MeshDistance, bounding_radius


@pytest.mark.parametrize('seed', range(3))
def test_distance_without_open3d(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    mesh = box_mesh((0.3, 0.2, 0.01))
    p = rng.uniform(-0.2, 0.2, (500, 3))
    d = np.abs(p) - np.array([0.15, 0.1, 0.005])
    outside = np.linalg.norm(d.clip(min=0), axis=-1)
    exact = np.where(outside > 0, outside, np.abs(d.max(-1)))
    np.testing.assert_allclose(MeshDistance(mesh)(p), exact, atol=1e-6)
    monkeypatch.setitem(__import__('sys').modules, 'open3d', None)
    np.testing.assert_allclose(MeshDistance(mesh)(p), exact, atol=1e-9)


def test_bounding_sphere_of_a_sphere():
    rng = np.random.default_rng(3)
    p = rng.normal(size=(500, 3))
    p = 0.7 * p / np.linalg.norm(p, axis=-1, keepdims=True) + (3, 2, 1)
    assert bounding_radius(p) == pytest.approx(0.7, rel=1e-2)
