"""Fit of one object's pose and joints to one frame; its shape is held."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kinediff3d_core.inference import refinement, residuals
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.presets import SolverConfig
from kinediff3d_core.inference.shape import Shape
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import Category
from kinediff3d_core.observation.cloud import MIN_POINTS, DepthView, ObjectCloud
from kinediff3d_core.observation.free_space import Observation, observe
from kinediff3d_core.tracking.config import TrackingConfig
from kinediff3d_core.tracking.crop import Crop, SurfaceCrop, SurfaceEvidence
from kinediff3d_core.tracking.reinitialization import TrackingLost
from kinediff3d_core.tracking.sdf_grid import SdfGrid

SOLVER = SolverConfig()
"""The solver; iterations and robust width are set by the tracking configuration."""


@dataclass(frozen=True)
class Fit:
    """Hypotheses (H) after their refinement, canonical units, on the CPU.

    Attributes:
        state: (H) poses and joints.
        information: (H, 6 + J, 6 + J) as :func:`refinement.refine_pose`.
        score, residual: (H,) as :func:`residuals.fit_score`.
    """

    state: State
    information: Tensor
    score: Tensor
    residual: Tensor

    def __getitem__(self, index: slice) -> Fit:
        return Fit(self.state[index], self.information[index], self.score[index],
                   self.residual[index])


class FrameFit:
    """Fits one object to frames.

    States that go in and come out are on the CPU, whatever device the fits run on.

    Args:
        field: the object's shape.
        joints: indices of the joints that the object has.
        seed: of the choice of points.

    Attributes:
        category: with sliding joints that reach a little beyond their lower limits.
        surface: (1, K, S, 3) surface samples in part frames.
    """

    def __init__(self, pipeline: Pipeline, field: Field, joints: list[int], seed: int,
                 config: TrackingConfig) -> None:
        self._config, self._field, self._joints = config, field, joints
        self._device, self._run = pipeline.device, pipeline.graphs
        self._scale, self._units = pipeline.category.scale, pipeline.units.cpu()
        self._limits = [(j.lower, j.upper) for j in pipeline.category.joints]
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self.surface, normals = residuals.surface_samples(
            pipeline.shape, field, config.fit.surface_samples, self._generator, self._run)
        grid = SdfGrid.from_field(pipeline.shape, field, config.sdf_grid)
        self.grid: Shape = grid
        self._crop = SurfaceCrop(grid, field, self.surface, normals, config.crop)

    @property
    def category(self) -> Category:
        return self.grid.category

    def observe(self, cloud: ObjectCloud) -> Observation:
        """The observation of a cloud (m), canonical units."""
        c = self._config.fit
        thinned = cloud.points[::max(1, len(cloud) // c.cloud_points)] / self._scale
        return observe(thinned, c.residual_points, self._generator, cloud.others / self._scale)

    def crop(self, view: DepthView, states: State, gap: float) -> Crop:
        """The object's cloud (m) in a frame without a mask, around predicted states (H).

        Args:
            gap: time over which they are predicted, s.

        Raises:
            TrackingLost: too few points are near the predicted surface.
        """
        return _enough(self._crop.crop(view, states, self._crop.motion_margin(gap)))

    def tighten(self, crop: Crop, states: State) -> Crop:
        """The part of such a crop that is near fitted states (H); errors are the same."""
        return _enough(self._crop.tighten(crop, states))

    def evidence(self, view: DepthView, state: State, crop: Crop) -> SurfaceEvidence:
        """What a frame without a mask shows where the surface of a fitted state (1) is."""
        return self._crop.evidence(view, state, crop)

    def sweep_joints(self, state: State) -> State:
        """The states that :meth:`search_joints` compares, of all joints."""
        return State.concatenate([self._positions(state, i) for i in self._joints])

    def refine(self, start: State, observation: Observation, iterations: int,
               prior: refinement.Prior) -> Fit:
        """Levenberg-Marquardt refinement of hypotheses under a Gaussian prior."""
        solver = replace(SOLVER, iterations=iterations, width=self._config.fit.robust_width)
        state, *rest = self._run(_refine, self._problem(observation), start.to(self._device),
                                 solver, prior.to(self._device))
        return Fit(state.to('cpu'), *(x.cpu() for x in rest))

    def score(self, state: State, observation: Observation) -> Tensor:
        """How badly hypotheses (H) explain an observation: :func:`residuals.fit_score`."""
        score, _ = self._run(residuals.fit_score, self._problem(observation),
                             state.to(self._device))
        return score

    def search_joints(self, state: State, observation: Observation) -> State:
        """Joint by joint, the position over its range that explains the frame best.

        Gradients do not find a joint that has moved far: a full estimate takes time, and joints
        move faster than their base.
        """
        for i in self._joints:
            tried = self._positions(state, i)
            best = int(self.score(tried, observation).argmin())
            state = replace(state, q=tried.q[best][None])
        return state

    def _positions(self, state: State, joint: int) -> State:
        """The state itself, and others with one joint at positions over its range."""
        positions, unit = self._config.joint_search.positions, float(self._units[joint])
        lower, upper = self._limits[joint]
        q = state.q.repeat(positions + 1, 1)
        q[1:, joint] = torch.linspace(lower / unit, upper / unit, positions)
        T, origin, axis = (x.expand(len(q), *x.shape[1:]) for x in (
            state.T_camera_base, state.origin, state.axis))
        return State(T, q, origin, axis)

    def _problem(self, observation: Observation) -> residuals.Problem:
        return residuals.Problem(self.grid, self._field, observation, self.surface)


def _enough(crop: Crop) -> Crop:
    """The crop itself, if it has points enough."""
    if len(crop.cloud) < MIN_POINTS:
        raise TrackingLost(f'{len(crop.cloud)} points are near the predicted surface, at least '
                           f'{MIN_POINTS} are needed')
    return crop


def _refine(problem: residuals.Problem, start: State, solver: SolverConfig,
            prior: refinement.Prior) -> tuple[State, Tensor, Tensor, Tensor]:
    state, information = refinement.refine_pose(problem, start, solver, prior)
    return state, information, *residuals.fit_score(problem, state)
