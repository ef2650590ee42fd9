"""What planners are told of one object, without ROS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kinediff3d_ros.scene.planning_scene import (
    MoveLimits,
    Operation,
    PlannerWorld,
    ScenePart,
    check_planned_parts,
    displacement,
    is_planned,
)

LIMITS = MoveLimits(period=0.2, motion=0.005, repeat=10.0)
ADD, MOVE, REMOVE = Operation.ADD, Operation.MOVE, Operation.REMOVE
CORNERS = np.array([(x, y, z) for x in (0, 0.3) for y in (-0.1, 0.1) for z in (0, 0.01)])
SHAPE = object()


def part(x: float = 0.0, angle: float = 0.0, frame_id: str = 'camera',
         shape: object = SHAPE) -> ScenePart:
    """A plate 0.3 m long, moved along x and turned about y, its axis."""
    T = np.eye(4)
    T[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    T[0, 3] = x
    return ScenePart(frame_id, T, CORNERS, shape)


class Bench:
    """Planners at a time that the test sets."""

    def __init__(self) -> None:
        self.world, self.now, self.listeners = PlannerWorld(), 100.0, 1

    def tell(self, later: float = 0.0, **parts: ScenePart) -> dict[str, Operation]:
        self.now += later
        return self.world.update(parts, self.listeners, LIMITS, self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_displacement_is_that_of_the_farthest_corner() -> None:
    assert displacement(part(), part(x=0.003)) == pytest.approx(0.003)
    assert displacement(part(), part(angle=0.02)) == pytest.approx(
        2 * np.sin(0.01) * np.hypot(0.3, 0.01))
    assert displacement(part(), part(frame_id='map')) == np.inf


def test_parts_are_added_once_and_moved_when_a_corner_has_moved(bench: Bench) -> None:
    assert bench.tell(base=part(), lid=part()) == {'base': ADD, 'lid': ADD}
    assert bench.tell(1.0, base=part(), lid=part()) == {}
    assert bench.tell(1.0, base=part(), lid=part(angle=0.015)) == {}  # 4.5 mm
    assert bench.tell(1.0, base=part(), lid=part(angle=0.03)) == {'lid': MOVE}
    # Small motions add up, since they are measured from where the planners have the part.
    assert bench.tell(1.0, base=part(0.004), lid=part(angle=0.03)) == {}
    assert bench.tell(1.0, base=part(0.008), lid=part(angle=0.03)) == {'base': MOVE}


@pytest.mark.parametrize('frame_period', [1 / 30, 0.1, 0.099, 0.15, 0.5])
def test_moves_keep_their_mean_rate_at_every_frame_rate(bench: Bench, frame_period: float) -> None:
    bench.tell(lid=part())
    steps = int(8.0 / frame_period)
    moves = sum(bool(bench.tell(frame_period, lid=part(x=0.01 * i))) for i in range(1, steps + 1))
    assert moves == pytest.approx(8.0 / max(0.2, frame_period), abs=2)


def test_a_motion_that_ends_between_two_moves_is_told_later(bench: Bench) -> None:
    bench.tell(lid=part())
    assert bench.tell(0.1, lid=part(0.01)) == {'lid': MOVE}
    assert bench.tell(0.1, lid=part(0.02)) == {}
    assert bench.tell(1.0, lid=part(0.02)) == {'lid': MOVE}


def test_a_new_shape_is_added_at_once_with_its_pose(bench: Bench) -> None:
    bench.tell(base=part(), lid=part())
    bench.tell(0.01, base=part(), lid=part(0.1))
    assert bench.tell(0.01, base=part(), lid=part(0.2, shape=object())) == {'lid': ADD}


def test_a_part_that_is_left_out_is_removed_at_once_and_added_again(bench: Bench) -> None:
    bench.tell(base=part(), lid=part())
    assert bench.tell(base=part()) == {'lid': REMOVE}
    assert bench.tell(base=part()) == {}
    assert bench.tell(base=part(), lid=part()) == {'lid': ADD}


def test_another_frame_moves_the_part(bench: Bench) -> None:
    bench.tell(lid=part())
    assert bench.tell(1.0, lid=replace(part(), frame_id='map')) == {'lid': MOVE}


def test_a_listener_that_joins_gets_everything_and_one_that_leaves_nothing(bench: Bench) -> None:
    bench.listeners = 0
    assert bench.tell(lid=part()) == {}
    bench.listeners = 1
    assert bench.tell(lid=part()) == {'lid': ADD}
    bench.listeners = 2
    assert bench.tell(lid=part()) == {'lid': ADD}
    bench.listeners = 1
    assert bench.tell(lid=part()) == {}
    bench.listeners = 0
    assert bench.tell(lid=part()) == {} and bench.world.clear() == []
    bench.listeners = 1
    assert bench.tell(lid=part()) == {'lid': ADD}


def test_everything_is_added_again_for_planners_that_missed_it(bench: Bench) -> None:
    bench.tell(base=part(), lid=part())
    assert bench.tell(9.9, base=part(), lid=part()) == {}
    assert bench.tell(0.1, base=part(), lid=part()) == {'base': ADD, 'lid': ADD}
    assert bench.tell(9.9, base=part(), lid=part()) == {}


def test_what_planners_have_is_removed_once(bench: Bench) -> None:
    bench.tell(base=part(), lid=part())
    assert bench.world.clear() == ['base', 'lid']
    assert bench.world.clear() == []
    assert bench.tell(base=part(), lid=part()) == {'base': ADD, 'lid': ADD}


def test_parts_are_planned_by_their_name_or_that_of_one_object() -> None:
    assert is_planned('', 'box_4', 'lid') and is_planned(' , ', 'box_4', 'lid')
    assert is_planned('base, lid', 'box_4', 'lid') and not is_planned('base', 'box_4', 'lid')
    assert is_planned('base, box_4_lid', 'box_4', 'lid')
    assert not is_planned('base, box_4_lid', 'box_5', 'lid')


def test_names_that_are_no_parts_are_refused() -> None:
    check_planned_parts('base, lid, kitchen_drawer_0,')
    with pytest.raises(ValueError, match=r"'planning_parts' lists 'ldi' \(did you mean lid\?\)"):
        check_planned_parts('base, ldi')
