"""A sequence of clouds: when full estimates are made, and the result of each frame."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tracking_scenes import CAMERA

from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud, object_cloud
from kinediff3d_core.observation.segmentation import Candidate
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedScene
from kinediff3d_core.tracking import sequence_tracker
from kinediff3d_core.tracking.config import DEFAULT, ReinitializationConfig
from kinediff3d_core.tracking.reinitialization import TrackingLost
from kinediff3d_core.tracking.sequence_tracker import SequenceTracker, TrackedFrame

CLOUD = np.zeros((0, 3))
IMAGE = DepthView(np.zeros((CAMERA.height, CAMERA.width)), CAMERA)


def test_an_object_seen_from_another_view_is_estimated_again(pipeline):
    config = replace(DEFAULT, reinitialization=ReinitializationConfig(
        min_interval=0.15, max_interval=0.3))
    scene = SimulatedScene.sample('laptop', 0, 0, CAMERA, states=24)
    camera = SimulatedCamera(replace(scene, positions=scene.positions[7:23:2]))
    sequence = SequenceTracker(pipeline, mesh=False, config=config)
    found, errors = [], []
    for i in range(8):
        view = camera.state(i)
        answer = sequence.update(object_cloud(view.depth, CAMERA, view.mask), 0.1 * i)
        found.append((answer.kind, answer.reason))
        errors.append(answer.estimate.joints[0].position - view.positions[0])
    assert found[0] == ('full', '') and {kind for kind, _ in found[1:]} == {'tracked'}
    again = [i for i, (_, reason) in enumerate(found) if reason == 're-initialization']
    assert again and again[0] > 1 and len(again) < 4, found
    assert np.degrees(np.abs(errors)).max() < 12
    nothing = sequence.update(np.zeros((20, 3)), 1.0)
    assert nothing.kind == 'none' and nothing.estimate is None
    assert '0 points on the object' in nothing.reason
    # Seen again, its tracker finds it without a full estimate.
    assert sequence.update(object_cloud(view.depth, CAMERA, view.mask), 1.1).kind == 'tracked'


class Full(str):
    """A full estimate that is a name, with a confidence."""

    confidence = 1.0
    categories: dict[str, float] = {}


class FakePipeline:
    """Numbers its full estimates; raises ``refusal`` where one is set."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, int]] = []
        self.refusal: Exception | None = None
        self.confidence = 1.0

    def infer(self, cloud, mesh, seed):
        self.calls.append((mesh, seed))
        if self.refusal is not None:
            raise self.refusal
        estimate = Full(f'full {len(self.calls)}')
        estimate.confidence = self.confidence
        return estimate


class FakeTracker:
    """Tracks without error; the test sets its state."""

    lost = uncertain = view_changed = False
    fault: Exception | None = None
    reinitialization_interval = 2.0
    made: list[FakeTracker] = []

    def __init__(self, pipeline, estimate, seconds, config) -> None:
        self.estimate, self.config, self.marked, self.score = estimate, config, 0, 1.0
        FakeTracker.made.append(self)

    def track(self, cloud, seconds, T_fixed_camera=None):
        if self.lost:
            raise TrackingLost('gone')
        if self.fault is not None:
            raise self.fault
        return f'tracked from {self.estimate}'

    def merge_limits(self, other):
        return f'tracked from {self.estimate}'

    def mark_view(self):
        self.marked += 1


@pytest.fixture
def fake(monkeypatch):
    """A pipeline, its sequence, and the trackers it has made."""
    monkeypatch.setattr(sequence_tracker, 'Tracker', FakeTracker)
    monkeypatch.setattr(FakeTracker, 'made', [])
    pipeline = FakePipeline()
    return SimpleNamespace(pipeline=pipeline, sequence=SequenceTracker(pipeline, seed=7),
                           trackers=FakeTracker.made)


def test_a_sequence_starts_with_a_full_estimate_and_continues_with_tracking(fake):
    assert fake.sequence.update(CLOUD, 0.0) == TrackedFrame('full', 'full 1')
    for i in range(1, 9):
        assert fake.sequence.update(CLOUD, float(i)) == TrackedFrame(
            'tracked', 'tracked from full 1')
    assert fake.pipeline.calls == [(True, 7)] and len(fake.trackers) == 1


def test_without_tracking_every_estimate_is_a_full_one(fake):
    sequence = SequenceTracker(fake.pipeline, tracking=False, mesh=False)
    for i in range(3):
        assert sequence.update(CLOUD, float(i)) == TrackedFrame('full', f'full {i + 1}')
    assert fake.pipeline.calls == [(False, 0)] * 3 and not fake.trackers


def test_the_image_in_which_a_track_is_lost_gives_no_estimate(fake, monkeypatch):
    """Its full estimate is tracked in the next one, or else that one's is given."""
    fake.sequence.update(CLOUD, 0.0)
    fake.trackers[0].lost = True
    assert fake.sequence.update(CLOUD, 0.1) == TrackedFrame('none', None, 'tracking lost: gone')
    assert fake.sequence.update(CLOUD, 0.2).estimate == 'tracked from full 2'
    monkeypatch.setattr(FakeTracker, 'lost', True)
    assert fake.sequence.update(CLOUD, 0.3).kind == 'none'
    for i in (4, 5):
        assert fake.sequence.update(CLOUD, 0.1 * i) == TrackedFrame(
            'full', f'full {i}', 'tracking lost: gone')


def test_the_object_in_an_image_without_a_mask_is_the_likeliest_thing(fake, monkeypatch):
    sequence = SequenceTracker(fake.pipeline, candidates=lambda view: [
        Candidate(ObjectCloud(np.zeros((n, 3))), n / 1000) for n in (100, 40)])
    infer = FakePipeline.infer

    def infer_small(self, cloud, **options):
        self.confidence = 0.9 if len(cloud) == 40 else 0.1
        return infer(self, cloud, **options)

    monkeypatch.setattr(FakePipeline, 'infer', infer_small)
    assert sequence.update(IMAGE, 0.0) == TrackedFrame('full', 'full 2')
    assert sequence.update(IMAGE, 0.1) == TrackedFrame('tracked', 'tracked from full 2')


def test_what_segmentation_has_found_is_tracked_only_while_something_stands_out(fake):
    """The wall that remains where an object stood is tracked for some images otherwise."""
    seen: list[Candidate | NoEstimate] = [Candidate(ObjectCloud(CLOUD))]

    def candidates(view):
        if isinstance(seen[-1], NoEstimate):
            raise seen[-1]
        return seen[-1:]

    sequence = SequenceTracker(fake.pipeline, candidates=candidates)
    assert sequence.update(IMAGE, 0.0).kind == 'full'
    seen.append(NoEstimate('nothing stands out'))
    assert sequence.update(IMAGE, 0.1) == TrackedFrame('none', None, 'nothing stands out')
    seen.append(Candidate(ObjectCloud(CLOUD)))
    assert sequence.update(IMAGE, 0.2) == TrackedFrame('tracked', 'tracked from full 1')
    # What a mask has shown may be built in: nothing stands out of it.
    masked = SequenceTracker(fake.pipeline, candidates=candidates)
    assert masked.update(CLOUD, 0.0).kind == 'full'
    seen.append(NoEstimate('nothing stands out'))
    assert masked.update(IMAGE, 0.1).kind == 'tracked'


@pytest.mark.parametrize('score, goes_on', [(0.1, True), (3.0, False)])
def test_the_full_estimate_of_a_bad_image_replaces_the_track_only_if_it_explains_more(
        fake, score, goes_on):
    fake.sequence.update(CLOUD, 0.0)
    fake.trackers[0].lost, fake.trackers[0].score = True, score
    assert fake.sequence.update(CLOUD, 0.1).estimate is None
    fake.trackers[0].lost = False
    for i in (2, 3):
        assert fake.sequence.update(CLOUD, 0.1 * i).estimate == (
            'tracked from full 1' if goes_on else 'tracked from full 2')
    assert len(fake.pipeline.calls) == 2


def test_an_unexpected_error_ends_the_track_and_a_full_estimate_follows(fake):
    fake.sequence.update(CLOUD, 0.0)
    fake.trackers[0].fault = RuntimeError('singular')
    assert fake.sequence.update(CLOUD, 0.1) == TrackedFrame(
        'full', 'full 2', 'tracking lost: RuntimeError: singular')
    assert fake.sequence.update(CLOUD, 0.2) == TrackedFrame('tracked', 'tracked from full 2')


@pytest.mark.parametrize('error', [NoEstimate('hidden'), RuntimeError('broken')])
def test_a_full_estimate_that_fails_beside_tracking_leaves_the_track(fake, error):
    fake.sequence.update(CLOUD, 0.0)
    fake.trackers[0].uncertain, fake.pipeline.refusal = True, error
    assert fake.sequence.update(CLOUD, 3.0) == TrackedFrame(
        'tracked', 'tracked from full 1', f're-initialization: {error}')
    assert fake.sequence.update(CLOUD, 3.1).estimate == 'tracked from full 1'


def test_a_cloud_that_is_none_leaves_the_track(fake):
    fake.sequence.update(CLOUD, 0.0)
    refused = fake.sequence.update(np.zeros((5, 4)), 0.1)
    assert refused.kind == 'none' and '(N, 3), got (5, 4)' in refused.reason
    assert fake.sequence.update(CLOUD, 0.2).kind == 'tracked'


def test_a_lost_object_without_full_estimate_is_sought_in_the_next_frame(fake):
    fake.sequence.update(CLOUD, 0.0)
    fake.trackers[0].lost, fake.pipeline.refusal = True, NoEstimate('too far')
    for i in (1, 2):
        assert fake.sequence.update(CLOUD, 0.1 * i) == TrackedFrame('none', None, 'too far')
    fake.pipeline.refusal = None
    assert fake.sequence.update(CLOUD, 0.3) == TrackedFrame(
        'full', 'full 4', 'tracking lost: gone')


@pytest.mark.parametrize('score', [0.9, 1.0])
def test_an_uncertain_object_is_estimated_again_after_the_interval(fake, score):
    fake.sequence.update(CLOUD, 10.0)
    fake.trackers[0].uncertain = True
    reasons = [fake.sequence.update(CLOUD, seconds).reason for seconds in (11.0, 12.0, 12.1)]
    assert reasons == ['', '', 're-initialization']
    assert fake.trackers[0].marked == 1 and len(fake.trackers) == 2
    # The new estimate competes in the next frame, and only there.
    fake.trackers[1].score = score
    winner = 'full 2' if score < 0.95 else 'full 1'
    for seconds in (12.2, 12.3):
        assert fake.sequence.update(CLOUD, seconds).estimate == f'tracked from {winner}'


@pytest.mark.parametrize('refusal', [NoEstimate('too far'), ValueError('bad')])
def test_a_failed_full_estimate_leaves_the_track(fake, refusal):
    fake.sequence.update(CLOUD, 0.0)
    fake.trackers[0].view_changed, fake.pipeline.refusal = True, refusal
    frame = fake.sequence.update(CLOUD, 3.0)
    assert frame == TrackedFrame('tracked', 'tracked from full 1', f're-initialization: {refusal}')
    assert fake.sequence.update(CLOUD, 4.9).reason == ''
    assert fake.sequence.update(CLOUD, 5.1).reason == f're-initialization: {refusal}'


def test_the_configuration_reaches_trackers_and_policy(fake):
    config = replace(DEFAULT, reinitialization=ReinitializationConfig(better_score_ratio=2.0))
    sequence = SequenceTracker(fake.pipeline, config=config)
    sequence.update(CLOUD, 0.0)
    fake.trackers[0].uncertain = True
    sequence.update(CLOUD, 3.0)
    assert sequence.update(CLOUD, 3.1).estimate == 'tracked from full 2'
    assert all(tracker.config is config for tracker in fake.trackers)


def test_full_estimates_of_low_confidence_neither_start_nor_replace_a_track(fake):
    sequence = SequenceTracker(fake.pipeline, min_confidence=0.5)
    fake.pipeline.confidence = 0.4
    refused = sequence.update(CLOUD, 0.0)
    assert refused.kind == 'none' and refused.reason == (
        'the confidence of 0.400 is below the threshold of 0.5 (min_confidence)')
    fake.pipeline.confidence = 0.5
    assert sequence.update(CLOUD, 0.1) == TrackedFrame('full', 'full 2')
    fake.trackers[0].uncertain, fake.pipeline.confidence = True, 0.4
    beside = sequence.update(CLOUD, 3.0)
    assert beside.kind == 'tracked' and beside.reason == (
        f're-initialization: {refused.reason}')
    assert sequence.update(CLOUD, 3.1).estimate == 'tracked from full 2'
    assert len(fake.trackers) == 1
