"""Many recordings, which processes share: each is replayed once and for itself."""

from __future__ import annotations

import json
import shutil
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
from kinediff3d_ros.tools.replay_outcome import ReplayOutcome

RESULT = 'replay.json'
"""File with the options and the counts of a recording that is completely replayed."""


@dataclass(frozen=True)
class ReplayedRecording:
    """What became of one recording.

    Attributes:
        outcome: what became of its frames; None where it failed.
        error: why it failed.
        earlier: an earlier run with the same options has replayed it.
    """

    name: str
    outcome: ReplayOutcome | None
    error: str = ''
    earlier: bool = False


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
            own[number] = asdict(ReplayedRecording(options.out.name, None, reason))
    found = {int(number): _from_dict(fields) for part in ranks.gather(json.dumps(own))
             for number, fields in json.loads(part).items()}
    return [found[number] for number in sorted(found)]


def _from_dict(fields: dict[str, Any]) -> ReplayedRecording:
    return ReplayedRecording(**{**fields, 'outcome': fields['outcome'] and ReplayOutcome(
        **fields['outcome'])})


def _replay_once(pipeline: Pipeline, options: ReplayOptions, run: Mapping[str, Any],
                 progress: Callable[[ReplayResult], Any]) -> ReplayedRecording:
    """Replay one recording, or find its results.

    Raises:
        ValueError: as :func:`replay`, or ``out`` has something else than results of this run.
    """
    if not options.bag.exists():
        raise ValueError(f'recording {options.bag} does not exist')
    given = {k: v for k, v in asdict(options).items() if k not in ('bag', 'out')}
    run = {**run, **given, 'bytes': _size(options.bag)}
    if options.out.exists():
        return ReplayedRecording(options.out.name, _outcome_in(options.out, run), earlier=True)
    unfinished = options.out.with_name(f'{options.out.name}.unfinished')
    if unfinished.exists():
        shutil.rmtree(unfinished)  # of a run that was killed
    _, outcome = replay(pipeline, replace(options, out=unfinished), progress)
    write_text(unfinished / RESULT, json.dumps({'run': run, **asdict(outcome)}, indent=1) + '\n')
    unfinished.rename(options.out)
    return ReplayedRecording(options.out.name, outcome)


def _outcome_in(folder: Path, run: Mapping[str, Any]) -> ReplayOutcome:
    """What became of the frames in an earlier run.

    Raises:
        ValueError: it was a run with other options, or the folder has no results.
    """
    try:
        found = json.loads((folder / RESULT).read_text())
        before = dict(found.pop('run'))
        outcome = ReplayOutcome(**found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{folder} exists and has no {RESULT}: choose another --out') from error
    if before != run:
        raise ValueError(f'{folder} has results of other options ({differences(before, run)}): '
                         'choose another --out')
    return outcome


def _size(bag: Path) -> int:
    """Bytes of a recording."""
    files = [bag] if bag.is_file() else [p for p in bag.rglob('*') if p.is_file()]
    return sum(p.stat().st_size for p in files)
