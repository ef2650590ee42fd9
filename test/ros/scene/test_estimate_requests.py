"""Requests for full estimates: completion, answers and expiry."""

from __future__ import annotations

import pytest

from kinediff3d_ros.scene import estimate_requests
from kinediff3d_ros.scene.estimate_requests import EstimateRequest, EstimateRequests


def test_a_request_is_complete_when_all_expected_objects_have_results() -> None:
    request, answers = EstimateRequest(1000.0), []
    request.when_answered(lambda: answers.append(request.message))
    request.add_result(1, False, 'one: hidden')  # before it is known which objects there are
    request.expect({2, 3})
    request.add_result(2, True, 'two: good')
    assert not answers and not request.expire()
    request.add_result(3, False, 'three: far')
    assert answers == ['one: hidden; two: good; three: far'] and request.success
    assert request.expire()
    # The answer does not change any more, and later listeners get it at once.
    request.finish('too late')
    request.when_answered(lambda: answers.append(request.message))
    assert answers == 2 * ['one: hidden; two: good; three: far']


def test_results_may_come_before_it_is_known_which_are_expected() -> None:
    request = EstimateRequest(1000.0)
    request.add_result(2, True, 'two: good')
    request.add_result(1, True, 'one: good')
    assert not request.expire()
    request.expect({1, 2})
    assert request.message == 'two: good; one: good' and request.expire()


def test_a_request_without_objects_says_so() -> None:
    request = EstimateRequest(1000.0)
    request.expect(set())
    assert (request.success, request.message) == (False, 'no object in the frame')


def test_an_expired_request_answers_with_the_results_so_far() -> None:
    request = EstimateRequest(-1.0)
    request.expect({1, 2})
    request.add_result(1, True, 'one: good')
    assert request.expire() and request.message == 'one: good'
    empty = EstimateRequest(-1.0)
    assert empty.expire() and empty.message == 'no answer within -1 s'


def test_a_request_expires_after_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(estimate_requests.time, 'monotonic', lambda: now[0])
    request = EstimateRequest(30.0)
    now[0] = 130.0
    assert not request.expire()
    now[0] = 130.5
    assert request.expire()


def test_requests_share_one_frame_and_are_taken_once() -> None:
    requests = EstimateRequests(1000.0)
    assert not requests.waiting and requests.take() is None
    first = requests.add()
    assert requests.waiting and requests.add() is first
    requests.expire()
    assert requests.waiting
    assert requests.take() is first and not requests.waiting and requests.take() is None
    second = requests.add()
    assert second is not first
    requests.finish_all('the end')
    assert first.message == second.message == 'the end' and not requests.waiting


def test_an_expired_request_does_not_wait_for_a_frame() -> None:
    requests = EstimateRequests(-1.0)
    request = requests.add()
    requests.expire()
    assert request.message and not requests.waiting
    assert requests.add() is not request
