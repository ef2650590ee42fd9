"""What package.xml, setup.py, constraints.txt and the docs say about dependencies agrees."""

from __future__ import annotations

import ast
import re
import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).parents[1]

ROSDEP = {
    'defusedxml': 'python3-defusedxml', 'fast-simplification': None,
    'matplotlib': 'python3-matplotlib', 'numpy': 'python3-numpy', 'open3d': 'python3-open3d-pip',
    'pillow': 'python3-pil', 'pyyaml': 'python3-yaml', 'roma': None, 'safetensors': None,
    'scikit-image': 'python3-skimage', 'scipy': 'python3-scipy', 'torch': 'python3-pytorch-pip',
    'torchdiffeq': None, 'tqdm': 'python3-tqdm', 'trimesh': 'python3-trimesh-pip',
    'yourdfpy': 'python3-yourdfpy-pip',
}
"""rosdep's key of each requirement in setup.py, as rosdistro's rosdep/python.yaml has it; None
where there is no key. A key that ends in -pip is no package of the distribution."""

BY_PIP = {name for name, key in ROSDEP.items() if key is None or key.endswith('-pip')}
"""What pip has to install on a machine with ROS."""

SYSTEM_LIBRARIES = {'libusb-1.0'}
"""Libraries that a wheel needs from the distribution."""

COLCON_LIMITS = {'numpy<2', 'setuptools<80'}
"""ROS Jazzy's extension modules on Ubuntu 24.04 need numpy 1; colcon needs a setuptools that links
a package (``--symlink-install``)."""


def name_of(requirement: str) -> str:
    return re.match(r'[A-Za-z0-9_.-]+', requirement)[0].lower().replace('_', '-')


@pytest.fixture(scope='module')
def setup() -> dict:
    """Arguments of ``setup()`` in setup.py."""
    arguments: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, 'setup', arguments.update)
        runpy.run_path('setup.py')
    return arguments


@pytest.fixture(scope='module')
def package() -> ET.Element:
    return ET.parse(ROOT / 'package.xml').getroot()


def keys(package: ET.Element, kind: str) -> set[str]:
    return {element.text for element in package.findall(kind)}


def imported(*folders: str) -> set[str]:
    """Packages that the files import by an absolute name."""
    names = set()
    for file in (f for folder in folders for f in (ROOT / folder).rglob('*.py')):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split('.')[0])
    return names


def test_both_files_describe_the_same_package(setup: dict, package: ET.Element) -> None:
    maintainer = package.find('maintainer')
    assert (package.findtext('name'), package.findtext('version'), package.findtext('license'),
            maintainer.text, maintainer.get('email')) == (
        setup['name'], setup['version'], setup['license'], setup['maintainer'],
        setup['maintainer_email'])
    assert (ROOT / package.find('license').get('file')).is_file()
    assert (ROOT / 'resource' / setup['name']).is_file()
    assert f"## [{setup['version']}]" in (ROOT / 'CHANGELOG.md').read_text()


def test_python_requirements_are_in_package_xml_where_rosdep_knows_them(
        setup: dict, package: ET.Element) -> None:
    assert {name_of(r) for r in setup['install_requires']} == set(ROSDEP)
    python = {key for key in keys(package, 'exec_depend') if key.startswith('python3-')}
    assert python == set(ROSDEP.values()) - {None}


def test_ros_packages_that_are_imported_or_started_are_in_package_xml(package: ET.Element) -> None:
    ros = {key for key in keys(package, 'exec_depend') - SYSTEM_LIBRARIES
           if not key.startswith('python3-')}
    launch_files = ''.join(f.read_text() for f in (ROOT / 'launch').glob('*.py'))
    started = set(re.findall(r"package='(\w+)'", launch_files)) - {'kinediff3d_ros'}
    used = (imported('kinediff3d_ros', 'launch') & ros) | started
    assert used == ros, 'declared and not used, or started and not declared'
    wheels = (ROOT / 'requirements-ros.txt').read_text()
    messages = {m.replace('-', '_') for m in re.findall(r'^ros-([a-z-]+_?msgs|std-srvs)=', wheels,
                                                        re.MULTILINE)}
    assert messages <= ros
    unknown = {name for name in imported('kinediff3d_ros', 'launch')
               if re.search('_msgs$|_srvs$|^tf2_|^rcl|^launch|^ament|_interfaces$', name)} - ros
    assert not unknown


def test_every_requirement_has_one_version_in_the_constraints(setup: dict) -> None:
    lines = [line for line in (ROOT / 'constraints.txt').read_text().splitlines()
             if line and not line.startswith('#')]
    assert all(re.fullmatch(r'[\w.-]+==[\w.]+', line) for line in lines)
    names = [name_of(line) for line in lines]
    assert len(names) == len(set(names))
    extras = {name_of(r) for rs in setup['extras_require'].values() for r in rs}
    assert {name_of(r) for r in setup['install_requires']} | extras <= set(names)


def test_the_readme_installs_beside_ros_what_pip_has_to_install(setup: dict) -> None:
    text = (ROOT / 'README.md').read_text().replace('\\\n', '')
    [skipped] = re.findall(r'--skip-keys "([^"]*)"', text)
    assert set(skipped.split()) == {k for k in ROSDEP.values() if k and k.endswith('-pip')}
    [command] = re.findall(r"^pip install ('numpy.*)$", text, re.MULTILINE)
    words = command.replace("'", '').split()
    assert COLCON_LIMITS <= set(words)
    assert {name_of(word) for word in words} == BY_PIP | {name_of(r) for r in COLCON_LIMITS}
    upper = [r for r in setup['install_requires'] if '<' in r]
    assert upper and set(upper) <= set(words)
