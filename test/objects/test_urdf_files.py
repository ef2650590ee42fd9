"""Where a URDF and its meshes are."""

import pytest

from kinediff3d_core.objects.urdf_files import find_urdf, mesh_file, object_folder


def write(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text('')


def test_a_folder_has_one_urdf(tmp_path):
    with pytest.raises(ValueError, match='exactly one .*it has 0'):
        find_urdf(tmp_path)
    write(tmp_path, 'b.urdf')
    assert find_urdf(tmp_path).name == 'b.urdf'
    write(tmp_path, 'c.urdf')
    with pytest.raises(ValueError, match='it has 2.*name one, such as .*b.urdf'):
        find_urdf(tmp_path)
    write(tmp_path, 'mobility.urdf')
    assert find_urdf(tmp_path).name == 'mobility.urdf'
    assert find_urdf(tmp_path / 'c.urdf').name == 'c.urdf'
    write(tmp_path, 'c.xml')
    with pytest.raises(ValueError, match='not a .urdf'):
        find_urdf(tmp_path / 'c.xml')


def test_the_urdf_with_the_folders_name_counts(tmp_path):
    for name in ('laptop_1.urdf', 'other.urdf'):
        write(tmp_path / 'laptop_1', name)
    assert find_urdf(tmp_path / 'laptop_1').name == 'laptop_1.urdf'


@pytest.mark.parametrize('name', ['box.urdf.xacro', 'BOX.URDF.XACRO'])
def test_xacro_is_named(tmp_path, name):
    write(tmp_path, f'urdf/{name}')
    with pytest.raises(ValueError, match=f'it has 0; .*{name} is xacro: expand it'):
        find_urdf(tmp_path)


@pytest.mark.parametrize('name', ['package://laptop_1/meshes/a.obj', '../meshes/a.obj',
                                  'meshes/a.obj', 'model://laptop_1/meshes/a.obj',
                                  'package://other_name/meshes/a.obj', '..\\meshes\\a.obj'])
def test_the_layout_of_ros_packages(tmp_path, name):
    package = tmp_path / 'laptop_1'
    for file in ('urdf/l.urdf', 'meshes/a.obj', 'package.xml'):
        write(package, file)
    write(tmp_path, 'outside.obj')
    for place in (package, package / 'urdf', package / 'urdf' / 'l.urdf'):
        assert object_folder(place) == package
        source = find_urdf(place)
        assert mesh_file(source, name) == (package / 'meshes' / 'a.obj').resolve()
        assert mesh_file(source, name.replace('a.obj', 'b.obj')) is None
        with pytest.raises(ValueError, match='outside'):
            mesh_file(source, '../../outside.obj')
