"""Where a URDF and its meshes are: an object's folder, or a ROS package.

The URDF lies in the folder itself or in ``urdf/`` or ``robots/`` of it. No mesh outside the folder
is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

SUBFOLDERS = ('urdf', 'robots')
"""Folders of a ROS package that hold its URDFs."""
PREFERRED = 'mobility.urdf'
"""Name in PartNet-Mobility, which has further URDFs in some folders."""
NAMED = 4
"""Most URDFs that a message names."""
LONGEST_NAME = 4096
"""Longest name of a mesh, characters: of a path in Linux."""
MOST_FILES = 10_000
"""Most files that are looked at for a hint. Chosen: bounds time."""


def find_urdfs(folder: Path) -> list[Path]:
    """The URDFs of a folder, or of its subfolders ``urdf`` and ``robots``, sorted."""
    for place in (folder, *(folder / name for name in SUBFOLDERS)):
        found = sorted(p for p in place.glob('*.[uU][rR][dD][fF]') if p.is_file())
        if found:
            return found
    return []


def find_urdf(path: Path) -> Path:
    """The URDF of a folder, or the path itself where it is a ``.urdf`` file.

    Of several, ``mobility.urdf`` as in PartNet-Mobility, or the one with the folder's name.

    Raises:
        ValueError: none, or several others.
    """
    if path.is_file():
        if path.suffix.lower() != '.urdf':
            hint = deeper_hint(path.parent) if path.suffix.lower() == '.xacro' else ''
            raise ValueError(f'{path} is not a .urdf file{hint}')
        return path
    urdfs = find_urdfs(path)
    own = f'{object_folder(path).resolve().name}.urdf'
    for name in (PREFERRED, own):
        urdfs = [p for p in urdfs if p.name.lower() == name.lower()] or urdfs
    if len(urdfs) == 1:
        return urdfs[0]
    if urdfs:
        names = ', '.join(p.name for p in urdfs[:NAMED])
        raise ValueError(f'{path} must hold exactly one *.urdf, it has {len(urdfs)} ({names}); '
                         f'name one, such as {urdfs[0]}')
    raise ValueError(f'{path} must hold exactly one *.urdf, it has 0{deeper_hint(path)}')


def deeper_hint(folder: Path) -> str:
    """What to do with a xacro file, or a URDF in another place, of a folder; '' if it has none."""
    files = list(islice(folder.rglob('*'), MOST_FILES))
    for file in sorted(p for p in files if p.suffix.lower() == '.urdf'):
        return f'; name the file itself: {file}'
    for file in sorted(p for p in files if p.suffix.lower() == '.xacro'):
        urdf = f'{file.name.split(".")[0]}.urdf'
        return f'; {file} is xacro: expand it with "xacro {file.name} > {urdf}"'
    return ''


def object_folder(path: Path) -> Path:
    """The folder of an object: of a URDF, of its ``urdf`` folder, or the path itself."""
    folder = path.parent if path.suffix.lower() == '.urdf' and not path.is_dir() else path
    return folder.resolve().parent if folder.resolve().name in SUBFOLDERS else folder


def mesh_file(source: Path, name: str) -> Path | None:
    """The mesh that a URDF names; None where it does not exist.

    Args:
        source: the URDF.
        name: a path relative to it, or ``package://``, ``model://`` or ``file://``.

    Raises:
        ValueError: outside the object's folder.
    """
    root = object_folder(source).resolve()
    inside = False
    for candidate in _candidates(source.resolve().parent, root, name):
        file = candidate.resolve()
        if file.is_relative_to(root):
            inside = True
            if file.is_file():
                return file
    if not inside:
        raise ValueError(f'{source}: mesh {name[:80]!r} lies outside the object\'s folder {root}')
    return None


def other_spelling(source: Path, name: str) -> str:
    """The mesh whose name differs from a missing one's in capitals alone; '' without one."""
    root = object_folder(source).resolve()
    for candidate in _candidates(source.resolve().parent, root, name):
        folder = candidate.parent.resolve()
        if folder.is_relative_to(root) and folder.is_dir():
            for file in islice(folder.iterdir(), MOST_FILES):
                if file.name.lower() == candidate.name.lower():
                    return file.name
    return ''


def _candidates(folder: Path, root: Path, name: str) -> Iterator[Path]:
    """Where the mesh may be, the likeliest first."""
    scheme, _, rest = name.replace('\\', '/').rpartition('://')
    if '\0' in unquote(rest) or len(rest) > LONGEST_NAME:
        return
    for plain in dict.fromkeys((rest, unquote(rest))):
        yield folder / plain
        yield root / plain
        if scheme in ('package', 'model'):  # the first part is a package's name
            yield root.joinpath(*PurePosixPath(plain).parts[1:])
