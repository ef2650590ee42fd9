"""States that the fronts of drawers propose, and how well hypotheses agree with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kinediff3d_core.inference.fronts import (
    Fronts,
    has_fronts,
    mismatch,
    observe_fronts,
    propose,
    stands_out,
)
from kinediff3d_core.inference.presets import FrontsConfig
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.observation.fronts import Face

DRAWER, CONFIG = get_category('drawer'), FrontsConfig()
SCALE = DRAWER.scale


def face(x, y, z):
    return Face(x, np.array([y[0], z[0]]), np.array([y[1], z[1]]))


def fronts(*faces, levels=(), points=()):
    return Fronts(faces, levels, np.eye(3), np.reshape(points, (-1, 3)))


def reference(exists=4):
    """Drawers of 0.2 m below each other in a body whose front is at x = 0, all at 0.1 m."""
    origin = torch.zeros(1, 4, 3)
    origin[0, :, 0], origin[0, :, 2] = -0.2, torch.tensor([0.3, 0.1, -0.1, -0.3])
    centre, half = torch.zeros(1, 5, 3), torch.full((1, 5, 3), 0.2)
    centre[0, 0, 0], half[0, 0] = -0.2, torch.tensor([0.2, 0.3, 0.4])
    half[0, 1:] = torch.tensor([0.2, 0.3, 0.1])
    odds = torch.where(torch.arange(5) <= exists, 5.0, -5.0)[None]
    state = State(torch.eye(4)[None], torch.full((1, 4), 0.1), origin,
                  torch.tensor([1.0, 0.0, 0.0]).expand(1, 4, 3))
    empty = torch.zeros(1, 0)
    field = Field(centre, half, empty, empty, empty, origin, odds)
    return scaled(state), scaled(field)


def scaled(value):
    """A state or field in canonical units, from metres."""
    if isinstance(value, Field):
        return replace(value, **{k: getattr(value, k) / SCALE
                                 for k in ('centre', 'half', 'origin')})
    T = value.T_camera_base.clone()
    T[:, :3, 3] /= SCALE
    return replace(value, T_camera_base=T, q=value.q / SCALE, origin=value.origin / SCALE)


TOP, MIDDLE, LOW = (0.2, 0.4), (-0.1, 0.1), (-0.4, -0.2)
WIDE, LEFT, RIGHT = (-0.3, 0.3), (0.01, 0.3), (-0.3, -0.01)


def proposed(*faces, levels=()):
    found = propose(DRAWER, fronts(*faces, levels=levels), *reference(), CONFIG)
    if found is None:
        return None
    q = (found.state.q * SCALE).tolist()
    return [(n, [round(x, 3) for x in q[i][:n]], found.state[i:i + 1])
            for i, n in enumerate(found.drawers.tolist())]


def test_only_drawers_have_fronts():
    assert [name for name in ('drawer', 'cutter', 'laptop', 'cabinet')
            if has_fronts(get_category(name))] == ['drawer']


def test_open_drawers_stand_out_from_the_body():
    """Its front is at 0; a front that is 2 cm thick is that of a closed drawer."""
    assert [stands_out(DRAWER, fronts(face(-0.2, WIDE, LOW), face(x, WIDE, TOP)), *reference(),
                       CONFIG) for x in (0.0, 0.02, 0.05)] == [False, False, True]


def test_drawers_are_in_order_from_top_to_bottom_and_then_from_left():
    (n, q, state), = proposed(face(0.3, WIDE, LOW), face(0.1, RIGHT, TOP), face(0.2, LEFT, TOP))
    assert n == 3 and q == [0.2, 0.1, 0.3]
    origin = (state.origin * SCALE)[0, :3]
    assert origin[:, 1].tolist() == pytest.approx([0.155, -0.155, 0.0])
    assert origin[:, 2].tolist() == pytest.approx([0.3, 0.3, -0.3])
    assert origin[:, 0].tolist() == pytest.approx([-0.2] * 3)


def test_closed_drawers_in_the_column_are_proposed_and_divided():
    """One face at the closed level, twice as high as the open drawer: none, one, or two."""
    found = proposed(face(0.2, WIDE, (-0.4, -0.2)), face(0.001, WIDE, (-0.2, 0.2)))
    assert [(n, q) for n, q, _ in found] == [(1, [0.2]), (2, [0.0, 0.2]), (3, [0.0, 0.0, 0.2])]
    narrow = proposed(face(0.2, WIDE, (-0.4, -0.2)), face(0.001, (0.1, 0.3), (-0.2, 0.2)))
    assert [n for n, *_ in narrow] == [1]


def test_observed_levels_move_the_body():
    found = proposed(face(0.3, WIDE, TOP), levels=(0.3, -0.05, 0.004, 0.9))
    # At 0.3 nothing stands out, 0.004 is the reference's own level, 0.9 is too far.
    assert [q for _, q, _ in found] == [[0.35], [0.296]]
    assert [float(s.T_camera_base[0, 0, 3]) * SCALE for *_, s in found] == pytest.approx(
        [-0.05, 0.004], abs=1e-6)


def test_nothing_is_proposed_without_an_open_drawer_or_with_too_many():
    assert proposed(face(0.005, WIDE, TOP)) is None
    many = [face(0.1 + 0.05 * i, WIDE, (0.1 * i, 0.1 * i + 0.08)) for i in range(5)]
    assert proposed(*many) is None


def test_a_face_behind_another_one_is_inside_of_it():
    (n, q, _), = proposed(face(0.3, WIDE, TOP), face(0.1, (-0.2, 0.2), (0.22, 0.38)))
    assert n == 1 and q == [0.3]


class Shape:
    category = DRAWER


def unpaired(*faces, exists, q=(0.1, 0.1, 0.1, 0.1), points=()):
    state, field = reference(exists)
    state = replace(state, q=torch.tensor([q]) / SCALE)
    return float(mismatch(Shape, field, state, fronts(*faces, points=points), CONFIG))


def test_each_front_without_a_face_and_each_face_without_a_front_counts():
    three = [face(0.1, WIDE, z) for z in (TOP, (0.0, 0.2), (-0.2, 0.0))]
    assert unpaired(*three, exists=3) == pytest.approx(0.0, abs=1e-6)
    assert unpaired(*three, exists=4) == pytest.approx(1.0, abs=1e-6)
    assert unpaired(*three, exists=2) == pytest.approx(1.0, abs=1e-6)
    # A closed drawer needs no face of its own.
    assert unpaired(*three, exists=4, q=(0.1, 0.1, 0.1, 0.0)) == pytest.approx(0.0, abs=1e-6)


def test_points_on_a_front_count_as_a_part_of_a_face():
    """Small fronts, and those that are seen steeply, are not found as faces."""
    rng = np.random.default_rng(0)
    sheet = np.column_stack([np.full(900, 0.1), rng.uniform((-0.3, -0.4), (0.3, -0.2), (900, 2))])
    three = [face(0.1, WIDE, z) for z in (TOP, (0.0, 0.2), (-0.2, 0.0))]
    assert unpaired(*three, exists=4, points=sheet) == pytest.approx(
        1 - CONFIG.measured, abs=1e-6)
    quarter = sheet[sheet[:, 1] < -0.15]
    assert unpaired(*three, exists=4, points=quarter) == pytest.approx(
        1 - 0.25 * CONFIG.measured / CONFIG.same_area, abs=0.1)
    behind = sheet - (0.1, 0, 0)
    assert unpaired(*three, exists=4, points=behind) == pytest.approx(1.0, abs=1e-6)


def test_a_face_belongs_to_one_drawer_at_its_distance():
    half = 0.5 / CONFIG.same_area
    assert unpaired(face(0.1, WIDE, (0.0, 0.4)), exists=2) == pytest.approx(
        (1 - half) + (1 - half) + 1, abs=1e-5)
    assert unpaired(face(0.2, WIDE, TOP), exists=1) == pytest.approx(2.0, abs=1e-6)


def test_faces_of_a_view_are_seen_from_the_references_base():
    rng, (state, _) = np.random.default_rng(0), reference()
    sheet = np.column_stack([np.zeros(4000), rng.random((4000, 2)) - 0.5])
    seen = observe_fronts(sheet, state, CONFIG)
    assert len(seen.faces) == 1 and abs(seen.faces[0].x) < 1e-6
    assert observe_fronts(sheet[:, [1, 0, 2]], state, CONFIG) is None
