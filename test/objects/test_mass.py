"""Mass, centre and inertia of parts."""

import numpy as np
import pytest
import trimesh
from estimates import box_mesh

from kinediff3d_core.objects.category import CATEGORIES, DEFAULT_DENSITY
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.mass import MIN_MASS, Material, mass_properties, material_of


def possible(found):
    """Positive, and no moment above the sum of the others."""
    a, b, c = np.linalg.eigvalsh(found.inertia)
    return a > 0 and c <= a + b + 1e-12 * c


def test_a_box():
    size, centre = np.array([0.2, 0.3, 0.04]), np.array([0.1, -0.02, 0.05])
    found = mass_properties(box_mesh(size, centre), Material(700.0))
    assert found.mass == pytest.approx(700 * size.prod())
    np.testing.assert_allclose(found.centre, centre, atol=1e-12)
    np.testing.assert_allclose(found.inertia, np.diag(
        found.mass / 12 * (np.sum(size ** 2) - size ** 2)), rtol=1e-9, atol=1e-12)


def test_a_hollow_box_weighs_what_its_walls_do():
    outer, inner = trimesh.creation.box((0.4, 0.4, 0.4)), trimesh.creation.box((0.38, 0.38, 0.38))
    inner.invert()
    shell = trimesh.util.concatenate([outer, inner])
    found = mass_properties(Mesh(shell.vertices, shell.faces), Material(600.0))
    assert found.mass == pytest.approx(600 * (0.4 ** 3 - 0.38 ** 3))
    assert possible(found)


@pytest.mark.parametrize('faces', [slice(0, -2), slice(None, None, 2)])
def test_a_mesh_with_holes_weighs_what_its_hull_does(faces):
    box = box_mesh((0.2, 0.3, 0.04))
    found = mass_properties(Mesh(box.vertices, box.faces[faces]), Material(700.0))
    assert found.mass == pytest.approx(700 * 0.2 * 0.3 * 0.04)
    assert possible(found)


@pytest.mark.parametrize('size', [(0.2, 0.3, 0.0), (0.01, 0.01, 0.01), (0.5, 0.0, 0.0)])
def test_flat_and_tiny_parts_have_mass_and_inertia(size):
    found = mass_properties(box_mesh(size), Material(700.0))
    assert found.mass >= MIN_MASS and np.isfinite(found.centre).all() and possible(found)


def test_a_mesh_whose_inside_was_not_seen_weighs_what_its_walls_do():
    found = mass_properties(box_mesh((0.4, 0.4, 0.4)), Material(250.0, 0.005))
    assert found.mass == pytest.approx(250 * 6 * 0.4 ** 2 * 0.005) and possible(found)
    # Walls that are there are not thinned.
    sheet = mass_properties(box_mesh((0.4, 0.4, 0.004)), Material(250.0, 0.005))
    assert sheet.mass == pytest.approx(250 * 0.4 ** 2 * 0.004)


def test_materials():
    box = CATEGORIES['box']
    assert material_of('box') == Material(box.density, box.wall) != Material()
    assert material_of('unheard-of') == Material(DEFAULT_DENSITY)
