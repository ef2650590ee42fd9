"""Finished work of processes that share inputs, on disk, so that a killed run can continue.

A journal is a folder. Every rank appends to a file of its own there, ``<name>.<rank>.jsonl``: the
first line describes the run, then one line an input. A line that is not complete does not count.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from kinediff3d_core.distributed.identity import differences


class Journal:
    """The entries of a run so far, by the number of the input; open for this rank's further ones.

    Args:
        folder: of the journal; made here.
        name: of this part of the work, such as a category.
        run: what the entries depend on, as JSON values; others count as their text. Only entries
            with an equal description are continued.
        rank: of this process.

    Raises:
        ValueError: the folder has entries of a run with another description, or is not a journal.
    """

    def __init__(self, folder: Path, name: str, run: Mapping[str, Any], rank: int = 0) -> None:
        self.entries: dict[int, dict[str, Any]] = {}
        self._run = json.loads(json.dumps(run, default=str))
        if folder.exists() and not folder.is_dir():
            raise ValueError(f'{folder} is not a folder; it has to hold the records of a run')
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(f'{name}.*.jsonl')):
            self._read(path)
        own = folder / f'{name}.{rank}.jsonl'
        complete = _complete_part(own)
        self._path = own
        self._file = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._file, len(complete))
        if not complete:
            self._write({'run': self._run})

    def append(self, index: int, entry: Mapping[str, Any]) -> None:
        """Add the entry of an input, in one write."""
        self._write({'index': index, 'entry': entry})
        self.entries[index] = dict(entry)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        os.close(self._file)

    def _write(self, line: Mapping[str, Any]) -> None:
        append_line(self._file, json.dumps(line), self._path)

    def _read(self, path: Path) -> None:
        """Add the entries of one file."""
        try:
            lines = [json.loads(line) for line in _complete_part(path).splitlines()]
            if not lines:
                return
            run = dict(lines[0]['run'])
            entries = {int(line['index']): dict(line['entry']) for line in lines[1:]}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} is not a file of records; delete {path.parent} to start '
                             'anew') from error
        if run != self._run:
            raise ValueError(f'{path.parent} has records of an interrupted run with other options '
                             f'({differences(run, self._run)}): give the same options to continue '
                             'it, or delete that folder')
        self.entries.update(entries)


def remove_journal(folder: Path) -> None:
    """Delete a journal, if there is one, after its entries are in the results."""
    if folder.is_dir():
        shutil.rmtree(folder)


def _complete_part(path: Path) -> bytes:
    """A file up to its last complete line; nothing where there is no file."""
    data = path.read_bytes() if path.is_file() else b''
    return data[:data.rfind(b'\n') + 1]


def append_line(handle: int, line: str, path: Path) -> None:
    """Append a line to a file; a line that is written in part is cut off again.

    Args:
        handle: of the file, which is open for appending.
        path: of the file, for the error.

    Raises:
        OSError: the line cannot be written, as on a full disk. The message names the file.
    """
    data = (line + '\n').encode()
    before = os.fstat(handle).st_size
    try:
        if os.write(handle, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        os.ftruncate(handle, before)
        raise OSError(f'{path} cannot be written: {error.strerror or error}') from error
