"""What biases a joint over its whole range: the fit, the shape network, or the estimated shape.

    python -m kinediff3d_core.evaluation.joint_sweeps --categories stapler cutter --objects 1

Objects of the simulated camera move their joints over the range, as in ``kinediff3d demo``
(object 1 of seed 0 is the demo's). Each row replaces less of the estimate by the truth: the true
shape, the KA-VAE's reconstruction of it with true and with its own surface samples, and at last
the tracked estimate. The signed median shows a bias that holds over the range.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.true_shape import TrueShape, true_field
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.presets import SolverConfig
from kinediff3d_core.inference.refinement import refine_pose
from kinediff3d_core.inference.residuals import Problem, surface_samples
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation.cloud import filter_cloud, object_cloud
from kinediff3d_core.observation.free_space import Observation, observe
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene
from kinediff3d_core.simulation.views import TEST_CAMERA
from kinediff3d_core.tracking.config import DEFAULT
from kinediff3d_core.tracking.sequence_tracker import SequenceTracker
from kinediff3d_core.training.pool import sample_shapes

STATES = 24
"""Joint states of a sweep, as in the demo."""
FRAMES, PERIOD = 48, 12.0
"""Frames of the tracked sweep, there and back, and its duration, s. Chosen: the demo's period at a
little less than its rate."""
EVERY = 4
"""Every n-th state is fitted with the true shape. Chosen: fits with exact distances are slow."""
SOLVER = SolverConfig(iterations=12, width=DEFAULT.fit.robust_width)
"""Solver of these fits, which start at the truth: more iterations than in a tracked frame."""

Errors = list[np.ndarray]
"""Signed joint errors (J,) of frames, deg or mm; NaN for joints that are missing."""


def tracked_errors(pipeline: Pipeline, scene: SimulatedScene, camera: SimulatedCamera) -> Errors:
    """Errors of the tracked estimate over a sweep."""
    tracker, errors = SequenceTracker(pipeline, mesh=False), Errors()
    names = [j.name for j in pipeline.category.joints]
    for i in range(FRAMES):
        frame = camera.frame(i / FRAMES)
        found = tracker.update(object_cloud(frame.depth, TEST_CAMERA, frame.mask),
                               i * PERIOD / FRAMES)
        positions = np.full(len(names), np.nan)
        for joint in found.estimate.joints if found.estimate else ():
            positions[names.index(joint.name)] = joint.position
        errors.append(_errors(scene, positions, frame))
    return errors


def fitted_errors(pipeline: Pipeline, scene: SimulatedScene, camera: SimulatedCamera,
                  ) -> dict[str, Errors]:
    """Errors of fits that start at the truth, by what of the shape is true."""
    errors: dict[str, Errors] = {}
    for index in range(0, len(scene.positions), EVERY):
        frame = camera.state(index)
        start = _true_state(pipeline, scene, frame)
        for name, problem in _problems(pipeline, scene, start, _observe(pipeline, frame)).items():
            origin = problem.field.origin
            state, _ = refine_pose(problem, replace(start, origin=origin), SOLVER)
            errors.setdefault(name, []).append(
                _errors(scene, (state.q * pipeline.units)[0].double().numpy(), frame))
    return errors


def _problems(pipeline: Pipeline, scene: SimulatedScene, state: State, observation: Observation,
              ) -> dict[str, Problem]:
    """The fits of one frame, by what of the shape is true."""
    instances, samples = scene.instances, DEFAULT.fit.surface_samples
    generator = torch.Generator().manual_seed(0)
    shapes = sample_shapes(instances, generator)
    truth, surface = true_field(instances, shapes), shapes.surface[:, :, :samples]
    code, _ = pipeline.shape.encode(shapes.surface, shapes.centre, shapes.half, shapes.origin,
                                    instances.exists)
    field = replace(pipeline.shape.decode(code, state.q), exists=truth.exists)
    own, _ = surface_samples(pipeline.shape, field, samples, generator)
    return {
        'true shape': Problem(TrueShape(instances), truth, observation, surface),
        'reconstruction, true surface samples': Problem(pipeline.shape, field, observation,
                                                        surface),
        'reconstruction': Problem(pipeline.shape, field, observation, own)}


def _observe(pipeline: Pipeline, frame: SimulatedFrame) -> Observation:
    """The observation of a frame as the tracker makes it."""
    cloud, c = filter_cloud(object_cloud(frame.depth, TEST_CAMERA, frame.mask)), DEFAULT.fit
    scale = pipeline.category.scale
    return observe(cloud.points[::max(1, len(cloud) // c.cloud_points)] / scale,
                   c.residual_points, torch.Generator().manual_seed(0), cloud.others / scale)


def _true_state(pipeline: Pipeline, scene: SimulatedScene, frame: SimulatedFrame) -> State:
    """The true state of a frame, canonical units."""
    T = torch.from_numpy(frame.T_camera_base).float()[None]
    T[:, :3, 3] /= pipeline.category.scale
    q = torch.from_numpy(frame.positions).float()[None] / pipeline.units
    return State(T, q, scene.instances.origin / pipeline.category.scale,
                 pipeline.shape.axis[None])


def _errors(scene: SimulatedScene, positions: np.ndarray, frame: SimulatedFrame) -> np.ndarray:
    """Signed errors (J,), deg or mm; NaN for joints that the object or the estimate lacks."""
    joints = scene.instances.category.joints
    unit = np.array([180 / math.pi if j.joint_type == 'revolute' else 1000.0 for j in joints])
    exists = np.isin(np.arange(len(joints)), scene.joints)
    out: np.ndarray = np.where(exists, (positions - frame.positions) * unit, np.nan)
    return out


def row(errors: Errors) -> list[str]:
    """Median and 95th percentile of the absolute errors, and each joint's signed median."""
    signed = np.array(errors)
    absolute = np.abs(signed[np.isfinite(signed)])
    if not len(absolute):
        return ['–', '–', '–']
    bias = [f'{np.nanmedian(column):+.1f}' for column in signed.T if np.isfinite(column).any()]
    return [f'{np.median(absolute):.1f}', f'{np.percentile(absolute, 95):.1f}', ', '.join(bias)]


@torch.no_grad()
def measure(options: argparse.Namespace) -> None:
    """Measure all objects and print the table."""
    rows = []
    for category in options.categories:
        pipeline = Pipeline.load(category)
        for instance in tqdm(options.objects, desc=category, disable=None):
            scene = SimulatedScene.sample(category, options.seed, instance, TEST_CAMERA, STATES)
            camera = SimulatedCamera(scene, table=True)
            found = fitted_errors(pipeline, scene, camera)
            found['tracked estimate'] = tracked_errors(pipeline, scene, camera)
            rows += [[category, str(instance), name, *row(errors)]
                     for name, errors in found.items()]
    print(markdown_table(['category', 'object', 'shape', 'joint error [° or mm], median',
                          '95th percentile', 'signed median'], rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('joint_sweeps', 'Joint errors over sweeps, with parts of the truth.')
    parser.add_argument('--categories', nargs='+', choices=trained_categories(),
                        default=trained_categories())
    parser.add_argument('--objects', type=int, nargs='+', default=[1],
                        help='numbers of the objects of the seed (default 1, the demo\'s)')
    parser.add_argument('--seed', type=int, default=0)
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
