"""Opens a part: approach, close the fingers, follow the opening path, which is looked up anew
while the part moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from floating_gripper import FloatingGripper
from guidance import Guidance, Guide, Hold, Unseen, between, grips, motion_along, path_length
from world import STEPS_PER_SECOND, World

from kinediff3d_core.objects.gripper import GRIPPER


@dataclass(frozen=True)
class OpeningConfig:
    """How a part is opened. All values are chosen."""

    look_period: float = 0.2
    """Between two looks at the moving part, s: a camera of 5 Hz."""
    standoff: float = 0.12
    """From which the hand approaches, m."""
    approach_time: float = 1.5
    """Of the approach and of the retreat, s."""
    closing_time: float = 1.0
    """For which the fingers close, s."""
    margin: float = 0.005
    """Between what is held and each open finger, m: errors of the contact are millimetres."""
    opening_time: float = 4.0
    """In which the whole path is followed, s."""
    strength: float = 4.0
    """Force of the hand, in terms of what overcomes the joint's friction at the contact."""
    least_force: float = 2.0
    """Least force of the hand, N: it moves its own mass of 0.6 kg."""
    stopped: float = 0.006
    """A hand that is behind its target by more than this has met something, m."""
    widening: float = 0.02
    """By which the fingers are then opened wider for another approach, m."""
    deepening: float = 0.015
    """By which each approach goes deeper than the one before it, or until the hand is stopped, m:
    the part may be smaller than it seems."""
    deepest: float = 0.03
    """Most of that, m: the fingers' length less the usual depth."""
    arrived: float = 0.02
    """The end is reached where less than this share of the path is left."""
    patience: int = 8
    """Looks after which a hand that has not moved gives up."""
    progress: float = 0.03
    """Least motion of the hand in these looks, in shares of the path."""
    most_looks: int = 75
    """Looks after which following ends in any case."""
    lost_looks: int = 2
    """Looks in a row at which no finger may touch the part: it may have some play."""
    blind_looks: int = 10
    """Looks in a row without guidance after which following ends."""
    attempts: int = 4
    """Approaches, each to the next best contact of a new look."""
    enough: float = 0.8
    """Another approach is made if less than this share of the longest path has been made: a part
    at its true limit does not move any more, and its estimated limit may be beyond it."""
    far: float = 0.4
    """If more than this share has been made, and another approach adds nothing, it is the last."""


DEFAULT = OpeningConfig()


@dataclass
class Story:
    """What happened.

    Attributes:
        opened: share of the true joint's way to its upper limit.
        reason: why the last attempt ended.
        events: one line each.
    """

    opened: float = 0.0
    reason: str = ''
    events: list[str] = field(default_factory=list)


class Opener:
    """Opens the part of a world's object with a floating gripper.

    Args:
        guide: looks at the object. watch: called once in each ``look_period``, for pictures.
    """

    def __init__(self, world: World, guide: Guide, config: OpeningConfig = DEFAULT,
                 watch: Callable[[World], None] = lambda world: None) -> None:
        self._world, self._guide, self._config, self._watch = world, guide, config, watch
        self._gripper: FloatingGripper | None = None
        self._length = self._left = 0.0
        self._steps = 0

    def open(self) -> Story:
        """Open the part; returns how far, and what happened."""
        story, made = Story(), 0.0
        for attempt in range(self._config.attempts):
            try:
                guidance = self._look_again()
            except Unseen as reason:
                story.reason = str(reason)
                story.events.append(f'attempt {attempt + 1}: {reason}')
                break
            self._length = max(self._length, self._left)
            if not self._length:
                story.reason = 'the part seems to be open'
                story.events.append(f'attempt {attempt + 1}: {story.reason}')
                break
            holds = grips(guidance.holds, GRIPPER.thickest)
            hold = holds[attempt % len(holds)]
            story.reason = self._attempt(hold, min(
                attempt * self._config.deepening, self._config.deepest))
            story.opened = self._world.opened
            before, made = made, 1 - self._left / self._length
            story.events.append(f'attempt {attempt + 1}: {story.reason}, '
                                f'{100 * made:.0f} % of the path made')
            if made > self._config.enough or self._is_at_its_limit(before, made):
                break
            self._retreat()
        return story

    def _is_at_its_limit(self, before: float, made: float) -> bool:
        """Whether a second approach has not moved a part that the first one has opened far.

        Args:
            before, made: shares of the path after both.
        """
        config = self._config
        return made > config.far and made - before < config.progress

    def _look(self) -> Guidance:
        guidance = self._guide.look(self._world)
        self._left = path_length(guidance.path)
        return guidance

    def _look_again(self) -> Guidance:
        """Guidance of the first look that has some, among a few of the resting object."""
        for left in reversed(range(self._config.blind_looks)):
            try:
                return self._look()
            except Unseen:
                if not left:
                    raise
                self._wait(self._config.look_period)
        raise AssertionError('blind_looks is not positive')

    def _attempt(self, hold: Hold, deeper: float) -> str:
        """Approach, hold and follow; returns why it ended.

        Args:
            deeper: how far the fingers go beyond their usual depth, m.
        """
        depth = min(GRIPPER.insertion, float(hold.extents[2]))
        T_hand = self._world.T_world_camera @ hold.T_camera_contact @ _along_z(
            depth - GRIPPER.insertion)
        gripper = self._placed(T_hand @ _along_z(-self._config.standoff), hold)
        width = float(hold.extents[0]) + 2 * self._config.margin + deeper
        self._approach(T_hand, width, hold.reachable)
        if deeper:
            self._move(gripper.pose, gripper.pose @ _along_z(deeper), self._config.closing_time,
                       self._config.stopped)
        gripper.move_to(gripper.pose)
        gripper.close()
        self._wait(self._config.closing_time)
        if not gripper.touches(self._world.body, self._world.link):
            return 'the fingers do not touch the part'
        return self._follow()

    def _placed(self, start: np.ndarray, hold: Hold) -> FloatingGripper:
        """The gripper, at a pose (4, 4)."""
        config, world = self._config, self._world
        if self._gripper is None:
            force = max(config.least_force, config.strength * world.holding_force(
                hold.T_camera_contact[:3, 3]))
            self._gripper = FloatingGripper(world.client, start, force)
        else:
            self._gripper.place(start)
        return self._gripper

    def _approach(self, T_hand: np.ndarray, width: float, reachable: bool) -> None:
        """Bring the fingers, this far (m) apart, to both sides of what is held.

        Where the hand is stopped at a reachable place, what is held is thicker than it seems: it
        goes back and opens the fingers wider, until they are as wide as they can be. At another
        place the rest of the object may have stopped it: it stays there, without pressing.
        """
        config, gripper = self._config, self._gripper
        assert gripper is not None
        start = T_hand @ _along_z(-config.standoff)
        gripper.open(width)
        while not self._move(start, T_hand, config.approach_time, config.stopped):
            if width >= GRIPPER.stroke or not reachable:
                break
            self._move(gripper.pose, start, config.approach_time)
            width = min(width + config.widening, GRIPPER.stroke)
            gripper.open(width)

    def _follow(self) -> str:
        """Follow the opening path; returns why it ended."""
        config, gripper, world = self._config, self._gripper, self._world
        assert gripper is not None
        trace, blind, lost = [gripper.pose[:3, 3]], 0, 0
        for _ in range(config.most_looks):
            try:
                guidance, blind = self._look(), 0
            except Unseen as reason:
                blind += 1
                if blind >= config.blind_looks:
                    return f'unseen: {reason}'
                self._wait(config.look_period)
                continue
            if self._left < config.arrived * self._length:
                return 'arrived'
            step = self._length * config.look_period / config.opening_time
            motion = motion_along(guidance.path, step)
            T_world_camera = world.T_world_camera
            here = gripper.pose
            there = T_world_camera @ motion @ np.linalg.inv(T_world_camera) @ here
            self._move(here, there, config.look_period)
            lost = 0 if gripper.touches(world.body, world.link) else lost + 1
            if lost > config.lost_looks:
                return 'the part has slipped out of the fingers'
            trace.append(gripper.pose[:3, 3])
            if len(trace) > config.patience and np.linalg.norm(
                    trace[-1] - trace[-1 - config.patience]) < config.progress * self._length:
                return 'the part does not move any more'
        return 'out of time'

    def _retreat(self) -> None:
        """Open the fingers a little, so that they push nothing, and go back."""
        gripper, config = self._gripper, self._config
        assert gripper is not None
        gripper.hold(gripper.width + 2 * config.margin)
        self._wait(config.look_period)
        self._move(gripper.pose, gripper.pose @ _along_z(-config.standoff), config.approach_time)

    def _move(self, start: np.ndarray, end: np.ndarray, seconds: float,
              stopped: float = np.inf) -> bool:
        """Pull the hand straight from one pose (4, 4) to another; returns whether it got there.

        Args:
            stopped: a hand that is behind by more than this, m, ends the motion.
        """
        gripper = self._gripper
        assert gripper is not None
        steps = round(seconds * STEPS_PER_SECOND)
        for i in range(steps):
            gripper.move_to(between(start, end, (i + 1) / steps))
            self._step()
            if np.linalg.norm(gripper.pose[:3, 3] - gripper.target[:3, 3]) > stopped:
                return False
        return True

    def _wait(self, seconds: float) -> None:
        for _ in range(round(seconds * STEPS_PER_SECOND)):
            self._step()

    def _step(self) -> None:
        if self._gripper is not None:
            self._gripper.carry()
        self._world.step()
        self._steps += 1
        if self._steps % round(self._config.look_period * STEPS_PER_SECOND) == 0:
            self._watch(self._world)


def _along_z(distance: float) -> np.ndarray:
    """The motion (4, 4) along z by a distance, m."""
    T = np.eye(4)
    T[2, 3] = distance
    return T
