"""Files of objects, wherever these come from."""

from dataclasses import dataclass

import pytest
import torch

from kinediff3d_core.data.object_import import ImportConfig, import_objects
from kinediff3d_core.data.sample_files import origin_of, write_object
from kinediff3d_core.objects.category import get_category


@dataclass
class Drawn:
    """An object whose tensors are random numbers; the variant ``broken`` cannot be made."""

    name: str
    version: int = 1
    broken: int = 9

    def identity(self):
        return [self.version]

    def samples(self, variants, views, generator):
        for n in range(variants):
            if n == self.broken:
                raise ValueError(f'{self.name} is broken')
            yield {'x': torch.rand(views, generator=generator)}


@pytest.fixture
def run(tmp_path):
    """Imports objects; returns the number of files that changed, that are there, and errors."""
    def import_all(objects, **options):
        def files():
            return {p.name: p.stat().st_mtime_ns for p in folder.glob('*')}

        folder, errors = options.pop('folder', tmp_path), []
        before = files()
        done = import_objects(objects, ImportConfig(
            get_category('laptop'), folder, **{'variants': 2, 'views': 3, **options}),
            lambda error: errors.append(str(error)))
        changed = sum(before.get(name) != time for name, time in files().items())
        return changed, done, errors

    return import_all


def test_only_files_that_are_missing_or_of_another_origin_are_made(run, tmp_path):
    both = {0: Drawn('a'), 1: Drawn('b')}
    assert run(both) == (4, 4, [])
    assert run(both) == (0, 4, [])
    (tmp_path / 'b_1.safetensors').write_bytes(b'torn')
    assert origin_of(tmp_path / 'b_1.safetensors') == ''
    assert run(both) == (2, 4, [])
    assert run({0: Drawn('a', version=2), 1: Drawn('b')}) == (2, 4, [])
    assert run(both, seed=1) == (4, 4, [])
    assert run(both, seed=1, variants=1) == (0, 2, [])  # the first variants are the same
    write_object({'x': torch.zeros(1)}, get_category('laptop'), tmp_path / 'a_0.safetensors')
    assert run(both, seed=1) == (2, 4, [])


def test_the_files_of_an_object_do_not_depend_on_the_others(run, tmp_path):
    run({0: Drawn('a'), 1: Drawn('b')}, folder=tmp_path / 'all')
    run({1: Drawn('b')}, folder=tmp_path / 'part')
    for name in ('b_0.safetensors', 'b_1.safetensors'):
        one, other = (tmp_path / folder / name for folder in ('all', 'part'))
        assert origin_of(one) == origin_of(other) != ''
        assert one.read_bytes()[-12:] == other.read_bytes()[-12:]  # the three numbers


def test_an_object_that_cannot_be_used_does_not_end_the_import(run):
    objects = {0: Drawn('a', broken=1), 1: Drawn('b')}
    assert run(objects) == (3, 3, ['a is broken'])
    assert run(objects) == (1, 3, ['a is broken'])
