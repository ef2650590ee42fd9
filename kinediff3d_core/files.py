"""What users have on disk: depth images, masks, camera info, clouds, and estimates.

Every reader refuses what it does not understand with one line that names the file, what was wrong
and what would be right. Nothing that is read is executed or unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    Mode,
    PartEstimate,
)
from kinediff3d_core.geometry import Intrinsics
from kinediff3d_core.urdf import write_text, write_urdf

Array = np.ndarray[Any, Any]

MAX_BYTES = 512 * 2**20
"""Largest file that is opened."""

MAX_PIXELS = 64 * 10**6
MAX_POINTS = 20_000_000

DEPTH_KINDS = '16-bit PNG or TIFF in millimetres, or 32-bit TIFF or .npy in metres'
CLOUD_KINDS = '.ply, .pcd, .npy or .npz'


def read_depth(path: Path | str) -> Array:
    """Depth image (H, W) float32 in metres; 0 where there is none.

    16-bit images (PNG, TIFF, ``.npy``) hold millimetres, floating ones metres.

    Raises:
        ValueError: missing or unreadable, 8-bit or colour, or of a wrong shape.
    """
    file = _checked(path, 'depth image')
    image = _load_npy(file, 'depth image') if file.suffix.lower() == '.npy' else \
        _load_image(file, 'depth image')
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim != 2:
        raise ValueError(f'{file}: a depth image has one channel, this has shape {image.shape}; '
                         f'expected a {DEPTH_KINDS}')
    if image.dtype.kind == 'f':
        depth = image.astype(np.float32)
    elif image.dtype.kind in 'ui' and image.dtype.itemsize >= 2:
        depth = (image.astype(np.float64) / 1000).astype(np.float32)
    else:
        raise ValueError(f'{file}: {8 * image.dtype.itemsize}-bit images cannot carry depth in '
                         f'metres; expected a {DEPTH_KINDS}')
    with np.errstate(invalid='ignore'):
        return np.asarray(np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0)))


def read_mask(path: Path | str) -> Array:
    """Mask (H, W) bool: true where the image (PNG, TIFF, ``.npy``) is not zero.

    Raises:
        ValueError: missing or unreadable, or true nowhere.
    """
    file = _checked(path, 'mask')
    image = _load_npy(file, 'mask') if file.suffix.lower() == '.npy' else _load_image(file, 'mask')
    if image.ndim == 3:
        image = np.asarray(image[..., :3].any(-1))
    if image.ndim != 2:
        raise ValueError(f'{file}: a mask is (H, W), this has shape {image.shape}')
    mask = np.asarray(image != 0)
    if not mask.any():
        raise ValueError(f'{file}: the mask is zero everywhere; pixels of the object must not be')
    return mask


def read_camera_info(path: Path | str, size: tuple[int, int] | None = None) -> Intrinsics:
    """Intrinsics from YAML or JSON.

    Understood are the keys of a ROS ``camera_info`` message or calibration file (``k``, ``K``,
    ``camera_matrix: {data: [...]}``, also ``p`` of rectified images), and ``fx fy cx cy``.

    Args:
        size: (width, height) to use where the file has none.

    Raises:
        ValueError: missing, unreadable, or without focal lengths, centre or size.
    """
    import yaml

    file = _checked(path, 'camera info')
    try:
        text = file.read_text(encoding='utf-8')
        content = json.loads(text) if file.suffix.lower() == '.json' else yaml.safe_load(text)
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'{file}: not readable as camera info ({reason})') from error
    if not isinstance(content, dict):
        raise ValueError(f'{file}: camera info must be a mapping with k or fx, fy, cx, cy')
    values = {str(key).lower(): value for key, value in content.items()}
    matrix = next((values[k] for k in ('k', 'camera_matrix', 'intrinsic_matrix') if k in values),
                  None)
    try:
        if all(k in values for k in ('fx', 'fy', 'cx', 'cy')):
            fx, fy, cx, cy = (float(values[k]) for k in ('fx', 'fy', 'cx', 'cy'))
        elif matrix is not None:
            data = matrix.get('data') if isinstance(matrix, dict) else matrix
            k = np.asarray(data, dtype=np.float64)
            if k.size != 9:
                raise ValueError(f'the camera matrix has {k.size} numbers, not 9')
            k = k.reshape(-1)
            if content.get('intrinsic_matrix') is matrix and abs(k[6]) > 1:
                k = k.reshape(3, 3).T.reshape(-1)  # Open3D writes it by columns.
            fx, fy, cx, cy = (float(k[i]) for i in (0, 4, 2, 5))
        else:
            raise ValueError(f'no k and no fx, fy, cx, cy among its keys '
                             f'({", ".join(sorted(values))})')
        width = values.get('width', values.get('image_width', size[0] if size else None))
        height = values.get('height', values.get('image_height', size[1] if size else None))
        if width is None or height is None:
            raise ValueError('width and height are missing')
        return Intrinsics(fx, fy, cx, cy, int(width), int(height))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{file}: {error}') from error


def read_cloud(path: Path | str) -> Array:
    """Points (N, 3) float32 in metres from ``.ply``, ``.pcd``, ``.npy`` or ``.npz`` ("points").

    Points with a coordinate that is not finite are left out.

    Raises:
        ValueError: missing, of another kind, damaged or empty.
    """
    file = _checked(path, 'cloud')
    kind = file.suffix.lower()
    readers: dict[str, Callable[[Path], Array]] = {
        '.ply': _load_ply, '.pcd': _load_pcd, '.npy': lambda f: _load_npy(f, 'cloud'),
        '.npz': _load_npz}
    if kind not in readers:
        raise ValueError(f'{file}: unknown kind of cloud {kind!r}; expected {CLOUD_KINDS}')
    points = readers[kind](file)
    if points.ndim == 3:
        points = points.reshape(-1, points.shape[-1])
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in 'fiu':
        raise ValueError(f'{file}: a cloud is (N, 3) numbers, this is {points.dtype} of shape '
                         f'{points.shape}')
    points = np.asarray(points[:, :3], dtype=np.float32)
    finite = np.isfinite(points).all(-1)
    if not finite.any():
        raise ValueError(f'{file}: the cloud has no finite point')
    return np.asarray(points[finite])


def write_estimate(estimate: ArticulatedEstimate, out_dir: Path | str) -> Path:
    """Write ``estimate.json``, ``object.urdf`` and ``meshes/<part>.obj`` into a folder.

    Returns:
        The path of ``estimate.json``, from which :func:`read_estimate` reads it all again.
    """
    out = Path(out_dir)
    write_urdf(estimate, out)
    content = estimate.to_dict()
    content['meshes'] = {p.name: f'meshes/{p.name}.obj' for p in estimate.parts
                         if p.mesh is not None}
    write_text(out / 'estimate.json', json.dumps(content, indent=1, allow_nan=False) + '\n')
    return out / 'estimate.json'


def read_estimate(path: Path | str) -> ArticulatedEstimate:
    """An estimate from ``estimate.json``, or from the folder that holds it, with its meshes.

    The points that were used are not stored.

    Raises:
        ValueError: missing or damaged.
    """
    file = Path(path)
    file = _checked(file / 'estimate.json' if file.is_dir() else file, 'estimate')
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        meshes = {name: _load_obj(file.parent, relative)
                  for name, relative in content.get('meshes', {}).items()}
        parts = tuple(PartEstimate(p['name'], _array(p['T_camera_part'], (4, 4)),
                                   meshes.get(p['name'])) for p in content['parts'])
        names = [p.name for p in parts]
        joints = tuple(JointEstimate(
            j['name'], j['joint_type'], names[names.index(j['parent'])],
            names[names.index(j['child'])], _array(j['origin'], (3,)), _array(j['axis'], (3,)),
            float(j['position']), float(j['limit']['lower']), float(j['limit']['upper']),
            float(j['std']), float(j['probability'])) for j in content['joints'])
        modes = tuple(Mode(float(m['weight']), _array(m['T_camera_base'], (4, 4)),
                           _array(m['positions'], (len(joints),)), float(m['residual']))
                      for m in content['modes'])
        return ArticulatedEstimate(
            str(content['category']), parts, joints, _array(content['covariance'], (6, 6)),
            float(content['residual']), float(content['confidence']), modes,
            _array(content['latent'], (len(content['latent']),)), np.zeros((0, 3)),
            {str(k): float(v) for k, v in content.get('seconds', {}).items()})
    except KeyError as error:
        raise ValueError(f'{file}: not an estimate ({error} is missing)') from error
    except (AttributeError, TypeError, ValueError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(reason if str(file.parent) in reason else
                         f'{file}: not an estimate ({reason})') from error


def _array(values: Any, shape: tuple[int, ...]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f'finite numbers of shape {shape} expected, got shape {array.shape}')
    return array


def _load_obj(folder: Path, relative: str) -> Mesh:
    """A mesh written by :func:`write_estimate`."""
    import trimesh

    root = folder.resolve()
    file = (root / relative).resolve()
    if not file.is_relative_to(root):
        raise ValueError(f'mesh {relative!r} lies outside {folder}')
    _checked(file, 'mesh')
    try:
        with file.open('rb') as stream:
            tm: Any = trimesh.load(stream, file_type='obj', force='mesh', process=False,
                                   maintain_order=True)
        return Mesh(np.asarray(tm.vertices), np.asarray(tm.faces))
    except Exception as error:  # trimesh raises whatever its parser stumbled over
        raise ValueError(f'{folder}: mesh {relative!r} is not readable '
                         f'({type(error).__name__})') from error


def _checked(path: Path | str, what: str) -> Path:
    """An existing, ordinary, not empty, not oversized file."""
    file = Path(path)
    if not file.exists():
        raise ValueError(f'{what} {file} does not exist')
    if not file.is_file():
        raise ValueError(f'{what} {file} is not a file')
    try:
        size = file.stat().st_size
        with file.open('rb'):
            pass
    except OSError as error:
        raise ValueError(f'{what} {file} cannot be read: {error.strerror}') from error
    if size == 0:
        raise ValueError(f'{what} {file} is empty')
    if size > MAX_BYTES:
        raise ValueError(f'{what} {file} has {size / 2**20:.0f} MiB, more than '
                         f'{MAX_BYTES / 2**20:.0f}')
    return file


def _load_image(file: Path, what: str) -> Array:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f'{file}: {image.width} x {image.height} pixels are more than '
                                 f'{MAX_PIXELS}')
            return np.asarray(image.convert('L') if image.mode == 'P' else image)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        wanted = DEPTH_KINDS if what == 'depth image' else 'PNG, TIFF or .npy'
        raise ValueError(f'{file}: not readable as a {what} ({type(error).__name__}); expected a '
                         f'{wanted}') from error


def _load_npy(file: Path, what: str) -> Array:
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f'{file}: not readable as a {what} in NumPy\'s .npy format '
                         f'({error})') from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{file}: an archive, not an array; name it .npz')
    return array


def _load_npz(file: Path) -> Array:
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(i.file_size for i in archive.infolist())
        if unpacked > MAX_BYTES:
            raise ValueError(f'{unpacked / 2**20:.0f} MiB unpacked are too much')
        with np.load(file, allow_pickle=False) as content:
            if 'points' not in content.files:
                raise ValueError(f'no array "points" among {content.files}')
            return np.asarray(content['points'])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{file}: not readable as a cloud ({error})') from error


def _load_ply(file: Path) -> Array:
    import trimesh

    try:
        with file.open('rb') as stream:
            content: Any = trimesh.load(stream, file_type='ply', process=False)
        points = np.asarray(content.vertices)
    except Exception as error:  # trimesh raises whatever its parser stumbled over
        raise ValueError(f'{file}: not readable as a .ply cloud ({type(error).__name__})'
                         ) from error
    if len(points) > MAX_POINTS:
        raise ValueError(f'{file}: {len(points)} points are more than {MAX_POINTS}')
    return points


PCD_TYPES = {('F', 4): '<f4', ('F', 8): '<f8', ('U', 1): '<u1', ('U', 2): '<u2', ('U', 4): '<u4',
             ('U', 8): '<u8', ('I', 1): '<i1', ('I', 2): '<i2', ('I', 4): '<i4', ('I', 8): '<i8'}


def _load_pcd(file: Path) -> Array:
    """Points (N, 3) of a PCD file, version 0.7, ascii or binary.

    Raises:
        ValueError: compressed, damaged, or without x, y, z.
    """
    content = file.read_bytes()
    header: dict[str, list[str]] = {}
    at = 0
    while 'DATA' not in header:
        end = content.find(b'\n', at)
        if end < 0 or end > 65536:
            raise ValueError(f'{file}: not a .pcd file (its header has no DATA line)')
        line = content[at:end].decode('ascii', errors='replace').strip()
        at = end + 1
        if line and not line.startswith('#'):
            word, *rest = line.split()
            header[word.upper()] = rest
    try:
        names = header['FIELDS']
        sizes = [int(x) for x in header['SIZE']]
        kinds = [x.upper() for x in header['TYPE']]
        counts = [int(x) for x in header.get('COUNT', ['1'] * len(names))]
        count = int(header['POINTS'][0]) if 'POINTS' in header else \
            int(header['WIDTH'][0]) * int(header['HEIGHT'][0])
        encoding = header['DATA'][0]
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f'{file}: damaged .pcd header ({error})') from error
    if not len(names) == len(sizes) == len(kinds) == len(counts):
        raise ValueError(f'{file}: damaged .pcd header ({len(names)} fields, {len(sizes)} sizes, '
                         f'{len(kinds)} types, {len(counts)} counts)')
    if not {'x', 'y', 'z'} <= set(names):
        raise ValueError(f'{file}: no x, y, z among its fields ({", ".join(names)})')
    if not 0 < count <= MAX_POINTS or not all(0 < c <= 4096 for c in counts):
        raise ValueError(f'{file}: {count} points; expected 1 to {MAX_POINTS}')
    if any((k, s) not in PCD_TYPES for k, s in zip(kinds, sizes, strict=True)):
        raise ValueError(f'{file}: unknown field types {kinds} of sizes {sizes}')
    first = np.cumsum([0] + counts)
    if encoding == 'binary':
        record = np.dtype([(f'f{i}', PCD_TYPES[k, s], (c,)) for i, (k, s, c) in
                           enumerate(zip(kinds, sizes, counts, strict=True))])
        if len(content) - at < count * record.itemsize:
            raise ValueError(f'{file}: cut off; {count} points need {count * record.itemsize} '
                             f'bytes, there are {len(content) - at}')
        rows = np.frombuffer(content, record, count, at)
        columns = [rows[f'f{names.index(n)}'][:, 0].astype(np.float64) for n in 'xyz']
    elif encoding == 'ascii':
        lines = content[at:].decode('ascii', errors='replace').splitlines()
        if len(lines) < count:
            raise ValueError(f'{file}: cut off; {count} points announced, {len(lines)} lines '
                             'there')
        try:
            table = [line.split() for line in lines[:count]]
            columns = [np.array([float(row[first[names.index(n)]]) for row in table])
                       for n in 'xyz']
        except (ValueError, IndexError) as error:
            raise ValueError(f'{file}: damaged .pcd data ({error})') from error
    else:
        raise ValueError(f'{file}: DATA {encoding} is not read; expected ascii or binary')
    return np.stack(columns, axis=-1)
