"""Steps and draws of depth cameras."""

import pytest
import torch

from kinediff3d_core.simulation.depth_cameras import (
    AZURE_KINECT,
    DEPTH_CAMERAS,
    KINECT_V1,
    draw_cameras,
    quantize,
)


def of(camera, n=1):
    return draw_cameras((camera,), n, torch.Generator().manual_seed(0))


@pytest.mark.parametrize('z', [1.0, 2.0, 3.0])
def test_the_step_of_a_disparity_grows_with_the_squared_depth(z):
    depth = torch.linspace(z - 0.1, z + 0.1, 20000).view(1, 100, 200)
    values = quantize(depth, of(KINECT_V1)).unique()
    assert values.diff().mean().item() == pytest.approx(0.00285 * z * z, rel=0.1)
    assert (quantize(depth, of(KINECT_V1)) - depth).abs().max() < 0.00285 * (z + 0.1) ** 2


def test_time_of_flight_has_steps_of_a_millimetre_at_any_depth_and_zero_stays_zero():
    depth = torch.tensor([[[0.0, 0.5004, 4.0004]]])
    torch.testing.assert_close(quantize(depth, of(AZURE_KINECT)),
                               torch.tensor([[[0.0, 0.5, 4.0]]]))
    assert quantize(depth, of(KINECT_V1))[0, 0, 0] == 0


def test_every_camera_is_drawn_equally_often():
    drawn = draw_cameras(DEPTH_CAMERAS, 5000, torch.Generator().manual_seed(0))
    assert drawn.noise.shape == (5000, 1, 1)
    rows = torch.cat([drawn.noise, drawn.noise_per_m2, drawn.step_per_m2, drawn.baseline], 2)
    _, counts = rows[:, 0].unique(dim=0, return_counts=True)
    assert len(counts) == len(DEPTH_CAMERAS)
    assert (counts / 5000 - 1 / len(DEPTH_CAMERAS)).abs().max() < 0.02
