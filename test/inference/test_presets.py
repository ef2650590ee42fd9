"""Presets: every threshold can be switched off for an ablation."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from kinediff3d_core import Pipeline
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.inference.presets import PRESETS, Preset


@pytest.mark.parametrize('preset', PRESETS.values(), ids=PRESETS)
def test_a_preset_is_one_hashable_value_of_plain_numbers(preset):
    def check(value):
        for field in fields(value):
            entry = getattr(value, field.name)
            if is_dataclass(entry):
                check(entry)
            else:
                assert isinstance(entry, (int, float, str, bool, tuple)), field.name

    check(preset)
    assert hash(preset) == hash(replace(preset))


def test_initial_codes_take_few_steps_whatever_the_sampler():
    assert PRESETS['fast'].for_initial_codes() is PRESETS['fast']
    initial = PRESETS['paper'].for_initial_codes()
    assert (initial.latent_sampler, initial.latent_steps) == ('ddim', 4)


SAMPLING, HYPOTHESIS, UNCERTAINTY = Preset().sampling, Preset().hypothesis, Preset().uncertainty


@pytest.mark.parametrize('change', [
    {'sampling': replace(SAMPLING, ddim_start=1.0)},
    {'hypothesis': replace(HYPOTHESIS, score_temperature=0.0)},
    {'hypothesis': replace(HYPOTHESIS, prior_floor=(0.0, 0.0, 0.0))},
    {'uncertainty': replace(UNCERTAINTY, drawn_share=0.0)},
], ids=lambda change: '-'.join(change))
def test_heuristics_can_be_switched_off(pipeline_and_view, change):
    pipeline, view, usual = pipeline_and_view
    changed = Pipeline(pipeline.model, replace(pipeline.preset, **change))
    estimate = changed.infer(depth=view.depth, intrinsics=view.intrinsics, mask=view.mask,
                             mesh=False)
    assert np.isfinite(estimate.covariance).all()
    assert estimate.residual < 0.01
    assert numbers(estimate) != numbers(usual)


def numbers(estimate):
    """The numbers of an estimate, without the times of its stages."""
    return {k: v for k, v in estimate.to_dict().items() if k != 'seconds'}


@pytest.fixture(scope='module')
def pipeline_and_view():
    """A box's pipeline with little work, a view with two modes, and its estimate."""
    pipeline, view = Pipeline.load('box'), procedural_samples('box', 0, shapes=False)(103)
    pipeline = Pipeline(pipeline.model, replace(pipeline.preset, hypotheses=8, rounds=2))
    return pipeline, view, pipeline.infer(depth=view.depth, intrinsics=view.intrinsics,
                                          mask=view.mask, mesh=False)
