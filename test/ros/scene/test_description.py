"""The files of robot_description."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from estimates import box_mesh, laptop_estimate

from kinediff3d_ros.scene.description import (
    KEPT_MOST,
    KEPT_SECONDS,
    RETIRED,
    DescriptionFiles,
    default_directory,
)


def files_in(folder: Path) -> DescriptionFiles:
    return DescriptionFiles(folder, '/left/laptop', 'laptop')


def versions(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / 'left/laptop').iterdir())


def test_unchanged_meshes_are_linked(tmp_path: Path) -> None:
    files, estimate = files_in(tmp_path), laptop_estimate(1.0)
    files.write(estimate, 'a')
    urdf = files.write(estimate, 'b')
    lid = tmp_path / 'left/laptop/b/meshes/lid.obj'
    assert lid.as_uri() in urdf and lid.samefile(tmp_path / 'left/laptop/a/meshes/lid.obj')
    # A new mesh is written.
    base, lid_part = estimate.parts
    other = replace(estimate, parts=(base, replace(lid_part, mesh=box_mesh((0.1, 0.1, 0.1)))))
    files.write(other, 'c')
    new = tmp_path / 'left/laptop/c/meshes'
    assert not lid.samefile(new / 'lid.obj')
    assert lid.with_name('base.obj').samefile(new / 'base.obj')


def test_a_version_is_kept_for_a_time_after_it_was_replaced(tmp_path: Path) -> None:
    """A late viewer of the newest version has its meshes however old they are."""
    files, estimate, now = files_in(tmp_path), laptop_estimate(1.0), time.time()
    ages = {'a': 9 * KEPT_SECONDS, 'b': KEPT_SECONDS + 100, 'c': KEPT_SECONDS - 100}
    for name in ages:
        files.write(estimate, name)
    for name, age in ages.items():
        os.utime(tmp_path / 'left/laptop' / name, (now - age, now - age))
    assert versions(tmp_path) == ['a', 'b', 'c']
    files.write(estimate, 'd')
    # b was replaced by c less than that time ago, a by b longer ago.
    assert versions(tmp_path) == ['b', 'c', 'd']


def test_there_are_not_too_many_versions(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    bare = laptop_estimate(1.0)
    bare = replace(bare, parts=tuple(replace(p, mesh=None) for p in bare.parts))
    for i in range(KEPT_MOST + 2):
        files.write(bare, f'v{i:02}')
    assert versions(tmp_path) == [f'v{i:02}' for i in range(2, KEPT_MOST + 2)]


def test_a_version_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    """Stamps come again when a recording repeats; viewers cache meshes by their addresses."""
    first, again = (files_in(tmp_path).write(laptop_estimate(1.0), 'a') for _ in range(2))
    assert versions(tmp_path) == ['a', 'a-2'] and first != again


def test_nodes_of_two_namespaces_have_two_folders(tmp_path: Path) -> None:
    for topics in ('/left/laptop/', '/right/laptop/'):
        DescriptionFiles(tmp_path, topics, 'laptop').write(laptop_estimate(1.0), 'a')
    assert (tmp_path / 'left/laptop/a').is_dir() and (tmp_path / 'right/laptop/a').is_dir()


def test_files_of_an_object_that_is_gone_are_deleted_after_a_time(tmp_path: Path) -> None:
    """A segmenter may number its objects on and on."""
    estimate, before = laptop_estimate(1.0), time.time() - KEPT_SECONDS - 1
    files = {i: DescriptionFiles(tmp_path, f'/left/box_{i}', f'box_{i}') for i in range(4)}
    for i in (0, 1, 2):
        files[i].write(estimate, 'a')
    for i in (0, 1):
        files[i].retire()
    os.utime(tmp_path / 'left/box_0' / RETIRED, (before, before))
    files[3].write(estimate, 'a')
    assert sorted(p.name for p in (tmp_path / 'left').iterdir()) == ['box_1', 'box_2', 'box_3']
    # One that comes again stays.
    os.utime(tmp_path / 'left/box_1' / RETIRED, (before, before))
    files[1].write(estimate, 'b')
    files[3].write(estimate, 'b')
    assert (tmp_path / 'left/box_1/b').is_dir()


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Files cannot grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_versions_before(tmp_path: Path) -> None:
    files, estimate = files_in(tmp_path), laptop_estimate(1.0)
    files.write(estimate, 'a')
    other = replace(estimate, parts=tuple(
        replace(p, mesh=box_mesh((0.1, 0.1, 0.1))) for p in estimate.parts))
    with full_disk(100), pytest.raises(OSError):
        files.write(other, 'b')
    assert versions(tmp_path) == ['a']
    files.write(other, 'b')
    assert versions(tmp_path) == ['a', 'b']


def test_meshes_are_written_where_they_cannot_be_linked(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source, target):
        raise OSError('no links')

    files, estimate = files_in(tmp_path), laptop_estimate(1.0)
    files.write(estimate, 'a')
    monkeypatch.setattr(os, 'link', refuse)
    files.write(estimate, 'b')
    a, b = (tmp_path / 'left/laptop' / v / 'meshes/lid.obj' for v in 'ab')
    assert a.read_text() == b.read_text() and not a.samefile(b)


def test_parts_without_a_mesh_have_no_file(tmp_path: Path) -> None:
    estimate = laptop_estimate(1.0)
    bare = replace(estimate, parts=(estimate.parts[0], replace(estimate.parts[1], mesh=None)))
    files_in(tmp_path).write(bare, 'a', pieces=8)
    assert sorted(p.name for p in (tmp_path / 'left/laptop/a/meshes').iterdir()) == [
        'base.obj', 'base_collision_0.obj']


def test_the_file_names_its_meshes_by_relative_paths(tmp_path: Path) -> None:
    text = files_in(tmp_path).write(laptop_estimate(1.0), 'a', 'package://mine/x', 8)
    assert 'package://mine/x/left/laptop/a/meshes/lid_collision_0.obj' in text
    file = (tmp_path / 'left/laptop/a/object.urdf').read_text()
    assert 'filename="meshes/lid_collision_0.obj"' in file and 'package:' not in file


def test_the_default_directory_is_that_of_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_HOME', '/somewhere')
    assert default_directory() == Path('/somewhere/kinediff3d')
    monkeypatch.delenv('ROS_HOME')
    assert default_directory() == Path.home() / '.ros/kinediff3d'
