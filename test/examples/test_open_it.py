"""The command line of the example, and its records."""

import json
from pathlib import Path

import numpy as np
import open_it
import pytest
from opening_pictures import cropped, write_animation, write_strip
from PIL import Image


def test_all_categories():
    found = open_it.parse(['--category', 'all']).categories
    assert {'laptop', 'drawer'} <= set(found) and 'cabinet' not in found


@pytest.mark.parametrize('arguments, words', [
    (['--category', 'labtop'], 'labtop'), (['--count', '0'], '--count is 0'),
    (['--category', 'all', '--running-node'], 'needs one category')])
def test_bad_arguments_end_with_one_line(capsys, arguments, words):
    assert open_it.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) == 1


def test_without_pybullet_one_line_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(open_it.importlib.util, 'find_spec', lambda name: None)
    assert open_it.main([]) == 2
    assert 'pip install' in capsys.readouterr().err


def test_a_run_continues_where_it_was_interrupted(tmp_path, monkeypatch, capsys):
    made = []

    def open_one(category, number, guide_of, options):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(number)
        return open_it.Record(number, 1.0, 'arrived', ())

    monkeypatch.setattr(open_it, 'open_one', open_one)
    monkeypatch.setattr(open_it.importlib.util, 'find_spec', lambda name: True)
    arguments = ['--true', '--count', '4', '--out', str(tmp_path),
                 '--json', str(tmp_path / 'results.json')]
    assert open_it.main(arguments) == 130 and made == [0, 1]
    made.clear()
    assert open_it.main(arguments) == 0 and made == [2, 3]
    assert json.loads((tmp_path / 'results.json').read_text())['laptop']['n'] == 4
    assert 'laptop | 4 of 4' in capsys.readouterr().out


@pytest.mark.parametrize('changed', ['weights_digest', 'package_version'])
def test_records_of_other_networks_are_not_taken_for_these(tmp_path, monkeypatch, capsys, changed):
    monkeypatch.setattr(open_it, 'perceived', lambda *arguments: None)
    monkeypatch.setattr(open_it, 'open_one', lambda category, number, guide_of, options:
                        open_it.Record(number, 1.0, 'arrived', ()))
    monkeypatch.setattr(open_it.importlib.util, 'find_spec', lambda name: True)
    arguments = ['--count', '1', '--out', str(tmp_path)]
    assert open_it.main(arguments) == 0
    monkeypatch.setattr(open_it, changed, lambda *arguments: 'another')
    capsys.readouterr()
    assert open_it.main(arguments) == 2
    assert 'with other options' in capsys.readouterr().err


def test_pictures_are_cropped_to_what_moves_in_them():
    pictures = np.full((2, 100, 200, 3), 255, np.uint8)
    pictures[0, 50, 60] = pictures[1, 70, 90] = 0
    assert [p.shape for p in cropped(pictures)] == [(61, 71, 3)] * 2


def test_pictures(tmp_path: Path):
    pictures = [np.full((24, 32, 3), 10 * i, np.uint8) for i in range(9)]
    write_strip(pictures, 'box: opened 10 %', tmp_path / 'failures' / 'strip.png')
    assert Image.open(tmp_path / 'failures' / 'strip.png').size == (4 * 32, 24)
    write_animation(pictures, tmp_path / 'opened.gif')
    assert Image.open(tmp_path / 'opened.gif').n_frames == 9
