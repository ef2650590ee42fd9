"""The files of robot_description."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from estimates import box_mesh, laptop_estimate

from kinediff3d_ros.scene.description import DescriptionFiles, default_directory


def test_versions_link_unchanged_meshes_and_the_oldest_is_deleted(tmp_path: Path) -> None:
    files, estimate = DescriptionFiles(tmp_path, 'kitchen_4'), laptop_estimate(1.0)
    folder = tmp_path / 'kitchen_4'
    for i in range(4):
        urdf = files.write(estimate, f'v{i}')
        os.utime(folder / f'v{i}', (i, i))
    assert sorted(p.name for p in folder.iterdir()) == ['v1', 'v2', 'v3']
    lid = folder / 'v3/meshes/lid.obj'
    for text in (urdf, (folder / 'v3/object.urdf').read_text()):
        assert '<robot name="kitchen_4">' in text and '<link name="kitchen_4_lid">' in text
    assert lid.as_uri() in urdf and lid.samefile(folder / 'v2/meshes/lid.obj')
    # A new mesh is written.
    base, lid_part = estimate.parts
    other = replace(estimate, parts=(base, replace(lid_part, mesh=box_mesh((0.1, 0.1, 0.1)))))
    files.write(other, 'v4')
    assert not lid.samefile(folder / 'v4/meshes/lid.obj')
    assert lid.with_name('base.obj').samefile(folder / 'v4/meshes/base.obj')


def test_meshes_are_written_where_they_cannot_be_linked(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source, target):
        raise OSError('no links')

    files, estimate = DescriptionFiles(tmp_path, 'laptop'), laptop_estimate(1.0)
    files.write(estimate, 'a')
    monkeypatch.setattr(os, 'link', refuse)
    files.write(estimate, 'b')
    a, b = (tmp_path / 'laptop' / v / 'meshes/lid.obj' for v in 'ab')
    assert a.read_text() == b.read_text() and not a.samefile(b)


def test_parts_without_a_mesh_have_no_file(tmp_path: Path) -> None:
    estimate = laptop_estimate(1.0)
    bare = replace(estimate, parts=(estimate.parts[0], replace(estimate.parts[1], mesh=None)))
    DescriptionFiles(tmp_path, 'laptop').write(bare, 'a')
    assert [p.name for p in (tmp_path / 'laptop/a/meshes').iterdir()] == ['base.obj']


def test_the_default_directory_is_that_of_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_HOME', '/somewhere')
    assert default_directory() == Path('/somewhere/kinediff3d')
    monkeypatch.delenv('ROS_HOME')
    assert default_directory() == Path.home() / '.ros/kinediff3d'
