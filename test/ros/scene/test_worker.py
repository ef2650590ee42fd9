"""The mailbox, the pairing by stamps and the parameter tables."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

import yaml  # noqa: E402

from kinediff3d_ros.nodes.parameters import (
    CameraSimParameters,
    PerceptionParameters,
    descriptor,
    fields,
)
from kinediff3d_ros.scene.health import Health, Throttle
from kinediff3d_ros.scene.pairing import StampPairing
from kinediff3d_ros.scene.worker import NewestItemWorker

pytestmark = pytest.mark.ros

ROOT = Path(__file__).parents[3]
LIMIT = 10.0


class Slow:
    """Work that waits to be let go on, and notes what it got."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def __call__(self, item: int) -> None:
        self.seen.append(item)
        self.started.release()
        if item < 0:
            raise RuntimeError(f'item {item}')
        assert self.gate.acquire(timeout=LIMIT)


def test_only_the_newest_item_is_worked_on_and_the_rest_comes_back() -> None:
    work, errors = Slow(), []
    worker: NewestItemWorker[int] = NewestItemWorker(work, errors.append)
    worker.offer(0)
    assert work.started.acquire(timeout=LIMIT)
    assert [worker.offer(item) for item in range(1, 8)] == [None, 1, 2, 3, 4, 5, 6]
    work.gate.release()
    assert work.started.acquire(timeout=LIMIT)
    work.gate.release()
    worker.close()
    assert worker.join(LIMIT)
    assert (work.seen, errors) == ([0, 7], [])


def test_an_exception_does_not_end_the_thread() -> None:
    work, errors = Slow(), []
    worker: NewestItemWorker[int] = NewestItemWorker(work, errors.append)
    for item in (-1, -2, 3):
        worker.offer(item)
        assert work.started.acquire(timeout=LIMIT)
    work.gate.release()
    worker.close()
    assert worker.join(LIMIT)
    assert work.seen == [-1, -2, 3] and [str(e) for e in errors] == ['item -1', 'item -2']


def test_the_rate_is_limited_and_the_newest_item_still_wins() -> None:
    times, seen, done = [], [], threading.Event()

    def work(item: int) -> None:
        times.append(time.monotonic())
        seen.append(item)
        if len(seen) == 2:
            done.set()

    worker: NewestItemWorker[int] = NewestItemWorker(work, lambda e: None)
    worker.min_period = 0.3
    worker.offer(0)
    end = time.monotonic() + LIMIT
    while not seen and time.monotonic() < end:
        time.sleep(0.001)
    for item in range(1, 5):
        worker.offer(item)
    assert done.wait(LIMIT)
    worker.close()
    assert worker.join(LIMIT)
    assert seen == [0, 4] and times[1] - times[0] >= 0.29


def test_closing_forgets_what_waits() -> None:
    work = Slow()
    worker: NewestItemWorker[int] = NewestItemWorker(work, lambda e: None)
    worker.offer(0)
    assert work.started.acquire(timeout=LIMIT)
    worker.offer(1)
    worker.close()
    assert worker.stopping and not worker.join(0.05)
    work.gate.release()
    assert worker.join(LIMIT) and work.seen == [0]


def test_pairs_are_by_nearest_stamp_in_either_order() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=10)
    assert pairing.add_first(100, 'a') is None
    assert pairing.add_second(104, 'A') == ('a', 'A')
    assert pairing.add_second(200, 'B') is None
    assert pairing.add_first(195, 'b') == ('b', 'B')
    assert pairing.unpaired == 0


def test_a_mask_that_never_comes_does_not_hold_up_the_next() -> None:
    pairing: StampPairing[str, str] = StampPairing(slop=10)
    assert pairing.add_first(100, 'a') is None
    assert pairing.add_first(200, 'b') is None
    assert pairing.add_second(201, 'B') == ('b', 'B')
    assert pairing.unpaired == 1
    assert pairing.add_second(101, 'A') is None


def test_what_waits_is_bounded() -> None:
    pairing: StampPairing[int, int] = StampPairing(slop=1, depth=4)
    for i in range(100):
        pairing.add_first(10 * i, i)
        pairing.add_second(10 * i + 5, i)
    assert pairing.unpaired == 96


def test_throttle_holds_back_only_the_same_text() -> None:
    throttle = Throttle(0.2)
    assert throttle.lets_through('a') and throttle.lets_through('b')
    assert not throttle.lets_through('a')
    time.sleep(0.25)
    assert throttle.lets_through('a')


def test_health_forgets_measurements_when_there_is_no_estimate() -> None:
    health = Health()
    health.last = {'residual_m': 0.001}
    health.enter('no_estimate', 'hidden')
    assert 'residual_m' not in health.values()


@pytest.mark.parametrize(('file', 'parameters'), [
    ('perception.yaml', PerceptionParameters), ('camera_sim.yaml', CameraSimParameters)])
def test_yaml_holds_every_parameter_at_its_default(file: str, parameters: type) -> None:
    table = yaml.safe_load((ROOT / 'config' / file).read_text())['/**']['ros__parameters']
    expected = {name: default for name, (default, _) in fields(parameters).items()}
    assert table == expected
    assert {k: type(v) for k, v in table.items()} == {k: type(v) for k, v in expected.items()}


@pytest.mark.parametrize('parameters', [PerceptionParameters, CameraSimParameters])
def test_documentation_names_every_parameter(parameters: type) -> None:
    text = (ROOT / 'docs' / 'ros.md').read_text()
    for name, (default, spec) in fields(parameters).items():
        row = next((r for r in text.splitlines() if r.startswith(f'| `{name}` ')), '')
        assert row, f'docs/ros.md has no row for {name}'
        assert str(default).lower() in row.lower() or default == ''
        assert all(choice in row for choice in spec.choices)
        assert not spec.unit or f' {spec.unit} ' in row


@pytest.mark.parametrize('parameters', [PerceptionParameters, CameraSimParameters])
def test_every_parameter_is_described_and_every_number_has_a_range(parameters: type) -> None:
    for name, (default, spec) in fields(parameters).items():
        message = descriptor(default, spec)
        assert message.description.strip(), name
        if isinstance(default, float):
            low, high = (message.floating_point_range[0].from_value,
                         message.floating_point_range[0].to_value)
            assert low <= default <= high
        elif isinstance(default, int) and not isinstance(default, bool):
            low, high = message.integer_range[0].from_value, message.integer_range[0].to_value
            assert low <= default <= high
