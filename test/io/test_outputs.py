"""Outputs: tried before the work, and replaced as a whole."""

import json

import pytest

from kinediff3d_core.io.files import write_text
from kinediff3d_core.io.outputs import MANIFEST, replaced_results, require_writable
from kinediff3d_core.objects.estimate import NoEstimate


def run(folder, files, names=(), error=None):
    """One run that writes files into its folder, and may end with an error."""
    with replaced_results(folder, names or [f.split('/')[0] for f in files]) as new:
        for name in files:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(name)
        if error is not None:
            raise error


def found(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob('*')
                  if p.is_file() and p.name != MANIFEST)


def test_a_run_replaces_the_results_of_the_last_one_as_a_whole(tmp_path):
    out = tmp_path / 'new' / 'out'
    run(out, ['estimate.json', 'meshes/a.obj', 'meshes/b.obj'])
    assert found(out) == ['estimate.json', 'meshes/a.obj', 'meshes/b.obj']
    (out / 'meshes' / 'mine.obj').write_text('')
    (out / 'notes.txt').write_text('')
    run(out, ['estimate.json', 'meshes/a.obj'])
    assert found(out) == ['estimate.json', 'meshes/a.obj', 'meshes/mine.obj', 'notes.txt']
    run(out, ['1/estimate.json', '2/estimate.json'])
    run(out, ['1/estimate.json'])
    assert found(out) == ['1/estimate.json', 'meshes/mine.obj', 'notes.txt']
    assert not (out / '2').exists()


def test_no_estimate_leaves_nothing_stale(tmp_path):
    run(tmp_path / 'out', ['estimate.json', 'meshes/a.obj'])
    with pytest.raises(NoEstimate):
        run(tmp_path / 'out', ['estimate.json'], error=NoEstimate('too few points'))
    assert not (tmp_path / 'out').exists()
    run(tmp_path / 'out', ['a'])
    run(tmp_path / 'out', [], ['estimate.json'])
    assert not (tmp_path / 'out').exists()
    with pytest.raises(NoEstimate):
        run(tmp_path / 'out', [], error=NoEstimate('too few points'))
    assert not (tmp_path / 'out').exists()


def test_a_file_that_cannot_be_written_is_named_where_it_was_to_be(tmp_path):
    with pytest.raises(OSError, match=rf'^{tmp_path}/out/a/b cannot be written'), \
            replaced_results(tmp_path / 'out', ['a']) as new:
        (new / 'a').write_text('')  # where a folder is needed
        write_text(new / 'a' / 'b', 'x')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('error', [ValueError('x'), OSError('full'), KeyboardInterrupt()])
def test_an_error_leaves_the_last_results_and_nothing_else(error, tmp_path):
    run(tmp_path, ['estimate.json'])
    with pytest.raises(type(error)):
        run(tmp_path, ['estimate.json', 'meshes/a.obj'], error=error)
    assert found(tmp_path) == ['estimate.json']
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, 'estimate.json']


def test_files_of_others_are_refused_before_the_work(tmp_path):
    (tmp_path / 'meshes').mkdir()
    (tmp_path / 'meshes' / 'robot.obj').write_text('')
    with pytest.raises(ValueError, match='has meshes, not of an earlier run'):
        run(tmp_path, ['estimate.json'], ['estimate.json', 'meshes'], AssertionError('worked'))
    (tmp_path / 'state').mkdir()
    (tmp_path / 'state' / 'a').write_text('mine')
    with pytest.raises(ValueError, match='has state/a, not of'):  # a name that was not known
        run(tmp_path, ['state/a', 'b'], ['b'])
    assert found(tmp_path) == ['meshes/robot.obj', 'state/a']
    assert (tmp_path / 'state' / 'a').read_text() == 'mine'


@pytest.mark.parametrize('name', ['../other', '/etc/hostname', '', 7])
def test_a_list_of_files_never_leads_out_of_the_folder(name, tmp_path):
    (tmp_path / 'other').write_text('')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / MANIFEST).write_text(json.dumps({'files': [name]}))
    run(tmp_path / 'out', ['a'])
    assert found(tmp_path) == ['other', 'out/a']


def test_outputs_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('x')
    for path, folder, reason in (
            (tmp_path, False, 'is a folder'), (tmp_path / 'file', True, 'is not a folder'),
            (tmp_path / 'file' / 'x.json', False, 'file is not a folder'),
            (tmp_path / 'file' / 'out', True, 'file is not a folder')):
        with pytest.raises(ValueError, match=reason) as error:
            require_writable(path, folder)
        assert str(path) in str(error.value)
    require_writable(tmp_path / 'a' / 'b' / 'x.json')
    require_writable(tmp_path / 'a' / 'b', folder=True)
    require_writable(None)
    assert found(tmp_path) == ['file'] and (tmp_path / 'file').read_text() == 'x'
