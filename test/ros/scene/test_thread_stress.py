"""Scenes begin and end while frames, masks, requests and parameters come from other threads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from deadlines import run_within
from instant_models import LIMIT
from scene_bench import ALL_FRAMES, SECOND, PlainHost, frame_of
from slow_models import SlowModels

from kinediff3d_ros.scene.estimate_requests import EstimateRequest
from kinediff3d_ros.scene.frames import Frame, FrameHeader
from kinediff3d_ros.scene.scene import Scene

ACTIVATIONS = 100
FAULTS = 10
"""Fewest unusable frames and errors that must be met: activations go on until then."""
ACTIVE = 0.02
"""Seconds from the begin of a scene to its end."""
DEADLINE = 60.0
"""Seconds for all; a quiet core needs a twentieth of them."""


class Stress:
    """A host whose scenes come and go, and what other threads do to them."""

    def __init__(self) -> None:
        self.models = SlowModels()
        self.host = PlainHost(instances='each', max_objects=4, lost_after=0.1)
        self.scene: Scene | None = None
        self.requests: list[EstimateRequest] = []
        self.errors: list[Exception] = []
        self.closing = threading.Event()
        self.time = 1000 * SECOND

    def repeat(self, act: Callable[[Scene, random.Random], None], seed: int) -> None:
        """Act on the present scene again and again, also on one that ends meanwhile."""
        chance = random.Random(seed)
        while not self.closing.is_set():
            try:
                if self.scene is not None:
                    act(self.scene, chance)
            except Exception as error:
                self.errors.append(error)
            time.sleep(0.001)

    def show(self, scene: Scene, chance: random.Random) -> None:
        """A frame with some ids of a segmenter that numbers on and on; a clock reset at times."""
        first = int(time.monotonic() * 20) % 1000 + 1
        ids = {first + i: 1.0 + chance.random() for i in range(chance.randrange(4))}
        self.time += SECOND // 10 if chance.random() < 0.99 else -10 * SECOND
        scene.submit(frame_of(ids, self.time))

    def show_unusable(self, scene: Scene, chance: random.Random) -> None:
        """A frame whose mask or stamp cannot be used."""
        def refuse():
            raise ValueError('a mask of another size')

        scene.submit(Frame(FrameHeader(self.time, chance.choice(['camera', ''])), refuse))
        time.sleep(0.005)

    def request(self, scene: Scene, chance: random.Random) -> None:
        self.requests.append(scene.request_estimates())

    def set_parameters(self, scene: Scene, chance: random.Random) -> None:
        self.host.parameters = replace(
            self.host.parameters, tracking=chance.random() < 0.8,
            publish_meshes=chance.random() < 0.8, estimate_period=chance.choice([0.0, 1e-9]),
            max_objects=chance.choice([2, 4]))
        scene.limit_rate(chance.choice([0.0, 200.0]))

    def activate(self) -> None:
        """Begin a scene, watch it as a node does, and end it."""
        self.scene = scene = Scene(self.models, self.host, config=ALL_FRAMES)
        end = time.monotonic() + ACTIVE
        while time.monotonic() < end:
            scene.remove_absent()
            self.host.report()
            time.sleep(0.005)
        scene.close()
        assert scene.join(LIMIT)
        published = self.published()
        assert not any(o.publisher.shown or o.tracker for o in self.host.objects.values())
        assert all(r.answered for r in self.requests if r is not None)
        assert self.published() == published, 'published after the end'

    def published(self) -> int:
        return sum(len(o.publisher.published)
                   for o in [*self.host.objects.values(), *self.host.removed])

    def run(self) -> None:
        acts = (self.show, self.show_unusable, self.request, self.set_parameters)
        threads = [threading.Thread(target=self.repeat, args=(act, i), daemon=True)
                   for i, act in enumerate(acts)]
        for thread in threads:
            thread.start()
        try:
            done, counts = 0, self.host.health.counts
            while done < ACTIVATIONS or min(counts['bad_inputs'], counts['errors']) <= FAULTS:
                self.activate()
                done += 1
        finally:
            self.closing.set()
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()


@pytest.mark.timeout(2 * DEADLINE)
def test_a_hundred_activations_while_everything_arrives_from_four_threads() -> None:
    stress = Stress()
    run_within(DEADLINE, stress.run)
    assert not stress.errors
    counts = stress.host.health.counts
    assert min(counts['bad_inputs'], counts['errors']) > FAULTS
    assert stress.published() > ACTIVATIONS / 10 and stress.host.removed, 'the work was done'
    assert any(r.success for r in stress.requests)
    assert stress.models.most == 1, 'two full estimates at a time'
    assert all(p.name not in ('tracking', 'estimating') for p in threading.enumerate())
    # Whatever has happened, the next scene works.
    stress.models.fault_share = 0.0
    stress.host.parameters = replace(stress.host.parameters, tracking=True, max_objects=255)
    scene = Scene(stress.models, stress.host, config=ALL_FRAMES)
    request = scene.request_estimates()
    scene.submit(frame_of({60000: 1.0}, stress.time + SECOND))
    request.wait()
    scene.close()
    assert scene.join(LIMIT) and request.success


def test_a_deadlock_shows_the_stacks_of_its_threads() -> None:
    """The check itself: two locks, taken in either order."""
    first, second, both = threading.Lock(), threading.Lock(), threading.Barrier(2)

    def take_both(a: threading.Lock, b: threading.Lock) -> None:
        with a:
            both.wait(LIMIT)
            b.acquire(timeout=5.0)

    def work() -> None:
        threads = [threading.Thread(target=take_both, args=pair, daemon=True)
                   for pair in ((first, second), (second, first))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with pytest.raises(AssertionError, match='(?s)not ended within 0.3 s.*take_both'):
        run_within(0.3, work)
