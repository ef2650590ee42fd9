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
import torch
from torch import Tensor

from kinediff3d_core.diffusion.ddpm import sample_ancestral, sample_ddim
from kinediff3d_core.diffusion.ve_sde import sample_fixed, sample_rk45
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.geometry.rigid import shift_covariance, to_part_frames
from kinediff3d_core.inference import refinement, residuals
from kinediff3d_core.inference.cuda_graphs import Graphs
from kinediff3d_core.inference.hypotheses import (
    SCORE_TEMPERATURE,
    cluster_modes,
    cover_modes,
    sample_prior,
    sample_share,
    samples_near,
    scatter,
    select_distinct,
)
from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.inference.presets import PRESETS, Preset
from kinediff3d_core.inference.uncertainty import accuracy_probability, fit_confidence
from kinediff3d_core.networks.checkpoints import (
    CovarianceScale,
    load_covariance_scale,
    load_network,
)
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel, State, unpack_state
from kinediff3d_core.objects.category import Category, get_category
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    Mode,
    NoEstimate,
    PartEstimate,
    transform_mesh,
)
from kinediff3d_core.observation.cloud import (
    ObjectCloud,
    filter_points,
    object_cloud,
    remove_outliers,
    require_points,
)
from kinediff3d_core.observation.free_space import Observation, observe
from kinediff3d_core.observation.segmentation import segment_object

MAX_RESIDUAL = 0.05
"""Largest mean distance of the cloud to the posed surface that is still an answer, canonical."""
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
                 covariance_scale: CovarianceScale | None = None) -> None:
        self.category, self.preset, self.device = category, preset, device
        self.shape, self.pose, self.latent = shape, pose, latent
        self.units = joint_units(category.joints, category.scale).to(device)
        scale = covariance_scale or CovarianceScale()
        self.covariance_scale = scale.factors(len(category.joints)).to(device)
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
                   PRESETS[preset], target, load_covariance_scale(category, weights))

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
            view = self.prepare_view(generator, points, depth, intrinsics, mask)
            few, seen = view.few, view.seen
        with _stage(seconds, 'pose'):
            # What counts and compares hypotheses is quicker on the CPU.
            drawn = self._sample_states(few, generator).to('cpu')
        with _stage(seconds, 'shape'):
            state = drawn[cover_modes(drawn, self.preset.hypotheses + 1)].to(self.device)
            z, field, state = self.regenerate(few[:1], state, generator, first=True)
            surface, _ = residuals.surface_samples(self.shape, field, 48, generator, self.graphs)
            score, _ = self.graphs(residuals.fit_score, self.shape, field, state, seen, surface)
            kept = select_distinct(state, score, self.preset.keep[0], 4.0)
            z, field, state = z[kept], field[kept], state[kept]
        with _stage(seconds, 'refine'):
            z, field, state, information, score, residual = self._refine(
                few, seen, z, field, state, generator, drawn)
            score = score.cpu() - SCORE_TEMPERATURE * sample_share(state.to('cpu'), drawn).log()
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

    def prepare_view(self, generator: torch.Generator,
                     points: np.ndarray | ObjectCloud | None = None,
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

    def evaluate_state(self, z: Tensor, field: Field, state: State, view: View,
                     generator: torch.Generator, mesh: bool) -> ArticulatedEstimate:
        """The estimate that one code (1, D_z) and one state amount to: no descent, no refusal."""
        seconds: dict[str, float] = {}
        net, seen = self.shape, view.seen
        surface, _ = residuals.surface_samples(net, field, self.preset.surface[-1], generator)
        score, residual = residuals.fit_score(net, field, state, seen, surface)
        _, information = refinement.descend_sdf(net, field, state, seen, surface, 0, 0.02)
        with _stage(seconds, 'mesh'):
            meshes = self.meshes(field) if mesh else None
        return self._estimate(0, z, field, state, score, residual, information, meshes, view,
                              seconds)

    @torch.no_grad()
    def decode_estimate(self, estimate: ArticulatedEstimate) -> tuple[Field, State]:
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
        return Generated(given, *(
            tuple(transform_mesh(T, m) for m, T in zip(meshes, poses, strict=True))
            for meshes in (decoded, chain)))

    def _sample_states(self, clouds: Tensor, generator: torch.Generator) -> State:
        """Regressed states of each choice of points, then samples of the score model, in turn."""
        p, net = self.preset, self.pose
        centroid = clouds.mean(1)
        noise = torch.randn(p.hypotheses * p.clouds, net.size, generator=generator,
                            device=self.device)
        run = self.graphs if p.sampler == 'fixed' else _as_it_is
        x = run(_sampled, net, clouds - centroid[:, None], noise, p)
        return refinement.limit_joints(self.shape,
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
            surface, normals = residuals.surface_samples(net, field, _of_round(p.surface, i),
                                                      generator, run)
            width = (0.08, 0.05, 0.03, 0.02)[min(i, 3)]
            last = i + 1 == p.rounds
            if p.residual == 'chamfer':
                state = refinement.descend_chamfer(net, field, state, seen, surface, normals,
                                               p.iterations)
                if last:
                    _, information = refinement.descend_sdf(net, field, state, seen, surface, 0,
                                                            width)
            else:
                prior = sample_prior(state.to('cpu'), drawn, seen.centroid.cpu()).to(self.device)
                state, information = run(refinement.descend_sdf, net, field, state, seen, surface,
                                         p.iterations, width, prior)
                if i and i + 2 >= p.rounds:
                    state, field, information, z = run(
                        refinement.descend_codes, net, field, state, seen, surface, p.iterations,
                        width, refinement.Codes(z, self.spread), prior)
                if last:
                    field = replace(run(net.decode, z, state.q), exists=field.exists)
                    state, _ = run(refinement.descend_sdf, net, field, state, seen, surface, 2,
                                   width, prior)
            score, residual = run(residuals.fit_score, net, field, state, seen, surface)
            if not last:
                kept = select_distinct(state, score, _of_round(p.keep, i + 1), 1.0)
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
        poses = residuals.part_poses(self.shape, state[best:best + 1])[0].cpu()
        state = state.to('cpu')
        score, residual, centre = (x.cpu() for x in (score, residual, view.seen.centroid))
        there = torch.sigmoid(field.exists[best]).tolist()
        part_index = [k for k in range(len(c.parts)) if there[k] > 0.5]
        joint_index = [i for i, j in enumerate(c.joints) if there[j.child] > 0.5]
        order = torch.argsort(score)
        # Neighbours are no further evidence: the best of each mode stands for it.
        leaders = [int(order[m[0]]) for m in cluster_modes(state[order])]
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
            modes[0].weight * fit_confidence(float(residual[best]))
            * accuracy_probability(estimate)))

    def _spread(self, best: int, state: State, residual: Tensor, information: Tensor,
                drawn: State | None, centre: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Covariance (6, 6) of the base pose in metres and radians, and q's deviation (J).

        The spread of the refined hypotheses that stayed in the best one's mode, what the residual
        leaves open, and a share of the score model's own spread (``drawn``), all times the
        category's inflation.
        """
        chosen = state[best:best + 1]
        total = (scatter(chosen, state, samples_near(chosen, state, 1.0), centre)[0]
                 + refinement.residual_covariance(information[best], residual[best]))
        if drawn is not None:
            total = total + DRAWN_SHARE * scatter(chosen, drawn, samples_near(chosen, drawn, 2.0),
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
        total = shift_covariance(*(x.double().cpu().numpy() for x in (motions, arm)))
        factor = self.covariance_scale.double().cpu().numpy()
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
    poses = residuals.part_poses(shape, state)
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
        cloud = filter_points(found.points)
    return ObjectCloud(require_points(remove_outliers(cloud)), found.others)


def _of_round(values: Sequence[int], i: int) -> int:
    return values[min(i, len(values) - 1)]


def _some(cloud: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Random n points of a cloud; repeated where there are fewer."""
    if len(cloud) >= n:
        pick = torch.randperm(len(cloud), generator=generator, device=cloud.device)[:n]
    else:
        pick = torch.randint(len(cloud), (n,), generator=generator, device=cloud.device)
    return cloud[pick]


def _metric(T: Tensor, scale: float) -> np.ndarray:
    out: np.ndarray = T.double().cpu().numpy().copy()
    out[:3, 3] *= scale
    return out
