"""What inference makes of its input: canonical units, choices of points, and masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference import view
from kinediff3d_core.inference.presets import Preset, SamplingConfig
from kinediff3d_core.inference.view import cloud_of, prepare_view
from kinediff3d_core.observation import segmentation
from kinediff3d_core.observation.cloud import ObjectCloud, object_cloud

CAMERA = Intrinsics(100.0, 100.0, 19.5, 14.5, 40, 30)


def cloud(n, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.uniform(-0.1, 0.1, (n, 3)) + [0, 0, 1]).astype(np.float32)


def prepared(points, network_points, estimate_points):
    preset = replace(Preset(clouds=3, points=50), sampling=SamplingConfig(
        network_points=network_points, estimate_points=estimate_points))
    return prepare_view(ObjectCloud(points), 0.5, preset, torch.Generator().manual_seed(0))


def rows(points):
    return sorted(map(tuple, points.tolist()))


def test_points_are_in_canonical_units():
    points = cloud(200)
    found = prepared(points, 20, 30)
    assert found.network_clouds.shape == (3, 20, 3) and found.points.shape == (30, 3)
    doubled = set(rows(2 * points))
    for chosen in (*found.network_clouds, found.points):
        assert set(rows(chosen)) <= doubled and len(set(rows(chosen))) == len(chosen)
    assert rows(found.network_clouds[0]) != rows(found.network_clouds[1])
    assert found.observation.centroid == pytest.approx(2 * points.mean(0), abs=0.05)


def test_a_cloud_of_as_many_points_as_wanted_is_taken_whole():
    points = cloud(120)
    found = prepared(points, 120, 120)
    for chosen in (*found.network_clouds, found.points):
        assert rows(chosen) == rows(2 * points)


def test_points_of_smaller_clouds_are_repeated():
    points = cloud(110)
    found = prepared(points, 300, 111)
    assert found.network_clouds.shape == (3, 300, 3) and found.points.shape == (111, 3)
    assert set(rows(found.points)) <= set(rows(2 * points))


def image():
    """Depth of a wall with an object in front of it, and the object's mask."""
    depth = np.full((30, 40), 2.0, np.float32)
    mask = np.zeros((30, 40), bool)
    mask[8:22, 10:30] = True
    depth[mask] = 1.0
    return depth, mask


def test_a_mask_is_used_as_it_is(monkeypatch):
    depth, mask = image()
    monkeypatch.setattr(view, 'object_in_image', None)
    found, expected = cloud_of(None, depth, CAMERA, mask), object_cloud(depth, CAMERA, mask)
    assert len(found) == mask.sum()
    np.testing.assert_array_equal(found.points, expected.points)
    np.testing.assert_array_equal(found.others, expected.others)


def test_without_a_mask_the_object_is_segmented(monkeypatch):
    depth, mask = image()
    asked = []
    monkeypatch.setattr(segmentation, 'segment_object', lambda *given: asked.append(given) or mask)
    assert len(cloud_of(None, depth, CAMERA, None)) == mask.sum()
    assert asked == [(depth, CAMERA)]


def test_points_are_filtered_and_those_beside_kept():
    points, others = cloud(150), cloud(7, seed=1)
    outlier = np.array([[0.0, 0.0, 9.0], [np.nan, 0.0, 1.0]], np.float32)
    found = cloud_of(ObjectCloud(np.concatenate([points, outlier]), others), None, None, None)
    np.testing.assert_array_equal(found.points, points)
    assert found.others is others
    np.testing.assert_array_equal(cloud_of(points, None, None, None).points, points)


def test_input_that_is_missing_or_given_twice_is_an_error():
    depth, mask = image()
    with pytest.raises(ValueError, match='either points or depth'):
        cloud_of(None, None, CAMERA, mask)
    with pytest.raises(ValueError, match='either points or depth'):
        cloud_of(cloud(150), depth, CAMERA, mask)
    with pytest.raises(ValueError, match='depth needs intrinsics'):
        cloud_of(None, depth, None, mask)
