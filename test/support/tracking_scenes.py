"""Scenes, clouds and states for tests of tracking; what is expensive is made once."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from kinediff3d_core import Intrinsics, Pipeline
from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedScene

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
STATES = 16
"""Joint states of a scene's sweep."""
START = 5
"""State of the laptop's full estimate."""


@lru_cache
def pipeline_of(category: str) -> Pipeline:
    return Pipeline.load(category)


@lru_cache
def camera_of(category: str, instance: int) -> SimulatedCamera:
    return SimulatedCamera(SimulatedScene.sample(category, 0, instance, CAMERA, STATES))


@lru_cache
def estimate_of(category: str, instance: int, state: int) -> ArticulatedEstimate:
    frame = camera_of(category, instance).state(state)
    return pipeline_of(category).infer(depth=frame.depth, intrinsics=CAMERA, mask=frame.mask,
                                       mesh=False)


def cloud_of(camera: SimulatedCamera, state: int) -> np.ndarray:
    frame = camera.state(state)
    return backproject(frame.depth, CAMERA, frame.mask)


def moved(cloud: np.ndarray, turn: np.ndarray, shift=(0.0, 0.0, 0.0), about=None) -> np.ndarray:
    """Points turned about a point, by default their centre, and shifted."""
    centre = cloud.mean(0) if about is None else about
    return ((cloud - centre) @ turn.T + centre + np.asarray(shift)).astype(np.float32)


def rotation(axis: int, degrees: float) -> np.ndarray:
    """Rotation (3, 3) about a coordinate axis."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    R = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    R[i, i], R[i, j], R[j, i], R[j, j] = c, -s, s, c
    return R


def state_of(q: list[float], translation=(0.0, 0.0, 1.0)) -> State:
    """A single unrotated state (1) with joints along x."""
    T = torch.eye(4)
    T[:3, 3] = torch.tensor(translation)
    axis = torch.tensor([1.0, 0.0, 0.0]).expand(1, len(q), 3)
    return State(T[None], torch.tensor([q]), torch.zeros(1, len(q), 3), axis)
