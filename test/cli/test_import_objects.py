"""docs/own_objects.md from the command line: import, train, infer."""

import numpy as np
import pytest
from estimates import laptop_estimate
from own_objects import crate_file, laptop_folder

from kinediff3d_core.cli import main
from kinediff3d_core.objects.category import CATEGORIES, get_category
from kinediff3d_core.objects.category_file import read_category, write_category

LAPTOP = get_category('laptop')


@pytest.fixture
def folder(tmp_path):
    return laptop_folder(tmp_path)


@pytest.fixture(autouse=True)
def restore_categories():
    """Remove the categories that a test adds."""
    before = dict(CATEGORIES)
    yield
    CATEGORIES.clear()
    CATEGORIES.update(before)


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main.main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('kinediff3d: error: ')
    return lines[0]


@pytest.mark.slow
def test_import_train_infer(folder, tmp_path, capsys):
    pytest.importorskip('open3d', exc_type=ImportError)
    from kinediff3d_core.training.config import TrainingConfig
    from kinediff3d_core.training.run import train

    data, out = tmp_path / 'data', tmp_path / 'runs'
    assert main.main(['import', str(folder), '--category-file', str(crate_file(tmp_path)), '--out',
                     str(data), '--variants', '2', '--views', '4']) == 0
    assert sorted(p.name for p in data.iterdir()) == [
        'category.yaml', 'laptop_mine_0.safetensors', 'laptop_mine_1.safetensors']
    assert read_category(data / 'category.yaml').parts == ('base', 'lid')
    train(['shape', 'pose', 'latent'], ['crate'], out,
          TrainingConfig(steps=2, batch=2, refresh=1, fill=3, data=data))
    assert read_category(out / 'crate' / 'category.yaml') == CATEGORIES['crate']
    CATEGORIES.pop('crate')  # as in a new process
    np.save(tmp_path / 'cloud.npy', laptop_estimate().points.astype(np.float32))
    status = main.main(['infer', '--points', str(tmp_path / 'cloud.npy'), '--category', 'crate',
                       '--weights', str(out), '--out', str(tmp_path / 'result')])
    assert status in (0, 1), capsys.readouterr().err  # after two steps it may well not know


def test_bad_objects_can_be_skipped(folder, tmp_path, capsys):
    pytest.importorskip('open3d', exc_type=ImportError)
    bad = tmp_path / 'laptop_bad'
    bad.mkdir()
    (bad / 'object.urdf').write_text('<robot')
    base = ('import', bad, folder, '--category', 'laptop', '--out', tmp_path / 'data',
            '--variants', 1, '--views', 1)
    assert 'laptop_bad' in refused(capsys, *base)
    assert not (tmp_path / 'data').exists()
    assert main.main([str(a) for a in (*base, '--skip-bad')]) == 0
    assert 'skipped: ' in capsys.readouterr().err
    assert [p.name for p in (tmp_path / 'data').glob('*.safetensors')] == [
        'laptop_mine_0.safetensors']


def test_arguments_that_do_not_go_together(folder, tmp_path, capsys):
    out = ('--out', tmp_path / 'data')
    crate = ('--category-file', crate_file(tmp_path))
    assert 'does not exist' in refused(capsys, 'import', folder, '--category-file', 'no.yaml',
                                       *out)
    assert 'does not exist' in refused(capsys, 'import', tmp_path / 'none', *crate, *out)
    assert 'see --metres-per-unit' in refused(capsys, 'import', folder, *crate, *out,
                                              '--metres-per-unit', 1000)
    assert 'canonical frame' in refused(capsys, 'import', folder, *crate, *out, '--rpy', 0, 0, 90)
    assert 'two objects' in refused(capsys, 'import', folder, folder, *crate, *out)
    assert 'unknown category' in refused(capsys, 'import', folder, '--category', 'chair', *out)
    assert 'give --category' in refused(capsys, 'train', 'all')
    assert 'goes with --data' in refused(capsys, 'train', 'all', '--category', 'laptop',
                                         '--procedural', 0.5)
    assert 'does not exist' in refused(capsys, 'train', 'all', '--data', tmp_path)
    write_category(LAPTOP, tmp_path / 'category.yaml')
    assert "not 'box'" in refused(capsys, 'train', 'all', '--data', tmp_path, '--category', 'box')
