"""Masks that are too large, boxes, filled holes, hands in masks, the end of the picture."""

import torch

from kinediff3d_core.simulation.mask_errors import (
    OCCLUDER,
    MaskErrors,
    beyond_the_picture,
    disturb_mask,
    extent,
)


def ring(images):
    """A square ring, 32 pixels wide, with a hole of 6 pixels."""
    mask = torch.zeros(images, 64, 64, dtype=torch.bool)
    mask[:, 16:48, 16:48] = True
    mask[:, 29:35, 29:35] = False
    return mask


def disturbed(images=64, part=None, **errors):
    mask = ring(images)
    part = torch.where(mask, 0, -1) if part is None else part
    return mask, disturb_mask(mask, part, MaskErrors(**errors), torch.Generator().manual_seed(0))


def test_no_errors_change_nothing():
    mask, out = disturbed()
    assert torch.equal(mask, out)


def test_grown_masks_are_larger_by_one_to_so_many_pixels():
    _, out = disturbed(grown=1.0, grown_pixels=4)
    first, last = extent(out, 1)
    assert set((16 - first).flatten().tolist()) == {1, 2, 3, 4}
    assert torch.equal(last - 47, 16 - first)


def test_closing_fills_the_hole_and_leaves_the_outline():
    mask, out = disturbed(closed=1.0, closed_pixels=4)
    assert out[:, 29:35, 29:35].all()
    assert torch.equal(out.any(1), mask.any(1)) and out.sum() == 64 * 32 * 32


def test_boxes_hold_the_hole_and_are_off_by_no_more_than_the_error():
    _, out = disturbed(boxes=1.0, box_error=0.1)
    first, last = extent(out, 2)
    assert (first - 16).abs().max() <= 4 and (last - 47).abs().max() <= 4
    assert (first != 16).any() and (last - first != 31).any()
    for image in out:
        assert image.sum() == image.any(0).sum() * image.any(1).sum()


def test_each_kind_has_its_share_and_they_exclude_each_other():
    mask, out = disturbed(2000, grown=0.2, closed=0.3, boxes=0.1, box_error=0.0)
    wider = extent(out, 1)[0][:, 0] < 16
    filled = out[:, 31, 31]
    assert abs(wider.float().mean() - 0.2) < 0.04
    assert abs((filled & ~wider).float().mean() - 0.4) < 0.04
    assert abs((out == mask).flatten(1).all(1).float().mean() - 0.4) < 0.04


def test_what_stands_before_the_object_is_in_some_masks():
    part = torch.where(ring(400), 0, -1)
    part[:, :4] = OCCLUDER
    mask, out = disturbed(400, part, occluder=0.5)
    with_hand = out[:, :4].flatten(1).all(1)
    assert abs(with_hand.float().mean() - 0.5) < 0.08
    assert torch.equal(out[:, 4:], mask[:, 4:])


def test_the_picture_ends_at_one_side_of_the_object():
    inside = ring(800)
    out = beyond_the_picture(inside, MaskErrors(truncated=0.5, truncated_share=0.4),
                             torch.Generator().manual_seed(0))
    cut = (out & inside).flatten(1).any(1)
    assert 0.4 < cut.float().mean() <= 0.54
    sides = torch.stack([out[:, 0].all(1), out[:, -1].all(1), out[:, :, 0].all(1),
                         out[:, :, -1].all(1)], dim=1)
    assert (sides.sum(1) <= 1).all() and (sides.float().mean(0) > 0.08).all()
    share = (out & inside).flatten(1).sum(1) / inside[0].sum()
    assert share.max() < 0.45
