"""A user's own category as a YAML file with the fields of :class:`Category`.

    name: toolbox              # lower-case letters, digits and "-"
    parts: [base, lid]         # the base first
    joints:                    # one for each moving part, in the order of the parts
      - {part: lid, parent: base, type: revolute, axis: [0, -1, 0], limits: [0, 1.8]}
    scale: 0.3                 # metres per canonical unit: about half the size of an object
    test_range: [0, 1.6]       # joint positions of test views; default: all limits
    train_range: [0, 1.8]      # joint positions of training views; default: all limits
    azimuth: 3.15              # greatest angle of the camera from the front (+x); default: pi
    optional_parts: []         # moving parts that may be missing, in any combination; or a list of
                               # lists: the sets of moving parts that objects have; default: none
    density: 700               # kg/m^3 of what a part's mesh encloses; default: that of wood
    wall: 0.03                 # greatest thickness of the walls of hollow parts, m; default: solid

Lengths are metres, angles radians. The file is ``category.yaml`` in the folder of the weights.
"""

from __future__ import annotations

import re
from itertools import combinations
from math import isfinite, pi
from pathlib import Path
from typing import Any

import yaml

from kinediff3d_core.geometry.kinematics import JOINT_TYPES, Joint
from kinediff3d_core.objects.category import CATEGORIES, DEFAULT_DENSITY, Category
from kinediff3d_core.objects.suggestion import did_you_mean

FILE_NAME = 'category.yaml'
MAX_BYTES = 64 * 2**10
"""Largest file. Chosen: a hundred times what a category needs."""
MAX_PARTS = 16
"""Most parts. Chosen."""
MAX_OPTIONAL = 6
"""Most parts that may be missing in any combination: 64 sets. Chosen."""
RESERVED = ('all', 'auto')
"""Names that have another meaning in commands."""
REQUIRED = ('name', 'parts', 'joints', 'scale')
FIELDS = (*REQUIRED, 'test_range', 'train_range', 'azimuth', 'optional_parts', 'density',
          'wall')
RANGES = {'scale': (1e-3, 100.0), 'azimuth': (0.05, 3.2), 'density': (1.0, 3e4),
          'wall': (1e-5, 10.0)}
"""Least and greatest value of a field, in its unit. Chosen: beyond them are other units."""
MOST_AXIS, LEAST_AXIS = 1e3, 1e-6
"""Greatest number in an axis, and the length below which it has no direction. Chosen."""
UNIT_TOLERANCE = 1e-9
"""An axis whose length is so near to one keeps its digits. Chosen: rounding."""
MOST_POSITION = 100.0
"""Greatest joint position, rad or m. Chosen."""
JOINT_FIELDS = ('part', 'parent', 'type', 'axis', 'limits')


def read_category(path: Path) -> Category:
    """The category that a YAML file describes.

    Raises:
        ValueError: no such file, not YAML, or a field that is missing, unknown or wrong. The
            message is one line that names the file and the field.
    """
    if not path.is_file():
        raise ValueError(f'category file {path} does not exist')
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f'{path} has more than {MAX_BYTES} bytes')
    try:
        fields = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f'{path} is not YAML: {" ".join(str(error).split())}') from error
    try:
        return _category(fields)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def category_yaml(category: Category) -> str:
    """The text of the file that :func:`read_category` reads."""
    parts = category.parts
    return str(yaml.safe_dump({
        'name': category.name, 'parts': list(parts),
        'joints': [{'part': parts[j.child], 'parent': parts[j.parent], 'type': j.joint_type,
                    'axis': list(j.axis), 'limits': [j.lower, j.upper]} for j in category.joints],
        'scale': category.scale, 'test_range': list(category.test_range),
        'train_range': list(category.train_range), 'azimuth': category.azimuth,
        'optional_parts': [[parts[k] for k in chosen] for chosen in category.part_sets],
        'density': category.density,
        'wall': category.wall}, sort_keys=False))


def add_category(category: Category) -> Category:
    """Add a category to ``CATEGORIES``, for this process.

    Raises:
        ValueError: another category has that name.
    """
    if CATEGORIES.setdefault(category.name, category) != category:
        raise ValueError(f'there is another category {category.name!r}: choose another name')
    return category


def add_own_categories(folder: Path) -> None:
    """Add the categories whose files are in a folder of weights or in its subfolders.

    Raises:
        ValueError: there is no such folder, or a file that describes no category.
    """
    if not folder.is_dir():
        raise ValueError(f'weights {folder} is not a folder')
    for path in (folder / FILE_NAME, *sorted(folder.glob(f'*/{FILE_NAME}'))):
        if path.is_file():
            add_category(read_category(path))


def _category(fields: Any) -> Category:
    _require_fields(fields, 'the file', FIELDS, REQUIRED)
    name, parts = _category_name(fields['name']), _part_names(fields['parts'])
    listed = fields['joints']
    if not isinstance(listed, list) or len(listed) != len(parts) - 1:
        raise ValueError(f'joints must be a list of {len(parts) - 1}, one for each part after the '
                         'base')
    joints = tuple(_joint(j, i, parts) for i, j in enumerate(listed, start=1))
    all_limits = min(j.lower for j in joints), max(j.upper for j in joints)
    test, train = (_pair(fields[key], key) if key in fields else all_limits
                   for key in ('test_range', 'train_range'))
    part_sets = _part_sets(fields.get('optional_parts', []), parts, joints)
    scale = _number(fields['scale'], 'scale', *RANGES['scale'])
    azimuth = _number(fields.get('azimuth', pi), 'azimuth', *RANGES['azimuth'])
    density = _number(fields.get('density', DEFAULT_DENSITY), 'density', *RANGES['density'])
    wall = fields.get('wall')
    if wall is not None:
        wall = _number(wall, 'wall', *RANGES['wall'])
    return Category(name, tuple(parts), joints, scale, test, train, azimuth, part_sets,
                    density, wall)


def _category_name(name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch('[a-z][a-z0-9-]{0,63}', name) \
            or name in RESERVED:
        raise ValueError(f'name {name!r} must be lower-case letters, digits and "-", and none of '
                         f'{", ".join(RESERVED)}')
    return name


def _part_names(parts: Any) -> list[str]:
    if not isinstance(parts, list) or not 2 <= len(parts) <= MAX_PARTS or not all(
            isinstance(p, str) and re.fullmatch('[A-Za-z][A-Za-z0-9_]{0,63}', p) for p in parts):
        raise ValueError(f'parts must be 2 to {MAX_PARTS} names of letters, digits and "_", the '
                         f'base first; got {parts!r}')
    if len(set(parts)) < len(parts):
        raise ValueError(f'parts {parts!r} has a name twice')
    return parts


def _part_sets(given: Any, parts: list[str], joints: tuple[Joint, ...],
               ) -> tuple[tuple[int, ...], ...]:
    """The sets of moving parts that objects may have; empty where none may be missing."""
    if given is False:  # As files have it that were written before sets were known.
        given = []
    moving = parts[1:]
    if not isinstance(given, list):
        raise ValueError(f'optional_parts must be a list of moving parts that may be missing, or '
                         f'of the lists of them that objects have, as [[{moving[0]}], '
                         f'[{", ".join(moving)}]]; got {given!r}')
    nested = bool(given) and all(isinstance(names, list) for names in given)
    for name in [name for names in given for name in names] if nested else given:
        if name not in moving:
            raise ValueError(f'optional_parts names {name!r}{did_you_mean(str(name), moving)}; '
                             f'moving parts: {", ".join(moving)}')
    if nested:
        chosen = [{parts.index(name) for name in names} for names in given]
    else:
        if len(set(given)) > MAX_OPTIONAL:
            raise ValueError(f'optional_parts names {len(set(given))} parts, at most '
                             f'{MAX_OPTIONAL} may be missing in any combination; list the sets')
        chosen = _subsets({parts.index(name) for name in given}, len(parts), joints)
    return _checked_sets(chosen, parts, joints)


def _subsets(optional: set[int], parts: int, joints: tuple[Joint, ...]) -> list[set[int]]:
    """All sets of moving parts in which any of the optional ones, but not all, are missing.

    A part cannot be there without the part that it hangs on.
    """
    whole = set(range(1, parts))
    every = [whole - set(gone) for count in range(len(optional) + 1)
             for gone in combinations(sorted(optional), count)]
    return [kept for kept in every if kept and _complete(kept, joints)] if optional else []


def _complete(kept: set[int], joints: tuple[Joint, ...]) -> bool:
    return all(j.parent == 0 or j.parent in kept for j in joints if j.child in kept)


def _checked_sets(chosen: list[set[int]], parts: list[str], joints: tuple[Joint, ...],
                  ) -> tuple[tuple[int, ...], ...]:
    """The sets in order, each once; none where the only one has all parts."""
    for kept in chosen:
        if not kept or not _complete(kept, joints):
            names = ', '.join(parts[k] for k in sorted(kept))
            raise ValueError(f'optional_parts has the set [{names}]: it needs at least one part, '
                             'and with each part the one that it hangs on')
    found = tuple(sorted({tuple(sorted(kept)) for kept in chosen}))
    return () if found == (tuple(range(1, len(parts))),) else found


def _joint(fields: Any, child: int, parts: list[str]) -> Joint:
    part = parts[child]
    where = f'the joint of part {part!r}'
    _require_fields(fields, where, JOINT_FIELDS, JOINT_FIELDS)
    if fields['part'] != part:
        raise ValueError(f'{where} is missing in that place: joints come in the order of the '
                         f'parts, got {fields["part"]!r}{did_you_mean(fields["part"], parts)}')
    if fields['parent'] not in parts[:child]:
        raise ValueError(f'{where} has the parent {fields["parent"]!r}'
                         f'{did_you_mean(fields["parent"], parts[:child])}; it must be one of '
                         f'{", ".join(parts[:child])}')
    if fields['type'] not in JOINT_TYPES:
        raise ValueError(f'{where} has the type {fields["type"]!r}'
                         f'{did_you_mean(fields["type"], JOINT_TYPES)}; known: '
                         f'{", ".join(JOINT_TYPES)}')
    axis = fields['axis']
    if not isinstance(axis, list) or len(axis) != 3:
        raise ValueError(f'{where}: axis must be three numbers, got {axis!r}')
    x, y, z = (_number(a, f'{where}: axis', -MOST_AXIS, MOST_AXIS) for a in axis)
    length = (x * x + y * y + z * z) ** 0.5
    if length < LEAST_AXIS:
        raise ValueError(f'{where}: axis {axis!r} has no direction')
    if abs(length - 1) < UNIT_TOLERANCE:
        length = 1.0
    lower, upper = _pair(fields['limits'], f'{where}: limits')
    return Joint(f'{part}_joint', fields['type'], parts.index(fields['parent']), child,
                 (x / length, y / length, z / length), lower, upper)


def _require_fields(fields: Any, where: str, known: tuple[str, ...],
                    required: tuple[str, ...]) -> None:
    if not isinstance(fields, dict):
        raise ValueError(f'{where} must have the fields {", ".join(known)}')
    unknown = [str(key) for key in fields if key not in known]
    missing = [key for key in required if key not in fields]
    if unknown or missing:
        wrong = ['lacks ' + ', '.join(missing)] if missing else []
        if unknown:
            wrong.append('has unknown ' + ', '.join(
                f'{key}{did_you_mean(key, known)}' for key in unknown))
        raise ValueError(f'{where} {" and ".join(wrong)}; fields: {", ".join(known)}')


def _number(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) \
            or not low <= value <= high:
        raise ValueError(f'{what} must be a number from {low:g} to {high:g}, got {value!r}')
    return float(value)


def _pair(value: Any, what: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f'{what} must be two numbers, got {value!r}')
    low, high = (_number(v, what, -MOST_POSITION, MOST_POSITION) for v in value)
    if low >= high:
        raise ValueError(f'{what} must increase, got {value!r}')
    return low, high
