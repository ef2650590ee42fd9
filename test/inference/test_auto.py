"""``category: auto`` with the shipped weights."""

import numpy as np
import pytest

from kinediff3d_core.evaluation import confusion
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.inference.auto import AutoPipeline, load_pipeline, misfit
from kinediff3d_core.inference.refusal import MIN_CONFIDENCE
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.estimate import NoEstimate

NOTHING = np.zeros((0, 3))


@pytest.fixture(scope='module')
def pipeline():
    return AutoPipeline.load()


def infer(pipeline, sample):
    return pipeline.infer(depth=sample.depth, intrinsics=sample.intrinsics, mask=sample.mask,
                          mesh=False)


def test_the_category_is_found_and_similar_categories_have_weight(pipeline):
    scissors = infer(pipeline, procedural_samples('scissors', seed=5, shapes=False)(0))
    assert scissors.category == 'scissors'
    assert scissors.categories['scissors'] > 0.9
    assert set(scissors.categories) == set(trained_categories())
    assert sum(scissors.categories.values()) == pytest.approx(1)
    assert scissors.to_dict()['categories'] == scissors.categories

    # A laptop may be taken for a flat box or a flat chest, and for nothing else.
    estimate = infer(pipeline, procedural_samples('laptop', seed=5, shapes=False)(1))
    assert estimate.category == 'laptop' and estimate.categories['laptop'] > 0.5
    assert sum(estimate.categories[c] for c in ('laptop', 'box', 'drawer')) > 0.99

    # Of this one a single flat face is seen: any answer would be a guess.
    guess = infer(pipeline, procedural_samples('laptop', seed=5, shapes=False)(2))
    assert guess.confidence < MIN_CONFIDENCE

    own = misfit(pipeline.pipelines['laptop'], estimate, NOTHING)
    only = AutoPipeline({'laptop': pipeline.pipelines['laptop']})
    other = infer(only, procedural_samples('box', seed=5, shapes=False)(1))
    assert own < 0.4 * misfit(only.pipelines['laptop'], other, NOTHING)
    states = pipeline.generate(estimate, [1.0])
    assert len(states.decoder) == 2


def test_a_view_that_no_category_explains_raises_once(pipeline, tmp_path):
    with pytest.raises(NoEstimate, match='20 points on the object, at least 100'):
        pipeline.infer(np.full((20, 3), 0.5, dtype=np.float32))
    with pytest.raises(ValueError, match='points must be'):
        pipeline.infer(np.zeros((20, 2), dtype=np.float32))
    with pytest.raises(ValueError, match='no category has weights in'):
        load_pipeline('auto', weights=tmp_path)


def test_confusion_counts_every_view(pipeline, tmp_path, capsys):
    only = AutoPipeline({'laptop': pipeline.pipelines['laptop']})
    result = confusion.confusion(only, 2, seed=5, quiet=True)
    assert result['laptop']['taken_for'] == {'laptop': 2}
    assert result['laptop']['sure'] == pytest.approx(1)
    assert result['laptop']['sure_when_wrong'] is None
    assert '| laptop | 2 | · | 1.00 | – |' in confusion.table(result)
    assert confusion.main(['--weights', str(tmp_path)]) == 2
    assert capsys.readouterr().err.count('\n') == 1
