"""Where a camera gives no depth: angles, shadows, dark parts, registration."""

import math
from dataclasses import replace

import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.missing_returns import (
    MissingReturns,
    incidence,
    missing_returns,
    shadow,
)
from kinediff3d_core.simulation.render import pixel_rays

CAMERA = Intrinsics(60.0, 60.0, 31.5, 31.5, 64, 64)
RAYS = pixel_rays(CAMERA)[None]


def slope(angle):
    """Depth (1, 64, 64) of a plane 1 m away whose normal is turned about y by an angle, rad."""
    normal = torch.tensor([math.sin(angle), 0.0, math.cos(angle)])
    return math.cos(angle) / (RAYS @ normal)


def step():
    """A square at 0.5 m before a plane at 1 m."""
    depth = torch.ones(1, 64, 64)
    depth[:, 20:44, 20:44] = 0.5
    return depth


def lost(depth, part=None, images=1, baseline=0.0, **changes):
    part = torch.zeros_like(depth, dtype=torch.int64) if part is None else part
    repeat = (images, 1, 1)
    return missing_returns(depth.repeat(repeat), part.repeat(repeat), RAYS,
                           torch.full((images, 1, 1), baseline),
                           replace(MissingReturns(), **changes), torch.Generator().manual_seed(0))


def test_the_incidence_of_a_plane_is_the_angle_between_its_normal_and_the_rays():
    angle = incidence(slope(0.6), RAYS)
    normal = torch.tensor([math.sin(0.6), 0.0, math.cos(0.6)])
    exact = torch.acos((torch.nn.functional.normalize(RAYS, dim=-1) @ normal).clamp_max(1))
    torch.testing.assert_close(angle[:, 1:-1, 1:-1], exact[:, 1:-1, 1:-1], atol=2e-3, rtol=0)
    assert angle[:, 0].isnan().all() and angle[:, :, -1].isnan().all()


def test_nothing_is_lost_by_default_and_only_grazing_surfaces_are():
    assert not lost(slope(1.0)).any()
    limits = (math.radians(70), math.radians(70))
    few = lost(slope(0.3), grazing=1.0, grazing_angle=limits, grazing_blur=0.0)
    many = lost(slope(1.35), grazing=1.0, grazing_angle=limits, grazing_blur=0.0)
    assert not few.any() and many[:, 20:44, 26:38].all()
    share = lost(slope(1.35), images=400, grazing=0.3, grazing_angle=limits)
    assert abs(share.flatten(1).any(1).float().mean() - 0.3) < 0.07


def test_a_highlight_is_where_the_surface_faces_the_camera():
    spot = lost(torch.ones(1, 64, 64), shiny=1.0, shiny_angle=(0.1, 0.1))[0]
    y, x = torch.nonzero(spot).float().T
    assert abs(y.mean() - 31.5) < 0.5 and abs(x.mean() - 31.5) < 0.5
    radius = ((y - 31.5) ** 2 + (x - 31.5) ** 2).sqrt().max()
    assert abs(radius - 60 * math.tan(0.1)) < 1.5


def test_a_shadow_lies_beside_the_near_surface_and_is_as_wide_as_the_baseline_makes_it():
    """Its width is f b (1 / near - 1 / far)."""
    baseline = 0.1
    right = shadow(step(), RAYS, torch.full((1, 1, 1), -baseline))[0]
    left = shadow(step(), RAYS, torch.full((1, 1, 1), baseline))[0]
    width = 60 * baseline * (1 / 0.5 - 1 / 1.0)
    for image, inside in ((right, slice(44, 64)), (left, slice(0, 20))):
        assert not image[:20].any() and not image[44:].any()
        assert not image[:, 20:44].any()
        assert torch.allclose(image[20:44, inside].sum(1).float(), torch.tensor(width), atol=1)
    assert right[30, 44] and left[30, 19]
    assert not shadow(step(), RAYS, torch.zeros(1, 1, 1)).any()
    assert lost(step(), baseline=baseline, shadow=1.0)[0].equal(left)


def test_darkness_is_drawn_for_each_part():
    part = torch.zeros(1, 64, 64, dtype=torch.int64)
    part[..., 32:] = 1
    part[:, :8] = -1
    gone = lost(torch.ones(1, 64, 64), part, 300, dark=0.2, dark_share=(0.5, 0.5), cell=4)
    areas = [gone[:, 8:, :32], gone[:, 8:, 32:], gone[:, :8]]
    shares = torch.stack([a.flatten(1).float().mean(1) for a in areas])
    hit = shares > 0
    assert ((hit.float().mean(1) - 0.2).abs() < 0.08).all()
    assert abs((hit[0] & hit[1]).float().mean() - 0.04) < 0.04
    assert abs(shares[:2][hit[:2]].mean() - 0.5) < 0.06


def test_lines_are_whole_rows_and_columns():
    gone = lost(torch.ones(1, 64, 64), images=50, lines=1.0, line_share=0.1)
    rows, columns = gone.all(2, keepdim=True), gone.all(1, keepdim=True)
    assert torch.equal(gone, rows | columns)
    assert 0.02 < rows.float().mean() < 0.08
