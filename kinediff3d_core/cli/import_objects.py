"""The command ``import``: objects become samples that ``train --data`` reads.

They are folders of URDFs, or a public data set (docs/datasets.md).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from math import radians
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinediff3d_core.cli.arguments import DONE, Parser, add_command, number

if TYPE_CHECKING:
    from kinediff3d_core.data.mesh_objects import MeshObject
    from kinediff3d_core.data.object_import import TrainingObject
    from kinediff3d_core.data.placement import Placement
    from kinediff3d_core.distributed.ranks import Ranks
    from kinediff3d_core.objects.category import Category

FOLDER_OPTIONS: dict[str, Any] = {
    'objects': [], 'category_file': None, 'rpy': (0.0, 0.0, 0.0),
    'metres_per_unit': 1.0, 'zero': 'written', 'fix_others': False}
"""Options of folders of URDFs with their defaults; a data set's reader knows all of that."""
VARIANTS = 4
"""Default number of samples of an object of a folder. Chosen: stretching makes up for few."""

SMALLEST, LARGEST = 0.3, 30.0
"""Bounds of the diagonal of a base part's box, canonical units: others are in a wrong unit."""
LIKELY_LARGEST = 5.0
"""Diagonal of the box of a base part, canonical units, from which on a warning asks for the unit.
Measured: it is 0.6 to 5 in the families, and 4 to 20 where objects fill a unit sphere."""
SMALLEST_PART = 0.02
"""Least diagonal of another part's box, canonical units. Chosen: a tenth of a cutter's blade."""
LARGEST_RATIO = 50.0
"""Greatest ratio of the diagonals of two parts. Chosen: units differ by 100 or more."""

TRAIN = 'train'
"""Split of a data set that is imported, where it has this one."""

EXAMPLES = '''
  kinediff3d import objects --category-file toolbox.yaml --out data
  kinediff3d import partnet/46123 partnet/46440 --category drawer --rpy 0 0 180 \
--metres-per-unit 0.6 --zero lower --fix-others --out data
  kinediff3d import --dataset partnet --root partnet-mobility --category laptop --out data
  torchrun --nproc-per-node 8 -m kinediff3d_core.cli import objects --category laptop --out data
'''


def add_parser(commands: Any) -> None:
    command = add_command(commands, 'import', _import,
                          'turn objects (URDF and meshes) into samples to train from', EXAMPLES)
    command.add_argument('objects', type=Path, nargs='*', metavar='DIR',
                         help='folder of an object (one *.urdf and its meshes), or of many; if '
                              'some are named <category>_<id>, only these are imported')
    command.add_argument('--dataset', metavar='NAME',
                         help='import a public data set instead (docs/datasets.md)')
    command.add_argument('--root', type=Path, metavar='DIR', help='the data set\'s folder')
    command.add_argument('--split', metavar='S',
                         help=f'its split (default {TRAIN}, where it has one)')
    kind = command.add_mutually_exclusive_group(required=True)
    kind.add_argument('--category', metavar='C', help='a category that comes with this package')
    kind.add_argument('--category-file', type=Path, metavar='F',
                      help='a category of your own, YAML (docs/own_objects.md)')
    command.add_argument('--out', type=Path, required=True, metavar='DIR',
                         help='folder for <object>_<variant>.safetensors and category.yaml')
    _add_placement_options(command)
    command.add_argument('--variants', type=number(int, at_least=1), metavar='N',
                         help='samples of each object: itself and N-1 stretched ones (default 4); '
                              'of a data set: N of the same shape (default 1)')
    command.add_argument('--views', type=number(int, at_least=1), default=32, metavar='N',
                         help='noisy views of each sample (default 32)')
    command.add_argument('--skip-bad', action='store_true',
                         help='report objects that cannot be imported and continue; a data set '
                              'is always read so')
    command.add_seed('of the variants and views')
    command.add_threads()


def _add_placement_options(command: Parser) -> None:
    """Add the options that say how a folder's URDFs become canonical."""
    command.add_argument('--rpy', type=number(float), nargs=3, default=FOLDER_OPTIONS['rpy'],
                         metavar=('R', 'P', 'Y'),
                         help='roll, pitch, yaw in degrees that turn the objects into the '
                              'category\'s canonical frame (default 0 0 0)')
    command.add_argument('--metres-per-unit', type=number(float, above=0), default=1.0,
                         metavar='M', help='length of the URDFs\' unit (default 1)')
    command.add_argument('--zero', choices=('written', 'lower'), default='written',
                         help='joints are zero as written (default), or at their lower limit')
    command.add_argument('--fix-others', action='store_true',
                         help='fix moving parts that match no joint of the category')


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if options.dataset is None:
        if not options.objects:
            raise ValueError('name the folders of the objects, or a --dataset')
        if options.root or options.split:
            raise ValueError(f'{"--root" if options.root else "--split"} goes with --dataset')
        return
    if options.root is None:
        raise ValueError('--dataset needs --root, the data set\'s folder')
    for name, default in FOLDER_OPTIONS.items():
        if getattr(options, name) != default:
            given = 'a DIR' if name == 'objects' else '--' + name.replace('_', '-')
            raise ValueError(f'{given} is for folders of URDFs and does not go with --dataset')


def _import(options: argparse.Namespace) -> int:
    from kinediff3d_core.io.outputs import require_writable

    _check(options)
    require_writable(options.out, folder=True)
    category = _category(options)
    import torch
    from tqdm import tqdm

    from kinediff3d_core.data.object_import import ImportConfig, import_objects
    from kinediff3d_core.distributed.ranks import sharing
    from kinediff3d_core.io.files import write_text
    from kinediff3d_core.objects.category_file import FILE_NAME, category_yaml

    def on_error(error: ValueError) -> None:
        if not options.skip_bad and options.dataset is None:
            raise error
        print(f'skipped: {error}', file=sys.stderr)

    variants = options.variants or (VARIANTS if options.dataset is None else 1)
    config = ImportConfig(category, options.out, variants, options.views, options.seed)
    with sharing(torch.device('cpu')) as ranks:
        own = _load(options, category, ranks, on_error) if options.dataset is None else \
            _dataset_objects(options, category, ranks)
        found = ranks.total(len(own))  # No process writes before all objects are checked.
        if not found:
            raise ValueError('no object could be imported')
        if ranks.first:
            write_text(options.out / FILE_NAME, category_yaml(category))
        with tqdm(total=len(own) * variants, desc='import',
                  disable=None if ranks.first else True) as bar:
            done = import_objects(own, config, on_error, bar.update)
        done = ranks.total(done)
        if not done:
            raise ValueError('no object could be imported')
        if ranks.first:
            print(f'{done} samples of {found} objects are in {options.out}; train with '
                  f'"kinediff3d train all --data {options.out} --out runs"')
    return DONE


def _dataset_objects(options: argparse.Namespace, category: Category, ranks: Ranks,
                     ) -> dict[int, TrainingObject]:
    """The data set's objects that this process imports, by their number in the whole list.

    Raises:
        ValueError: no such data set or split, or none of its objects can be trained on.
    """
    from kinediff3d_core.data.datasets.readers import open_dataset
    from kinediff3d_core.data.object_import import DatasetTrainingObject

    dataset = open_dataset(options.dataset, options.root, options.split)
    split = options.split or (TRAIN if TRAIN in dataset.splits else dataset.splits[0])
    if split != (options.split or dataset.splits[0]):
        dataset = open_dataset(options.dataset, options.root, split)
    for line in dataset.left_out if ranks.first else ():
        print(f'left out: {line}', file=sys.stderr)
    names = dataset.objects(category.name)
    if not names:
        has = ', '.join(dataset.categories) or 'no category of ours'
        raise ValueError(f'data set {options.dataset!r} has no shapes of a {category.name} in '
                         f'split {split!r}, which has {has}: it cannot be trained on')
    source = (options.dataset, str(options.root.resolve()), split)
    return {i: DatasetTrainingObject(dataset, source, names[i])
            for i in ranks.share(range(len(names)))}


def _category(options: argparse.Namespace) -> Category:
    """The category of the objects; --out must not have samples of another one."""
    from kinediff3d_core.objects.category import get_category
    from kinediff3d_core.objects.category_file import FILE_NAME, add_category, read_category

    category = get_category(options.category) if options.category_file is None else \
        add_category(read_category(options.category_file))
    written = options.out / FILE_NAME
    if written.is_file() and read_category(written) != category:
        raise ValueError(f'{options.out} has samples of another category, or of another version '
                         f'of {category.name!r}: choose another --out')
    return category


def _load(options: argparse.Namespace, category: Category, ranks: Ranks,
          on_error: Callable[[ValueError], object]) -> dict[int, TrainingObject]:
    """The objects that this process imports, all checked, by their number in the whole list."""
    from kinediff3d_core.data.mesh_objects import category_of, list_objects, name_of
    from kinediff3d_core.data.object_import import MeshTrainingObject
    from kinediff3d_core.data.placement import Placement

    roll, pitch, yaw = (radians(a) for a in options.rpy)
    placement = Placement((roll, pitch, yaw), options.metres_per_unit, options.zero == 'lower',
                          options.fix_others)
    folders = [f for root in options.objects for f in list_objects(root)]
    folders = [f for f in folders if category_of(f) == category.name] or folders
    names = [name_of(f) for f in folders]
    duplicates = sorted({n for n in names if names.count(n) > 1})
    if duplicates:
        raise ValueError(f'two objects have the name {duplicates[0]!r}')
    objects: dict[int, TrainingObject] = {}
    for i in ranks.share(range(len(folders))):
        try:
            objects[i] = MeshTrainingObject(
                _load_object(folders[i], category, placement))
        except ValueError as error:
            on_error(error)
    return objects


def _load_object(folder: Path, category: Category, placement: Placement) -> MeshObject:
    """The object of a folder; it must have about the size of its category."""
    from kinediff3d_core.data.mesh_objects import load_object

    obj = load_object(folder, category, placement)
    sizes = [float(((high - low) ** 2).sum() ** 0.5) for low, high in obj.bounds]
    if not SMALLEST <= sizes[0] / category.scale <= LARGEST:
        raise ValueError(f'{folder}: its base measures {sizes[0]:.3g} m from corner to corner, '
                         f'the scale of {category.name!r} is {category.scale:g} m; see '
                         '--metres-per-unit')
    if sizes[0] >= LIKELY_LARGEST * category.scale:
        print(f'kinediff3d: warning: {folder}: its base measures {sizes[0]:.3g} m from corner to '
              f'corner, {sizes[0] / category.scale:.0f} times the scale of {category.name!r} '
              f'({category.scale:g} m): if it is smaller, give --metres-per-unit',
              file=sys.stderr)
    for part, size in zip(obj.parts[1:], sizes[1:], strict=True):
        if not SMALLEST_PART <= size / category.scale <= LARGEST or \
                max(size, sizes[0]) > LARGEST_RATIO * min(size, sizes[0]):
            raise ValueError(f'{folder}: its part {part!r} measures {size:.3g} m from corner to '
                             f'corner, its base {sizes[0]:.3g} m: its mesh is in another unit '
                             '(scale="0.001 0.001 0.001" in the URDF makes mm of it)')
    return obj
