"""Convex decomposition of meshes."""

import numpy as np
import pytest
import trimesh
from estimates import box_mesh

from kinediff3d_core.objects.convex_pieces import (
    DecompositionConfig,
    convex_pieces,
    empty_places,
)
from kinediff3d_core.objects.estimate import Mesh

WALL = 0.02


def open_box(size=0.4, wall=WALL):
    """A box without a lid as one closed surface, with triangles a twentieth of its size."""
    outer = trimesh.creation.box((size, size, size))
    inner = trimesh.creation.box((size - 2 * wall,) * 2 + (size,))
    inner.apply_translation((0, 0, wall))
    shell = trimesh.boolean.difference([outer, inner], engine='manifold')
    v, f = trimesh.remesh.subdivide_to_size(shell.vertices, shell.faces, size / 20)
    return Mesh(v, f)


def test_a_box_is_one_piece():
    pieces = convex_pieces(box_mesh((0.3, 0.2, 0.1)))
    assert [p.volume for p in pieces] == [pytest.approx(0.3 * 0.2 * 0.1)]


def test_an_open_box_stays_open():
    pieces = convex_pieces(open_box())
    assert 5 <= len(pieces) <= 12
    inside = np.random.default_rng(0).uniform(-0.15, 0.15, (500, 3))
    covered = np.any([(inside @ p.normals.T < p.offsets).all(1) for p in pieces], axis=0)
    assert covered.mean() < 0.02
    walls = 0.4 ** 3 - 0.36 ** 2 * 0.38
    assert sum(p.volume for p in pieces) == pytest.approx(walls, rel=0.2)


def test_the_number_of_pieces_is_bounded():
    assert len(convex_pieces(open_box(), DecompositionConfig(max_pieces=3))) <= 3


def test_the_same_mesh_has_the_same_pieces():
    one, other = (convex_pieces(open_box()) for _ in range(2))
    assert all((a.vertices == b.vertices).all() for a, b in zip(one, other, strict=True))


def test_flat_and_empty_meshes_have_none():
    assert convex_pieces(box_mesh((0.3, 0.2, 0.0))) == []
    assert convex_pieces(Mesh(np.zeros((0, 3)), np.zeros((0, 3), int))) == []


def test_empty_places_are_those_outside():
    """The inside of an open box is outside of its walls."""
    places = empty_places(open_box(), 40, 10)
    walls = (np.abs(places[:, :2]).max(1) > 0.2 - WALL) | (places[:, 2] < WALL - 0.2)
    assert not walls.any()
    assert len(places) == pytest.approx(40 ** 3 * 0.9 ** 2 * 0.95, rel=1e-9)
