"""Scenes of several objects: the same again, nothing in another's place, ids where depth is."""

import numpy as np
import pytest
import torch

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.simulation.render import pixel_rays
from kinediff3d_core.simulation.tabletop import FLOOR, TABLE, _incidence, scene_view
from kinediff3d_core.simulation.views import posed_corners

SMALL = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)


@pytest.fixture(scope='module')
def views():
    return [scene_view(0, i, SMALL) for i in range(6)]


def test_a_scene_is_the_same_again(views):
    again = scene_view(0, 3, SMALL)
    np.testing.assert_array_equal(again.depth, views[3].depth)
    np.testing.assert_array_equal(again.ids, views[3].ids)
    assert again.categories == views[3].categories
    other = scene_view(1, 3, SMALL)
    assert other.depth.shape != again.depth.shape or (other.depth != again.depth).any()


def test_objects_stand_on_the_plane_in_front_of_the_camera(views):
    for view in views:
        for placed in view.objects:
            one = placed.instances
            corners = posed_corners(one, placed.positions, placed.T_world_base[None])[0]
            base = corners[:8]
            assert base[:, 2].min() == pytest.approx(0, abs=1e-6)
            assert (torch.from_numpy(view.T_camera_world)[2, :3].float() @ base.mean(0)
                    + view.T_camera_world[2, 3]) > 0.1


def test_boxes_of_objects_do_not_overlap(views):
    for view in views:
        boxes = []
        for placed in view.objects:
            corners = posed_corners(placed.instances, placed.positions,
                                    placed.T_world_base[None])[0]
            exists = placed.instances.exists[0].repeat_interleave(8)
            boxes.append((corners[exists, :2].amin(0), corners[exists, :2].amax(0)))
        for i, (low, high) in enumerate(boxes):
            for other_low, other_high in boxes[i + 1:]:
                assert ((low > other_high) | (other_low > high)).any()


def test_ids_name_the_object_that_is_seen(views):
    """Points of an id are inside of the object's boxes, but for the noise."""
    checked = 0
    for view in views:
        T = np.linalg.inv(view.T_camera_world)
        for k, placed in enumerate(view.objects, start=1):
            points = backproject(view.depth, SMALL, view.ids == k)
            if not len(points):
                assert view.visible[k - 1] < 0.5
                continue
            corners = posed_corners(placed.instances, placed.positions,
                                    placed.T_world_base[None])[0].numpy()
            world = points @ T[:3, :3].T + T[:3, 3]
            low, high = corners.min(0) - 0.05, corners.max(0) + 0.05
            assert ((world > low) & (world < high)).all(-1).mean() > 0.97
            checked += 1
    assert checked >= 5


def test_visible_shares_are_shares(views):
    shares = [share for view in views for share in view.visible]
    assert all(0 <= share <= 1.01 for share in shares) and max(shares) > 0.7
    assert all(len(view.visible) == len(view.objects) for view in views)


def test_kinds_of_scenes_have_their_own_categories():
    for kind in (TABLE, FLOOR):
        view = scene_view(5, 1, SMALL, kind)
        assert set(view.categories) <= set(kind.categories)
        assert (view.ids >= 0).all() and view.depth.max() > 0.3


def test_grazing_surfaces_are_those_seen_from_the_side():
    """A plane that is turned by 60 degrees about the image's y axis."""
    rays = pixel_rays(Intrinsics(300.0, 300.0, 79.5, 59.5, 160, 120))
    normal = torch.tensor([np.sin(np.pi / 3), 0.0, np.cos(np.pi / 3)]).float()
    angle = _incidence(0.5 / (rays @ normal), rays)
    expected = torch.arccos((rays @ normal) / rays.norm(dim=-1))
    torch.testing.assert_close(angle[1:-1, 1:-1], expected[1:-1, 1:-1], atol=0.02, rtol=0)
