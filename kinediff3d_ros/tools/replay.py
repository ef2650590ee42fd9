"""The pipeline on a recording: every frame, in order, without real time and without ROS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.io.files import shortened
from kinediff3d_core.objects.urdf import default_object_name
from kinediff3d_core.tracking.sequence_tracker import SequenceTracker
from kinediff3d_ros.scene.object_clouds import UnmaskedView
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.tools.bag_reader import DEFAULTS, FrameReader
from kinediff3d_ros.tools.bag_storage import open_bag
from kinediff3d_ros.tools.bag_topics import Topics, choose_topics
from kinediff3d_ros.tools.replay_frames import RecordedPositions, ReplayFrame, ReplayResult
from kinediff3d_ros.tools.replay_outcome import ReplayOutcome, outcome_of


@dataclass(frozen=True)
class ReplayOptions:
    """Options of ``kinediff3d replay``."""

    bag: Path
    """Folder of a bag, or one ``.mcap``, ``.db3`` or ``.bag`` file."""
    out: Path
    """Folder for the results."""
    topics: Topics = field(default_factory=Topics)
    """Topics by name; empty ones are chosen (:func:`choose_topics`)."""
    tracking: bool = True
    """False makes every estimate a full one."""
    storage: str = ''
    """Storage of a bag with the estimates, ``mcap`` or ``sqlite3``; '' writes none."""
    segment_points: bool = False
    """Clouds show the whole scene; otherwise the object alone."""
    mask_id: int = 0
    """Value of the object in the mask; 0 takes every pixel that is not zero."""
    every: int = 1
    """Use every n-th frame."""
    limit: int = 0
    """Stop after this number of frames; 0 uses all."""
    seed: int = 0
    """Of the samplers, the same for every frame."""
    detection_classes: str = DEFAULTS.detection_classes
    """Categories of a detector's class ids, with ``topics.detections``."""
    min_confidence: float = DEFAULTS.min_confidence
    """Full estimates of a lower confidence are no estimate; 0 takes every one."""

    @property
    def parameters(self) -> PerceptionParameters:
        """Parameters of a node that finds the object in the same way."""
        return replace(DEFAULTS, segment_points=self.segment_points, mask_id=self.mask_id,
                       detection_classes=self.detection_classes)


def replay(pipeline: Pipeline, options: ReplayOptions,
           progress: Callable[[ReplayResult], Any] = lambda _: None,
           stopped: Callable[[], bool] = lambda: False,
           ) -> tuple[list[ReplayResult], ReplayOutcome]:
    """Run the pipeline on a recording; returns the results and what became of the frames.

    Writes ``estimates.jsonl`` (one line a frame) and, with ``storage``, the bag ``output`` with
    TF, joint states and markers; then ``timeline.png``.

    Args:
        progress: called with each result.
        stopped: asked after each frame; true ends the replay there.

    Raises:
        ValueError: the bag cannot be read, has no usable topics or no frame.
        KeyboardInterrupt: stopped before the first frame.
    """
    results: list[ReplayResult] = []
    with open_bag(options.bag) as bag, ExitStack() as files:
        topics = choose_topics(bag, options.topics)
        writers = _open_outputs(options, default_object_name(pipeline.category.name), files)
        reader = FrameReader(topics, replace(options.parameters,
                                             category=pipeline.category.name))
        stop = options.every * (options.limit - 1) + 1 if options.limit else None
        for result in _results(pipeline, options, islice(reader.read(bag), 0, stop,
                                                         options.every)):
            for write in (*writers, progress):
                write(result)
            results.append(result.without_arrays())
            if stopped():
                break
    warnings = [*bag.warnings, *reader.notes]
    if not results and stopped():
        raise KeyboardInterrupt
    if not results:
        reason = '; '.join(filter(None, (reader.unused, *warnings))) or 'no message fits another'
        raise ValueError(f'{options.bag} has no usable frame on {_description(topics)}: {reason}')
    warnings += _draw(results, reader.truth, options, pipeline.category.name)
    return results, outcome_of(results, reader.unused, warnings)


def _results(pipeline: Pipeline, options: ReplayOptions, frames: Iterable[ReplayFrame],
             ) -> Iterator[ReplayResult]:
    """The results of the frames; a recording that begins again is another sequence."""
    sequence = None
    for frame in frames:
        if sequence is None or frame.restarts:
            sequence = SequenceTracker(pipeline, options.tracking, bool(options.storage),
                                       options.seed, min_confidence=options.min_confidence,
                                       candidates=UnmaskedView.candidates)
        yield _process(sequence, frame)


def _draw(results: list[ReplayResult], truth: list[RecordedPositions], options: ReplayOptions,
          category: str) -> list[str]:
    """Draw the timeline; returns a warning if that fails, which costs no result."""
    from kinediff3d_ros.tools.timeline import draw_timeline

    picture = options.out / 'timeline.png'
    try:
        picture.unlink(missing_ok=True)
        draw_timeline(results, truth, picture,
                      f'{options.bag.name}: {category}, {len(results)} frames')
    except Exception as error:  # whatever the drawing library raises
        return [f'{picture.name} could not be drawn ({type(error).__name__}: '
                f'{shortened(error, 100)}); estimates.jsonl is complete']
    return []


def require_bag_writer(options: ReplayOptions) -> None:
    """Check before the work that a bag can be written, if one is to be.

    Raises:
        ValueError: it needs ROS, which is not there.
    """
    if options.storage:
        try:
            import kinediff3d_ros.tools.bag_writer  # noqa: F401
        except ImportError as error:
            raise ValueError(f'--write-bag needs ROS 2, which cannot be imported ({error}); '
                             'source a ROS 2 workspace, or leave the option out') from error


def _open_outputs(options: ReplayOptions, object_name: str, files: ExitStack,
                  ) -> list[Callable[[ReplayResult], Any]]:
    """Functions that write a result; ``files`` closes what they write to."""
    require_bag_writer(options)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / 'estimates.jsonl'
    # Not buffered: a full disk is noticed here, and not when the file is closed.
    stream = files.enter_context(path.open('wb', buffering=0))

    def add_line(result: ReplayResult) -> None:
        line = (json.dumps(result.to_dict()) + '\n').encode()
        try:
            while line:
                line = line[stream.write(line):]
        except OSError as error:
            raise OSError(f'{path} cannot be written: {error.strerror}') from error

    writers: list[Callable[[ReplayResult], Any]] = [add_line]
    if options.storage:
        from kinediff3d_ros.tools.bag_writer import EstimateBag

        writers.append(files.enter_context(closing(
            EstimateBag(options.out / 'output', options.storage, object_name))).add)
    return writers


def _process(sequence: SequenceTracker, frame: ReplayFrame) -> ReplayResult:
    if frame.cloud is None:
        return ReplayResult(frame, 'none', None, frame.reason, 0.0)
    begin = time.perf_counter()
    answer = sequence.update(frame.cloud, frame.header.seconds)
    return ReplayResult(frame, answer.kind, answer.estimate, answer.reason,
                        1e3 * (time.perf_counter() - begin))


def _description(topics: Topics) -> str:
    """The input topics in words."""
    if topics.points:
        return topics.points
    return f'{topics.depth} with {topics.camera_info}' + (f' and {topics.marks}' if topics.marks
                                                          else '')
