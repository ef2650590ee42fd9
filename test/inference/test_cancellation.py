"""Interruption of a full estimate between its steps."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.inference import pipeline as module
from kinediff3d_core.inference.cancellation import Cancelled, cancellable, check_cancelled
from kinediff3d_core.inference.pipeline import Pipeline

LIMIT = 30.0
"""Seconds that a step may take on a busy machine."""


@pytest.fixture(scope='module')
def view():
    return procedural_samples('laptop', 0)(0)


def test_only_a_request_of_this_thread_interrupts():
    request, seen = threading.Event(), []
    check_cancelled()
    with cancellable(request):
        check_cancelled()
        request.set()
        with pytest.raises(Cancelled):
            check_cancelled()
        other = threading.Thread(target=lambda: seen.append(check_cancelled()))
        other.start()
        other.join(LIMIT)
    check_cancelled()
    assert seen == [None]


def test_no_stage_begins_after_the_request(monkeypatch, view):
    """Each stage in turn sets it: the next stage is not reached."""
    pipeline = Pipeline.load('laptop')
    stages = ('prepare_view', 'sample_states', 'initial_hypotheses', 'refine_hypotheses')
    for stage, following in zip(stages, (*stages[1:], None), strict=True):
        request, original = threading.Event(), getattr(module, stage)

        def work(*arguments, request=request, original=original):
            answer = original(*arguments)
            request.set()
            return answer

        with monkeypatch.context() as patch, cancellable(request):
            patch.setattr(module, stage, work)
            patch.setattr(pipeline, '_rank', lambda refined, *_: refined)
            if following is not None:
                patch.setattr(module, following, lambda *_: pytest.fail('a stage has begun'))
            with pytest.raises(Cancelled):
                pipeline.infer(depth=view.depth, intrinsics=view.intrinsics, mask=view.mask)
    assert np.isfinite(pipeline.infer(depth=view.depth, intrinsics=view.intrinsics,
                                      mask=view.mask, mesh=False).residual)


def test_a_long_stage_is_interrupted_in_its_loop(view):
    """The stages of the preset ``paper`` take seconds to minutes."""
    pipeline, request = Pipeline.load('laptop', 'paper'), threading.Event()
    timer = threading.Timer(0.3, request.set)
    timer.start()
    begin = time.monotonic()
    with cancellable(request), pytest.raises(Cancelled):
        pipeline.infer(depth=view.depth, intrinsics=view.intrinsics, mask=view.mask)
    timer.join()
    assert time.monotonic() - begin < LIMIT
    assert torch.is_grad_enabled()
