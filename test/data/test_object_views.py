"""Depth images and views of mesh objects."""

import math

import pytest
import torch
from open3d_or_skip import import_open3d
from own_objects import edit_urdf

from kinediff3d_core.data.mesh_objects import load_object
from kinediff3d_core.data.object_views import render_object, sample_object_view
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.views import TEST_CAMERA

import_open3d()

CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)


def test_rendered_depth_of_a_box(folder):
    obj = load_object(folder)
    T = torch.eye(4)
    T[:3, :3] = torch.tensor([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
    T[2, 3] = 1.0
    depth, part = render_object(obj, torch.tensor([0.0]), T, CAMERA)
    assert set(part.unique().tolist()) == {-1, 1}
    top = 0.01 + 0.005 + 0.003
    assert depth[60, 80].item() == pytest.approx(1 - top, abs=1e-5)
    assert (depth == 0).sum() == (part < 0).sum() > 0
    width = (part >= 0).any(0).sum().item() * (1 - top) / 150
    assert width == pytest.approx(0.33, abs=2 * 1.0 / 150)


def test_views_follow_the_protocol_and_the_object(folder):
    edit_urdf(folder, 'upper="3.141593"', 'upper="1.5"')
    obj = load_object(folder)
    g = torch.Generator().manual_seed(0)
    states, elevations = [], []
    for _ in range(100):
        q, T = sample_object_view(obj, g)
        states.append(q.item())
        camera = torch.linalg.inv(T)[:3, 3]
        elevations.append(math.degrees(math.atan2(camera[2], camera[:2].norm())))
        depth, part = render_object(obj, q, T, CAMERA) if len(states) <= 3 else (None, None)
        if part is not None:
            assert (part >= 0).sum() > 50
    assert math.radians(10) <= min(states) < 0.4 and 1.3 < max(states) <= 1.5
    assert 0 < min(elevations) < 25 and 55 < max(elevations) < 80
    assert TEST_CAMERA.fx == 600.0
