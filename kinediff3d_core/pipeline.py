"""From a partial point cloud to an articulated object: the inference of section 3.4.

    pipeline = Pipeline.load('laptop')
    estimate = pipeline.infer(depth=depth, intrinsics=intrinsics, mask=mask)
    print(estimate.joints[0].position)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import roma
import torch
from torch import Tensor

from kinediff3d_core import refinement as refine
from kinediff3d_core.categories import Category, get_category
from kinediff3d_core.diffusion.ddpm import sample_ancestral, sample_ddim
from kinediff3d_core.diffusion.ve_sde import sample_fixed, sample_rk45
from kinediff3d_core.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    Mode,
    NoEstimate,
    PartEstimate,
)
from kinediff3d_core.geometry import (
    Intrinsics,
    ObjectCloud,
    make_transform,
    object_cloud,
    rotation_angle,
    to_part_frames,
)
from kinediff3d_core.graphs import Graphs
from kinediff3d_core.kinematics import joint_units
from kinediff3d_core.meshing import extract_mesh
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel, State, unpack_state
from kinediff3d_core.observation import Observation, observe
from kinediff3d_core.segmentation import segment_object
from kinediff3d_core.uncertainty import carried, fit, within_reach
from kinediff3d_core.weights import Inflation, load_inflation, load_network

MAX_POINTS = 4_000_000


@dataclass(frozen=True)
class Preset:
    """How much work an estimate is given."""

    clouds: int = 4
    """Choices of points that the score model is given: what one hides another may show."""
    hypotheses: int = 24
    """Samples of the score model for each of them. As many of all those, and one, are decoded."""
    sampler: str = 'fixed'
    """``fixed`` (log-spaced steps) or ``rk45`` (Dormand-Prince at 1e-5)."""
    sampler_steps: int = 14
    """Steps of the fixed sampler."""
    keep: tuple[int, ...] = (6, 4, 3, 2)
    """Hypotheses that are refined, by round; the last number holds for further rounds. More of
    them where more modes explain the view."""
    latent_sampler: str = 'ddim'
    """``ddim`` or ``ancestral``."""
    latent_steps: int = 4
    """Steps of the latent sampler."""
    rounds: int = 4
    """Rounds of pose descent and regeneration of Z."""
    iterations: int = 4
    """Steps of the descent in a round."""
    residual: str = 'sdf'
    """``sdf`` (second order) or ``chamfer`` (first order, eq. 9)."""
    points: int = 384
    """Observed points that residuals use."""
    surface: tuple[int, ...] = (96, 96, 256)
    """Surface samples of each part that residuals use, by round; the last number holds for further
    rounds."""
    voxel: float = 0.012
    """Mesh resolution, canonical; a quarter of it across thin parts."""
    cells: int = 80
    """Cells along the longest side of a part, at most: large parts have larger cells."""
    dense: bool = False
    """Fill the whole mesh grid instead of refining near the surface."""


PRESETS = {
    'fast': Preset(),
    'paper': Preset(clouds=1, hypotheses=50, sampler='rk45', latent_sampler='ancestral',
                    latent_steps=1000, iterations=40, residual='chamfer', surface=(384,),
                    dense=True),
}
MIN_POINTS = 100
"""Fewer observed points than this do not fix an object's pose."""
MAX_RESIDUAL = 0.05
"""Largest mean distance of the cloud to the posed surface that is still an answer, canonical."""
MODE = (15.0, 0.25)
"""Hypotheses further apart, in degrees of the base or in a joint (canonical), are two modes."""
SCORE_TEMPERATURE = 0.005
"""Difference of fit scores (canonical) that makes a mode e times less likely."""
MODES = 4
"""Modes that are refined side by side, at most."""
PLAUSIBLE = 0.012
"""Modes whose fit scores (canonical) are worse than the best by more than this are dropped."""
PRIOR_FLOOR = 0.02, 0.04, 0.02
"""Least deviations that the score model is believed to have: translation (canonical), rotation
(rad), joint (rad or canonical)."""
DRAWN_SHARE = 0.1
"""Share of the variance of the score model's samples that an estimate's covariance takes over."""
NETWORK_POINTS = 512
SHOWN_POINTS = 4096
"""Points that the estimate carries along."""


@dataclass(frozen=True)
class View:
    """One cloud as it is used, canonical units, camera frame.

    Attributes:
        few: (clouds, NETWORK_POINTS, 3) that the networks are given.
        seen: what residuals are measured on.
        shown: (SHOWN_POINTS, 3) that the estimate carries along.
    """

    few: Tensor
    seen: Observation
    shown: Tensor


@dataclass(frozen=True)
class Generated:
    """An object in a new joint state: part meshes in the base's frame, by two ways.

    Attributes:
        positions: (K-1,) rad or m.
        decoder: decoded again, Omega(Q | Theta_dec(Z, Psi(A'))).
        chain: the estimate's meshes, posed by the kinematic chain.
    """

    positions: np.ndarray
    decoder: tuple[Mesh, ...]
    chain: tuple[Mesh, ...]


class Pipeline:
    """The three networks of one category on one device. Not thread-safe: one call at a time."""

    def __init__(self, category: Category, shape: KAVAE, pose: ScoreModel, latent: LatentDenoiser,
                 preset: Preset, device: torch.device,
                 inflation: Inflation | None = None) -> None:
        self.category, self.preset, self.device = category, preset, device
        self.shape, self.pose, self.latent = shape, pose, latent
        self.units = joint_units(category.joints, category.scale).to(device)
        self.inflation = (inflation or Inflation()).factors(len(category.joints)).to(device)
        with torch.no_grad():
            self.spread = latent.spread()
        self.graphs = Graphs(device)

    @classmethod
    def load(cls, category: str, preset: str = 'fast', device: str = 'cpu',
             weights: Path | None = None) -> Pipeline:
        """Pipeline of a category.

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
            raise ValueError(f'unknown preset {preset!r}; known: {", ".join(PRESETS)}')
        try:
            target = torch.device(device)
        except RuntimeError as error:
            raise ValueError(f'unknown device {device!r}; use cpu, cuda or cuda:N') from error
        if target.type == 'cuda' and not torch.cuda.is_available():
            raise ValueError(f'device {device!r} asked for, but torch sees no CUDA device; '
                             'use device cpu')
        return cls(spec, cast(KAVAE, load_network('shape', category, weights, target)),
                   cast(ScoreModel, load_network('pose', category, weights, target)),
                   cast(LatentDenoiser, load_network('latent', category, weights, target)),
                   PRESETS[preset], target, load_inflation(category, weights))

    @torch.no_grad()
    def infer(self, points: np.ndarray | ObjectCloud | None = None, *,
              depth: np.ndarray | None = None, intrinsics: Intrinsics | None = None,
              mask: np.ndarray | None = None, mesh: bool = True,
              seed: int = 0) -> ArticulatedEstimate:
        """Estimate the object in one view.

        Args:
            points: (N, 3) cloud of the object in the camera frame, m, alone or with what is
                beside it; or give ``depth``.
            depth: (H, W) z-depth, m, with ``intrinsics``; pixels without depth are 0 or NaN.
            mask: (H, W), true on the object; None removes the support plane and keeps the
                largest cluster.
            mesh: extract part meshes (the slowest stage on a CPU).
            seed: of the samplers; the same input and seed give the same estimate.

        Raises:
            ValueError: input of a wrong shape or kind; the message says what would be right.
            NoEstimate: the view does not support an answer.
        """
        seconds: dict[str, float] = {}
        generator = torch.Generator(self.device).manual_seed(seed)
        with _stage(seconds, 'cloud'):
            view = self.look(generator, points, depth, intrinsics, mask)
            few, seen = view.few, view.seen
        with _stage(seconds, 'pose'):
            # What counts and compares hypotheses is quicker on the CPU.
            drawn = self._sample_states(few, generator).to('cpu')
        with _stage(seconds, 'shape'):
            state = drawn[_of_every_mode(drawn, self.preset.hypotheses + 1)].to(self.device)
            z, field, state = self.regenerate(few[:1], state, generator, first=True)
            surface, _ = refine.surface_samples(self.shape, field, 48, generator, self.graphs)
            score, _ = self.graphs(refine.fit_score, self.shape, field, state, seen, surface)
            kept = _distinct(state, score, self.preset.keep[0], 4.0)
            z, field, state = z[kept], field[kept], state[kept]
        with _stage(seconds, 'refine'):
            z, field, state, information, score, residual = self._refine(
                few, seen, z, field, state, generator, drawn)
            score = score.cpu() - SCORE_TEMPERATURE * _share(state.to('cpu'), drawn).log()
        best = int(score.argmin())
        if float(residual[best]) > MAX_RESIDUAL:
            raise NoEstimate(
                f'no pose of a {self.category.name} explains the cloud (mean distance '
                f'{1e3 * self.category.scale * float(residual[best]):.0f} mm); check the category '
                'and the mask')
        with _stage(seconds, 'mesh'):
            meshes = self.meshes(field[best:best + 1]) if mesh else None
        return self._estimate(best, z, field, state, score, residual, information, meshes, view,
                              seconds, drawn)

    def look(self, generator: torch.Generator, points: np.ndarray | ObjectCloud | None = None,
             depth: np.ndarray | None = None, intrinsics: Intrinsics | None = None,
             mask: np.ndarray | None = None) -> View:
        """What :meth:`infer` uses of its input; arguments and errors are the same."""
        found = cloud_of(points, depth, intrinsics, mask)
        cloud, others = (x / self.category.scale for x in (found.points, found.others))
        shown = torch.from_numpy(cloud).to(self.device)
        few = torch.stack([_some(shown, NETWORK_POINTS, generator)
                           for _ in range(self.preset.clouds)])
        shown = _some(shown, SHOWN_POINTS, generator)
        return View(few, observe(cloud, self.preset.points, generator, others), shown)

    def as_it_stands(self, z: Tensor, field: Field, state: State, view: View,
                     generator: torch.Generator, mesh: bool) -> ArticulatedEstimate:
        """The estimate that one code (1, D_z) and one state amount to: no descent, no refusal."""
        seconds: dict[str, float] = {}
        net, seen = self.shape, view.seen
        surface, _ = refine.surface_samples(net, field, self.preset.surface[-1], generator)
        score, residual = refine.fit_score(net, field, state, seen, surface)
        _, information = refine.descend_sdf(net, field, state, seen, surface, 0, 0.02)
        with _stage(seconds, 'mesh'):
            meshes = self.meshes(field) if mesh else None
        return self._estimate(0, z, field, state, score, residual, information, meshes, view,
                              seconds)

    @torch.no_grad()
    def stands_for(self, estimate: ArticulatedEstimate) -> tuple[Field, State]:
        """Decoded shape, pose and joints (one of each) of an estimate, canonical units."""
        self._same_category(estimate)
        names = [j.name for j in self.category.joints]
        index = [names.index(j.name) for j in estimate.joints]
        q = self.pose.mean[9::7].clone()
        q[index] = torch.tensor([j.position for j in estimate.joints], device=self.device,
                                dtype=q.dtype) / self.units[index]
        field = self._decoded(estimate, q)
        T = torch.from_numpy(estimate.T_camera_base).to(q)
        T[:3, 3] /= self.category.scale
        return field, State(T[None], q[None], field.origin, self.shape.axis[None])

    def _decoded(self, estimate: ArticulatedEstimate, q: Tensor) -> Field:
        """The shape of an estimate at joint positions (J), canonical: the parts that it has."""
        z = torch.from_numpy(estimate.latent).to(q)[None]
        field = self.shape.decode(z, q[None])
        has = [p.name for p in estimate.parts]
        odds = [torch.inf if name in has else -torch.inf for name in self.category.parts]
        return replace(field, exists=torch.tensor([odds], device=self.device))

    def _same_category(self, estimate: ArticulatedEstimate) -> None:
        if estimate.category != self.category.name:
            raise ValueError(f'estimate is of a {estimate.category}, weights of a '
                             f'{self.category.name}')

    @torch.no_grad()
    def generate(self, estimate: ArticulatedEstimate, positions: Sequence[float]) -> Generated:
        """The estimated object at other joint positions (section 3.3), rad or m.

        Raises:
            ValueError: not one finite position a joint, or an estimate of another category.
        """
        given = np.asarray(positions, dtype=np.float64)
        if given.shape != (len(estimate.joints),) or not np.isfinite(given).all():
            raise ValueError(f'this {estimate.category} needs {len(estimate.joints)} finite '
                             f'joint position(s), got {list(positions)}')
        self._same_category(estimate)
        names = [j.name for j in self.category.joints]
        index = [names.index(j.name) for j in estimate.joints]
        q = self.pose.mean[9::7] * self.units
        q[index] = torch.from_numpy(given).to(q)
        decoded = self.meshes(self._decoded(estimate, q / self.units))
        at = estimate.part_poses_at(given)
        poses = [at[p.name] for p in estimate.parts]
        held = [p.mesh for p in estimate.parts]
        chain = [m if m is not None else d for m, d in zip(held, decoded, strict=True)]
        return Generated(given, tuple(_posed(m, T) for m, T in zip(decoded, poses, strict=True)),
                         tuple(_posed(m, T) for m, T in zip(chain, poses, strict=True)))

    def _sample_states(self, clouds: Tensor, generator: torch.Generator) -> State:
        """Regressed states of each choice of points, then samples of the score model, in turn."""
        p, net = self.preset, self.pose
        centroid = clouds.mean(1)
        noise = torch.randn(p.hypotheses * p.clouds, net.size, generator=generator,
                            device=self.device)
        run = self.graphs if p.sampler == 'fixed' else _as_it_is
        x = run(_sampled, net, clouds - centroid[:, None], noise, p)
        return refine.limit_joints(self.shape,
                                   unpack_state(x, centroid.repeat(p.hypotheses + 1, 1)))

    def regenerate(self, clouds: Tensor, state: State, generator: torch.Generator,
                   exists: Tensor | None = None, first: bool = False,
                   ) -> tuple[Tensor, Field, State]:
        """Z of every hypothesis from the cloud canonicalised with it, decoded; the pivots follow.

        Z is the mean over ``clouds`` (C, P, 3), which are choices of the view's points.

        The pivot and the moving part's shape belong together, so both come from Z.

        Args:
            exists: (1, K) log-odds of the parts, where that is decided. None takes what the
                hypotheses say together: more parts always explain a cloud a little better, so
                that each by itself, or the best fit, would find too many.
        """
        if self.preset.latent_sampler == 'ancestral' and not first:
            z, field = _regenerated(self.shape, self.latent, clouds, state, generator,
                                    self.preset.latent_steps)
        else:
            noise = torch.randn(1, self.latent.config.latent, generator=generator,
                                device=self.device)
            steps = self.preset.latent_steps if self.preset.latent_sampler == 'ddim' else 4
            z, field = self.graphs(_regenerated, self.shape, self.latent, clouds, state, noise,
                                   steps)
        if exists is None:
            exists = torch.sigmoid(field.exists).mean(0, keepdim=True).logit()
        field = replace(field, exists=exists.expand_as(field.exists))
        there = field.exists[:, 1:, None] > 0
        return z, field, replace(state, origin=torch.where(there, field.origin, state.origin),
                                 axis=self.shape.axis.expand_as(state.axis))

    def _refine(self, clouds: Tensor, seen: Observation, z: Tensor, field: Field, state: State,
                generator: torch.Generator, drawn: State,
                ) -> tuple[Tensor, Field, State, Tensor, Tensor, Tensor]:
        """Alternate pose descent and regeneration of Z (section 3.4), ending with a descent.

        After each round the worse hypotheses, and those that have met a better one, are dropped.
        In the last two rounds the codes move along once the poses stand. What the cloud leaves
        open the score model's samples hold.
        """
        p, net, run = self.preset, self.shape, self.graphs
        for i in range(p.rounds):
            if i:
                z, field, state = self.regenerate(clouds, state, generator, field.exists[:1])
            surface, normals = refine.surface_samples(net, field, _of_round(p.surface, i),
                                                      generator, run)
            width = (0.08, 0.05, 0.03, 0.02)[min(i, 3)]
            last = i + 1 == p.rounds
            if p.residual == 'chamfer':
                state = refine.descend_chamfer(net, field, state, seen, surface, normals,
                                               p.iterations)
                if last:
                    _, information = refine.descend_sdf(net, field, state, seen, surface, 0, width)
            else:
                prior = _prior(state.to('cpu'), drawn, seen.centroid.cpu()).to(self.device)
                state, information = run(refine.descend_sdf, net, field, state, seen, surface,
                                         p.iterations, width, prior)
                if i and i + 2 >= p.rounds:
                    state, field, information, z = run(
                        refine.descend_codes, net, field, state, seen, surface, p.iterations,
                        width, refine.Codes(z, self.spread), prior)
                if last:
                    field = replace(run(net.decode, z, state.q), exists=field.exists)
                    state, _ = run(refine.descend_sdf, net, field, state, seen, surface, 2, width,
                                   prior)
            score, residual = run(refine.fit_score, net, field, state, seen, surface)
            if not last:
                kept = _distinct(state, score, _of_round(p.keep, i + 1), 1.0)
                z, field, state = z[kept], field[kept], state[kept]
        return z, field, state, information, score, residual

    def meshes(self, field: Field) -> tuple[Mesh, ...]:
        """Meshes, metres, part frames, of the parts that the first object of a field has."""
        scale = self.category.scale
        meshes = []
        for k in range(self.shape.parts):
            if field.exists[0, k] <= 0:
                continue
            centre, half = field.centre[0, k], field.half[0, k]

            def sdf(p: Tensor, k: int = k) -> Tensor:
                return self.shape.query(field, p[None, None], part=k)[0, 0]

            largest = max(self.preset.voxel, 2 * float(half.max()) / self.preset.cells)
            voxel = (half / 4).clamp(0.25 * self.preset.voxel, largest)
            mesh = extract_mesh(sdf, centre - 1.15 * half - voxel, centre + 1.15 * half + voxel,
                                voxel, dense=self.preset.dense)
            meshes.append(Mesh(mesh.vertices * scale, mesh.faces))
        return tuple(meshes)

    def _estimate(self, best: int, z: Tensor, field: Field, state: State, score: Tensor,
                  residual: Tensor, information: Tensor, meshes: tuple[Mesh, ...] | None,
                  view: View, seconds: dict[str, float], drawn: State | None = None,
                  ) -> ArticulatedEstimate:
        c, scale, unit = self.category, self.category.scale, self.units.cpu()
        poses = refine.part_poses(self.shape, state[best:best + 1])[0].cpu()
        state = state.to('cpu')
        score, residual, centre = (x.cpu() for x in (score, residual, view.seen.centroid))
        there = torch.sigmoid(field.exists[best]).tolist()
        part_index = [k for k in range(len(c.parts)) if there[k] > 0.5]
        joint_index = [i for i, j in enumerate(c.joints) if there[j.child] > 0.5]
        order = torch.argsort(score)
        # Neighbours are no further evidence: the best of each mode stands for it.
        leaders = [int(order[m[0]]) for m in _modes(state[order])]
        weight = torch.softmax(-score[leaders] / SCORE_TEMPERATURE, dim=0).tolist()
        modes = tuple(Mode(w, _metric(state.T_camera_base[i], scale),
                           (state.q[i] * unit)[joint_index].double().cpu().numpy(),
                           float(residual[i]) * scale)
                      for w, i in zip(weight, leaders, strict=True))
        covariance, q_std = self._spread(best, state, residual, information.cpu(), drawn, centre)
        parts = tuple(PartEstimate(c.parts[k], _metric(poses[k], scale),
                                   meshes[n] if meshes is not None else None)
                      for n, k in enumerate(part_index))
        joints = tuple(JointEstimate(
            j.name, j.joint_type, c.parts[j.parent], c.parts[j.child],
            state.origin[best, i].double().cpu().numpy() * scale,
            torch.nn.functional.normalize(state.axis[best, i].double(), dim=-1).cpu().numpy(),
            float(state.q[best, i] * unit[i]), j.lower, j.upper, float(q_std[i]) * float(unit[i]),
            there[j.child]) for i, j in ((i, c.joints[i]) for i in joint_index))
        estimate = ArticulatedEstimate(
            c.name, parts, joints, covariance, float(residual[best]) * scale, 0.0, modes,
            z[best].double().cpu().numpy(), view.shown.double().cpu().numpy() * scale, seconds)
        return replace(estimate, confidence=(
            modes[0].weight * fit(float(residual[best])) * within_reach(estimate)))

    def _spread(self, best: int, state: State, residual: Tensor, information: Tensor,
                drawn: State | None, centre: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Covariance (6, 6) of the base pose in metres and radians, and q's deviation (J).

        The spread of the refined hypotheses that stayed in the best one's mode, what the residual
        leaves open, and a share of the score model's own spread (``drawn``), all times the
        category's inflation.
        """
        chosen = state[best:best + 1]
        total = (_scatter(chosen, state, _near(chosen, state, 1.0), centre)[0]
                 + refine.left_open(information[best], residual[best]))
        if drawn is not None:
            total = total + DRAWN_SHARE * _scatter(chosen, drawn, _near(chosen, drawn, 2.0),
                                                   centre)[0]
        return self.pose_covariance(total, state.T_camera_base[best], centre)

    def pose_covariance(self, motions: Tensor, T_camera_base: Tensor, centre: Tensor,
                        ) -> tuple[np.ndarray, np.ndarray]:
        """Covariance (6, 6) of the base pose, m and rad, and q's deviation (J), canonical.

        Args:
            motions: (6 + J, 6 + J) covariance of motions about ``centre``, canonical units.
            T_camera_base: (4, 4), canonical units.
        """
        arm = T_camera_base[:3, 3] - centre
        total = carried(*(x.double().cpu().numpy() for x in (motions, arm)))
        factor = self.inflation.double().cpu().numpy()
        factor[:3] *= self.category.scale
        covariance = total[:6, :6] * factor[:6, None] * factor[:6]
        deviations: np.ndarray = np.sqrt(total.diagonal()[6:].clip(0)) * factor[6:]
        return (covariance + covariance.T) / 2, deviations


def _as_it_is(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def _sampled(net: ScoreModel, clouds: Tensor, noise: Tensor, preset: Preset) -> Tensor:
    """State vectors of centred clouds (C, P, 3): regressed ones, then those that noise (S, size)
    becomes."""
    feature = net.encode(clouds)
    context = feature.repeat(len(noise) // len(clouds), 1)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return net.denoise(x, sigma, context)

    x = (sample_rk45(denoise, noise) if preset.sampler == 'rk45'
         else sample_fixed(denoise, noise, preset.sampler_steps))
    return net.unwhiten(torch.cat([net.regress(feature), x]))


def _regenerated(shape: KAVAE, latent: LatentDenoiser, clouds: Tensor, state: State,
                 noise: Tensor | torch.Generator, steps: int) -> tuple[Tensor, Field]:
    """Codes (H, D) of the states, means over clouds (C, P, 3), and what they decode to.

    Args:
        noise: (1, D) for DDIM, or where ancestral sampling gets its own.
    """
    poses = refine.part_poses(shape, state)
    condition = latent.condition(torch.cat([to_part_frames(c, poses) for c in clouds]))

    def denoise(z: Tensor, t: Tensor) -> Tensor:
        return latent.denoise(z, t, condition)

    size = len(condition), latent.config.latent
    z = (sample_ddim(denoise, 0.3 * noise.expand(size), steps) if isinstance(noise, Tensor)
         else sample_ancestral(denoise, size, noise, steps, clouds.device))
    z = latent.unwhiten(z.view(len(clouds), len(state.q), -1).mean(0))
    return z, shape.decode(z, state.q)


@contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds[name] = time.perf_counter() - start


def cloud_of(points: np.ndarray | ObjectCloud | None, depth: np.ndarray | None,
             intrinsics: Intrinsics | None, mask: np.ndarray | None) -> ObjectCloud:
    """The cloud that the input of :meth:`Pipeline.infer` amounts to; errors are the same."""
    if (points is None) == (depth is None):
        raise ValueError('give either points or depth with intrinsics')
    if depth is not None:
        if intrinsics is None:
            raise ValueError('depth needs intrinsics (fx, fy, cx, cy, width, height)')
        if mask is None:
            mask = segment_object(depth, intrinsics)
        found = object_cloud(depth, intrinsics, np.asarray(mask))
        cloud = found.points
    else:
        found = ObjectCloud.of(cast(np.ndarray | ObjectCloud, points))
        cloud = np.asarray(found.points, dtype=np.float32)
        if cloud.ndim != 2 or cloud.shape[1] != 3:
            raise ValueError(f'points must be (N, 3), got {cloud.shape}')
        if len(cloud) > MAX_POINTS:
            raise ValueError(f'{len(cloud)} points are more than {MAX_POINTS}; downsample')
        cloud = cloud[np.isfinite(cloud).all(1) & (cloud[:, 2] > 0)]
    cloud = _without_strays(cloud)
    if len(cloud) < MIN_POINTS:
        raise NoEstimate(f'{len(cloud)} points on the object, at least {MIN_POINTS} are '
                         'needed; move closer or check the mask')
    return ObjectCloud(cloud, found.others)


def _without_strays(cloud: np.ndarray) -> np.ndarray:
    """Points whose depth is within reach of the middle half's: background in the mask goes."""
    if len(cloud) < MIN_POINTS:
        return cloud
    low, middle, high = np.percentile(cloud[:, 2], (10, 50, 90))
    reach = 1.5 * max(high - low, 0.05)
    kept: np.ndarray = cloud[np.abs(cloud[:, 2] - middle) < reach]
    return kept


def _of_round(values: Sequence[int], i: int) -> int:
    return values[min(i, len(values) - 1)]


def _some(cloud: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Random n points of a cloud; repeated where there are fewer."""
    if len(cloud) >= n:
        pick = torch.randperm(len(cloud), generator=generator, device=cloud.device)[:n]
    else:
        pick = torch.randint(len(cloud), (n,), generator=generator, device=cloud.device)
    return cloud[pick]


def _differs(state: State, other: State, degrees: float, joint: float) -> Tensor:
    """Whether each hypothesis (H) is another mode than ``other``."""
    angle = rotation_angle(state.T_camera_base[:, :3, :3], other.T_camera_base[:3, :3])
    return (torch.rad2deg(angle) > degrees) | ((state.q - other.q).abs().amax(1) > joint)


def _share(state: State, drawn: State) -> Tensor:
    """Share (H) of the score model's samples that lie around each hypothesis; never quite none.

    Two modes that explain a view equally well are as likely as the score model draws them.
    """
    near = _near(state, drawn, 2.0)
    return (near.sum(1) + 0.5) / (near.shape[1] + 1)


def _near(state: State, drawn: State, modes: float) -> Tensor:
    """Which samples lie around each hypothesis, within so many :data:`MODE`: (H, D)."""
    degrees, joint = MODE
    return torch.stack([~_differs(drawn, state[i], modes * degrees, modes * joint)
                        for i in range(len(state.q))])


def _scatter(state: State, drawn: State, near: Tensor, centre: Tensor) -> Tensor:
    """Second moment (H, 6 + J, 6 + J) of the motions from each hypothesis to its samples.

    Args:
        near: (H, D) which those are.
    """
    steps = refine.motion(state[:, None], drawn[None], centre) * near[..., None]
    return steps.transpose(1, 2) @ steps / near.sum(1).clamp_min(1)[:, None, None]


def _prior(state: State, drawn: State, centre: Tensor) -> refine.Prior:
    """Mean and spread of the score model's samples in each hypothesis's mode.

    The fewer of them lie there, the less they say. A hypothesis that has left them all behind is
    held by nothing.
    """
    near = _near(state, drawn, 1.0)
    alone = near.sum(1) == 0
    share = near / near.sum(1, keepdim=True).clamp_min(1)

    def mean(of: Tensor, own: Tensor) -> Tensor:
        flat = (share @ of.flatten(1)).view(own.shape)
        return torch.where(alone.view(-1, *[1] * (own.dim() - 1)), own, flat)

    T = mean(drawn.T_camera_base, state.T_camera_base)
    T = make_transform(roma.special_procrustes(T[:, :3, :3]), T[:, :3, 3])
    middle = replace(state, T_camera_base=T, q=mean(drawn.q, state.q))
    scatter = _scatter(middle, drawn, near, centre)
    # Two dozen samples tell correlations badly.
    covariance = 0.7 * scatter + 0.3 * torch.diag_embed(scatter.diagonal(dim1=1, dim2=2))
    translation, rotation, joint = PRIOR_FLOOR
    floor = torch.tensor([translation] * 3 + [rotation] * 3 + [joint] * state.q.shape[1])
    covariance = covariance + torch.diag(floor.square()).to(covariance)
    weight = near.float().mean(1)[:, None, None]
    return refine.Prior(middle, weight * torch.linalg.inv(covariance))


def _modes(state: State) -> list[list[int]]:
    """Indices of the states by mode, the modes by their first state."""
    modes: list[list[int]] = []
    left = list(range(len(state.q)))
    while left:
        apart = _differs(state, state[left[0]], *MODE).tolist()
        modes.append([i for i in left if not apart[i]])
        left = [i for i in left if apart[i]]
    return modes


def _of_every_mode(drawn: State, count: int) -> Tensor:
    """Indices of ``count`` samples: the first of each of the larger modes, and others in order."""
    modes = sorted(_modes(drawn), key=len, reverse=True)
    first = [m[0] for m in modes[:count // 2]]
    others = [i for i in range(len(drawn.q)) if i not in first]
    return torch.tensor([*first, *others][:count], device=drawn.q.device)


def _distinct(state: State, score: Tensor, keep: int, degrees: float) -> Tensor:
    """Indices of the best hypotheses, none within ``degrees`` (pose and joint) of a better.

    A prismatic joint counts a hundredth of a canonical unit as a degree. The best of each mode
    that may be right is among them, so that none is lost before it was refined.
    """
    device = score.device
    state, score = state.to('cpu'), score.cpu()
    order = torch.argsort(score)
    ranked, best = state[order], float(score.min())
    leaders = [m[0] for m in _modes(ranked)][:MODES]
    chosen = [i for i in leaders if float(score[order[i]]) < best + PLAUSIBLE]
    for i in range(len(order)):
        if len(chosen) >= keep:
            break
        if bool(_differs(ranked[torch.tensor(chosen)], ranked[i], degrees,
                         0.0125 * degrees).all()):
            chosen.append(i)
    return order[torch.tensor(sorted(chosen))].to(device)


def _metric(T: Tensor, scale: float) -> np.ndarray:
    out: np.ndarray = T.double().cpu().numpy().copy()
    out[:3, 3] *= scale
    return out


def _posed(mesh: Mesh, T: np.ndarray) -> Mesh:
    return Mesh(mesh.vertices @ T[:3, :3].T + T[:3, 3], mesh.faces)
