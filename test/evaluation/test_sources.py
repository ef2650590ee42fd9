"""Test views of data sets: what cannot be scored is skipped, named and counted."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from frame_folders import write_frame_folder, write_sequence
from truths import laptop_truth, perfect

from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.evaluation.evaluate import EvaluationConfig, evaluate, score_samples
from kinediff3d_core.evaluation.records import Record, summary_of
from kinediff3d_core.evaluation.samples import UnusableView, dataset_samples
from kinediff3d_core.evaluation.skipped_views import remarks, scored
from kinediff3d_core.evaluation.sources import dataset_source, folder_source, procedural_source
from kinediff3d_core.evaluation.worst_views import described, worst_views
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.category import get_category

PIPELINE = SimpleNamespace(category=get_category('laptop'))
TRUTH = laptop_truth()
CAMERA = Intrinsics(30.0, 30.0, 4.0, 3.0, 8, 6)


class FewViews:
    """A data set of four views of laptops; the second is broken, the third has no mask."""

    splits, left_out, categories = ('test',), (), ('laptop',)

    def views(self, category):
        return ['a', 'b', 'c', 'd'] if category == 'laptop' else []

    def read_view(self, name):
        if name == 'b':
            raise ValueError('b.json is\nnot JSON')
        mask = None if name == 'c' else np.ones((6, 8), dtype=bool)
        return DatasetView(name, np.ones((6, 8)), mask, CAMERA, TRUTH, ('closed is inferred',))


def perfect_method(pipeline, sample, mesh, seed):
    return perfect(TRUTH)


def config(count=4):
    return EvaluationConfig(count, method=perfect_method)


def test_samples_are_the_views():
    samples = dataset_samples(FewViews(), 'laptop', seed=3, shapes=False)
    sample = samples(3)
    assert (sample.index, sample.name, sample.intrinsics) == (3, 'd', CAMERA)
    assert sample.truth.surfaces is None and sample.notes == ('closed is inferred',)
    assert math.isnan(sample.visibility)
    low, high = get_category('laptop').test_range
    assert low <= sample.generate_at[0] <= high
    np.testing.assert_array_equal(sample.generate_at, samples(3).generate_at)
    assert dataset_samples(FewViews(), 'laptop')(0).truth.surfaces == TRUTH.surfaces
    with pytest.raises(UnusableView, match='^b.json is not JSON$'):
        samples(1)
    with pytest.raises(UnusableView, match='no mask'):
        samples(2)


def test_views_that_cannot_be_scored_are_skipped():
    samples = dataset_samples(FewViews(), 'laptop', shapes=False)
    records = evaluate(PIPELINE, samples, config())
    assert [(r.name, r.skipped) for r in records] == [
        ('a', False), ('b', True), ('c', True), ('d', False)]
    summary = summary_of(scored(records))
    assert summary['rot_err_deg']['n'] == summary['failure_rate']['n'] == 2
    assert summary['rot_err_deg']['mean'] < 1e-4 and summary['failure_rate']['mean'] == 0
    assert remarks(records) == ['skipped view b: b.json is not JSON',
                                'skipped view c: there is no mask',
                                'note on 2 views: closed is inferred']


def test_equal_reasons_are_one_line():
    records = [Record(i, f'v{i}', None, 'there is no mask', skipped=True) for i in range(3)]
    assert remarks(records) == ['skipped 3 views, the first v0: there is no mask']
    assert summary_of(scored(records)) == {}


def test_records_keep_what_was_skipped_and_noted():
    skipped = Record(1, 'b', None, 'broken', category='laptop', skipped=True)
    noted = Record(2, 'c', {'rot_err_deg': 1.0}, notes=('n',))
    for record in (skipped, noted):
        again = Record.from_dict(record.to_dict())
        assert (again.skipped, again.notes, again.reason) == (
            record.skipped, record.notes, record.reason)
    assert 'skipped' not in noted.to_dict() and 'notes' not in skipped.to_dict()


def test_metrics_of_what_is_not_known_are_nan():
    nothing = replace(TRUTH, surfaces=None, T_camera_part=np.full((2, 4, 4), np.nan),
                      origin=np.full((1, 3), np.nan), axis=np.full((1, 3), np.nan),
                      centres=np.full((2, 3), np.nan))
    view = FewViews().read_view('a')
    dataset = FewViews()
    dataset.read_view = lambda name: replace(view, truth=nothing)
    (record,) = score_samples(PIPELINE, dataset_samples(dataset, 'laptop'), [0], config(1))
    metrics = record.metrics
    assert metrics['joint_state_err'] == pytest.approx(0, abs=1e-9)
    for name in ('rot_err_deg', 'trans_err_m', 'axis_err_deg', 'axis_pos_err_m',
                 'rot_err_modes_deg'):
        assert math.isnan(metrics[name]), name
    assert set(summary_of([record])) >= {'joint_state_err', 'confidence'}
    assert not {'rot_err_deg', 'failure_rate'} & set(summary_of([record]))


def test_the_worst_joints_are_drawn_where_no_rotation_is_known():
    records = [Record(i, '', {'rot_err_deg': math.nan, 'joint_state_err': e}, category='laptop')
               for i, e in enumerate((1.0, 7.5, math.nan, 3.0))]
    assert worst_views(records, 2) == [(1, 1), (2, 3)]
    assert described(records[1]) == 'joint error 7.5 °'
    known = replace(records[0], metrics={'rot_err_deg': 2.0, 'joint_state_err': 1.0})
    assert worst_views([*records, replace(known, index=9)], 5) == [(1, 9)]
    assert described(known) == 'rotation error 2.0°'


def test_sources(tmp_path):
    procedural = procedural_source(('laptop',))
    assert procedural.categories == ('laptop',) and not procedural.counts
    laptop = {'category': 'laptop', 'joints': [90.0], 'unit': 'deg'}
    write_frame_folder(tmp_path / 'a', laptop)
    write_frame_folder(tmp_path / 'b', {'category': 'globe'})
    write_sequence(tmp_path / 's', {'category': 'box', 'unit': 'deg',
                                    'joints_by_frame': {'1': 1.0, '2': 2.0}}, ['1', '2'])
    frames = dataset_source('frames', tmp_path)
    assert frames.name == 'frames all' and frames.categories == ('laptop', 'box')
    assert frames.counts == {'laptop': 1, 'box': 2} and len(frames.left_out) == 1
    assert frames.inputs['box'] == ('s/1', 's/2')
    assert frames.samples('box', 0, False)(0).name == 's/1'
    with pytest.raises(ValueError, match='does not exist'):
        folder_source(str(tmp_path / 'none'))
