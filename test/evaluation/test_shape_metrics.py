"""Chamfer distances against values worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from truths import laptop_truth, perfect

from kinediff3d_core.evaluation.shape_metrics import (
    ShapeComparison,
    chamfer,
    generation_metrics,
    shape_metrics,
)
from kinediff3d_core.evaluation.surfaces import MeshDistance, bounding_radius, sample_mesh
from kinediff3d_core.evaluation.truth import part_poses
from kinediff3d_core.objects.estimate import Mesh, transform_mesh


@pytest.fixture
def truth():
    return laptop_truth()


def test_chamfer_of_two_parallel_plates():
    """Two unit squares 0.1 apart, enclosed by a sphere of known radius."""
    def plate(z):
        return Mesh(np.array([[0, 0, z], [1, 0, z], [1, 1, z], [0, 1, z]], dtype=float),
                    np.array([[0, 1, 2], [0, 2, 3]]))

    radius = bounding_radius(plate(0.0).vertices)
    assert radius == pytest.approx(math.sqrt(0.5), rel=1e-3)
    rng = np.random.default_rng(1)
    a, b = sample_mesh(plate(0.0), 20000, rng), sample_mesh(plate(0.1), 20000, rng)
    assert chamfer(a, b, 1.0) == pytest.approx(100, rel=2e-3)
    assert chamfer(a, b, 2.0) == pytest.approx(50, rel=2e-3)
    assert MeshDistance(plate(0.1))(a) == pytest.approx(np.full(len(a), 0.1), abs=1e-6)


def test_true_state_and_own_joint_place_the_parts(truth):
    """A wrong state costs nothing in cd_w, a wrong pivot does."""
    e = perfect(truth)
    rng = np.random.default_rng
    wrong_state = replace(e, joints=(replace(e.joints[0], position=0.3),))
    assert shape_metrics(wrong_state, truth, rng(0), 2000)['cd_w_surface'] < 1e-3
    wrong_pivot = replace(e, joints=(replace(e.joints[0], origin=np.array([-0.09, 0, 0.01])),))
    out = shape_metrics(wrong_pivot, truth, rng(0), 2000)
    assert out['cd_w_surface'] > 5 and out['cd_m_surface'] < 1e-3


def test_generated_meshes_in_the_base_frame(truth):
    e = perfect(truth)
    q = np.array([0.4])
    placed = part_poses(truth, q)
    meshes = [transform_mesh(T, s.mesh) for T, s in zip(placed, truth.surfaces, strict=True)]
    comparison = ShapeComparison(truth, q, np.random.default_rng(0), 2000)
    out = generation_metrics(dict(zip(truth.part_names, meshes, strict=True)), e, comparison)
    assert max(out['cd_w_surface'], out['cd_s_surface'], out['cd_m_surface']) < 1e-3
