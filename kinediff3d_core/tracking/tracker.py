"""Following an object from frame to frame: its shape is held, its pose and joints are descended.

    tracker = Tracker(pipeline, estimate)
    estimate = tracker.track(cloud, seconds)

A full estimate starts it; every further frame takes a few Levenberg-Marquardt steps from where the
last one and the velocities lead. Each fit is to the frame's own points and to nothing older, so
errors do not add up. ``TrackingLost`` says that a full estimate is due.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.inference import refinement, residuals
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.uncertainty import accuracy_probability, fit_confidence
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mode
from kinediff3d_core.observation.cloud import MIN_POINTS, ObjectCloud, filter_points
from kinediff3d_core.observation.free_space import Observation, observe
from kinediff3d_core.tracking.config import SECOND_LOOK
from kinediff3d_core.tracking.joint_limits import FIRM, LEARNT, shift_origins
from kinediff3d_core.tracking.sdf_grid import SdfGrid

POINTS = 320
"""Observed points that residuals use."""
SURFACE = 64
"""Surface samples of each part that residuals use."""
CLOUD = 6000
"""Points of the cloud that are looked at."""
STEPS = (3, 12)
"""Descent steps of a frame, and of one that is late, as the first after a full estimate is."""
CANDIDATES = 13
"""Positions of each joint, over its range, that a late frame is tried with."""
WIDTH = 0.03
"""Width of the robust weights, canonical units."""
MAX_MOTION = math.radians(50.0), 0.6, math.radians(60.0), 0.4
"""Motion between two frames that is no tracking any more: rotation (rad), translation (canonical),
revolute joint (rad), prismatic joint (canonical)."""
GROWN = 2.2, 0.012
"""A score above the first times this plus this (canonical) is a lost object; half of the growth is
a uncertain one."""
POOR, HOPELESS = 0.02, 0.03
"""Scores (canonical) above which an object is uncertain, or lost, whatever the first one was."""
SEARCH = 0.3, 6
"""From this share of the growth that loses an object on, each so-manieth frame is tried with other
joint positions, too: descents do not find a joint that has jumped, or turned back fast."""
ANOTHER_VIEW = math.radians(30.0), 0.25, 0.12
"""Turn of the direction to the camera (rad), or motion of a revolute or a prismatic joint (share
of its range), after which a view may show what the full estimate could not see."""
LATE = 1.0
"""Seconds without a frame after which joints may be anywhere in their range."""
MAX_PREDICTION = 0.3
"""Seconds for which velocities are thought to hold."""
AGILE = 0.15, 0.3, 3.0
"""How unsure a predicted motion is for each second: translation (canonical units) and rotation
(rad) of the base, joints (rad or canonical units)."""
STILL = 0.01, 0.02
"""The same of a base that stands still."""
MOVED = 0.97
"""A base that stood still moves if its score with a motion is below this share of that without."""
RESTING = 0.03, 0.06
"""It stands still again below these velocities, canonical units and rad a second."""
SMOOTHING = 0.25
"""Time constant of the velocity filter, s."""
NEWS = 0.005
"""An end that has moved by this is told, m."""


class TrackingLost(RuntimeError):
    """The object is not where tracking looks for it; the message says what gave it away."""


class Tracker:
    """Follows one object. Not thread-safe: one call at a time.

    Args:
        estimate: a full estimate by ``pipeline``; its shape is held.
        seconds: when its view was taken.
        T_fixed_camera: (4, 4) where a moving camera was then, in a frame that does not move.
        seed: of the choice of points.

    Attributes:
        estimate: the newest one.
        uncertain: the residual has grown, or was poor from the start, though not so far that the
            object counts as lost.
        seconds: when that was.
        score: how badly the newest estimate explains its frame (``refinement.fit_score``).
        reinitialization_interval: how long after a full estimate another may be due, s
            (:data:`SECOND_LOOK`).
    """

    @torch.no_grad()
    def __init__(self, pipeline: Pipeline, estimate: ArticulatedEstimate, seconds: float,
                 T_fixed_camera: np.ndarray | None = None, seed: int = 0) -> None:
        self._category, self._device = pipeline.category, pipeline.device
        self._units, self._pose_covariance = pipeline.units.cpu(), pipeline.pose_covariance
        self._run = pipeline.graphs
        self._generator = torch.Generator(self._device).manual_seed(seed)
        names = [j.name for j in self._category.joints]
        self._index = [names.index(j.name) for j in estimate.joints]
        self._parts = [self._category.parts.index(p.name) for p in estimate.parts]
        self._field, state = pipeline.decode_estimate(estimate)
        self._surface, _ = residuals.surface_samples(pipeline.shape, self._field, SURFACE,
                                                  self._generator, self._run)
        # The descent asks it for distances and for the tree alone.
        self._net = cast(KAVAE, SdfGrid.from_field(pipeline.shape, self._field))
        # What follows is of one object: on the CPU, whatever fits are made on.
        self._state = state.to('cpu')
        self._frames = 0
        self._velocity = torch.zeros(1, 6 + len(names))
        self._unsure = torch.tensor([[shift] * 3 + [turn] * 3 + [AGILE[2]] * len(names)
                                     for shift, turn in (AGILE[:2], STILL)])
        self._moves = False
        low = [j.lower for j in self._category.joints]
        self._ends = torch.tensor(low).to(self._units) / self._units
        slides = [i in self._index and j.joint_type == 'prismatic'
                  for i, j in enumerate(self._category.joints)]
        self._slides = torch.tensor(slides)
        self._told = self._state.origin
        self._innermost = torch.full_like(self._state.q, math.inf)
        self._middle = self._surface[0, 0].mean(0).cpu()
        self._first_score: float | None = None
        self.mark_view()
        self.seconds, self._T_fixed_camera = seconds, T_fixed_camera
        self.estimate, self.uncertain, self.score = estimate, False, math.inf
        # That it is the right mode: what of the confidence stays while the object is tracked.
        self._sure = estimate.confidence / (
            fit_confidence(estimate.residual / self._category.scale)
            * accuracy_probability(estimate))
        self.reinitialization_interval = SECOND_LOOK[0]
        self._looks = 1

    def track(self, cloud: np.ndarray | ObjectCloud, seconds: float,
              T_fixed_camera: np.ndarray | None = None) -> ArticulatedEstimate:
        """Where the object is in the next frame.

        Args:
            cloud: (N, 3) points on the object, camera frame, m, alone or with what is beside it.
            seconds: when the frame was taken, on the clock of the other frames.
            T_fixed_camera: (4, 4) where the camera is, in a frame that does not move; None if
                the camera stands still.

        Returns:
            the estimate with the parts' meshes as they are, their new poses, and the joints'
            positions, deviations and velocities.

        Raises:
            TrackingLost: a full estimate is needed, and a new tracker from it.
        """
        # What inference mode makes is no input of a GPU's graphs; without them it saves time.
        with torch.inference_mode() if self._device.type == 'cpu' else torch.no_grad():
            return self._track(cloud, seconds, T_fixed_camera)

    def _track(self, cloud: np.ndarray | ObjectCloud, seconds: float,
               T_fixed_camera: np.ndarray | None) -> ArticulatedEstimate:
        gap = seconds - self.seconds
        if gap <= 0:
            raise TrackingLost(f'{gap:.2f} s between two frames')
        cloud, scale = ObjectCloud.of(cloud), self._category.scale
        points = filter_points(cloud.points)
        if len(points) < MIN_POINTS:
            raise TrackingLost(f'{len(points)} of {len(cloud)} points on the object are valid, '
                               f'at least {MIN_POINTS} are needed')
        some = points[::max(1, len(points) // CLOUD)] / scale
        seen = observe(some, POINTS, self._generator, cloud.others / scale)
        prior = self._carried(T_fixed_camera)
        late = not self._started or gap > LATE
        start = self._catch_up(prior, seen) if late else self._predict(prior, gap)
        hold = self._inertia(start, gap)
        states, known, scores, residuals = self._fitted(start, seen, STEPS[late], hold)
        # Of two motion models the one that does without a motion goes first.
        stands = len(scores) > 1 and bool(scores[0] > MOVED * scores[1])
        self._moves = not stands
        best, loose = slice(stands, stands + 1), hold[:1]
        state, score, residual = states[best], scores[best], residuals[best]
        # How well the base is seen has nothing to do with whether it stands.
        information = known[best] + len(seen.points) * refinement.POINT_VARIANCE * (
            loose.precision - hold.precision[best])
        self._frames += 1
        growth = self._growth(float(score))
        if not late and (growth > 1 or growth > SEARCH[0] and self._frames % SEARCH[1] == 0):
            other = self._fitted(self._catch_up(start[:1], seen), seen, STEPS[1], loose)
            if other[2] < score:
                state, information, score, residual = other
                self._moves = True
        open_ = refinement.residual_covariance(information[0], residual[0])
        state = self._with_ends(state, open_)
        self._judge(start if late else prior, state, float(score))
        self._learn_velocity(prior, state, gap)
        self._state, self.seconds, self.score = state, seconds, float(score)
        self._T_fixed_camera = T_fixed_camera
        self.estimate = self._estimate(open_, residual[0], points, seen.centroid.cpu())
        return self.estimate

    def description_changed(self) -> bool:
        """Whether an end of a joint has moved since this was last true: the URDF changes."""
        moved = (self._state.origin - self._told).norm(dim=-1).max() * self._category.scale
        if moved > NEWS:
            self._told = self._state.origin
        return bool(moved > NEWS)

    @torch.no_grad()
    def merge_limits(self, other: Tracker) -> ArticulatedEstimate:
        """Take the mean of both trackers' full estimates of where sliding joints end.

        Both have followed the same frame. What one view says of where a drawer is closed tends
        towards what is usual, the wrong way once it is open and the other way once it is closed.

        Returns:
            the estimate with the joints' new positions and origins; the poses stay.
        """
        share = other._looks / (self._looks + other._looks)
        both = self._slides & other._slides
        apart = torch.where(both, other._state.q - self._state.q, 0.0)
        # Neither has seen them further in than this; no end is further out.
        innermost = torch.where(both, torch.minimum(self._innermost, other._innermost - apart),
                                self._innermost)
        step = torch.maximum(share * apart, torch.where(both, -innermost, 0.0))
        self._state = shift_origins(self._state, step)
        self._innermost = innermost + step
        self._looks += other._looks
        self.estimate = replace(self.estimate, joints=self._joints())
        return self.estimate

    @property
    def view_changed(self) -> bool:
        """Whether the object is seen otherwise than at the start, or when it was last marked."""
        towards, q = self._seen_from()
        turn = math.acos(min(1.0, max(-1.0, float(towards @ self._marked[0]))))
        moved = (q - self._marked[1]).abs()
        far = moved > torch.where(self._slides, ANOTHER_VIEW[2], ANOTHER_VIEW[1])
        return turn > ANOTHER_VIEW[0] or bool(far[self._index].any())

    def mark_view(self) -> None:
        """Take this view as one that a full estimate has been made of, or is being made of."""
        self._marked = self._seen_from()

    def _seen_from(self) -> tuple[Tensor, Tensor]:
        """Direction (3) from the base to the camera in the base's frame; joints (J) in ranges."""
        T = self._state.T_camera_base[0]
        span = torch.tensor([j.upper - j.lower for j in self._category.joints]).to(self._units)
        towards = F.normalize(-self._centre(self._state), dim=0) @ T[:3, :3]
        return towards, self._state.q[0] * self._units / span

    @property
    def _started(self) -> bool:
        return self._first_score is not None

    def _carried(self, T_fixed_camera: np.ndarray | None) -> State:
        """The last state and velocity in the camera's frame of now, the object standing still."""
        if T_fixed_camera is None or self._T_fixed_camera is None:
            return self._state
        T = torch.from_numpy(np.linalg.inv(T_fixed_camera) @ self._T_fixed_camera).to(
            self._velocity)
        T[:3, 3] /= self._category.scale
        turned = self._velocity[:, :6].view(2, 3) @ T[:3, :3].T
        self._velocity = torch.cat([turned.view(1, 6), self._velocity[:, 6:]], dim=1)
        return replace(self._state, T_camera_base=T @ self._state.T_camera_base)

    def _predict(self, prior: State, gap: float) -> State:
        """Where the velocities lead, in the frame that the camera has now; and, unless the base
        moves, where the joints' alone do."""
        centre = self._centre(prior)
        step = self._velocity * min(gap, MAX_PREDICTION)
        if not self._moves:
            prior, step = prior[torch.zeros(2, dtype=torch.long)], step.repeat(2, 1)
            step[1, :6] = 0
        return refinement.limit_joints(self._net, refinement.move(prior, step, centre))

    def _catch_up(self, state: State, seen: Observation) -> State:
        """Joint by joint, the position that explains the frame best: a full estimate takes time,
        and joints move faster than what they hang on."""
        for i in self._index:
            joint, unit = self._category.joints[i], float(self._units[i])
            q = state.q.repeat(CANDIDATES + 1, 1)
            q[1:, i] = torch.linspace(joint.lower / unit, joint.upper / unit, CANDIDATES)
            T, origin, axis = (x.expand(len(q), *x.shape[1:]) for x in (
                state.T_camera_base, state.origin, state.axis))
            score, _ = self._run(residuals.fit_score, self._net, self._field,
                                 State(T, q, origin, axis).to(self._device), seen, self._surface)
            state = replace(state, q=q[int(score.argmin())][None])
        return state

    def _inertia(self, state: State, gap: float) -> refinement.Prior:
        """Where the object is thought to be after a gap (s), and how sure that is.

        Joints move faster than what they hang on: a drawer that opens looks much like a cabinet
        that comes nearer.
        """
        time = min(max(gap, 1 / 30), MAX_PREDICTION)
        precision = torch.diag_embed((time * self._unsure[:len(state.q)]) ** -2)
        return refinement.Prior(state, precision)

    def _fitted(self, start: State, seen: Observation, steps: int, hold: refinement.Prior,
                ) -> tuple[State, Tensor, Tensor, Tensor]:
        """State, information, score and residual after so many steps of the descent."""
        state, *rest = self._run(_fit, self._net, self._field, start.to(self._device), seen,
                                 self._surface, steps, hold.to(self._device))
        information, score, residual = (x.cpu() for x in rest)
        return state.to('cpu'), information, score, residual

    def _growth(self, score: float) -> float:
        """How far a score has grown, 1 where the object counts as lost."""
        first = self._first_score
        if first is None:  # The first fit is measured against what the full estimate says.
            first = min(score, 2 * self.estimate.residual / self._category.scale)
        return (score - first) / ((GROWN[0] - 1) * first + GROWN[1])

    def _with_ends(self, state: State, open_: Tensor) -> State:
        """Joints within their ends; the ends of those that slide learn.

        Where a drawer is closed no single view of an open one shows well. One that is seen further
        in than that shows that it is further in: the joint's origin moves along.

        Args:
            open_: (6 + J, 6 + J) covariance of the pose and the joints, not inflated.
        """
        beyond = (self._ends - state.q).clamp_min(0) * self._slides
        firm = open_.diagonal()[6:].sqrt() < FIRM
        step = LEARNT * beyond * firm
        state = shift_origins(state, step)
        q = torch.where(self._slides, state.q.clamp_min(self._ends), state.q)
        self._innermost = torch.where(
            firm, torch.minimum(self._innermost + step, q - self._ends), self._innermost)
        return replace(state, q=q)

    def _judge(self, prior: State, state: State, score: float) -> None:
        """Whether this is still the object; remembers the first score."""
        motion = refinement.motion(prior, state, self._centre(prior))[0]
        turn, shift = float(motion[3:6].norm()), float(motion[:3].norm())
        if turn > MAX_MOTION[0] or shift > MAX_MOTION[1]:
            raise TrackingLost(f'moved by {math.degrees(turn):.0f} degrees and '
                               f'{shift * self._category.scale:.2f} m between two frames')
        for joint, step in zip(self._category.joints, motion[6:].abs().tolist(), strict=True):
            if step > MAX_MOTION[2 if joint.joint_type == 'revolute' else 3]:
                raise TrackingLost(f'{joint.name} jumped between two frames')
        growth = self._growth(score)
        if growth > 1 or score > HOPELESS:
            raise TrackingLost('the cloud is no longer explained: residual of '
                               f'{1e3 * self._category.scale * score:.1f} mm')
        self.uncertain = growth > 0.5 or score > POOR
        # Better views show what the shape can do.
        self._first_score = score if self._first_score is None else min(self._first_score, score)

    def _learn_velocity(self, prior: State, state: State, gap: float) -> None:
        motion = refinement.motion(prior, state, self._centre(prior)) / gap
        share = 1 - math.exp(-gap / SMOOTHING)
        self._velocity = self._velocity + share * (motion - self._velocity)
        shift, turn = self._velocity[0, :3].norm(), self._velocity[0, 3:6].norm()
        self._moves &= bool(shift > RESTING[0]) or bool(turn > RESTING[1])

    def _centre(self, state: State) -> Tensor:
        """(3,) the base's middle in the camera frame: what rotations are about."""
        T = state.T_camera_base[0]
        return T[:3, :3] @ self._middle + T[:3, 3]

    def _joints(self) -> tuple[JointEstimate, ...]:
        """The estimate's joints at the positions and origins of now, m and rad."""
        origin = self._state.origin[0].double().cpu().numpy() * self._category.scale
        q = self._state.q[0].double().cpu() * self._units.double().cpu()
        return tuple(replace(joint, position=float(q[i]), origin=origin[i])
                     for joint, i in zip(self.estimate.joints, self._index, strict=True))

    def _estimate(self, open_: Tensor, residual: Tensor, cloud: np.ndarray, centre: Tensor,
                  ) -> ArticulatedEstimate:
        scale, before, mean = self._category.scale, self.estimate, float(residual)
        state = self._state
        poses = residuals.part_poses(self._net, state)[0].double().cpu().numpy()
        poses[:, :3, 3] *= scale
        covariance, deviations = self._pose_covariance(open_, state.T_camera_base[0], centre)
        units = self._units.double().cpu().numpy()
        v = self._velocity[0, 6:].double().cpu().numpy() * units
        parts = tuple(replace(part, T_camera_part=poses[k])
                      for part, k in zip(before.parts, self._parts, strict=True))
        joints = tuple(replace(joint, velocity=float(v[i]), std=float(deviations[i] * units[i]))
                       for joint, i in zip(self._joints(), self._index, strict=True))
        mode = Mode(1.0, poses[0], np.array([j.position for j in joints]), mean * scale)
        estimate = replace(before, parts=parts, joints=joints, covariance=covariance,
                           residual=mean * scale, modes=(mode,), points=cloud, seconds={})
        sure = self._sure * fit_confidence(mean) * accuracy_probability(estimate)
        return replace(estimate, confidence=min(1.0, sure))


def _fit(net: KAVAE, field: Field, start: State, seen: Observation, surface: Tensor, steps: int,
         hold: refinement.Prior) -> tuple[State, Tensor, Tensor, Tensor]:
    state, information = refinement.descend_sdf(net, field, start, seen, surface, steps, WIDTH,
                                                hold)
    return state, information, *residuals.fit_score(net, field, state, seen, surface)
