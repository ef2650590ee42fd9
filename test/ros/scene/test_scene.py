"""Decisions of a scene about each frame: track, estimate anew, withdraw; without ROS."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from estimates import laptop_estimate
from instant_models import LIMIT, InstantTracker
from scene_bench import ALL_FRAMES, SECOND, SceneBench

from kinediff3d_core.inference.cancellation import check_cancelled
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.scene import full_estimates, scene_objects
from kinediff3d_ros.scene.config import SceneConfig
from kinediff3d_ros.scene.estimate_requests import EstimateRequest
from kinediff3d_ros.scene.frames import Frame, FrameHeader
from kinediff3d_ros.scene.scene import Scene


def test_one_full_estimate_then_tracking_until_the_object_is_lost() -> None:
    with SceneBench() as bench:
        first = bench.see(1.0)
        assert first.velocity is None and first.shape_changed
        for angle in (1.1, 1.2, 1.3):
            tracked = bench.see(angle)
            assert tracked.position == pytest.approx(angle, abs=1e-5)
            assert tracked.velocity == 0.25 and not tracked.shape_changed
        assert bench.models.calls == [('laptop', True)]
        # A jump: the same frame gets a full estimate.
        assert bench.see(2.2).position == pytest.approx(2.2)
        assert len(bench.models.calls) == 2
        assert bench.logged('tracking_lost') == 'laptop: jumped; a full estimate follows'
        names = ('tracking_lost', 'estimates', 'tracked', 'full_estimates')
        assert [bench.counts[n] for n in names] == [1, 5, 3, 2]
        # The meshes are prepared before they are published.
        assert len(bench.host.objects[0].publisher.prepared) == 2


def test_measurements_of_a_frame_are_in_its_health() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        stamp = bench.show({1: 1.1})
        bench.publication(stamp)
        values = bench.host.wait_for(
            lambda: 'track_ms' in bench.host.health.last and bench.host.health.values())
        assert values['state'] == 'estimate' and bench.host.health.message == 'laptop is estimated'
        assert values['stamp'] == '100.200000000' and values['age_ms'] == 250.0
        assert values['points'] == 32 * 16
        stages = ('convert', 'segment', 'track', 'frame', 'publish')
        assert all(0 <= values[f'{stage}_ms'] < 1e3 * LIMIT for stage in stages)


def test_moved_joint_limits_change_the_published_shape_once() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        bench.models.limits_changed = True
        assert [bench.see(angle).shape_changed for angle in (1.1, 1.2)] == [True, False]


def test_another_view_is_estimated_beside_tracking_and_replaces_the_track() -> None:
    with SceneBench() as bench:
        bench.models.reinitialization_interval = 0.0
        for angle in (1.0, 1.4, 1.8):
            bench.see(angle)
        bench.wait_for(lambda: bench.host.objects[0].candidate)
        # It replaces the track in a later frame, and does not cause a third full estimate.
        after = [bench.see(angle) for angle in (1.9, 2.0)]
        assert [p.velocity for p in after] == [0.25, 0.25]
        assert [p.shape_changed for p in after] == [True, False]
        assert bench.host.objects[0].tracker is bench.models.trackers[1]
        assert (len(bench.models.calls), bench.counts['tracking_lost']) == (2, 0)


def test_an_uncertain_object_is_estimated_anew_after_the_interval() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        tracker = bench.models.trackers[0]
        tracker.uncertain = True
        bench.see(1.0)
        assert len(bench.models.calls) == 1  # 3 s have not passed
        tracker.reinitialization_interval = 0.0
        bench.see(1.0)
        bench.wait_for(lambda: len(bench.models.calls) == 2)


def test_estimate_period_causes_full_estimates_of_a_tracked_object() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        bench.host.objects[0].last_full_estimate -= 5.0
        bench.set(estimate_period=10.0)
        bench.see(1.0)
        assert len(bench.models.calls) == 1
        bench.set(estimate_period=4.0)
        bench.see(1.0)
        bench.wait_for(lambda: len(bench.models.calls) == 2)


def test_a_candidate_does_not_replace_the_track_in_its_own_frame() -> None:
    with SceneBench() as bench:
        bench.models.reinitialization_interval = 0.0
        for angle in (1.0, 1.4, 1.8):
            bench.see(angle)
        candidate = bench.wait_for(lambda: bench.host.objects[0].candidate)
        assert candidate.seconds == pytest.approx(100.3)
        candidate.seconds = 200.0
        bench.see(1.9)
        assert bench.host.objects[0].candidate is candidate


def test_every_frame_gets_a_full_estimate_without_tracking() -> None:
    """Meshes are made once per mesh_period; the last ones serve between."""
    with SceneBench(tracking=False) as bench:
        seen = [bench.see(angle) for angle in (1.0, 1.1)]
        assert bench.models.calls == [('laptop', True), ('laptop', False)]
        assert [p.velocity for p in seen] == [None, None] and not bench.models.trackers
        assert seen[1].estimate.parts[0].mesh is seen[0].estimate.parts[0].mesh is not None
        bench.host.objects[0].meshes_due = 0.0
        assert bench.see(1.2).shape_changed
        assert bench.models.calls[2] == ('laptop', True)


def test_meshes_are_due_after_mesh_period(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(full_estimates, 'time', SimpleNamespace(
        monotonic=lambda: now[0], perf_counter=time.perf_counter))
    with SceneBench(tracking=False, mesh_period=5.0) as bench:
        for seconds in (1000.0, 1004.9, 1005.0, 1009.9):
            now[0] = seconds
            bench.see(1.0)
        assert [mesh for _, mesh in bench.models.calls] == [True, False, True, False]


def test_estimates_without_meshes_when_they_are_not_wanted() -> None:
    with SceneBench(publish_meshes=False) as bench:
        assert not bench.see(1.0).has_meshes
        assert bench.models.calls == [('laptop', False)]
        assert not bench.see(1.1).has_meshes and len(bench.models.calls) == 1
        # Tracking cannot make meshes: a full estimate does.
        bench.set(publish_meshes=True)
        full = bench.see(1.2)
        assert full.has_meshes and full.shape_changed and len(bench.models.calls) == 2
        bench.set(publish_meshes=False)
        bare = bench.see(1.3)
        assert not bare.has_meshes and bare.shape_changed
        assert not bench.see(1.35).shape_changed
        bench.set(publish_meshes=True)
        again = bench.see(1.4)
        assert again.has_meshes and again.shape_changed and len(bench.models.calls) == 2


def test_another_set_of_parts_is_another_shape_also_without_new_meshes() -> None:
    """Markers, contacts and the description of the last parts do not stand for the new ones."""
    with SceneBench(tracking=False, mesh_period=3600.0) as bench:
        infer = bench.models.infer

        def infer_parts(*arguments):
            whole = infer(*arguments)
            return whole if whole.joints[0].position < 2.0 else replace(
                whole, parts=whole.parts[:1], joints=())

        bench.models.infer = infer_parts
        changed = [bench.see(angle).shape_changed for angle in (1.0, 1.1, 2.5, 2.6, 1.2)]
        assert changed == [True, False, True, False, True]
        assert [mesh for _, mesh in bench.models.calls] == [True, False, False, False, False]


def test_an_object_that_cannot_be_published_leaves_the_others_alone() -> None:
    with SceneBench(instances='each') as bench:
        bench.publication(bench.show({1: 1.0, 4: 1.5}), 4)
        one, four = bench.host.objects[1], bench.host.objects[4]
        publish = one.publisher.publish

        def fail(*_: object) -> None:
            raise RuntimeError('no area')

        one.publisher.publish = fail
        bench.publication(bench.show({1: 1.1, 4: 1.6}), 4)
        assert bench.logged('error') == 'laptop_1 cannot be published: RuntimeError: no area'
        assert (one.health.state, four.health.state) == ('error', 'estimate')
        assert not one.publisher.shown and four.publisher.shown and bench.counts['errors'] == 1
        one.publisher.publish = publish
        again = bench.publication(bench.show({1: 1.2, 4: 1.7}), 1)
        assert again.shape_changed and again.position == pytest.approx(1.2)


def test_an_object_absent_from_the_mask_is_withdrawn() -> None:
    with SceneBench(instances='each', max_objects=2, lost_after=5.0) as bench:
        stamp = bench.show({1: 1.0, 4: 1.5})
        assert bench.publication(stamp, 1).position == pytest.approx(1.0)
        assert bench.publication(stamp, 4).position == pytest.approx(1.5)
        one, four = bench.host.objects[1], bench.host.objects[4]
        four.last_seen -= 4.0
        bench.publication(bench.show({1: 1.1, 9: 1.0}), 1)
        assert four.publisher.shown and four.health.state == 'estimate'
        four.last_seen -= 2.0
        bench.publication(bench.show({1: 1.1, 9: 1.0}), 1)
        assert bench.logged('lost').startswith('laptop_4 has not been in the mask for 6.')
        assert not four.publisher.shown and four.tracker is None and one.publisher.shown
        assert (four.health.state, one.health.state) == ('lost', 'estimate')
        # Id 9 is one object too many.
        assert set(bench.host.objects) == {1, 4}
        assert [s for s, _ in bench.host.log_lines] == ['lost']
        assert bench.host.health.message == 'objects are estimated'


def test_a_lost_object_is_removed_and_its_id_comes_back_as_a_new_one() -> None:
    with SceneBench(instances='each', lost_after=5.0) as bench:
        bench.publication(bench.show({1: 1.0, 4: 1.5}), 4)
        bench.wait_for(lambda: not bench.scene._estimator.busy)
        four = bench.host.objects[4]
        request = EstimateRequest(LIMIT)
        four.add_request(request)
        request.expect({4})
        four.last_seen -= 6.0
        bench.scene.remove_absent()
        bench.scene.remove_absent()
        assert bench.host.removed == [four] and set(bench.host.objects) == {1}
        assert [s for s, _ in bench.host.log_lines] == ['lost'], 'said once'
        assert request.message == 'laptop_4: is not in the mask any more'
        memory = weakref.ref(four)
        del four
        bench.host.removed.clear()
        gc.collect()
        assert memory() is None, 'its meshes and trackers stay in memory'
        stamp = bench.show({1: 1.0, 4: 1.5})
        assert bench.publication(stamp, 4).velocity is None, 'tracked on'


def test_a_segmenter_with_growing_ids_gets_an_answer_for_each() -> None:
    """``max_objects`` counts those that are there, not all that ever were."""
    with SceneBench(instances='each', max_objects=2, lost_after=5.0) as bench:
        for number in range(1, 8):
            bench.publication(bench.show({number: 1.0}), number)
            bench.host.objects[number].last_seen -= 6.0
            bench.scene.remove_absent()
        assert not bench.host.objects and len(bench.host.removed) == 7


def test_no_full_estimate_is_made_of_an_object_that_was_removed() -> None:
    """Its view waits behind the full estimate of another object."""
    with SceneBench(instances='each', lost_after=5.0) as bench:
        bench.models.may_estimate.clear()
        stamp = bench.show({1: 1.0, 4: 1.5})
        bench.wait_for(lambda: bench.models.begun == 1 and 4 in bench.host.objects
                       and bench.host.objects[4].number in bench.scene._estimator._worker._slots)
        bench.host.objects[4].last_seen -= 6.0
        bench.scene.remove_absent()
        bench.models.may_estimate.set()
        bench.publication(stamp, 1)
        bench.wait_for(lambda: bench.counts['frames_dropped'] == 1)
        assert bench.models.begun == 1


def test_an_estimate_of_an_object_that_was_removed_meanwhile_is_discarded() -> None:
    with SceneBench(instances='each', lost_after=5.0) as bench:
        bench.models.may_estimate.clear()
        bench.show({4: 1.5})
        bench.wait_for(lambda: bench.models.begun == 1)
        four = bench.host.objects[4]
        four.last_seen -= 6.0
        bench.scene.remove_absent()
        bench.models.may_estimate.set()
        bench.wait_for(lambda: not bench.scene._estimator.busy)
        assert not four.publisher.published and four.tracker is None


def test_an_object_is_absent_for_more_than_lost_after(monkeypatch: pytest.MonkeyPatch) -> None:
    with SceneBench(instances='each', lost_after=5.0) as bench:
        bench.publication(bench.show({1: 1.0}), 1)
        bench.wait_for(lambda: not bench.scene._estimator.busy)
        monkeypatch.setattr(scene_objects, 'time', SimpleNamespace(monotonic=lambda: 1005.0))
        one = bench.host.objects[1]
        one.last_seen = 1000.0
        bench.scene.remove_absent()
        assert one.publisher.shown
        one.last_seen = 999.9
        bench.scene.remove_absent()
        assert not one.publisher.shown


def test_the_only_object_of_a_scene_is_not_withdrawn_for_its_absence() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        bench.host.objects[0].last_seen -= 1000.0
        bench.scene.remove_absent()
        assert bench.host.objects[0].publisher.shown


def test_an_unknown_category_is_estimated_and_then_tracked() -> None:
    with SceneBench(category='auto') as bench:
        bench.see(1.0)
        bench.see(1.1)
        one = bench.host.objects[0]
        assert (one.category, one.name) == ('laptop', 'laptop')
        # Beside tracking the category stays; after the object is lost it may change.
        one.last_full_estimate -= 5.0
        bench.set(estimate_period=4.0)
        bench.see(1.2)
        bench.wait_for(lambda: len(bench.models.calls) == 2)
        bench.set(estimate_period=0.0)
        bench.see(2.2)
        assert (one.category, one.name) == ('stapler', 'stapler')
        assert [c for c, _ in bench.models.calls] == ['auto', 'laptop', 'auto']


def test_a_frame_without_an_estimate_withdraws_the_last_one() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        bench.show({1: 3.5})
        assert bench.logged('no_estimate') == 'no estimate: too far'
        one = bench.host.objects[0]
        assert not one.publisher.shown and one.health.state == 'no_estimate'
        assert bench.counts['no_estimates'] == 1 and 'residual_m' not in one.health.values()
        assert bench.see(1.0).shape_changed


def test_estimates_of_low_confidence_are_not_published() -> None:
    with SceneBench(min_confidence=0.9) as bench:
        bench.see(1.0)  # its confidence is 0.9
        bench.set(min_confidence=0.95, tracking=False)
        bench.show({1: 1.1})
        assert bench.logged('no_estimate') == (
            'no estimate: the confidence of 0.900 is below the threshold of 0.95 '
            '(min_confidence)')
        one = bench.host.objects[0]
        assert not one.publisher.shown and one.health.state == 'no_estimate'


def test_full_estimates_of_low_confidence_do_not_end_a_track() -> None:
    """The threshold is for full estimates: those beside tracking, too, and they alone."""
    with SceneBench(estimate_period=1e-6, min_confidence=0.9) as bench:
        bench.see(1.0)  # its confidence is 0.9
        bench.set(min_confidence=0.95)
        for _ in range(3):
            bench.see(1.1)
        bench.wait_for(lambda: len(bench.models.calls) > 1)
        assert bench.host.objects[0].publisher.shown and bench.counts['no_estimates'] == 0
        assert len(bench.models.trackers) == 1


def test_input_that_cannot_be_used_is_counted_and_withdraws_all() -> None:
    with SceneBench() as bench:
        bench.see(1.0)

        def refuse():
            raise ValueError('broken image')

        bench.scene.submit(Frame(FrameHeader(bench.time + 1, 'camera'), refuse))
        assert bench.logged('bad_input') == 'broken image'
        assert bench.counts['bad_inputs'] == 1 and not bench.host.objects[0].publisher.shown
        bench.scene.submit(Frame(FrameHeader(bench.time + 2, ''), refuse))
        bench.host.wait_for(lambda: any('no frame_id' in m for _, m in bench.host.log_lines))
        bench.see(1.0)
        assert bench.host.health.state == 'estimate'


def test_an_unknown_camera_pose_gives_no_estimate() -> None:
    with SceneBench(fixed_frame='map') as bench:
        bench.host.pose = NoEstimate('no transform')
        bench.show({1: 1.0})
        assert bench.logged('no_estimate') == 'no transform'
        assert bench.counts['no_estimates'] == 1 and not bench.host.objects
        bench.host.pose = np.eye(4)
        assert bench.see(1.0).T_fixed_camera is bench.host.pose


def test_an_exception_is_reported_and_the_next_frame_is_estimated() -> None:
    with SceneBench() as bench:
        def fail():
            raise RuntimeError('first line\nsecond line')

        bench.models.before_inference = fail
        bench.show({1: 1.0})
        assert bench.logged('error') == 'laptop: frame failed: RuntimeError: first line'
        assert bench.counts['errors'] == 1 and bench.host.health.state == 'error'
        bench.models.before_inference = lambda: None
        bench.see(1.0)


def test_an_error_in_tracking_drops_the_tracker_and_a_full_estimate_follows() -> None:
    """Otherwise the tracker would fail in every later frame."""
    with SceneBench() as bench:
        bench.see(1.0)
        broken = bench.models.trackers[0]

        def fail():
            if bench.host.objects[0].tracker is broken:
                raise RuntimeError('singular\nmatrix')

        bench.models.before_tracking = fail
        assert bench.see(1.1).velocity is None, 'the same frame gets a full estimate'
        assert bench.see(1.2).velocity == 0.25
        assert bench.logged('error') == (
            'laptop: tracking failed: RuntimeError: singular; a full estimate follows')
        assert (bench.counts['errors'], bench.counts['tracking_lost']) == (1, 0)


@pytest.mark.parametrize('broken', ['description_changed', 'mark_view'])
def test_an_error_in_a_query_of_the_tracker_is_an_error_in_tracking(broken: str) -> None:
    with SceneBench(estimate_period=1e-9) as bench:
        bench.see(1.0)

        def fail():
            raise RuntimeError('broken')

        setattr(bench.models.trackers[0], broken, fail)
        assert bench.see(1.1).velocity is None
        assert bench.see(1.2).velocity == 0.25 and bench.counts['errors'] == 1


def test_an_error_in_the_estimate_of_one_object_leaves_the_others() -> None:
    with SceneBench(instances='each') as bench:
        bench.publication(bench.show({1: 1.0}), 1)
        bench.wait_for(lambda: not bench.scene._estimator.busy)

        def fail():
            raise RuntimeError('broken')

        bench.models.before_inference = fail
        bench.show({1: 1.0, 2: 1.0})
        assert bench.logged('error') == 'laptop_2: frame failed: RuntimeError: broken'
        one, two = bench.host.objects[1], bench.host.objects[2]
        assert one.publisher.shown and one.health.state == 'estimate'
        assert two.health.state == 'error' and bench.counts['errors'] == 1
        # Beside tracking: what is tracked goes on.
        request = bench.scene.request_estimates()
        bench.publication(bench.show({1: 1.1}), 1)
        request.wait()
        assert request.message == 'laptop_1: RuntimeError: broken' and one.publisher.shown


def test_out_of_gpu_memory_while_tracking_gives_a_full_estimate_on_the_cpu() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        error = torch.OutOfMemoryError('CUDA out of memory')

        def fail():
            raise error

        bench.models.before_tracking = fail
        assert bench.see(1.1).velocity is None
        assert bench.models.fallbacks == [error] and len(bench.models.calls) == 2


def test_a_clock_reset_starts_anew() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        one = bench.host.objects[0]
        assert bench.publication(bench.show({1: 1.1}, 50 * SECOND)).velocity is None
        assert len(bench.models.calls) == 2 and one.published == 50.0


def test_a_full_estimate_from_before_a_clock_reset_is_discarded() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        bench.models.may_estimate.clear()
        bench.show({1: 2.0})  # lost: waits for its full estimate
        bench.logged('tracking_lost')
        bench.wait_for(lambda: bench.models.begun == 2)
        stamp = bench.show({1: 1.2}, 50 * SECOND)
        bench.wait_for(lambda: bench.host.objects[0].published < 0)
        bench.models.may_estimate.set()
        assert bench.publication(stamp).position == pytest.approx(1.2)
        stamps = [p.header.nanoseconds for p in bench.host.objects[0].publisher.published]
        assert stamps == [100 * SECOND + SECOND // 10, 50 * SECOND]


def test_a_frame_that_is_older_than_the_tracker_is_dropped() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        bench.host.objects[0].tracker.seconds = 1000.0
        bench.show({1: 1.1})
        bench.wait_for(lambda: bench.counts['frames_dropped'] == 1)


def test_the_newest_of_many_frames_is_processed_and_the_others_are_counted() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        started, proceed = threading.Semaphore(0), threading.Semaphore(0)

        def wait():
            started.release()
            assert proceed.acquire(timeout=LIMIT)

        bench.models.before_tracking = wait
        bench.show({1: 1.0})
        assert started.acquire(timeout=LIMIT)
        stamps = [bench.show({1: 1.0}) for _ in range(20)]
        proceed.release()
        assert started.acquire(timeout=LIMIT)
        proceed.release()
        bench.publication(stamps[-1])
        assert bench.counts['frames_dropped'] == 19 and bench.counts['estimates'] == 3


def test_latency_stays_below_a_few_frames_of_work_when_frames_come_too_fast() -> None:
    with SceneBench() as bench:
        bench.see(1.0)
        work, submitted, ages = 0.1, {}, []
        bench.models.before_tracking = lambda: time.sleep(work)
        publisher = bench.host.objects[0].publisher
        end = time.monotonic() + LIMIT
        while len(ages) < 8 and time.monotonic() < end:
            submitted[bench.show({1: 1.0})] = time.monotonic()
            time.sleep(1 / 30)
            answered = [p.header.nanoseconds for p in publisher.published[1 + len(ages):]]
            ages += [time.monotonic() - submitted[stamp] for stamp in answered]
        assert len(ages) >= 8 and np.percentile(ages[2:], 90) < 7.5 * work
        assert bench.counts['frames_dropped'] > 8


def test_a_replaced_view_beside_tracking_is_no_dropped_frame() -> None:
    """Its frame has been answered by tracking."""
    with SceneBench(estimate_period=1e-9) as bench:
        bench.see(1.0)
        bench.models.may_estimate.clear()
        for i in range(15):
            bench.see(1.0 + 0.01 * i)
        bench.models.may_estimate.set()
        assert (bench.counts['estimates'], bench.counts['frames_dropped']) == (16, 0)
        assert len(bench.models.calls) < 16


def test_views_that_wait_for_the_first_full_estimate() -> None:
    """The newest is tracked once there is an estimate; those that it replaced are dropped."""
    with SceneBench() as bench:
        bench.models.may_estimate.clear()
        first = bench.show({1: 1.0})
        bench.wait_for(lambda: bench.models.begun == 1)
        for angle in (1.1, 1.2):
            last = bench.show({1: angle})
            bench.wait_for(lambda stamp=last: bench.scene._newest_stamp == pytest.approx(
                stamp / SECOND))
        bench.wait_for(lambda: bench.counts['frames_dropped'] == 1)
        bench.models.may_estimate.set()
        assert bench.publication(first).velocity is None
        assert bench.publication(last).velocity == 0.25
        assert len(bench.models.calls) == 1 and bench.counts['frames_dropped'] == 1


def test_frames_are_skipped_while_the_first_full_estimate_is_made() -> None:
    with SceneBench(SceneConfig(initial_frame_period=1000.0)) as bench:
        bench.models.may_estimate.clear()
        first = bench.show({1: 1.0})
        bench.wait_for(lambda: bench.models.begun == 1)
        frame = bench.frame({1: 1.1})
        bench.scene.submit(Frame(frame.header, lambda: pytest.fail('converted')))
        bench.wait_for(lambda: bench.counts['frames_dropped'] == 1)
        # A request must not wait.
        bench.scene.request_estimates()
        stamp = bench.show({1: 1.2})
        bench.wait_for(lambda: bench.host.objects[0].is_requested)
        bench.models.may_estimate.set()
        bench.publication(first)
        bench.publication(stamp)
        bench.see(1.3)
        assert bench.counts['errors'] == 0 and bench.counts['frames_dropped'] == 1


def test_the_rate_limit_is_frames_per_second() -> None:
    with SceneBench() as bench:
        bench.scene.limit_rate(4.0)
        assert bench.scene._tracking.min_period == 0.25
        bench.scene.limit_rate(0.0)
        assert bench.scene._tracking.min_period == 0.0


def test_a_request_is_answered_by_the_full_estimates_of_the_next_frame() -> None:
    with SceneBench(instances='each') as bench:
        bench.publication(bench.show({1: 1.0, 2: 1.5}), 2)
        request = bench.scene.request_estimates()
        assert bench.scene.request_estimates() is request
        bench.show({1: 1.05, 2: 3.5})
        request.wait()
        assert request.success
        assert 'laptop_1: lid_joint 1.0500 rad (standard deviation 0.0200)' in request.message
        assert 'residual 1.0 mm, confidence 0.90' in request.message
        assert 'laptop_2: too far' in request.message
        assert bench.scene.request_estimates() is not request


def test_a_request_fails_with_the_reason() -> None:
    with SceneBench() as bench:
        def answer(frame: Frame) -> tuple[bool, str]:
            request = bench.scene.request_estimates()
            bench.scene.submit(frame)
            request.wait()
            return request.success, request.message

        def refuse():
            raise ValueError('broken image')

        assert answer(Frame(FrameHeader(1, 'camera'), refuse)) == (False, 'broken image')
        assert answer(bench.frame({1: 3.5})) == (False, 'laptop: too far')
        assert answer(bench.frame({})) == (False, 'laptop: the depth image holds no measurement: '
                                           'every pixel is zero, NaN or beyond max_depth')
        bench.set(instances='each')
        empty = bench.frame({0: 1.0})
        assert answer(empty) == (False, 'no object in the frame')

        def fail():
            raise RuntimeError('out of order')

        bench.models.before_inference = fail
        assert answer(bench.frame({5: 1.0})) == (False, 'laptop_5: RuntimeError: out of order')


def test_a_failed_request_does_not_end_tracking() -> None:
    with SceneBench() as bench:
        bench.see(1.0)

        def fail():
            raise NoEstimate('hidden')

        bench.models.before_inference = fail
        request = bench.scene.request_estimates()
        bench.see(1.1)
        request.wait()
        assert request.message == 'laptop: hidden'
        assert bench.see(1.2).velocity == 0.25 and bench.counts['no_estimates'] == 0


def test_requests_are_answered_when_the_scene_closes() -> None:
    with SceneBench() as bench:
        request = bench.scene.request_estimates()
    for late in (request, bench.scene.request_estimates()):
        late.wait()
        assert late.message == 'the node has been deactivated' and not late.success


def test_a_second_request_does_not_replace_one_that_is_still_to_be_served() -> None:
    """The first waits in line behind another object's full estimate."""
    with SceneBench(instances='each') as bench:
        bench.models.may_estimate.clear()
        bench.show({1: 1.0})
        bench.wait_for(lambda: bench.models.begun == 1)
        requests = []
        for _ in range(2):
            requests.append(bench.scene.request_estimates())
            stamp = bench.show({2: 1.0})
            bench.wait_for(lambda stamp=stamp: bench.scene._newest_stamp == pytest.approx(
                stamp / SECOND) and bench.host.objects.get(2))
        bench.wait_for(lambda: len(bench.host.objects[2]._requests) == 2)
        bench.models.may_estimate.set()
        for request in requests:
            request.wait()
            assert request.success and request.message.startswith('laptop_2: lid_joint 1.0')


def test_an_unexpected_error_in_a_frame_answers_its_request() -> None:
    with SceneBench() as bench:
        def fail():
            raise RuntimeError('broken\nin two lines')

        request = bench.scene.request_estimates()
        bench.scene.submit(Frame(FrameHeader(1, 'camera'), fail))
        request.wait()
        assert (request.success, request.message) == (False, 'RuntimeError: broken')


def test_requests_expire() -> None:
    with SceneBench(SceneConfig(estimate_timeout=0.0)) as bench:
        request = bench.scene.request_estimates()
        request.wait()
        assert request.message == 'no answer within 0 s'


def test_nothing_is_published_after_the_end() -> None:
    """A full estimate that is still running publishes nothing and starts no tracker."""
    with SceneBench() as bench:
        bench.see(1.0)
        one = bench.host.objects[0]
        bench.models.may_estimate.clear()
        bench.show({1: 2.0})
        bench.wait_for(lambda: bench.models.begun == 2)
        bench.scene.close()
        lines = list(bench.host.log_lines)
        assert not bench.scene.join(0.05)
        bench.models.may_estimate.set()
        assert bench.scene.join(LIMIT)
        assert len(one.publisher.published) == 1 and not one.publisher.shown
        assert one.tracker is None and bench.host.log_lines == lines
        bench.scene.withdraw_all('stale', 'too late')
        assert bench.host.log_lines == lines and bench.host.health.state != 'stale'


def test_a_frame_in_work_makes_no_object_after_the_end() -> None:
    """Nobody would destroy its publishers: the host may be closed by then."""
    with SceneBench() as bench:
        inside, proceed = threading.Event(), threading.Event()
        frame = bench.frame({1: 1.0})

        def convert():
            inside.set()
            assert proceed.wait(LIMIT)
            return frame.convert()

        bench.scene.submit(Frame(frame.header, convert))
        assert inside.wait(LIMIT)
        bench.scene.close()
        proceed.set()
        assert bench.scene.join(LIMIT) and not bench.host.objects


def test_the_end_of_a_scene_interrupts_the_full_estimate() -> None:
    """Its next step does not begin, so that the end does not wait for the whole estimate."""
    with SceneBench() as bench:
        steps, inside = [], threading.Event()

        def work():
            inside.set()
            end = time.monotonic() + LIMIT
            while time.monotonic() < end:
                check_cancelled()
                steps.append(None)
                time.sleep(0.001)

        bench.models.before_inference = work
        bench.show({1: 1.0})
        assert inside.wait(LIMIT)
        begin = time.monotonic()
        bench.scene.close()
        assert bench.scene.join(LIMIT) and time.monotonic() - begin < LIMIT / 2
        one = bench.host.objects[0]
        assert not one.publisher.published and bench.counts['errors'] == 0


def test_objects_of_an_earlier_scene_start_anew() -> None:
    """A camera that is restarted may have earlier stamps."""
    with SceneBench() as bench:
        bench.see(1.0)
        one = bench.host.objects[0]
    with SceneBench() as bench:
        bench.host.objects[0] = one
        one.tracker = InstantTracker(bench.models, laptop_estimate(1.0), 1.0)
        bench.scene.close()
        bench.scene = Scene(bench.models, bench.host, config=ALL_FRAMES)
        assert one.tracker is None
        bench.time = 50 * SECOND
        assert one.publisher.published.clear() is None
        bench.scene.submit(bench.frame({1: 1.1}))
        bench.wait_for(lambda: one.publisher.published)


def test_a_late_mask_initializes_an_object_that_is_then_tracked_without_masks() -> None:
    with SceneBench(mask_mode='initialize') as bench:
        bench.show_depth(1.0)
        assert 'waits for a mask' in bench.logged('waiting')
        late = bench.time
        stamps = [bench.show_depth(1.0) for _ in range(8)]
        bench.show_late(1.0, late)
        first = bench.publication(late)
        assert first.velocity is None and bench.host.health.state == 'estimate'
        tracked = bench.publication(bench.show_depth(1.1))
        assert tracked.position == pytest.approx(1.1, abs=1e-5) and tracked.velocity == 0.25
        assert len(tracked.points) == 32 * 16
        # Further masks change nothing while it is tracked, and the clock is not reset.
        bench.show_late(2.0, stamps[-1])
        assert bench.publication(bench.show_depth(1.2)).velocity == 0.25
        assert bench.models.calls == [('laptop', True)]
        assert bench.host.objects[0].publisher.shown


def test_an_object_lost_without_a_mask_is_withdrawn_and_waits_for_one() -> None:
    with SceneBench(mask_mode='initialize') as bench:
        bench.show_late(1.0, bench.time)
        bench.publication(bench.time)
        bench.show_depth(2.5)
        assert bench.logged('waiting') == 'laptop: jumped; waits for a mask to initialize'
        assert not bench.host.objects[0].publisher.shown
        assert (bench.host.health.state, bench.counts['tracking_lost']) == ('waiting', 1)
        answer = bench.scene.request_estimates()
        bench.show_depth(2.5)
        answer.wait()
        assert not answer.success and 'waits for a mask' in answer.message
        bench.show_late(2.5, bench.time)
        assert bench.publication(bench.time).position == pytest.approx(2.5)


def test_an_object_of_a_late_mask_stays_while_its_full_estimate_is_made() -> None:
    with SceneBench(mask_mode='initialize', instances='each', lost_after=0.1) as bench:
        bench.models.may_estimate.clear()
        bench.scene.submit(replace(bench.frame({7: 1.0}, bench.time), initializes=True))
        bench.wait_for(lambda: bench.models.begun)
        for _ in range(4):
            threading.Event().wait(0.05)
            bench.show_depth(1.0)
        bench.models.may_estimate.set()
        assert bench.publication(bench.time - 4 * SECOND // 10, 7).position == pytest.approx(1.0)
        assert bench.publication(bench.show_depth(1.1), 7).velocity == 0.25


def test_a_late_mask_without_the_object_changes_nothing_while_it_is_tracked() -> None:
    with SceneBench(mask_mode='initialize') as bench:
        bench.show_late(1.0, bench.time)
        bench.publication(bench.time)
        empty = bench.frame({}, bench.time)
        bench.scene.submit(replace(empty, initializes=True, convert=lambda: replace(
            bench.frame({1: 1.0}, 0).convert(), instances=np.zeros((48, 64), np.uint16))))
        bench.host.wait_for(lambda: len(bench.host.ended) >= 3)
        assert bench.host.objects[0].publisher.shown and bench.counts['no_estimates'] == 0
        assert bench.publication(bench.show_depth(1.1)).velocity == 0.25
        # Without a track it is said.
        bench.show_depth(2.5)
        bench.logged('waiting')
        bench.scene.submit(replace(empty, initializes=True, convert=lambda: replace(
            bench.frame({1: 1.0}, 0).convert(), instances=np.zeros((48, 64), np.uint16))))
        assert bench.logged('no_estimate') == 'no estimate: the mask is empty'


def test_new_objects_have_the_categories_of_a_detector() -> None:
    with SceneBench(instances='each') as bench:
        frame = bench.frame({7: 1.0, 3: 1.5})
        bench.scene.submit(replace(frame, convert=lambda: replace(
            frame.convert(), categories={7: 'box'}, boxed=True)))
        for number in (7, 3):
            bench.publication(frame.header.nanoseconds, number)
        assert {n: o.requested_category for n, o in bench.host.objects.items()} == {
            7: 'box', 3: 'laptop'}
        assert set(bench.models.calls) == {('box', True), ('laptop', True)}


def test_the_end_of_a_frame_follows_all_of_its_objects() -> None:
    with SceneBench(instances='each') as bench:
        first = bench.show({1: 1.0, 2: 1.2})
        for number in (1, 2):
            bench.publication(first, number)
        bench.host.wait_for(lambda: bench.host.ended.count((first, True)) == 2)
        counts = []
        bench.host.end_frame = lambda header, late: counts.append((header.nanoseconds, late, sum(
            len(o.publisher.published) for o in bench.host.objects.values())))
        second = bench.show({1: 1.1, 2: 1.3})
        bench.wait_for(lambda: counts)
        assert counts == [(second, False, 4)]
