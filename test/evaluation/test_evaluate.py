"""Evaluation with pipelines whose answers are known."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from estimates import laptop_estimate
from open3d_or_skip import import_open3d

from kinediff3d_core.data.truth import part_poses
from kinediff3d_core.distributed.ranks import Ranks
from kinediff3d_core.evaluation import evaluate as evaluate_module
from kinediff3d_core.evaluation.evaluate import EvaluationConfig, compare, evaluate
from kinediff3d_core.evaluation.records import summary_of, table, write_summaries
from kinediff3d_core.evaluation.samples import object_samples, procedural_samples
from kinediff3d_core.evaluation.worst_views import write_inputs
from kinediff3d_core.io.camera_info import read_camera_info
from kinediff3d_core.io.depth import read_depth
from kinediff3d_core.io.mask import read_mask
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    NoEstimate,
    PartEstimate,
    transform_mesh,
)

CONTRACT = {'cd_w', 'cd_s', 'cd_m', 'gen_cd_w', 'gen_cd_s', 'gen_cd_m', 'rot_err_deg',
            'trans_err_m', 'joint_state_err', 'axis_err_deg', 'axis_pos_err_m', 'failure_rate',
            'seconds'}


class Generated:
    def __init__(self, decoder):
        self.decoder = self.chain = decoder


class Oracle:
    """A pipeline that knows the truth: ``turn`` degrees off, no estimate of views in ``mute``."""

    def __init__(self, samples, turn=0.0, mute=()):
        self.samples, self.turn, self.mute, self.asked = samples, turn, mute, 0
        self.truth = None

    def __call__(self, index):
        sample = self.samples(index)
        self.truth, self.index = sample.truth, index
        return sample

    def infer(self, *, depth, intrinsics, mask, mesh, seed):
        assert depth.shape == mask.shape == (intrinsics.height, intrinsics.width)
        if self.index in self.mute:
            raise NoEstimate('nothing to see')
        t = self.truth
        c, s = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        R = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        parts = tuple(PartEstimate(n, T @ R, t.surfaces[k].mesh if mesh else None)
                      for k, (n, T) in enumerate(zip(t.part_names, t.T_camera_part, strict=True)))
        joint = JointEstimate('lid_joint', 'revolute', 'base', 'lid', t.origin[0], t.axis[0],
                              float(t.positions[0]), 0.0, math.pi, 0.01)
        return ArticulatedEstimate('laptop', parts, (joint,), np.eye(6), 0.0, 1.0, (),
                                   np.zeros(4), np.zeros((5, 3)), {'pose': 0.25})

    def generate(self, estimate, positions):
        return Generated([transform_mesh(T, p.mesh) for T, p in zip(
            part_poses(self.truth, np.array(positions)), estimate.parts, strict=True)])


@pytest.fixture(scope='module')
def two():
    """Two procedural samples, made once."""
    samples = procedural_samples('laptop', seed=3)
    made = [samples(0), samples(1)]
    return lambda index: made[index]


def test_every_metric_of_the_contract(two, tmp_path):
    oracle = Oracle(two)
    records = evaluate(oracle, oracle, EvaluationConfig(
        2, points=4000, pictures=tmp_path / 'worst'))
    summary = summary_of(records)
    assert set(summary) >= CONTRACT | {
        'cd_floor', 'cd_l1_floor', 'cd_l1_w_surface', 'gen_cd_l1_w_surface', 'gen_chain_cd_w',
        'gen_chain_cd_l1_w', 'cd_posed', 'cd_l1_posed', 'gen_cd_l1_s', 'gen_cd_l1_m',
        'seconds_pose'}
    for name in ('rot_err_deg', 'trans_err_m', 'joint_state_err', 'axis_err_deg',
                 'axis_pos_err_m', 'failure_rate'):
        assert summary[name]['mean'] == pytest.approx(0, abs=1e-5), name
        assert summary[name]['n'] == 2
    for name in ('cd_l1_w_surface', 'cd_l1_s_surface', 'cd_l1_m_surface',
                 'gen_cd_l1_w_surface'):
        assert summary[name]['mean'] < 1e-3, name
    for name in ('cd_w', 'gen_cd_w', 'gen_chain_cd_w', 'cd_posed'):
        for metric, floor in ((name, 'cd_floor'), (name.replace('cd', 'cd_l1'), 'cd_l1_floor')):
            assert summary[metric]['mean'] == pytest.approx(summary[floor]['mean'], rel=0.35), \
                metric
    write_summaries(tmp_path / 's.json', {'laptop': summary})
    written = json.loads((tmp_path / 's.json').read_text())
    assert set(written['laptop']['cd_w']) == {'mean', 'median', 'std', 'n'}
    assert 'rot_err_deg' in table('laptop', summary)

    worst = tmp_path / 'worst' / 'worst_1'
    depth, camera = read_depth(worst / 'depth.png'), read_camera_info(worst / 'camera_info.yaml')
    assert depth.shape == read_mask(worst / 'mask.png').shape == (camera.height, camera.width)
    assert (worst / 'preview.png').stat().st_size > 10_000


class Pair(Ranks):
    """One of two processes; ``texts`` are those that both gather."""

    def gather(self, text):
        self.texts[self.rank] = text
        return list(self.texts)

    def wait(self):
        pass


def test_processes_draw_the_worst_views_of_all(two, monkeypatch):
    drawn = []
    monkeypatch.setattr(evaluate_module, 'write_view', lambda folder, sample, _, error:
                        drawn.append((folder.name, sample.index, error)))

    class Turned(Oracle):
        def infer(self, **view):
            self.turn = {0: 10.0, 1: 30.0, 2: 20.0}[self.index]
            return super().infer(**view)

    views = [two(0), two(1), replace(two(0), index=2)]
    oracle = Turned(lambda index: views[index])
    config = EvaluationConfig(3, points=100, pictures=Path('worst'), worst=2)
    alone = evaluate(oracle, oracle, config)
    expected = [('worst_1', 1, 'rotation error 30.0°'), ('worst_2', 2, 'rotation error 20.0°')]
    assert drawn == expected
    drawn.clear()
    Pair.texts = ['[]', '[]']
    for rank in (0, 1, 0):  # the first rank hears of the second one's records at its next call
        both = evaluate(oracle, oracle, config, Pair(rank, 2, torch.device('cpu')))
    assert [(r.index, r.metrics['rot_err_deg']) for r in both] == [
        (r.index, r.metrics['rot_err_deg']) for r in alone]
    assert drawn[-2:] == expected[::-1] and drawn[:-2] == [('worst_1', *expected[1][1:])]


def test_failures(two):
    turned = Oracle(two, turn=25.0, mute=(1,))
    records = evaluate(turned, turned, EvaluationConfig(2, points=500))
    summary = summary_of(records)
    assert summary['failure_rate']['mean'] == 1.0 and summary['failure_rate']['n'] == 2
    assert summary['rot_err_deg'] == pytest.approx(
        {'mean': 25.0, 'median': 25.0, 'std': 0.0, 'n': 1}, abs=1e-4)
    assert records[1].metrics is None and records[1].reason == 'nothing to see'
    with pytest.raises(ValueError, match='positive'):
        evaluate(turned, turned, EvaluationConfig(0))


def test_unknown_poses_and_positions_leave_out_what_depends_on_them(two):
    oracle = Oracle(two)
    sample = oracle(0)
    estimate = oracle.infer(depth=sample.depth, intrinsics=sample.intrinsics, mask=sample.mask,
                            mesh=True, seed=0)
    unknown = replace(sample.truth, T_camera_part=np.full_like(sample.truth.T_camera_part, np.nan))
    known = {name for name, value in compare(
        oracle, estimate, replace(sample, truth=unknown), points=500).items()
        if math.isfinite(value)}
    assert {'cd_w', 'gen_cd_w', 'joint_state_err'} <= known
    assert not known & {'rot_err_deg', 'trans_err_m', 'axis_err_deg', 'cd_posed'}
    unknown = replace(sample.truth, positions=np.array([np.nan]))
    found = compare(oracle, estimate, replace(sample, truth=unknown), points=500)
    assert math.isnan(found['joint_state_err']) and found['rot_err_deg'] < 1e-5
    assert not any('cd_' in name for name in found)


def test_mesh_objects_in_turn(tmp_path):
    import_open3d()
    for name in ('laptop_a', 'laptop_b'):
        write_urdf(laptop_estimate(), tmp_path / name)
    oracle = Oracle(object_samples(tmp_path, 'laptop', seed=1))
    records = evaluate(oracle, oracle, EvaluationConfig(3, points=2000))
    assert [r.name for r in records] == ['laptop_a', 'laptop_b', 'laptop_a']
    summary = summary_of(records)
    assert set(summary) >= CONTRACT
    assert summary['cd_l1_w_surface']['mean'] < 0.02 and summary['rot_err_deg']['mean'] < 1e-4


def test_written_inputs_keep_the_depth(two, tmp_path):
    sample = replace(two(0), depth=np.round(two(0).depth, 3))
    write_inputs(tmp_path, sample)
    np.testing.assert_allclose(read_depth(tmp_path / 'depth.png'), sample.depth, atol=1e-6)
    np.testing.assert_array_equal(read_mask(tmp_path / 'mask.png'), sample.mask)
    assert read_camera_info(tmp_path / 'camera_info.yaml') == sample.intrinsics
