"""Winding numbers of closed meshes and of meshes with holes."""

import numpy as np
import trimesh
from estimates import box_mesh

from kinediff3d_core.data.winding import winding_number
from kinediff3d_core.objects.estimate import Mesh

TOLERANCE = 0.02
"""Far groups of triangles act as one dipole."""


def exact_winding_number(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """Sum of the solid angles of all triangles over 4 pi, as van Oosterom and Strackee have it."""
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces][None] - points[:, None, None], 2, 0)
    la, lb, lc = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    volume = np.einsum('nfi,nfi->nf', a, np.cross(b, c))
    cosine = (la * lb * lc + np.einsum('nfi,nfi->nf', a, b) * lc
              + np.einsum('nfi,nfi->nf', b, c) * la + np.einsum('nfi,nfi->nf', c, a) * lb)
    return 2 * np.arctan2(volume, cosine).sum(-1) / (4 * np.pi)


def test_winding_numbers_are_one_inside_and_above_a_half_with_a_hole():
    mesh = box_mesh((0.2, 0.3, 0.4))
    rng = np.random.default_rng(0)
    p = rng.uniform(-0.3, 0.3, (400, 3))
    inside = (np.abs(p) < (0.1, 0.15, 0.2)).all(-1)
    np.testing.assert_allclose(winding_number(mesh, p), inside, atol=TOLERANCE)
    open_box = Mesh(mesh.vertices, mesh.faces[2:])
    winding = winding_number(open_box, p)
    deep = (np.abs(p) < (0.05, 0.1, 0.15)).all(-1)
    assert (winding[deep] > 0.5).all() and (winding[~inside] <= 0.5).mean() > 0.95
    reversed_box = Mesh(mesh.vertices, mesh.faces[:, ::-1])
    np.testing.assert_allclose(winding_number(reversed_box, p), -1.0 * inside, atol=TOLERANCE)
    assert winding_number(mesh, np.zeros((0, 3))).shape == (0,)


def test_winding_numbers_are_close_to_the_exact_ones():
    """A sphere with a hole, of thousands of triangles: the same sign everywhere."""
    ball = trimesh.creation.icosphere(4)
    mesh = Mesh(np.asarray(ball.vertices), np.asarray(ball.faces)[:4500])
    points = np.random.default_rng(0).uniform(-1.2, 1.2, (150, 3))
    exact, fast = exact_winding_number(mesh, points), winding_number(mesh, points)
    np.testing.assert_allclose(fast, exact, atol=0.03)
    clear = abs(exact - 0.5) > 0.03
    assert ((fast > 0.5) == (exact > 0.5))[clear].all() and 0.2 < (exact > 0.5).mean() < 0.5
    one = Mesh(mesh.vertices, mesh.faces[:1])
    np.testing.assert_allclose(winding_number(one, points), exact_winding_number(one, points),
                               atol=1e-4)
