"""Requests for full estimates: completion, answers and expiry."""

from __future__ import annotations

import threading
import time

from kinediff3d_ros.scene.estimate_requests import EstimateRequest, EstimateRequests


def test_a_request_is_complete_when_all_expected_objects_have_results() -> None:
    request = EstimateRequest(1000.0)
    request.add_result(1, False, 'one: hidden')  # before it is known which objects there are
    request.expect({2, 3})
    request.add_result(2, True, 'two: good')
    assert not request.answered
    request.add_result(3, False, 'three: far')
    assert request.answered and request.success
    # The answer does not change any more.
    request.finish('too late')
    request.add_result(4, True, 'four: late')
    request.wait()
    assert request.message == 'one: hidden; two: good; three: far'


def test_results_may_come_before_it_is_known_which_are_expected() -> None:
    request = EstimateRequest(1000.0)
    request.add_result(2, True, 'two: good')
    request.add_result(1, True, 'one: good')
    assert not request.answered
    request.expect({1, 2})
    assert request.message == 'two: good; one: good' and request.answered


def test_a_request_without_objects_says_so() -> None:
    request = EstimateRequest(1000.0)
    request.expect(set())
    assert (request.success, request.message) == (False, 'no object in the frame')


def test_an_expired_request_answers_with_the_results_so_far() -> None:
    request = EstimateRequest(0.0)
    request.expect({1, 2})
    request.add_result(1, True, 'one: good')
    request.wait()
    assert request.message == 'one: good'
    empty = EstimateRequest(0.0)
    empty.wait()
    assert empty.message == 'no answer within 0 s' and not empty.success


def test_who_waits_is_woken_by_the_answer_or_after_the_timeout() -> None:
    request, begin = EstimateRequest(1000.0), time.monotonic()
    threading.Timer(0.05, request.finish, ('the end',)).start()
    request.wait()
    assert request.message == 'the end' and time.monotonic() - begin < 100
    begin = time.monotonic()
    EstimateRequest(0.1).wait()
    assert time.monotonic() - begin >= 0.09


def test_requests_share_one_frame_and_are_taken_once() -> None:
    requests = EstimateRequests(1000.0)
    assert not requests.waiting and requests.take() is None
    first = requests.add()
    assert requests.waiting and requests.add() is first
    assert requests.take() is first and not requests.waiting and requests.take() is None
    second = requests.add()
    assert second is not first
    requests.close('the end')
    assert first.message == second.message == 'the end' and not requests.waiting
    # One that comes too late does not wait for a frame that never comes.
    assert requests.add().message == 'the end' and requests.take() is None


def test_an_expired_request_does_not_wait_for_a_frame() -> None:
    requests = EstimateRequests(0.0)
    request = requests.add()
    request.wait()
    assert request.message and not requests.waiting and requests.take() is None
    assert requests.add() is not request
