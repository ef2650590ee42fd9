"""Boxes and balls against their formulas."""

import pytest
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.primitives import Primitive, primitive_depth
from kinediff3d_core.simulation.render import pixel_rays

RAYS = pixel_rays(Intrinsics(40.0, 40.0, 20.0, 15.0, 41, 31))


def at(x, y, z):
    T = torch.eye(4)
    T[:3, 3] = torch.tensor([x, y, z])
    return T


def test_the_front_of_a_box_faces_the_camera():
    depth = primitive_depth(Primitive(at(0.0, 0.0, 2.0), torch.tensor([0.25, 0.125, 0.5])), RAYS)
    hit = depth.isfinite()
    assert (depth[hit] == 1.5).all()
    # 40 px / 1.5 m: six pixels and three on either side.
    assert hit[15].sum() == 13 and hit[:, 20].sum() == 7


def test_a_turned_box_shows_its_edge():
    T = at(0.0, 0.0, 2.0)
    T[:3, :3] = torch.tensor([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0], [-0.8, 0.0, 0.6]])
    depth = primitive_depth(Primitive(T, torch.tensor([0.5, 0.5, 0.5])), RAYS)
    inside = T[:3, :3].T @ (depth[..., None] * RAYS - T[:3, 3])[..., None]
    face = inside[..., 0][depth.isfinite()].abs().amax(-1)
    torch.testing.assert_close(face, torch.full_like(face, 0.5))


def test_balls_are_one_where_the_nearest_is_met():
    centres, radii = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.0, -0.5]]), torch.tensor([0.3, 0.2])
    depth = primitive_depth(Primitive(at(0.0, 0.0, 2.0), None, centres, radii), RAYS)
    point = depth[..., None] * RAYS - torch.tensor([0.0, 0.0, 2.0])
    far = ((point[..., None, :] - centres).norm(dim=-1) - radii).amin(-1)[depth.isfinite()]
    assert far.abs().max() < 1e-5 and len(far) > 100
    assert depth[15, 20] == pytest.approx(2 - 0.5 - 0.173, abs=0.01)


@pytest.mark.parametrize('primitive', [
    Primitive(at(0.0, 0.0, -2.0), torch.tensor([0.5, 0.5, 0.5])),
    Primitive(at(0.0, 0.0, -2.0), None, torch.zeros(1, 3), torch.tensor([0.5]))])
def test_nothing_behind_the_camera_is_seen(primitive):
    assert primitive_depth(primitive, RAYS).isinf().all()
