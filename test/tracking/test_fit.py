"""The fit to one frame: thinning, and the search over joint positions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tracking_scenes import START, cloud_of

from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.tracking import fit
from kinediff3d_core.tracking.config import DEFAULT, FitConfig
from kinediff3d_core.tracking.fit import FrameFit


def frame_fit(pipeline, estimate, joints, config=DEFAULT) -> FrameFit:
    field, _ = pipeline.decode_estimate(estimate)
    return FrameFit(pipeline, field, joints, 0, config)


@torch.no_grad()
def test_a_search_finds_a_joint_anywhere_in_its_range(pipeline, camera, estimate):
    fitted, (_, state) = frame_fit(pipeline, estimate, [0]), pipeline.decode_estimate(estimate)
    joint = pipeline.category.joints[0]
    step = (joint.upper - joint.lower) / 12
    for i in (START - 4, START, START + 5):
        seen = fitted.observe(ObjectCloud(cloud_of(camera, i)))
        found = fitted.search_joints(state, seen)
        expected = (camera.state(i).positions - camera.state(START).positions)[0]
        moved = float(found.q[0, 0] - state.q[0, 0])
        assert abs(moved - expected) < 0.75 * step
        assert torch.equal(found.T_camera_base, state.T_camera_base)


def test_a_search_goes_joint_by_joint_through_those_that_are_present(cabinet, monkeypatch):
    """The score of a state is its distance from target positions, of which two are reachable."""
    pipeline, estimate, _ = cabinet
    fitted, (_, state) = frame_fit(pipeline, estimate, [0, 2]), pipeline.decode_estimate(estimate)
    scale = pipeline.category.scale
    grid = [[j.lower / scale + k / 12 * (j.upper - j.lower) / scale for k in range(13)]
            for j in pipeline.category.joints]
    target = torch.tensor([grid[0][12], grid[1][5], grid[2][0], grid[3][7]])
    tried = []

    def distance_from_target(shape, field, state, seen, surface):
        tried.append(len(state.q))
        return (state.q - target).abs().sum(-1), torch.zeros(len(state.q))

    monkeypatch.setattr(fit.residuals, 'fit_score', distance_from_target)
    start = replace(state, q=torch.full_like(state.q, 0.0123))
    found = fitted.search_joints(start, None)
    assert found.q[0].tolist() == pytest.approx([grid[0][12], 0.0123, grid[2][0], 0.0123])
    assert tried == [14, 14]
    # A position that no other one explains better stays.
    target = torch.tensor([0.0123 + 1e-4, 0.0, 0.0123 - 1e-4, 0.0])
    assert torch.equal(fitted.search_joints(start, None).q, start.q)


@pytest.mark.parametrize('points', [7, 11, 12, 40])
def test_large_clouds_are_thinned_evenly(pipeline, estimate, monkeypatch, points):
    config = replace(DEFAULT, fit=FitConfig(cloud_points=6, residual_points=5))
    fitted = frame_fit(pipeline, estimate, [0], config)
    monkeypatch.setattr(fit, 'observe', lambda cloud, n, generator, others: (cloud, n, others))
    cloud, others = np.random.rand(points, 3), np.random.rand(4, 3)
    thinned, n, beside = fitted.observe(ObjectCloud(cloud, others))
    scale = pipeline.category.scale
    assert len(thinned) == math.ceil(points / max(1, points // 6))
    assert thinned[1] == pytest.approx(cloud[max(1, points // 6)] / scale)
    assert beside == pytest.approx(others / scale)
    assert n == 5
