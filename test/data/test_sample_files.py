"""Files of training samples: what is drawn from them, and which are refused."""

import math

import pytest
import torch

from kinediff3d_core.data import sample_files
from kinediff3d_core.data.sample_files import ImportedObjects, read_object, write_object
from kinediff3d_core.data.samples import FOREIGN
from kinediff3d_core.objects.category import get_category

LAPTOP = get_category('laptop')


def test_drawn_objects_are_canonical(imported, tmp_path):
    """Lengths are divided by the scale and share one factor, angles stay."""
    _, x = imported
    write_object(x, LAPTOP, tmp_path / 'one.safetensors')
    objects = ImportedObjects(tmp_path, LAPTOP, torch.device('cpu'))
    got = objects.draw(2, torch.Generator().manual_seed(0), shapes=True, views=2)
    assert got['surface'].shape == (2, 2, sample_files.SURFACE, 3)
    assert got['points'].shape == (2, 2, sample_files.POINTS, 3)
    assert got['label'].shape == got['points'].shape[:3]
    labels = got['label'].unique().tolist()
    assert labels[:2] == [0, 1] and set(labels) <= {0, 1, FOREIGN}
    assert (got['label'] == FOREIGN).float().mean() < 0.4
    want = (x['bounds'][:, 1] - x['bounds'][:, 0]) / 2 / LAPTOP.scale
    for i in range(2):
        factor = got['half'][i] / want
        size = factor.mean()
        assert abs(size - 1) <= sample_files.SIZE + 1e-6
        torch.testing.assert_close(factor, size.expand_as(factor), atol=1e-4, rtol=0)
        torch.testing.assert_close(got['origin'][i], x['origin'] * size / LAPTOP.scale)
        distance = got['points'][i].norm(dim=-1).mean() / size * LAPTOP.scale
        assert x['points'].norm(dim=-1).amin() < distance < x['points'].norm(dim=-1).amax()
        assert all(any(torch.equal(q, r) for r in x['q']) for q in got['q'][i])


@pytest.mark.parametrize(('change', 'match'), [
    (lambda x: x.pop('q'), "'q'.*is missing"),
    (lambda x: x.update(axis=torch.zeros(2, 3)), r"'axis' must have the shape \(1, 3\)"),
    (lambda x: x.update(surface=x['surface'][:, :9].clone()), "1024 or more"),
    (lambda x: x.update(q=x['q'].double()), 'float64'),
    (lambda x: x['distance'].fill_(math.nan), 'values that no object has'),
    (lambda x: x['points'].fill_(1e9), 'values that no object has'),
    (lambda x: x['exists'].fill_(False), 'values that no object has'),
])
def test_files_that_do_not_fit_are_refused(change, match, imported, tmp_path):
    x = {k: v.clone() for k, v in imported[1].items()}
    change(x)
    write_object(x, LAPTOP, tmp_path / 'one.safetensors')
    with pytest.raises(ValueError, match=match):
        ImportedObjects(tmp_path, LAPTOP, torch.device('cpu'))


def test_damaged_folders_are_refused(imported, tmp_path):
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(ValueError, match='expected 1 to'):
        ImportedObjects(empty, LAPTOP, torch.device('cpu'))
    path = empty / 'one.safetensors'
    write_object(imported[1], get_category('box'), path)
    with pytest.raises(ValueError, match="is of category 'box'"):
        read_object(path, LAPTOP)
    path.write_bytes(path.read_bytes()[:999])
    with pytest.raises(ValueError, match='not a whole safetensors file'):
        read_object(path, LAPTOP)
