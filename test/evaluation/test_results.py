"""docs/results.md from small hand-written summaries."""

import json

import pytest

from kinediff3d_core.evaluation import confusion, results
from kinediff3d_core.evaluation.readme_table import BEGIN, END
from kinediff3d_core.evaluation.records import Record, write_origin, write_records, write_summaries


def stats(mean, std=0.5, n=20, median=None):
    return {'mean': mean, 'median': mean if median is None else median, 'std': std, 'n': n}


@pytest.fixture
def folder(tmp_path):
    base = {'cd_w': stats(7.25, median=7.1), 'cd_l1_w': stats(13.5), 'cd_l1_floor': stats(6.25),
            'cd_l1_w_surface': stats(1.125), 'cd_floor': stats(6.5), 'gen_cd_w': stats(7.75),
            'rot_err_deg': stats(1.25, 2.0), 'trans_err_m': stats(0.0125),
            'joint_state_err': stats(0.875), 'failure_rate': stats(0.05), 'seconds': stats(0.75)}
    for third, mean in (('worst', 3.5), ('middle', 1.5), ('best', 0.625)):
        base[f'visibility_{third}_third'] = stats(0.3)
        base[f'rot_err_deg_{third}_third'] = stats(mean)
    write_summaries(tmp_path / 'procedural.json', {'laptop': base})
    write_origin(tmp_path / 'procedural.json',
                 {'command': 'kinediff3d evaluate --count 20', 'device': 'cpu', 'threads': 2})
    (tmp_path / 'auto.json').write_text(json.dumps({
        'laptop': {'taken_for': {'laptop': 17, 'box': 2, 'no estimate': 1}, 'sure': 0.9,
                   'sure_when_wrong': 0.625},
        'box': {'taken_for': {'box': 20}, 'sure': 1.0, 'sure_when_wrong': None}}))
    write_summaries(tmp_path / 'peer_asdf.json',
                    {'laptop': {'rot_err_deg': stats(4.125), 'seconds': stats(88.0)}})
    for n in (1, 2):
        write_summaries(tmp_path / f'rounds_{n}.json',
                        {'laptop': {'rot_err_deg': stats(10.5 / n)}})
    return tmp_path


def test_the_page_has_the_numbers(folder, capsys):
    out = folder / 'results.md'
    assert results.main(['--from', str(folder), '--out', str(out)]) == 0
    text = out.read_text()
    lines = text.splitlines()

    def row(*words):
        return next(line for line in lines if all(w in line for w in words))

    shape, pose = row('| laptop | ours |', '7.75', '6.5'), row('| laptop | ours |', '0.0125')
    assert '7.25 ± 0.5 \\| 7.1' in shape and '5 % of 20' in shape
    assert '1.25 ± 2 \\| 1.25' in pose and '0.75' in pose
    assert '6.25' in row('| laptop | ours |', '13.5')
    assert '1.12' in row('| laptop | ours, to the surface |')
    assert '1.81' in row('| laptop | paper, ArtImage |', '2.36')
    assert '3.9 | 0.042 | 3.2 | 0.9 | 0.03' in row('| laptop | paper, ArtImage |', '0.042')
    assert '3.5 ±' in row('| laptop | worst third |') and '0.625' in row('best third')
    assert '10.5' in row('| laptop | 1 |') and '5.25' in row('| laptop | 2 |')
    assert '4.12' in row('| laptop | A-SDF') and '88' in row('| laptop | A-SDF')
    assert '`kinediff3d evaluate --count 20` (20 views a category; cpu, 2 thread(s))' in text
    assert '| laptop | 17 | 2 | 1 | 0.90 | 0.62 |' in text
    assert '| box | · | 20 | · | 1.00 | – |' in text
    # Every row of a table has as many cells as its head.

    heads = [i for i, line in enumerate(lines) if line.startswith('| ---')]
    for i in heads:
        j = i
        while j < len(lines) and lines[j].startswith('|'):
            assert lines[j].replace('\\|', '').count('|') == \
                lines[i - 1].replace('\\|', '').count('|'), lines[j]
            j += 1



def test_baselines_on_fewer_views_are_listed_beside_ours_on_the_same_views(folder):
    write_summaries(folder / 'peer_score.json', {'laptop': {
        'rot_err_deg': stats(9.0, n=2), 'failure_rate': stats(0.0, n=2)}})
    write_records(folder / 'procedural.jsonl', [
        Record(i, 'procedural', {'rot_err_deg': error}, '', 0.3, 'laptop')
        for i, error in enumerate((1.5, 3.5, 30.0))])
    results.main(['--from', str(folder), '--out', str(folder / 'results.md')])
    line = next(x for x in (folder / 'results.md').read_text().splitlines() if 'first 2 |' in x)
    assert line.startswith('| laptop | ours, first 2 |') and '2.5 ± 1 \\| 2.5' in line
    assert '0 % of 2' in line
    with (folder / 'procedural.jsonl').open('a') as file:
        file.write('{"index": 3}\n')
    with pytest.raises(ValueError, match='line 4: not a record'):
        results.page(folder, results.commands(folder))


def test_missing_inputs_are_named_with_their_commands(folder, capsys):
    out = folder / 'results.md'
    results.main(['--from', str(folder), '--out', str(out)])
    text = out.read_text()
    for name, command in results.commands(folder).items():
        there = (folder / f'{name}.json').is_file()
        assert (f'Not measured yet: `{name}.json`, by `{command}`' in text) != there, name
    third_party = text[text.index('## Third-party'):]
    assert '| laptop' not in third_party and '--objects DIR' in third_party
    capsys.readouterr()
    results.main(['--from', str(folder), '--missing', '--count', '7', '--extra', '--weights w'])
    lines = capsys.readouterr().out.splitlines()
    assert f'kinediff3d evaluate --peer score --count 7 --json {folder}/peer_score.json ' \
        '--weights w' in lines
    assert not any('procedural.json' in line or 'objects.json' in line for line in lines)
    assert any('--preset paper --count 20' in line for line in lines)
    assert '--peer asdf --count 20 ' in results.commands(folder, 7)['peer_asdf']
    results.main(['--from', str(folder), '--missing', '--objects', 'there'])
    assert '--objects there' in capsys.readouterr().out


def test_distances_in_the_unit_of_older_versions_are_left_out_and_named(folder, capsys):
    old = {'cd_w': stats(14.75), 'gen_cd_w': stats(15.5), 'cd_w_worst_third': stats(16.5),
           'rot_err_deg': stats(2.25), 'failure_rate': stats(0.0)}
    write_summaries(folder / 'objects.json', {'laptop': old})
    write_summaries(folder / 'peer_score.json', {'laptop': {'failure_rate': stats(0.0, n=1)}})
    write_records(folder / 'procedural.jsonl', [
        Record(0, 'procedural', {'rot_err_deg': 1.5, 'cd_w': 17.25}, '', 0.3, 'laptop')])
    text = results.page(folder, results.commands(folder))
    assert not any(x in text for x in ('14.8', '15.5', '16.5', '17.2')) and '2.25 ± 0.5' in text
    assert 'Shapes not measured in the current unit: `objects.json`, by `kinediff3d' in text
    results.main(['--from', str(folder), '--missing', '--objects', 'there'])
    assert f'--json {folder}/objects.json' in capsys.readouterr().out
    # Without meshes there are no shapes in any unit.
    write_summaries(folder / 'objects.json', {'laptop': {'rot_err_deg': stats(2.25)}})
    results.main(['--from', str(folder), '--missing', '--objects', 'there'])
    assert 'objects.json' not in capsys.readouterr().out


def test_the_readme_gets_the_table_between_its_marks(folder, capsys):
    readme, out = folder / 'README.md', folder / 'results.md'
    readme.write_text(f'before\n{BEGIN}\nold\n{END}\nafter\n')
    arguments = ['--from', str(folder), '--out', str(out), '--readme', str(readme)]
    write_summaries(folder / 'objects.json', {
        'laptop': {'rot_err_deg': stats(4.0), 'joint_state_err': stats(30.0)},
        'drawer': {'joint_state_err': stats(0.0625), 'trans_err_m': stats(0.5)}})
    assert results.main(arguments) == 0
    text = readme.read_text()
    assert text.startswith(f'before\n{BEGIN}\n|') and text.endswith(f'\n{END}\nafter\n')
    assert '| laptop | 7.2 / – / 1.81 | 1.2 / 4.0 / 3.9 | 12 / – / 42 | 0.88° / 30° / 3.2° |' \
        in text
    assert '| drawer | – / – / 5.42 | – / – / 2.8 | – / 500 / 72 | – / 62 mm / 570 mm |' in text
    assert 'Behind the paper: laptop CD-w (procedural); laptop rotation (third-party); laptop ' \
        'joint state (third-party); drawer translation (third-party).\n' in text.replace(
            'drawer\ntranslation', 'drawer translation')
    assert max(map(len, text.splitlines())) <= 120
    assert results.main(arguments) == 0 and readme.read_text() == text
    readme.write_text('no marks')
    assert results.main(arguments) == 2
    assert 'end of accuracy' in capsys.readouterr().err and readme.read_text() == 'no marks'


def test_other_files_are_refused(folder, capsys):
    (folder / 'paper.json').write_text(json.dumps({'laptop': {'rot_err_deg': 3}}))
    assert results.main(['--from', str(folder), '--out', str(folder / 'r.md')]) == 2
    assert 'paper.json is not a summary' in capsys.readouterr().err
    assert results.main(['--from', str(folder / 'none'), '--out', str(folder / 'r.md')]) == 2
    assert not (folder / 'r.md').exists()


def test_the_confusion_program_writes_how_its_file_was_made(folder, monkeypatch):
    """The page has the command and the number of views of the file, not those of its own options.
    """
    path, page = folder / 'auto.json', folder / 'results.md'
    counts = json.loads(path.read_text())
    assert results.main(['--from', str(folder), '--out', str(page), '--paper-count', '7']) == 0
    assert f'confusion --count 20 --json {path}` (20 views a category)' in page.read_text()

    monkeypatch.setattr(confusion.AutoPipeline, 'load', lambda **_: None)
    monkeypatch.setattr(confusion, 'confusion', lambda *_: counts)
    assert confusion.main(['--count', '20', '--seed', '3', '--json', str(path)]) == 0
    origin = json.loads((folder / 'auto.meta.json').read_text())
    assert (origin['count'], origin['seed'], origin['device']) == (20, 3, 'cpu')
    assert results.main(['--from', str(folder), '--out', str(page)]) == 0
    assert f'`{origin["command"]}` (20 views a category; cpu' in page.read_text()
    assert '--seed 3' in origin['command']
