"""Poses in which objects rest."""

import torch

from kinediff3d_core.simulation.families import FAMILIES
from kinediff3d_core.simulation.resting_poses import RESTING_POSES, draw_resting_poses


def drawn(category, probability, n=2000):
    return draw_resting_poses(category, n, probability, torch.Generator().manual_seed(0))


def test_shares_are_of_known_categories_and_staplers_lie_on_their_sides():
    assert set(RESTING_POSES) <= set(FAMILIES)
    R = drawn('stapler', 0.5)
    up = R[:, 2]  # the ground's z axis in the base frame
    upright = up[:, 2] > 0.99
    assert abs(upright.float().mean() - 0.5) < 0.04
    on_a_side = up[:, 1].abs() > 0.99
    assert abs(on_a_side[~upright].float().mean() - 0.5 / 0.6) < 0.05
    assert (up[on_a_side, 1] > 0).float().mean() > 0.4
    torch.testing.assert_close(R @ R.transpose(1, 2), torch.eye(3).expand_as(R), atol=1e-5, rtol=0)


def test_boxes_rest_on_each_side():
    up = drawn('box', 1.0)[:, 2]
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1), (2, -1)):
        assert (up[:, axis] * sign > 0.99).float().mean() > 0.07
    assert not (up[:, 2] > 0.99).any()


def test_others_are_upright():
    eye = torch.eye(3).expand(50, 3, 3)
    for category in ('laptop', 'drawer', 'scissors'):
        assert torch.equal(drawn(category, 1.0, 50), eye)
    assert torch.equal(drawn('box', 0.0, 50), eye)
