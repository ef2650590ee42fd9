"""docs/own_objects.md from the command line: import, train, infer."""

import re

import numpy as np
import pytest
import torch
from estimates import laptop_estimate
from open3d_or_skip import import_open3d
from own_objects import crate_file, laptop_folder
from partnet_folders import laptop, write_partnet

from kinediff3d_core.cli import main
from kinediff3d_core.data.sample_files import ImportedObjects
from kinediff3d_core.objects.category import CATEGORIES, get_category
from kinediff3d_core.objects.category_file import category_yaml, read_category

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
    import_open3d()
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
    import_open3d()
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


@pytest.mark.parametrize(('scale', 'match'), [
    ('1000 1000 1000', "part 'lid' measures .* another unit"),
    ('0.001 0.001 0.001', "part 'lid'")])
def test_a_part_in_another_unit_is_refused(folder, tmp_path, capsys, scale, match):
    urdf = next(folder.glob('*.urdf'))
    text = urdf.read_text().replace('meshes/lid.obj"', f'meshes/lid.obj" scale="{scale}"')
    urdf.write_text(text)
    line = refused(capsys, 'import', folder, '--category', 'laptop', '--out', tmp_path / 'data')
    assert re.search(match, line) and len(line) <= 300


def test_ros_packages_and_missing_meshes(tmp_path, capsys, caplog):
    """A package with urdf/ beside meshes/; one mesh of several is not there."""
    import_open3d()
    folder = laptop_folder(tmp_path)
    urdf = next(folder.glob('*.urdf'))
    text = urdf.read_text().replace('"meshes/', f'"package://{folder.name}/meshes/')
    missing = ('<visual><geometry><mesh filename="package://a/meshes/no.obj"/></geometry>'
               '</visual><visual>')
    (folder / 'urdf').mkdir()
    (folder / 'urdf' / urdf.name).write_text(text.replace('<visual>', missing, 1))
    urdf.unlink()
    for i, place in enumerate((folder, tmp_path, folder / 'urdf' / urdf.name)):
        assert main.main([str(a) for a in ('import', place, '--category', 'laptop', '--out',
                                           tmp_path / f'data{i}', '--variants', 1, '--views',
                                           1)]) == 0, capsys.readouterr().err
        assert [p.name for p in (tmp_path / f'data{i}').glob('*.safetensors')] == [
            'laptop_mine_0.safetensors']
    assert 'left out of it (1)' in caplog.text and 'no.obj' in caplog.text


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
    (tmp_path / 'category.yaml').write_text(category_yaml(LAPTOP))
    assert "not 'box'" in refused(capsys, 'train', 'all', '--data', tmp_path, '--category', 'box')


def partnet_laptops(root):
    """Two laptops in PartNet-Mobility's layout, the second one broken."""
    for name in ('42', '43'):
        write_partnet(root / name, laptop(), 'Laptop', 0.22, [1.6])
    (root / '43' / 'semantics.txt').unlink()
    (root / '44').mkdir()
    (root / '44' / 'meta.json').write_text('{"model_cat": "Chair"}')
    return root


def imported_laptops(tmp_path):
    """The folder into which the whole one of these laptops was imported."""
    import_open3d()
    root, data = partnet_laptops(tmp_path / 'partnet'), tmp_path / 'data'
    assert main.main(['import', '--dataset', 'partnet', '--root', str(root), '--category',
                      'laptop', '--out', str(data), '--views', '2']) == 0
    return data


def test_a_public_data_set_becomes_samples(tmp_path, capsys):
    data = imported_laptops(tmp_path)
    out, err = capsys.readouterr()
    assert '1 samples of 1 objects' in out and 'Chair' in err and 'semantics.txt' in err
    assert [p.name for p in data.glob('*.safetensors')] == ['42_0.safetensors']
    drawn = ImportedObjects(data, LAPTOP, torch.device('cpu')).draw(
        2, torch.Generator().manual_seed(0), True, 2)
    assert drawn['points'].shape[:2] == (2, 2) and drawn['query'].shape[:2] == (2, 2)


@pytest.mark.slow
def test_training_accepts_samples_of_a_public_data_set(tmp_path):
    from kinediff3d_core.training.config import TrainingConfig
    from kinediff3d_core.training.run import train

    data = imported_laptops(tmp_path)
    train(['shape', 'pose', 'latent'], ['laptop'], tmp_path / 'runs',
          TrainingConfig(steps=1, batch=2, refresh=1, fill=2, data=data))
    assert (tmp_path / 'runs' / 'laptop' / 'latent.safetensors').is_file()


def test_options_of_data_sets(tmp_path, capsys):
    base = ('import', '--out', tmp_path / 'data', '--category', 'box')
    named = (*base, '--dataset', 'partnet')
    root = ('--root', partnet_laptops(tmp_path / 'partnet'))
    assert 'or a --dataset' in refused(capsys, *base)
    assert 'goes with --dataset' in refused(capsys, *base, tmp_path, *root)
    assert 'needs --root' in refused(capsys, *named)
    assert 'does not go with --dataset' in refused(capsys, *named, *root, '--rpy', 0, 0, 90)
    assert 'unknown split' in refused(capsys, *named, *root, '--split', 'val')
    assert 'unknown data set' in refused(capsys, *base, '--dataset', 'imagenet', *root)
