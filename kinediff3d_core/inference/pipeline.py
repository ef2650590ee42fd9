"""From a partial point cloud to an articulated object: the inference of section 3.4.

    pipeline = Pipeline.load('laptop')
    estimate = pipeline.infer(depth=depth, intrinsics=intrinsics, mask=mask)
    print(estimate.joints[0].position)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference import decoding, result
from kinediff3d_core.inference.cancellation import check_cancelled
from kinediff3d_core.inference.decoding import Generated
from kinediff3d_core.inference.fronts import Fronts, has_fronts, observe_fronts
from kinediff3d_core.inference.hypotheses import Hypotheses, RefinedHypotheses, sample_share
from kinediff3d_core.inference.model import CategoryModel
from kinediff3d_core.inference.optimization import initial_hypotheses, refine_hypotheses
from kinediff3d_core.inference.part_evidence import PartEvidence
from kinediff3d_core.inference.presets import PRESETS, Preset
from kinediff3d_core.inference.refinement import refine_pose
from kinediff3d_core.inference.residuals import Problem, fit_score, surface_samples
from kinediff3d_core.inference.sampling import sample_codes, sample_states
from kinediff3d_core.inference.verification import log_support
from kinediff3d_core.inference.view import PreparedView, cloud_of, prepare_view
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh, NoEstimate
from kinediff3d_core.objects.suggestion import unknown
from kinediff3d_core.observation.cloud import ObjectCloud


class Pipeline:
    """Estimates objects of one category. Not thread-safe: one call at a time.

    ``Pipeline(pipeline.model, preset)`` shares the networks under another preset.
    """

    def __init__(self, model: CategoryModel, preset: Preset) -> None:
        self.model, self.preset = model, preset
        self.category, self.device = model.category, model.device
        self.shape, self.pose, self.latent = model.shape, model.pose, model.latent
        self.units, self.graphs = model.units, model.graphs

    @classmethod
    def load(cls, category: str, preset: str = 'fast', device: str = 'cpu',
             weights: Path | None = None) -> Pipeline:
        """The pipeline of a category.

        Args:
            preset: ``fast`` or ``paper``.
            device: ``cpu``, ``cuda`` or ``cuda:N``.
            weights: folder with the three networks, or with one folder a category; None takes the
                shipped ones.

        Raises:
            ValueError: unknown category, preset or device, or weights that do not load.
        """
        spec = get_category(category)
        if preset not in PRESETS:
            raise ValueError(unknown('preset', preset, PRESETS))
        return cls(CategoryModel.load(spec, _available_device(device), weights), PRESETS[preset])

    @torch.no_grad()
    def infer(self, points: np.ndarray | ObjectCloud | None = None, *,
              depth: np.ndarray | None = None, intrinsics: Intrinsics | None = None,
              mask: np.ndarray | None = None, mesh: bool = True,
              seed: int = 0) -> ArticulatedEstimate:
        """Estimate the object in one view.

        Args:
            points: (N, 3) cloud of the object in the camera frame, m, or an :class:`ObjectCloud`
                with the points beside it. The alternative is ``depth``.
            depth: (H, W) z-depth, m, with ``intrinsics``; pixels without depth are 0 or NaN.
            mask: (H, W), true on the object; None takes the best instance of segmentation
                (:mod:`~kinediff3d_core.inference.candidates` chooses among all of them).
            mesh: extract part meshes (the slowest stage on a CPU).
            seed: of the samplers; the same input and seed give the same estimate.

        Raises:
            ValueError: input of a wrong shape or kind; the message says what would be right.
            NoEstimate: the view does not determine an estimate.
            Cancelled: interrupted between two steps, see
                :func:`~kinediff3d_core.inference.cancellation.cancellable`.
        """
        model, preset, seconds = self.model, self.preset, dict[str, float]()
        generator = torch.Generator(self.device).manual_seed(seed)
        with _timed(seconds, 'cloud'):
            view = self.prepare_view(generator, points, depth, intrinsics, mask)
        with _timed(seconds, 'pose'):
            # Hypotheses are counted and compared faster on the CPU.
            samples = sample_states(model, preset, view.network_clouds, generator).to('cpu')
        with _timed(seconds, 'shape'):
            fronts = self._fronts(view, samples)
            start, evidence = initial_hypotheses(model, preset, view, samples, generator, fronts)
        with _timed(seconds, 'refine'):
            refined = refine_hypotheses(model, preset, view, start, samples, generator,
                                        evidence)
            refined = self._rank(refined, samples, evidence)
        self._require_fit(float(refined.residual[refined.best]))
        with _timed(seconds, 'mesh'):
            best = refined.best
            meshes = self.meshes(refined.field[best:best + 1]) if mesh else None
        estimate = result.build_estimate(model, preset, refined, view, samples)
        return _completed(estimate, meshes, seconds)

    @torch.no_grad()
    def generate(self, estimate: ArticulatedEstimate, positions: Sequence[float]) -> Generated:
        """The estimated object at other joint positions (section 3.3), rad or m.

        Raises:
            ValueError: not one finite position a joint, or an estimate of another category.
        """
        return decoding.generate(self.model, self.preset, estimate, positions)

    def prepare_view(self, generator: torch.Generator,
                     points: np.ndarray | ObjectCloud | None = None,
                     depth: np.ndarray | None = None, intrinsics: Intrinsics | None = None,
                     mask: np.ndarray | None = None) -> PreparedView:
        """The view as :meth:`infer` uses it; arguments and errors are the same."""
        return prepare_view(cloud_of(points, depth, intrinsics, mask), self.category.scale,
                            self.preset, generator)

    def regenerate(self, clouds: Tensor, state: State, generator: torch.Generator) -> Hypotheses:
        """Shape codes of states by latent diffusion, decoded; see :func:`sample_codes`."""
        return sample_codes(self.model, self.preset, clouds, state, generator)

    def evaluate_state(self, hypotheses: Hypotheses, view: PreparedView,
                       generator: torch.Generator, mesh: bool) -> ArticulatedEstimate:
        """The estimate of one hypothesis as it is: it is neither refined nor refused."""
        preset, seconds = self.preset, dict[str, float]()
        surface, normals = surface_samples(self.shape, hypotheses.field, preset.surface[-1],
                                           generator)
        problem = Problem(self.shape, hypotheses.field, view.observation, surface)
        score, residual = fit_score(problem, hypotheses.state, preset.score)
        solver = replace(preset.refinement.solver, iterations=0,
                         width=preset.refinement.widths[-1])
        _, information = refine_pose(problem, hypotheses.state, solver)
        with _timed(seconds, 'mesh'):
            meshes = self.meshes(hypotheses.field) if mesh else None
        verified = log_support(self.latent, problem, normals, hypotheses, preset.verification)
        refined = RefinedHypotheses(hypotheses.z, hypotheses.field, hypotheses.state, score,
                                    residual, information, verified)
        return _completed(result.build_estimate(self.model, preset, refined, view), meshes,
                          seconds)

    def with_meshes(self, estimate: ArticulatedEstimate) -> ArticulatedEstimate:
        """An estimate of :meth:`infer` without meshes, with them.

        Raises:
            ValueError: an estimate of another category.
            NoEstimate: a part has no surface that could be meshed; the message names the part.
        """
        seconds = dict(estimate.seconds)
        with _timed(seconds, 'mesh'):
            meshes = self.meshes(self.decode_estimate(estimate)[0])
        return _completed(estimate, meshes, seconds)

    @torch.no_grad()
    def decode_estimate(self, estimate: ArticulatedEstimate) -> tuple[Field, State]:
        """Decoded shape, pose and joints (one of each) of an estimate, canonical units."""
        return decoding.decode_estimate(self.model, estimate)

    def meshes(self, field: Field) -> tuple[Mesh, ...]:
        """Meshes, metres, part frames, of the parts that the first object of a field has."""
        return decoding.part_meshes(self.model, self.preset, field)

    def pose_covariance(self, motions: Tensor, T_camera_base: Tensor, centre: Tensor,
                        ) -> tuple[np.ndarray, np.ndarray]:
        """Covariance of the base pose and standard deviations of the joints, see
        :func:`result.pose_covariance`."""
        return result.pose_covariance(self.model, motions, T_camera_base, centre)

    def _fronts(self, view: PreparedView, samples: State) -> Fronts | None:
        """The fronts of drawers that the view shows."""
        config, scale = self.preset.fronts, self.category.scale
        if not config.references or not has_fronts(self.category):
            return None
        return observe_fronts(view.points.cpu().numpy() * scale, samples[:1], config)

    def _rank(self, refined: RefinedHypotheses, samples: State,
              evidence: PartEvidence | None = None) -> RefinedHypotheses:
        """Scores that also count how many of the score model's samples lie around a hypothesis,
        its verification, and the evidence about its parts."""
        config = self.preset.hypothesis
        share = sample_share(refined.state.to('cpu'), samples, config)
        score = refined.score.cpu()
        if evidence is not None:
            score = score + evidence.final_score(self.model, self.preset, refined).cpu()
            share = evidence.sample_share(self.model, self.preset, refined, share)
        score = (score - config.score_temperature * share.log()
                 - config.weight_temperature * refined.log_support.cpu())
        return replace(refined, score=score)

    def _require_fit(self, residual: float) -> None:
        """Refuse a best hypothesis that does not explain the cloud (canonical residual)."""
        if residual > self.preset.hypothesis.max_residual:
            raise NoEstimate(
                f'no pose of a {self.category.name} explains the cloud (mean distance '
                f'{1e3 * self.category.scale * residual:.0f} mm); check the category and the mask')


def _available_device(name: str) -> torch.device:
    """The torch device of a name.

    Raises:
        ValueError: an unknown device, or CUDA where there is none.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'unknown device {name!r}; use cpu, cuda or cuda:N') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'device {name!r} is requested, but torch finds no CUDA device; '
                         'use device cpu')
    return device


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Record the wall time of a stage, s; the stage does not begin once the work is cancelled."""
    check_cancelled()
    start = time.perf_counter()
    yield
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds[stage] = time.perf_counter() - start


def _completed(estimate: ArticulatedEstimate, meshes: tuple[Mesh, ...] | None,
               seconds: dict[str, float]) -> ArticulatedEstimate:
    """The estimate with its parts' meshes and the stages' times."""
    parts = estimate.parts if meshes is None else tuple(
        replace(part, mesh=mesh) for part, mesh in zip(estimate.parts, meshes, strict=True))
    return replace(estimate, parts=parts, seconds=seconds)
