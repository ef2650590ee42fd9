"""Inputs and losses of the training stages."""

import torch

from kinediff3d_core.geometry.rigid import rotation_angle
from kinediff3d_core.networks.checkpoints import load_network
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.training.latent_stage import LatentStage
from kinediff3d_core.training.pool import Pool, PoolConfig
from kinediff3d_core.training.shape_stage import ShapeStage, masked_mean, over_rows

LAPTOP = get_category('laptop')


def test_predicted_states_are_those_that_inference_starts_from():
    pool = Pool('laptop', torch.device('cpu'), 5, PoolConfig(False, 2, 32))
    pool.refresh(32)
    views = pool.draw_views(64, 512)
    cloud, T, q = views.cloud, views.T, views.q
    stage = LatentStage(LAPTOP, load_network('shape', 'laptop'))
    state = stage.predicted_states(load_network('pose', 'laptop'), cloud, pool.generator)
    angle = rotation_angle(state.T_camera_base[:, :3, :3], T[:, :3, :3])
    for half in (slice(0, None, 2), slice(1, None, 2)):  # regressed, sampled
        assert torch.rad2deg(angle[half].median()) < 8
        assert torch.rad2deg((state.q - q)[half].abs().median()) < 8


def test_masked_means():
    x = torch.tensor([[1.0, 2.0], [3.0, 10.0]])
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert masked_mean(x, mask) == 14 / 3
    assert over_rows(x, mask).tolist() == [2.0, 10.0]
    assert masked_mean(x, torch.zeros(2, 1)) == 0 and not over_rows(x, 0 * mask).any()


def test_the_total_of_the_shape_stage_is_eq_2_with_the_documented_weights():
    pool = Pool('drawer', torch.device('cpu'), 3, PoolConfig(True, 0, 2))
    pool.refresh(2)
    stage = ShapeStage(get_category('drawer'))
    losses = stage(pool, 2)
    c = stage.config
    total = (losses['sdf'] + c.part * losses['part'] + c.joint * losses['joint']
             + c.layout * losses['layout'] + c.beta * losses['kl']
             + c.exists * losses['exists'])
    torch.testing.assert_close(losses['total'], total)
    assert all(torch.isfinite(x) for x in losses.values())
