"""Many recordings, which processes share: each is replayed once and for itself."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kinediff3d_core.distributed.identity import differences
from kinediff3d_core.distributed.ranks import Ranks
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.io.files import write_text
from kinediff3d_ros.tools.replay import ReplayOptions, replay
from kinediff3d_ros.tools.replay_frames import ReplayResult

RESULT = 'replay.json'
"""File with the options and the counts of a recording that is completely replayed."""


@dataclass(frozen=True)
class ReplayedRecording:
    """What became of one recording.

    Attributes:
        counts: frames by kind (``full``, ``tracked``, ``none``); empty where it failed.
        error: why it failed.
        earlier: an earlier run with the same options has replayed it.
    """

    name: str
    counts: Mapping[str, int]
    error: str = ''
    earlier: bool = False


def counts_of(results: Sequence[ReplayResult]) -> dict[str, int]:
    """Frames by kind."""
    found = Counter(r.kind for r in results)
    return {kind: found[kind] for kind in ('full', 'tracked', 'none')}


def recording_names(bags: Sequence[Path]) -> list[str]:
    """Names of recordings: of their folders, or of their files without the ending.

    Raises:
        ValueError: two recordings have one name.
    """
    paths = [bag.resolve() for bag in bags]
    names = [p.stem if p.is_file() else p.name for p in paths]
    duplicates = sorted({n for n in names if names.count(n) > 1})
    if duplicates:
        raise ValueError(f'two recordings have the name {duplicates[0]!r}: their results would go '
                         'to one folder')
    return names


def replay_recordings(pipeline: Pipeline, recordings: Sequence[ReplayOptions],
                      run: Mapping[str, Any], ranks: Ranks,
                      progress: Callable[[ReplayResult], Any] = lambda _: None,
                      ) -> list[ReplayedRecording]:
    """Replay recordings, each by one of the ranks, unless an earlier run has.

    The results of a recording appear in its ``out`` when they are complete, with ``replay.json``.
    An error in one recording does not end the others.

    Args:
        recordings: with a folder ``out`` each, whose name is the recording's.
        run: what the results depend on beside these options, as JSON values.
        ranks: the processes that share the recordings.
        progress: is called with each result of this rank.

    Returns:
        what became of all recordings, in their order, on every rank.
    """
    own = {}
    for number in ranks.share(range(len(recordings))):
        options = recordings[number]
        try:
            own[number] = asdict(_replay_once(pipeline, options, run, progress))
        except (ValueError, OSError, FloatingPointError) as error:
            reason = ' '.join(str(error).split()) or type(error).__name__
            own[number] = asdict(ReplayedRecording(options.out.name, {}, reason))
    found = {int(number): ReplayedRecording(**fields) for part in ranks.gather(json.dumps(own))
             for number, fields in json.loads(part).items()}
    return [found[number] for number in sorted(found)]


def _replay_once(pipeline: Pipeline, options: ReplayOptions, run: Mapping[str, Any],
                 progress: Callable[[ReplayResult], Any]) -> ReplayedRecording:
    """Replay one recording, or find its results.

    Raises:
        ValueError: as :func:`replay`, or ``out`` has something else than results of this run.
    """
    if not options.bag.exists():
        raise ValueError(f'bag {options.bag} does not exist')
    given = {k: v for k, v in asdict(options).items() if k not in ('bag', 'out')}
    run = {**run, **given, 'bytes': _size(options.bag)}
    if options.out.exists():
        return ReplayedRecording(options.out.name, _counts_in(options.out, run), earlier=True)
    unfinished = options.out.with_name(f'{options.out.name}.unfinished')
    if unfinished.exists():
        shutil.rmtree(unfinished)  # of a run that was killed
    counts = counts_of(replay(pipeline, replace(options, out=unfinished), progress))
    write_text(unfinished / RESULT, json.dumps({'run': run, 'frames': counts}, indent=1) + '\n')
    unfinished.rename(options.out)
    return ReplayedRecording(options.out.name, counts)


def _counts_in(folder: Path, run: Mapping[str, Any]) -> dict[str, int]:
    """Frames by kind in the results of an earlier run.

    Raises:
        ValueError: it was a run with other options, or the folder has no results.
    """
    try:
        found = json.loads((folder / RESULT).read_text())
        before, counts = dict(found['run']), dict(found['frames'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{folder} exists and has no {RESULT}: choose another --out') from error
    if before != run:
        raise ValueError(f'{folder} has results of other options ({differences(before, run)}): '
                         'choose another --out')
    return counts


def _size(bag: Path) -> int:
    """Bytes of a recording."""
    files = [bag] if bag.is_file() else [p for p in bag.rglob('*') if p.is_file()]
    return sum(p.stat().st_size for p in files)
