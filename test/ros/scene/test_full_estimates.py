"""Which of the things in an image without a mask becomes the only object; without ROS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from instant_models import InstantModels
from scene_bench import CAMERA, SECOND, SceneBench
from scipy import ndimage

from kinediff3d_core.inference.candidates import CONFIG
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import DepthView, object_cloud
from kinediff3d_core.observation.segmentation import Candidate
from kinediff3d_ros.scene import object_clouds
from kinediff3d_ros.scene.frames import DepthArrays, Frame, FrameHeader


class UnmaskedBench(SceneBench):
    """A scene whose frames have no mask; every separate surface is a candidate.

    Attributes:
        segmented: number of segmented frames.
        sure_of: depth, m, of the things whose estimate is certain; others are at 0.1.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sure_of: float = 0.0,
                 **parameters: object) -> None:
        super().__init__(**parameters)
        self.segmented, self.sure_of = 0, sure_of
        monkeypatch.setattr(object_clouds, 'image_candidates', self._candidates)
        monkeypatch.setattr(InstantModels, 'infer', self._infer(InstantModels.infer))

    def _candidates(self, view: DepthView) -> list[Candidate]:
        self.segmented += 1
        ids, count = ndimage.label(view.depth > 0)
        found = [Candidate(replace(object_cloud(view.depth, CAMERA, ids == k), filtered=True),
                           float((ids == k).mean())) for k in range(1, count + 1)]
        return sorted(found, key=lambda one: -one.score)

    def _infer(self, infer):
        def with_confidence(models, *arguments):
            estimate = infer(models, *arguments)
            near = abs(estimate.joints[0].position - self.sure_of) < 0.3
            return replace(estimate, confidence=0.9 if near else 0.1)
        return with_confidence

    def put(self, *things: tuple[int, int, float]) -> int:
        """Show things by first column, width and depth; the stamp."""
        self.time += SECOND // 10
        depth = np.zeros((48, 64), np.float32)
        for column, width, value in things:
            depth[8:40, column:column + width] = value
        self.scene.submit(Frame(FrameHeader(self.time, 'camera'),
                                lambda: DepthArrays(depth, CAMERA)))
        return self.time


LARGE = (2, 30, 1.0)
"""Segmentation's best candidate."""


def test_the_likeliest_thing_is_the_object_and_is_tracked(
        monkeypatch: pytest.MonkeyPatch) -> None:
    with UnmaskedBench(monkeypatch, sure_of=1.5) as bench:
        first = bench.publication(bench.put(LARGE, (40, 16, 1.5)))
        assert first.position == pytest.approx(1.5) and len(first.points) == 16 * 32
        assert first.has_meshes and first.velocity is None
        # The larger one has been tried, without meshes.
        assert bench.models.calls == [('laptop', False), ('laptop', True)]
        for depth in (1.6, 1.7):
            tracked = bench.publication(bench.put(LARGE, (40, 16, depth)))
            assert tracked.position == pytest.approx(depth) and tracked.velocity == 0.25
        assert bench.segmented == 3 and len(bench.models.calls) == 2


def test_where_nothing_stands_out_any_more_there_is_no_estimate(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracking could take what is behind the object for the object."""
    def nothing(view: DepthView) -> list[Candidate]:
        raise NoEstimate('nothing stands out')

    with UnmaskedBench(monkeypatch, sure_of=1.5) as bench:
        bench.publication(bench.put((40, 16, 1.5)))
        monkeypatch.setattr(object_clouds, 'image_candidates', nothing)
        bench.put((40, 16, 1.5))
        assert 'nothing stands out' in bench.logged('no_estimate')


def test_an_object_that_is_lost_is_chosen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with UnmaskedBench(monkeypatch, sure_of=1.5) as bench:
        bench.publication(bench.put(LARGE, (40, 16, 1.5)))
        bench.sure_of = 2.3
        again = bench.publication(bench.put(LARGE, (40, 16, 2.3)))
        assert again.position == pytest.approx(2.3) and again.velocity is None
        assert (bench.counts['tracking_lost'], bench.segmented) == (1, 2)


def test_a_full_estimate_of_a_tracked_object_is_of_no_other_thing(
        monkeypatch: pytest.MonkeyPatch) -> None:
    with UnmaskedBench(monkeypatch, sure_of=1.5) as bench:
        bench.publication(bench.put(LARGE, (40, 16, 1.5)))
        bench.sure_of = 1.0
        answer = bench.scene.request_estimates()
        bench.put(LARGE, (40, 16, 1.6))
        answer.wait()
        assert 'confidence of 0.100' in answer.message and bench.segmented == 2


def test_where_all_things_are_refused_there_is_no_estimate(
        monkeypatch: pytest.MonkeyPatch) -> None:
    with UnmaskedBench(monkeypatch, min_points=50) as bench:
        bench.put(*((8 * i, 6, 1.0 + 0.2 * i) for i in range(8)))
        assert 'confidence of 0.100 is below' in bench.logged('no_estimate')
        assert len(bench.models.calls) == CONFIG.most < 8
        assert not bench.host.objects[0].publisher.published
