"""Queries, rays and noisy clouds of training views."""

import pytest
import torch

from kinediff3d_core.data.samples import (
    MIN_CLOUD,
    QueryDistribution,
    noisy_clouds,
    query_points,
    view_rays,
)
from kinediff3d_core.simulation.mask_errors import MaskErrors
from kinediff3d_core.simulation.sensor import SensorModel

SENSOR = SensorModel(mask_error=1, edge_dropout=0.2)


def test_half_of_the_queries_are_near_the_surface_and_some_all_over_the_box():
    surface = torch.zeros(2, 50, 3)
    box = torch.tensor([[-0.1, -0.2, -0.3], [0.1, 0.2, 0.3]]).expand(2, 2, 3)
    config = QueryDistribution()
    x = query_points(surface, box, 4000, 0.5, torch.Generator().manual_seed(0), config)
    assert x.shape == (2, 4000, 3)
    near, far, wide = x[:, :2000], x[:, 2000:3400], x[:, 3400:]
    assert near.std().item() == pytest.approx(config.near * 0.5, rel=0.05)
    assert far.std().item() == pytest.approx(config.far * 0.5, rel=0.05)
    limit = torch.tensor([0.1, 0.2, 0.3]) * (1 + 2 * config.box_margin) + config.margin * 0.5
    assert (wide.abs() <= limit).all()
    assert (wide.abs().amax((0, 1)) > 0.98 * limit).all()
    assert wide.mean((0, 1)).abs().max() < 0.02


def test_rays_cover_the_image_of_the_boxes():
    g = torch.Generator().manual_seed(0)
    corners = torch.rand(3, 16, 3, generator=g) + torch.tensor([-0.5, -0.5, 1.0])
    rays = view_rays(corners, 8).view(3, 8, 8, 3)
    assert (rays[..., 2] == 1).all()
    image = corners[..., :2] / corners[..., 2:]
    low, high = rays[:, 0, 0, :2], rays[:, -1, -1, :2]
    size = image.amax(1) - image.amin(1)
    torch.testing.assert_close(image.amin(1) - low, 0.03 * size)
    torch.testing.assert_close(high - image.amax(1), 0.03 * size)
    torch.testing.assert_close(rays[:, 0, 1, :2] - low, (high - low) / 7 * torch.tensor([1.0, 0]))


def test_clouds_are_of_the_object_and_too_few_points_are_not_valid():
    grid = 32
    corners = torch.tensor([[[x, y, 1.0] for x in (-0.2, 0.2) for y in (-0.2, 0.2)]])
    rays = view_rays(corners.expand(2, -1, -1), grid)
    depth = torch.ones(2, grid * grid)
    part = torch.full((2, grid * grid), -1)
    part[0] = 0
    part[1].view(grid, grid)[10:14, 10:14] = 0
    cloud, label, valid = noisy_clouds(rays, depth, part, 256, torch.Generator().manual_seed(1),
                                       SENSOR)
    assert cloud.shape == (2, 256, 3) and valid.tolist() == [True, False]
    assert ((cloud[0, :, 2] - 1).abs() < 0.02).all()
    assert not label[0].any()
    low, high = rays[1].view(grid, grid, 3)[[9, 14], [9, 14], :2]
    image = cloud[1, :, :2] / cloud[1, :, 2:]
    inside = ((image > low + 1e-4) & (image < high - 1e-4)).all(-1)
    assert torch.equal(label[1] == 0, inside)
    assert len(cloud[0].unique(dim=0)) == 256, 'drawn without replacement'
    few = len(cloud[1].unique(dim=0))
    assert few < MIN_CLOUD and (cloud[1, :few].unique(dim=0).shape[0] == few)


@pytest.mark.parametrize(('rows', 'valid'), [(4, False), (12, True)])
def test_a_cloud_that_is_mostly_of_other_things_is_not_valid(rows, valid):
    """A mask that is a bounding box, with the object in some rows of it."""
    grid = 64
    corners = torch.tensor([[[x, y, 1.0] for x in (-0.2, 0.2) for y in (-0.2, 0.2)]])
    rays = view_rays(corners, grid)
    part = torch.full((1, grid, grid), -1)
    part[:, :rows] = 0
    part[:, -1] = 0
    sensor = SensorModel(mask_error=0, occluded=0.0,
                         masks=MaskErrors(boxes=1.0, box_error=0.0))
    depth = torch.ones(1, grid * grid)
    cloud, label, good = noisy_clouds(rays, depth, part.flatten(1), 512,
                                      torch.Generator().manual_seed(0), sensor)
    assert good.tolist() == [valid]
    assert (label >= 0).float().mean().item() == pytest.approx((rows + 1) / grid, abs=0.06)
