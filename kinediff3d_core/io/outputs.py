"""Outputs of a command: tried before the work; those of the next run replace them as a whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kinediff3d_core.io.files import listed, write_text
from kinediff3d_core.objects.estimate import NoEstimate

MANIFEST = '.kinediff3d.json'
"""File in a folder of results that lists the files of the run that wrote them."""


def require_writable(path: Path | None, folder: bool = False) -> None:
    """Check that a file, or a folder of files, can be written; nothing is left behind.

    Args:
        path: None is not asked for, and passes.
        folder: the path is that of a folder, which need not exist.

    Raises:
        ValueError: it cannot; the message names the path and why.
    """
    if path is None:
        return
    if path.exists() and path.is_dir() != folder:
        raise ValueError(f'{path} is {"not " if folder else ""}a folder')
    there = path if folder else path.parent
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b'0')
        if not folder and path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(0, 'it is write-protected')
    except OSError as error:
        reason = f'{there} is not a folder' if not there.is_dir() else error.strerror
        raise ValueError(f'{path} cannot be written: {reason}') from error


@contextmanager
def replaced_results(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A folder for the results of one run, which replace those of the last run as a whole.

    At the end of the ``with`` block, the files of the last run are deleted and those of this one
    appear. Where the block ends with :class:`NoEstimate`, the files of the last run are deleted,
    too: nothing stale stays. Any other error leaves them as they are. Files of others in the
    folder are never touched.

    Args:
        folder: of the results; made here.
        names: files and folders that the run writes there, as far as they are known.

    Raises:
        ValueError: the folder cannot be written, or one of the names is there and not of an
            earlier run.
        OSError: a file could not be written; it is named as in ``folder``.
    """
    require_writable(folder, folder=True)
    _refuse_others(folder, names)
    folder.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix='.unfinished-', dir=folder))
    try:
        yield new
        _replace(folder, new)
    except NoEstimate:
        remove_results(folder)
        raise
    except BrokenPipeError:  # of what the block prints
        raise
    except OSError as error:  # It names a file in the new folder, which nobody knows.
        raise OSError(str(error).replace(str(new), str(folder))) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        with suppress(OSError):  # It is not empty.
            folder.rmdir()


def remove_results(folder: Path) -> None:
    """Delete the files that the last run wrote into a folder, and folders that become empty."""
    for name in (*_files_of_last_run(folder), MANIFEST):
        (folder / name).unlink(missing_ok=True)
        for parent in Path(name).parents[:-1]:
            with suppress(OSError):  # It has files of others, or is gone.
                (folder / parent).rmdir()


def _replace(folder: Path, new: Path) -> None:
    """Move the files of a folder into another one, in place of those of the last run there."""
    files = sorted(str(p.relative_to(new)) for p in new.rglob('*') if not p.is_dir())
    _refuse_others(folder, files)
    if files:
        write_text(new / MANIFEST, json.dumps({'files': files}, indent=1) + '\n')
        files.insert(0, MANIFEST)
    remove_results(folder)
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).replace(folder / name)


def _refuse_others(folder: Path, names: Sequence[str]) -> None:
    """Raise a ValueError where a name exists in the folder that no earlier run wrote there."""
    own = {part for name in _files_of_last_run(folder)
           for part in (name, *map(str, Path(name).parents))}
    others = [name for name in names if name not in own and os.path.lexists(folder / name)]
    if others:
        raise ValueError(f'{folder} has {listed(others, 3)}, not of an earlier run of this '
                         'command: choose another --out, or delete it')


def _files_of_last_run(folder: Path) -> list[str]:
    """Relative paths of the files that the last run wrote; none where there was no run."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding='utf-8'))['files']
        return [str(name) for name in found if _is_inside(str(name))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _is_inside(name: str) -> bool:
    """Whether a path cannot lead out of the folder that it is relative to."""
    return bool(name) and not Path(name).is_absolute() and '..' not in Path(name).parts
