"""Tables of refusals, and what they are made of."""

import json
from dataclasses import asdict, fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from truths import laptop_truth, perfect

from kinediff3d_core.evaluation import refusal
from kinediff3d_core.evaluation.refusal import Answer, Thing, answers, threshold_table
from kinediff3d_core.inference.auto import AutoPipeline
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud

CLOUD = ObjectCloud(np.zeros((200, 3), np.float32))
TRUTH = laptop_truth()
ESTIMATE = replace(perfect(TRUTH), confidence=0.9)


def answer(confidence, right=True, truth='laptop', asked='laptop', category='laptop'):
    return Answer('views', '0', truth, asked, category, confidence, right)


FOUND = [answer(0.9), answer(0.3), answer(0.6, right=False), answer(0.2, right=False),
         answer(0.0, right=False, category=''), answer(0.4, right=False, truth=''),
         answer(0.1, right=False, truth=''), answer(0.0, right=False, truth='', category='')]


def rows(table):
    return [[cell.strip() for cell in line.strip('|').split('|')]
            for line in table.splitlines()[2:]]


def test_a_threshold_refuses_right_answers_and_lets_wrong_and_false_ones_pass():
    assert rows(threshold_table(FOUND, 4, (0.0, 0.3, 0.5))) == [
        ['0', '0 of 2', '2 of 2', '0.50'], ['0.3', '0 of 2', '1 of 2', '0.25'],
        ['0.5', '1 of 2', '1 of 2', '0.00']]
    assert rows(threshold_table(FOUND, 0, (0.0,)))[0][-1] == '–'


def test_each_category_has_a_row():
    found = [*FOUND, answer(0.8, right=False, truth='', asked='box', category='box')]
    assert rows(refusal.category_table(found, 0.3)) == [
        ['laptop', '0 of 2', '1 of 2', '1 of 3'], ['box', '0 of 0', '0 of 0', '1 of 1']]


def test_views_of_another_category_have_their_own_table():
    box = answer(0.45, right=False, asked='box', category='box')
    text = refusal.report([*FOUND, box, answer(0.2, right=False, asked='box', category='')], 4)
    assert '| 0.5 | 1 of 2 | 1 of 2 | 0.00 |' in text
    assert '| 0.4 | 1 of 2 |' in text.split('every other category')[1]
    assert '| 0.5 | 0 of 2 |' in text.split('every other category')[1]
    assert 'every other category' not in refusal.report(FOUND, 4)


def test_terms_of_the_verification_can_be_left_out():
    loaded = AutoPipeline({'laptop': Pipeline(SimpleNamespace(
        category=None, device=None, shape=None, pose=None, latent=None, units=None, graphs=None),
        Preset())})
    off = refusal._without(loaded, ['contradicted']).pipelines['laptop'].preset.verification
    assert off == replace(Preset().verification, contradicted=np.inf)
    assert {f.name for f in fields(off)} >= set(refusal.TERMS)


def pipeline_of(**estimates):
    """Pipelines with these estimates; None refuses."""
    def infer(estimate):
        def call(cloud, mesh, seed):
            if estimate is None:
                raise NoEstimate('no')
            return estimate

        return SimpleNamespace(infer=call)

    return SimpleNamespace(pipelines={name: infer(e) for name, e in estimates.items()},
                           infer=infer(estimates['laptop']).infer)


def test_answers_about_a_thing():
    pipeline = pipeline_of(laptop=ESTIMATE, box=None)
    thing = Thing('views', 'laptop 0', CLOUD, TRUTH)
    own, none, auto = answers(pipeline, thing, ['laptop', 'box', 'auto'])
    assert own == Answer('views', 'laptop 0', 'laptop', 'laptop', 'laptop', 0.9, True)
    assert none == Answer('views', 'laptop 0', 'laptop', 'box', '', 0.0, False)
    assert auto == replace(own, asked='auto')
    clutter, = answers(pipeline, replace(thing, truth=None), ['laptop'])
    assert clutter.truth == '' and not clutter.right


@pytest.mark.parametrize(('degrees', 'right'), [(10, True), (20, False)])
def test_of_real_frames_the_joints_decide(degrees, right):
    truth = replace(TRUTH, T_camera_part=np.full_like(TRUTH.T_camera_part, np.nan),
                    positions=TRUTH.positions + np.radians(degrees))
    thing = Thing('frames', 'a', CLOUD, truth)
    assert answers(pipeline_of(laptop=ESTIMATE), thing, ['laptop'])[0].right == right


def test_tables_of_stored_answers(tmp_path, capsys):
    file = tmp_path / 'answers.json'
    file.write_text(json.dumps({'images': 4, 'answers': [asdict(a) for a in FOUND]}))
    assert refusal.main(['--from', str(file)]) == 0
    assert '| 0.5 | 1 of 2 | 1 of 2 | 0.00 |' in capsys.readouterr().out
    assert refusal.main(['--from', str(tmp_path / 'none.json')]) == 2
    for text in ('{', '[]', '{"images": 1}', '{"images": 1, "answers": [{"confidence": 1}]}'):
        file.write_text(text)
        capsys.readouterr()
        assert refusal.main(['--from', str(file)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(file) in line


def test_measuring_writes_the_answers_of_every_source(tmp_path, monkeypatch):
    sample = SimpleNamespace(depth=None, intrinsics=None, mask=None, name='one', truth=TRUTH)
    monkeypatch.setattr(refusal, 'cloud_of', lambda *_: CLOUD)
    monkeypatch.setattr(refusal, 'procedural_samples', lambda *_, **__: lambda i: sample)
    monkeypatch.setattr(refusal.AutoPipeline, 'load', lambda: None)
    monkeypatch.setattr(refusal, '_without', lambda *_: pipeline_of(laptop=ESTIMATE))
    monkeypatch.setattr(refusal, 'scene_view', lambda seed, i, kind: SimpleNamespace(
        depth=np.zeros((4, 4)), intrinsics=None))
    monkeypatch.setattr(refusal, 'bare_room', lambda seed, i: np.zeros((4, 4)))
    monkeypatch.setattr(refusal, 'segment_instances', lambda *_: SimpleNamespace(
        ids=np.array([[0, 1], [2, 2]])))
    file = tmp_path / 'answers.json'
    assert refusal.main(['--views', '2', '--scenes', '1', '--rooms', '2', '--categories',
                         'laptop', '--json', str(file)]) == 0
    content = json.loads(file.read_text())
    sources = [a['source'] for a in content['answers']]
    assert content['images'] == 3
    # Each thing is asked for its category and for auto; each image has two proposals.
    assert [sources.count(s) for s in ('views', 'scene', 'room')] == [4, 4, 8]


def test_a_killed_run_continues(tmp_path, monkeypatch, capsys):
    asked = []

    def made(pipeline, thing, names, seed):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(thing)
        return [answer(0.9)]

    monkeypatch.setattr(refusal, 'answers', made)
    monkeypatch.setattr(refusal, 'view', lambda source, name, samples, i: [(name, i)])
    monkeypatch.setattr(refusal.AutoPipeline, 'load', lambda: None)
    monkeypatch.setattr(refusal, '_without', lambda *_: None)
    file = tmp_path / 'answers.json'
    command = ['--scenes', '0', '--rooms', '0', '--categories', 'laptop', '--json', str(file)]
    with pytest.raises(KeyboardInterrupt):
        refusal.main([*command, '--views', '5'])
    assert not file.exists()
    monkeypatch.setattr(refusal, 'answers', lambda *given: made(*given) if given[1] in asked
                        else asked.append(given[1]) or [answer(0.9)])
    assert refusal.main([*command, '--views', '5', '--seed', '1']) == 2
    assert 'seed: 0 there, 1 now' in capsys.readouterr().err
    assert refusal.main([*command, '--views', '5']) == 0
    assert asked == [('laptop', i) for i in range(5)]
    assert len(json.loads(file.read_text())['answers']) == 5
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
