"""Broken and odd files: every reader gives a value, or one line that names the file.

A longer run, of 3,200 files: ``pytest test/io/test_broken_files.py --broken-files 400``.
"""

import json
import resource
import time
from importlib.util import find_spec

import pytest
import reader_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinediff3d_core.data.mesh_objects import load_object
from kinediff3d_core.io.camera_info import read_calibration
from kinediff3d_core.io.cloud import read_cloud
from kinediff3d_core.io.depth import read_depth
from kinediff3d_core.io.files import MAX_MESSAGE
from kinediff3d_core.io.mask import read_mask

SIZE = (reader_files.H, reader_files.W)


def read_recording(path):
    """All frames of a recording; what is said about its damage is one line, too."""
    from kinediff3d_ros.tools.bag_reader import FrameReader
    from kinediff3d_ros.tools.bag_storage import open_bag
    from kinediff3d_ros.tools.bag_topics import Topics, choose_topics

    with open_bag(path) as bag:
        reader = FrameReader(choose_topics(bag, Topics()))
        for frame in reader.read(bag):
            assert frame.cloud is not None or frame.reason
        for text in (*bag.warnings, reader.unused):
            assert '\n' not in text and len(text) <= MAX_MESSAGE, text


READERS = {
    'camera': (lambda path: read_calibration(path, SIZE[::-1]), reader_files.cameras()),
    'depth': (read_depth, reader_files.depths()),
    'mask': (lambda path: read_mask(path, size=SIZE), reader_files.masks()),
    'cloud': (read_cloud, reader_files.clouds()),
    'object': (load_object, reader_files.urdfs()),
}
if find_spec('rosbags'):
    READERS['recording'] = read_recording, reader_files.recordings()
BROKEN_FILES = 25
"""Default of ``--broken-files``."""
SECONDS = 10.0
"""Longest CPU time of a file; other processes may have the cores."""
MEMORY = 500 * 2**20
"""Greatest growth of the process beyond the files, which are small."""

WORDS = st.sampled_from([b'0', b'-1', b'nan', b'1e999', b'99999999999999999999', b'', b'\n---\n',
                         b'{', b'[[', b'"', b'&a *a', b'null', b'\0', b'\xff', b'true', b'../'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(reader_files.K),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(
        st.sampled_from(['k', 'p', 'd', 'cam_K', 'fx', 'fy', 'cx', 'cy', 'width', 'height', 'roi',
                         'depth_scale', 'data', 'intrinsics', 'resolution', 'annotations',
                         'images', 'id', 'segmentation', 'size', 'counts', 'shapes', 'points',
                         'bbox', 'distortion_model']), inner, max_size=7), max_leaves=20)


@st.composite
def broken(draw, content):
    """A valid file with bytes that are changed, cut, doubled or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(('change', 'cut', 'drop', 'word', 'repeat')))
        if what == 'change' and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif what == 'cut':
            del data[at:]
        elif what == 'drop':
            del data[at:at + draw(st.integers(1, 9))]
        elif what == 'word':
            data[at:at + draw(st.integers(0, 9))] = draw(WORDS)
        else:
            data[at:at] = data[at:at + 200] * draw(st.integers(1, 3))
    return bytes(data)


def check(read, path):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        read(path)
    except ValueError as error:
        text = str(error)
        assert '\n' not in text and len(text) <= MAX_MESSAGE, text
        assert path.name in text, text
    assert time.process_time() - start < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert 1024 * grown < MEMORY + 2 * path.stat().st_size


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('f')


@pytest.mark.parametrize('kind', READERS)
def test_valid_files_are_read(kind, folder):
    read, files = READERS[kind]
    for name, content in files.items():
        (folder / name).write_bytes(content)
        if kind != 'object':  # its mesh is missing
            read(folder / name)


@pytest.fixture
def profile(request):
    """The same files in every run of the suite; others where more are asked for."""
    count = request.config.getoption('--broken-files')
    return settings(max_examples=count, derandomize=count == BROKEN_FILES, deadline=None,
                    database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize('kind', READERS)
def test_broken_files_end_in_one_line(kind, folder, profile):
    read, files = READERS[kind]

    @profile
    @given(st.data())
    def one(data):
        name = data.draw(st.sampled_from(sorted(files)))
        (folder / name).write_bytes(data.draw(broken(files[name]) | st.binary(max_size=99)))
        check(read, folder / name)

    one()


@pytest.mark.parametrize('kind', ['camera', 'mask'])
def test_odd_values_end_in_one_line(kind, folder, profile):
    @profile
    @given(VALUES)
    def one(value):
        (folder / 'odd.json').write_text(json.dumps(value))
        check(READERS[kind][0], folder / 'odd.json')

    one()


@pytest.mark.parametrize('unit', ['[', '{a: ', '- ', '? ', '- [', '[{'])
def test_deep_nesting_is_refused_at_once(folder, unit):
    """The parser would take minutes, or end the process."""
    path = folder / 'deep.yaml'
    path.write_text('k: ' * (unit[0] in '[{') + unit * 200_000)
    start = time.monotonic()
    with pytest.raises(ValueError, match='deep.yaml.*nested too deeply'):
        read_calibration(path)
    assert time.monotonic() - start < SECONDS


def test_aliases_do_not_grow(folder):
    """A few lines of YAML can stand for 10^9 values."""
    lines = ['a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]'] + [
        f'a{i}: &a{i} [' + ', '.join([f'*a{i - 1}'] * 10) + ']' for i in range(1, 9)]
    path = folder / 'bomb.yaml'
    path.write_text('\n'.join([*lines, 'k: *a8', 'width: 4', 'height: 4']))
    with pytest.raises(ValueError, match='aliases'):
        read_calibration(path)
