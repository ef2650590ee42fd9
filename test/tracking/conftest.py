"""A laptop and a cabinet with one drawer, shared by all tests of tracking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tracking_scenes import CAMERA, START, camera_of, estimate_of, pipeline_of

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.inference import residuals
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedScene


@pytest.fixture(scope='session')
def pipeline():
    return pipeline_of('laptop')


@pytest.fixture(scope='session')
def camera():
    return camera_of('laptop', 1)


@pytest.fixture(scope='session')
def estimate() -> ArticulatedEstimate:
    return estimate_of('laptop', 1, START)


@pytest.fixture(scope='session')
def cabinet():
    """A cabinet with one drawer: pipeline, estimate, and its visible surface at a position."""
    pipeline = pipeline_of('drawer')
    camera = SimulatedCamera(SimulatedScene.sample('drawer', 0, 0, CAMERA, 3), noise=False)
    frame = camera.state(1)
    estimate = pipeline.infer(depth=frame.depth, intrinsics=CAMERA, mask=frame.mask, mesh=False)
    assert len(estimate.joints) == 1
    field, state = pipeline.decode_estimate(estimate)
    surface, normals = residuals.surface_samples(pipeline.shape, field, 1500,
                                                 torch.Generator().manual_seed(0))
    i = [j.name for j in pipeline.category.joints].index(estimate.joints[0].name)
    present = [pipeline.category.parts.index(p.name) for p in estimate.parts]

    def cloud(position: float) -> np.ndarray:
        q = state.q.clone()
        q[0, i] = position / pipeline.category.scale
        poses = residuals.part_poses(pipeline.shape, replace(state, q=q))[:, present]
        y = transform_points(poses, surface[:, present])
        facing = ((poses[..., :3, :3] @ normals[:, present].transpose(-1, -2)).transpose(-1, -2)
                  * y).sum(-1) < 0
        return (y[facing] * pipeline.category.scale).numpy()

    return pipeline, estimate, cloud
