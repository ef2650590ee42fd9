"""Files are complete or absent, also on a full disk."""

import errno
import os

import pytest
import torch

from kinediff3d_core.data.sample_files import write_object
from kinediff3d_core.distributed.journal import Journal
from kinediff3d_core.io import files
from kinediff3d_core.networks.checkpoints import save_network
from kinediff3d_core.networks.score import ScoreModel
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.visualization.panels import write_panels

LAPTOP = get_category('laptop')


class Full:
    """A file on a disk that has become full."""

    def __init__(self, handle, *_, **__):
        self.handle = handle

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.handle)

    def write(self, data):
        os.write(self.handle, bytes(data[:10]))
        raise OSError(errno.ENOSPC, 'No space left on device')


WRITERS = {
    'a text': lambda path: files.write_text(path, 'x' * 100),
    'a network': lambda path: save_network(ScoreModel(LAPTOP), 'pose', 'laptop', path),
    'an object': lambda path: write_object({'a': torch.zeros(100)}, LAPTOP, path),
}


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('before', [None, 'earlier'])
def test_a_full_disk_is_named_with_the_file_and_leaves_no_part(writer, before, tmp_path,
                                                               monkeypatch):
    path = tmp_path / 'result'
    if before is not None:
        path.write_text(before)
    monkeypatch.setattr(files.os, 'fdopen', Full)
    with pytest.raises(OSError, match='result cannot be written: No space left on device'):
        WRITERS[writer](path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_picture_on_a_full_disk_leaves_no_part(tmp_path, monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def fill(_, path):
        with open(path, 'w') as file:
            file.write('x')
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(FigureCanvasAgg, 'print_png', fill)
    with pytest.raises(OSError, match='a.png cannot be written: No space left'):
        write_panels([('a', torch.zeros(8, 8, 3).numpy())], tmp_path / 'a.png')
    assert not list(tmp_path.iterdir())


def test_a_record_that_is_cut_short_is_not_kept(tmp_path, monkeypatch):
    from kinediff3d_core.distributed import journal

    write = os.write
    with Journal(tmp_path, 'a', {}) as records:
        records.append(0, {'x': 1})
        whole = (tmp_path / 'a.0.jsonl').read_bytes()
        monkeypatch.setattr(journal.os, 'write', lambda handle, data: write(handle, data[:5]))
        with pytest.raises(OSError, match='a.0.jsonl cannot be written: No space left'):
            records.append(1, {'x': 2})
    assert (tmp_path / 'a.0.jsonl').read_bytes() == whole


def test_an_interrupted_write_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, 'replace', interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(tmp_path / 'a', 'x')
    assert not list(tmp_path.iterdir())
