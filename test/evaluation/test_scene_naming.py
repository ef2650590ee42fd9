"""Objects found and named in scenes: what counts, and records that are continued."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kinediff3d_core.evaluation import scene_naming
from kinediff3d_core.evaluation.scene_naming import main, named_scene, summary
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.estimate import NoEstimate

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)


class ByWidth:
    """Names a cloud by its number of points; the smallest is none of ours."""

    pipelines = ('box',)

    @classmethod
    def load(cls, weights: object = None) -> ByWidth:
        return cls()

    def infer(self, cloud: object, mesh: bool) -> object:
        if len(cloud) < 1000:
            raise NoEstimate('small')
        return SimpleNamespace(category='box' if len(cloud) < 2000 else 'laptop', confidence=0.4)


def squares() -> SimpleNamespace:
    """A box that is named rightly, one that is called a laptop, a small clutter, a large one."""
    ids = np.zeros((240, 320), dtype=np.int64)
    for k, (u, width) in enumerate(((20, 35), (90, 60), (180, 20), (250, 60)), start=1):
        ids[100:140, u:u + width] = k
    return SimpleNamespace(depth=(ids > 0).astype(np.float32), ids=ids, intrinsics=CAMERA,
                           categories=('box', 'box'), visible=(1.0, 1.0))


def test_names_of_candidates_and_what_counts() -> None:
    record = named_scene(ByWidth(), squares())  # type: ignore[arg-type]
    assert [o[:2] for o in record['objects']] == [['box', 1.0], ['box', 1.0]]
    of_first, of_second = (record['candidates'][o[2]] for o in record['objects'])
    assert (of_first[0], of_second[0]) == ('box', 'laptop')
    assert sorted(str(c[0]) for c in record['candidates']) == ['None', 'box', 'laptop', 'laptop']
    s = summary([record, record], 0.0)
    assert (s['objects'], s['found'], s['named']) == (4, 1.0, 0.5)
    assert (s['wrong_a_scene'], s['false_a_scene']) == (1.0, 1.0)
    refused = summary([record], 0.5)
    assert (refused['found'], refused['named'], refused['false_a_scene']) == (1.0, 0.0, 0.0)


def test_a_scene_without_candidates_finds_nothing() -> None:
    view = squares()
    view.depth = np.zeros_like(view.depth)
    record = named_scene(ByWidth(), view)  # type: ignore[arg-type]
    assert record['candidates'] == [] and summary([record], 0.0)['found'] == 0.0


def test_a_killed_run_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []

    def view(seed: int, index: int) -> SimpleNamespace:
        if index == 2 and len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(index)
        return squares()

    monkeypatch.setattr(scene_naming, 'AutoPipeline', ByWidth)
    monkeypatch.setattr(scene_naming, 'scene_view', view)
    arguments = ['--scenes', '3', '--records', str(tmp_path / 'r'), '--json',
                 str(tmp_path / 'all.json')]
    with pytest.raises(KeyboardInterrupt):
        main(arguments)
    drawn.append(-1)
    assert main(arguments) == 0
    assert drawn == [0, 1, -1, 2]
    found = json.loads((tmp_path / 'all.json').read_text())
    assert len(found['records']) == 3 and found['summary']['0']['named'] == 0.5
    assert 'found and named rightly' in capsys.readouterr().out
    assert main([*arguments, '--seed', '1']) == 2
    assert 'other options (seed: 0 there, 1 now)' in capsys.readouterr().err
