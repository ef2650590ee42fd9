"""What the sensor model does to exact depth images and masks."""

from dataclasses import replace

import pytest
import torch

from kinediff3d_core.simulation.mask_errors import maximum_filter
from kinediff3d_core.simulation.render import render_depth
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor, fill_holes
from kinediff3d_core.simulation.views import TEST_CAMERA, sample_views

CLEAN = SensorModel(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0, 0.0, 0.2)


def sensor(depth, part=None, seed=0, **changes):
    """Depth and mask of a sensor that has only the errors that are named."""
    part = torch.where(depth > 0, 0, -1) if part is None else part
    generator = torch.Generator().manual_seed(seed)
    return apply_sensor(depth, part, generator, replace(CLEAN, **changes))


def steps(images=8):
    """A plane at 0.5 m on the left half and one at 1 m on the right."""
    depth = torch.ones(images, 48, 64)
    depth[..., :32] = 0.5
    return depth


def test_maximum_filter_equals_max_pooling():
    image = torch.randn(3, 17, 2, generator=torch.Generator().manual_seed(0))
    pooled = torch.nn.functional.max_pool2d(image[:, None], 3, 1, 1)[:, 0]
    assert torch.equal(maximum_filter(image), pooled)
    assert torch.equal(maximum_filter(image > 0), pooled > 0)


def test_the_seed_decides_the_noise_and_no_errors_change_nothing(laptops):
    q, T = sample_views(laptops[:4], torch.Generator().manual_seed(1))
    depth, part = render_depth(laptops[:4], q, T, TEST_CAMERA)
    noisy, mask = apply_sensor(depth, part, torch.Generator().manual_seed(2))
    again, _ = apply_sensor(depth, part, torch.Generator().manual_seed(2))
    assert torch.equal(noisy, again)
    seen = (noisy > 0) & mask & (part >= 0)
    error = (noisy - depth)[seen].abs()
    assert 1e-4 < error.median() < 5e-3
    steps = noisy[seen] / 1e-3
    torch.testing.assert_close(steps, steps.round(), atol=1e-2, rtol=0)
    assert ((noisy == 0) & (part >= 0)).float().sum() > 0.002 * (part >= 0).sum()
    exact, mask = apply_sensor(depth, part, torch.Generator().manual_seed(2), CLEAN)
    assert torch.equal(mask, part >= 0)
    torch.testing.assert_close(exact[mask], depth[mask])


@pytest.mark.parametrize('z', [0.5, 2.0])
def test_noise_grows_with_the_squared_depth(z):
    depth = torch.full((4, 64, 64), z)
    noisy, _ = sensor(depth, noise=0.001, noise_per_m2=0.003, noise_factor=(1.0, 1.0))
    assert (noisy - depth).std().item() == pytest.approx(0.001 + 0.003 * z * z, rel=0.03)
    assert abs((noisy - depth).mean()) < 2e-4 * (1 + z * z)


def test_the_noise_factor_is_drawn_for_each_image():
    depth = torch.ones(64, 32, 32)
    noisy, _ = sensor(depth, noise=0.001, noise_factor=(0.5, 1.5))
    sigma = (noisy - depth).flatten(1).std(dim=1)
    assert 0.45e-3 < sigma.min() < 0.65e-3 and 1.35e-3 < sigma.max() < 1.6e-3


def test_smooth_noise_is_correlated_between_neighbours_and_white_noise_is_not():
    depth = torch.ones(2, 128, 128)
    for share, low, high in ((0.0, -0.05, 0.05), (1.0, 0.9, 1.0)):
        noise = sensor(depth, noise=0.001, smooth_share=share)[0] - depth
        pairs = torch.stack([noise[:, :, 1:].flatten(), noise[:, :, :-1].flatten()])
        assert low < torch.corrcoef(pairs)[0, 1] < high


def test_depth_is_rounded_to_the_quantum():
    depth = torch.linspace(0.5, 1.0, 48 * 48).view(1, 48, 48)
    noisy, _ = sensor(depth, quantum=0.01)
    torch.testing.assert_close(noisy / 0.01, (noisy / 0.01).round(), atol=1e-3, rtol=0)
    assert (noisy - depth).abs().max() <= 0.005 + 1e-6


def test_only_pixels_at_depth_edges_drop_out():
    noisy, _ = sensor(steps(64), edge_dropout=0.3, edge_jump=0.01)
    lost = noisy == 0
    assert lost[..., 31:33].float().mean() == pytest.approx(0.3, abs=0.02)
    assert not lost[..., :31].any() and not lost[..., 33:].any()


def test_only_larger_jumps_than_the_threshold_are_edges():
    depth = steps(1)  # second differences of exactly 0.5 m
    for jump, lost in ((0.5, 0), (0.49, 2 * 48)):
        noisy, _ = sensor(depth, edge_dropout=1.0, edge_jump=jump)
        assert (noisy == 0).sum() == lost


def test_flying_pixels_are_between_the_surfaces():
    depth = steps(64)
    noisy, _ = sensor(depth, flying=0.4, edge_jump=0.01)
    moved = noisy != depth
    assert moved[..., 31:33].float().mean() == pytest.approx(0.4, abs=0.03)
    assert not moved[..., :31].any() and not moved[..., 33:].any()
    assert (noisy[moved] >= 0.5).all() and (noisy[moved] <= 1.0).all()
    assert 0.7 < noisy[moved].mean() < 0.8


def test_flying_pixels_at_the_border_are_a_little_behind_the_surface():
    depth = steps(8)
    depth[..., 32:] = 0.0
    noisy, _ = sensor(depth, flying=1.0, border_depth=0.03)
    assert (noisy[..., 32:] == 0).all() and (noisy[..., :31] == 0.5).all()
    behind = noisy[..., 31] - 0.5
    assert (behind >= 0).all() and 0.025 < behind.max() <= 0.03


def test_holes_take_at_most_the_largest_share_on_average():
    depth = torch.ones(200, 60, 80)
    noisy, _ = sensor(depth, hole_share=0.2)
    share = (noisy == 0).float().mean()
    assert 0.06 < share < 0.14  # the mean of what is drawn is 0.1


def test_the_mask_is_dilated_or_eroded_by_at_most_the_error():
    inside = torch.zeros(200, 20, 20, dtype=torch.bool)
    inside[:, 6:14, 5:15] = True
    _, mask = sensor(torch.ones(200, 20, 20), torch.where(inside, 0, -1), mask_error=2)
    sizes = {(int(m.any(1).sum()), int(m.any(0).sum())) for m in mask}
    assert sizes == {(8 + 2 * i, 10 + 2 * i) for i in range(-2, 3)}


def test_an_occluder_is_a_rectangle_on_the_object():
    inside = torch.zeros(100, 40, 60, dtype=torch.bool)
    inside[:, 10:31, 10:51] = True
    part = torch.where(inside, 0, -1)
    _, mask = sensor(torch.ones(100, 40, 60), part, occluded=1.0, occluder=0.4)
    hidden = inside & ~mask
    assert not (mask & ~inside).any() and 0.8 < hidden.flatten(1).any(1).float().mean() <= 1
    rows, columns = hidden.any(2), hidden.any(1)
    assert torch.equal(hidden, rows[:, :, None] & columns[:, None, :])
    assert rows.sum(1).max() <= 0.4 * 20 + 1 and columns.sum(1).max() <= 0.4 * 40 + 1
    _, mask = sensor(torch.ones(400, 40, 60), part.repeat(4, 1, 1), occluded=0.25, occluder=0.4)
    changed = (mask != inside.repeat(4, 1, 1)).flatten(1).any(1).float().mean()
    assert 0.15 < changed < 0.3


def test_holes_are_filled_from_around_them():
    depth = torch.ones(2, 37, 50)
    depth[:, :, 25:] = 2.0
    holed = depth.clone()
    holed[:, 10:20, 5:15] = 0.0
    holed[1, 20:22, 24:26] = 0.0
    filled = fill_holes(holed)
    torch.testing.assert_close(filled[0], depth[0])
    assert (filled[1, 20:22, 24:26] >= 1).all() and (filled[1, 20:22, 24:26] <= 2).all()
    assert torch.equal(filled[holed > 0], holed[holed > 0])
    assert not fill_holes(torch.zeros(1, 8, 8)).any()


def test_inpainting_leaves_no_hole_in_its_share_of_the_images():
    depth = torch.ones(300, 24, 24)
    noisy, _ = sensor(depth, hole_share=0.4, hole_cell=4, inpainted=0.4)
    plain, _ = sensor(depth, hole_share=0.4, hole_cell=4)
    before = (plain == 0).flatten(1).any(1)
    after = (noisy == 0).flatten(1).any(1)
    assert before.float().mean() > 0.8
    assert abs((after & before).sum() / before.sum() - 0.6) < 0.1
    assert (noisy[noisy > 0] == 1).all()


def test_blurred_images_round_edges_and_keep_holes():
    depth = steps(200)
    depth[:, 5:8, 5:8] = 0.0
    noisy, _ = sensor(depth, blurred=0.5, blur_pixels=2)
    blurred = ((noisy != depth) & (depth > 0)).flatten(1).any(1)
    assert abs(blurred.float().mean() - 0.5) < 0.12
    changed = (noisy != depth).any(0)
    assert not changed[:, :30].any() and not changed[:, 34:].any() and changed[:, 30:34].any()
    assert (noisy[:, 5:8, 5:8] == 0).all()
