"""How often a threshold on the confidence refuses right answers and lets false ones pass.

    python -m kinediff3d_core.evaluation.refusal --views 20 --scenes 50 --rooms 20 --json F

Views of our objects have a mask (docs/evaluation.md, Test views); ``--objects DIR`` adds views of
third-party objects, ``--frames DIR`` real frames. Scenes are tables and floors with clutter alone,
rooms have no thing at all: whatever segmentation proposes there is no object of ours. ``--others``
also asks for every category but the object's own. The tables have the shares by threshold; that
in use is :attr:`~kinediff3d_core.inference.presets.ConfidenceConfig.min_confidence`. ``--without``
switches off a term of the verification. ``--from F`` prints the tables of records that ``--json``
wrote. Until the end, ``--json F`` has its records in ``F.unfinished``: a run that was killed
continues when the same command runs again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kinediff3d_core.data.datasets.frames import Frames
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.distributed.identity import package_version
from kinediff3d_core.distributed.journal import Journal, remove_journal
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.pose_metrics import pose_metrics
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.samples import Samples, object_samples, procedural_samples
from kinediff3d_core.evaluation.summary import FAILED_DEG
from kinediff3d_core.evaluation.symmetry import nearest
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference.auto import AUTO, AutoPipeline
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.presets import VerificationConfig
from kinediff3d_core.inference.refusal import MIN_CONFIDENCE
from kinediff3d_core.inference.view import cloud_of
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import trained_categories, weights_digest
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.observation.segmentation import segment_instances
from kinediff3d_core.simulation.bare_scenes import bare_room
from kinediff3d_core.simulation.tabletop import FLOOR, FLOOR_SHARE, TABLE, scene_view
from kinediff3d_core.simulation.views import TEST_CAMERA

Array = np.ndarray[Any, Any]

THRESHOLDS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Of the tables."""
TERMS = ('contradicted', 'unexplained', 'unusual_code', 'unseen')
"""Scales of the verification's terms; an infinite one switches its term off."""
CLUTTER = 1, 4
"""Fewest and most pieces of clutter in a scene without objects. Chosen."""
JOINT_DEG, JOINT_M = 15.0, 0.05
"""Errors of joints up to which an answer on a real frame, of which only the joints are known, is
right. Chosen: a closed carton within 15 deg is read as closed."""
UNFINISHED = '.unfinished'
"""Name of the records' folder, after that of the file."""
VIEWS, OBJECTS, REAL, SCENE, ROOM = 'views', 'objects', 'frames', 'scene', 'room'


@dataclass(frozen=True)
class Answer:
    """What one category, or ``auto``, answers about one thing.

    Attributes:
        source: ``views``, ``objects``, ``frames``, ``scene`` or ``room``. image: its name.
        truth: category of the thing; '' where it is none of ours.
        asked: category, or ``auto``. category: of the answer; '' without one.
        confidence: 0 without an answer.
        right: whether category and pose, or joints where only these are known, are right.
    """

    source: str
    image: str
    truth: str
    asked: str
    category: str
    confidence: float
    right: bool


@dataclass(frozen=True)
class Thing:
    """A thing in an image, and what is known about it; ``truth`` is None for clutter."""

    source: str
    image: str
    cloud: ObjectCloud
    truth: Truth | None = None


@dataclass(frozen=True)
class Work:
    """What is measured in one go.

    Attributes:
        part: name of its records: a source, and a category. index: its number there.
        asked: categories, or ``auto``. things: makes what they are asked about.
    """

    part: str
    index: int
    asked: tuple[str, ...]
    things: Callable[[], list[Thing]]


def view(source: str, category: str, samples: Samples, index: int) -> list[Thing]:
    """A sample of a category; none if it has too few points."""
    sample = samples(index)
    try:
        cloud = cloud_of(None, sample.depth, sample.intrinsics, sample.mask)
    except NoEstimate:
        return []
    return [Thing(source, f'{category} {index} {sample.name}', cloud, sample.truth)]


def frame(frames: Frames, name: str) -> list[Thing]:
    """A real frame; none if it has no mask."""
    found = frames.read_view(name)
    if found.mask is None:
        return []
    cloud = cloud_of(None, found.depth, found.intrinsics, found.mask)
    return [Thing(REAL, name, cloud, found.truth)]


def proposals(source: str, image: str, depth: Array, intrinsics: Intrinsics) -> list[Thing]:
    """What segmentation proposes in an image without an object of ours."""
    try:
        ids = segment_instances(depth, intrinsics).ids
    except NoEstimate:
        return []
    things = []
    for k in range(1, int(ids.max(initial=0)) + 1):
        try:
            cloud = cloud_of(None, depth, intrinsics, ids == k)
        except NoEstimate:
            continue
        things.append(Thing(source, image, cloud))
    return things


def clutter_scene(seed: int, index: int) -> list[Thing]:
    """Proposals in a scene of clutter alone, on a table or on the floor."""
    on_floor = index % round(1 / FLOOR_SHARE) == 0
    kind = replace(FLOOR if on_floor else TABLE, objects=(0, 0), clutter=CLUTTER)
    view = scene_view(seed, index, kind=kind)
    return proposals(SCENE, f'{seed}/{index}', view.depth, view.intrinsics)


def room(seed: int, index: int) -> list[Thing]:
    """Proposals in a room without a thing."""
    return proposals(ROOM, f'{seed}/{index}', bare_room(seed, index), TEST_CAMERA)


def answers(pipeline: AutoPipeline, thing: Thing, asked: Sequence[str], seed: int = 0,
            ) -> list[Answer]:
    """What each of the categories, or ``auto``, answers about a thing."""
    out = []
    for name in asked:
        try:
            one = pipeline if name == AUTO else pipeline.pipelines[name]
            estimate = one.infer(thing.cloud, mesh=False, seed=seed)
        except NoEstimate:
            out.append(Answer(thing.source, thing.image, _category(thing), name, '', 0.0, False))
            continue
        out.append(Answer(thing.source, thing.image, _category(thing), name, estimate.category,
                          estimate.confidence, is_right(estimate, thing.truth)))
    return out


def _category(thing: Thing) -> str:
    return '' if thing.truth is None else thing.truth.category


def is_right(estimate: ArticulatedEstimate, truth: Truth | None) -> bool:
    """Whether an answer is right: by the rotation (``failure_rate``), or else by the joints."""
    if truth is None or estimate.category != truth.category:
        return False
    if np.isfinite(truth.T_camera_part).all():
        error = pose_metrics(estimate, nearest(estimate, truth))['rot_err_deg']
        return bool(error <= FAILED_DEG)
    joints = {j.name: j for j in estimate.joints}
    limit = {'revolute': np.radians(JOINT_DEG), 'prismatic': JOINT_M}
    return set(joints) == set(truth.joint_names) and all(
        abs(joints[name].position - position) <= limit[joint_type] for name, joint_type, position
        in zip(truth.joint_names, truth.joint_types, truth.positions, strict=True))


def threshold_table(found: Sequence[Answer], images: int, thresholds: Sequence[float] = THRESHOLDS,
                    ) -> str:
    """One row a threshold: what it refuses and what it lets pass.

    Args:
        found: answers that are all of one category asked, or all of ``auto``.
        images: number of scenes and rooms, also of those without a proposal.
    """
    ours = [a for a in found if a.truth]
    right = sum(a.right for a in ours)
    wrong = sum(not a.right for a in ours if a.category)
    rows = []
    for t in thresholds:
        taken = [a for a in ours if a.category and a.confidence >= t]
        false = sum(bool(a.category) and a.confidence >= t for a in found if not a.truth)
        rows.append([f'{t:g}', _share(right - sum(a.right for a in taken), right),
                     _share(sum(not a.right for a in taken), wrong),
                     f'{false / images:.2f}' if images else '–'])
    return markdown_table(['threshold', 'right answers refused', 'wrong answers given',
                           'false answers an image'], rows)


def _share(part: int, whole: int) -> str:
    return f'{part} of {whole}'


def others_table(found: Sequence[Answer], thresholds: Sequence[float] = THRESHOLDS) -> str:
    """One row a threshold: answers with a category that is not the object's own."""
    rows = [[f'{t:g}', _share(sum(bool(a.category) and a.confidence >= t for a in found),
                              len(found))] for t in thresholds]
    return markdown_table(['threshold', 'answers of another category'], rows)


def category_table(found: Sequence[Answer], threshold: float) -> str:
    """One row a category asked: refusals of right answers, wrong and false answers."""
    rows = []
    for name in dict.fromkeys(a.asked for a in found):
        own = [a for a in found if a.asked == name]
        given = [a for a in own if a.category and a.confidence >= threshold]
        right, things = [a for a in own if a.right], [a for a in own if not a.truth]
        rows.append([name, _share(sum(a not in given for a in right), len(right)),
                     _share(sum(bool(a.truth) and not a.right for a in given),
                            sum(bool(a.truth and a.category) and not a.right for a in own)),
                     _share(sum(not a.truth for a in given), len(things))])
    return markdown_table(['asked for', 'right answers refused', 'wrong answers given',
                           'things that are none of ours taken for one'], rows)


def report(found: Sequence[Answer], images: int) -> str:
    """All tables."""
    single = [a for a in found if a.asked != AUTO and a.truth in ('', a.asked)]
    others = [a for a in found if a.truth and a.asked not in (a.truth, AUTO)]
    auto = [a for a in found if a.asked == AUTO]
    asked = len({a.asked for a in single if not a.truth}) or 1
    lines = [f'Asked for its own category; each thing of {images} images without our objects for '
             f'{asked} categories:', '', threshold_table(single, images * asked), '',
             f'With the threshold of {MIN_CONFIDENCE:g}:', '',
             category_table([*single, *auto], MIN_CONFIDENCE)]
    if others:
        lines += ['', 'Asked for every other category:', '', others_table(others)]
    if auto:
        lines += ['', '`auto`:', '', threshold_table(auto, images)]
    return '\n'.join(lines)


def read_answers(path: Path) -> tuple[list[Answer], int]:
    """The answers and the number of images in a file of ``--json``.

    Raises:
        ValueError: it holds something else; one line that names it.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        return [Answer(**a) for a in content['answers']], int(content['images'])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is not what --json writes ({error!r})') from error


def measure(options: argparse.Namespace) -> None:
    """Measure, print the tables and write the answers."""
    if options.read is not None:
        print(report(*read_answers(options.read)))
        return
    names = options.categories or list(trained_categories())
    pipeline = _without(AutoPipeline.load(), options.without)
    found: list[Answer] = []
    folder = None if options.json is None else options.json.with_name(
        options.json.name + UNFINISHED)
    with tempfile.TemporaryDirectory() as nowhere:
        for part, works in itertools.groupby(_works(options, names), lambda work: work.part):
            with Journal(folder or Path(nowhere), part, _described(options, names)) as journal:
                for work in tqdm(list(works), desc=part, disable=None):
                    found += _answered(pipeline, work, journal, options.seed)
    images = options.scenes + options.rooms
    print(report(found, images))
    if folder is not None:
        content = {'images': images, 'answers': [asdict(a) for a in found]}
        write_text(options.json, json.dumps(content, indent=1) + '\n')
        remove_journal(folder)


def _described(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """What the answers depend on; the numbers of views and images may differ."""
    return {**{key: getattr(options, key) for key in (
        'seed', 'objects', 'frames', 'others', 'no_auto', 'without')}, 'categories': names,
        'version': package_version(), 'weights': {n: weights_digest(n, None) for n in names}}


def _answered(pipeline: AutoPipeline, work: Work, journal: Journal, seed: int) -> list[Answer]:
    """The answers of a piece of work, from the records if they have it."""
    if work.index not in journal.entries:
        journal.append(work.index, {'answers': [
            asdict(a) for thing in work.things()
            for a in answers(pipeline, thing, work.asked, seed)]})
    return [Answer(**a) for a in journal.entries[work.index]['answers']]


def _works(options: argparse.Namespace, names: Sequence[str]) -> Iterator[Work]:
    """All that is measured: our objects by category, then images without one."""
    auto = () if options.no_auto else (AUTO,)
    for name in names:
        asked = (*(names if options.others else [name]), *auto)
        yield from (Work(f'{source}.{name}', i, asked, things)
                    for source, i, things in _ours(options, name))
    asked = (*names, *auto)
    for i in range(options.scenes):
        yield Work(SCENE, i, asked, partial(clutter_scene, options.seed, i))
    for i in range(options.rooms):
        yield Work(ROOM, i, asked, partial(room, options.seed, i))


def _without(pipeline: AutoPipeline, terms: Sequence[str]) -> AutoPipeline:
    """The pipeline with terms of the verification switched off."""
    off = replace(VerificationConfig(), **dict.fromkeys(terms, math.inf))
    return AutoPipeline({name: Pipeline(p.model, replace(p.preset, verification=off))
                         for name, p in pipeline.pipelines.items()}, pipeline.config)


def _ours(options: argparse.Namespace, name: str,
          ) -> Iterator[tuple[str, int, Callable[[], list[Thing]]]]:
    """All things of a category: source, number, and what makes it."""
    samples = procedural_samples(name, options.seed, shapes=False)
    for i in range(options.views):
        yield VIEWS, i, partial(view, VIEWS, name, samples, i)
    if options.objects is not None:
        samples = object_samples(options.objects, name, options.seed, shapes=False)
        for i in range(options.views):
            yield OBJECTS, i, partial(view, OBJECTS, name, samples, i)
    if options.frames is not None:
        found = Frames(options.frames)
        for i, one in enumerate(found.views(name)):
            yield REAL, i, partial(frame, found, one)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('refusal', 'What a threshold on the confidence refuses and lets pass.')
    parser.add_argument('--views', type=int, default=20, metavar='N',
                        help='views of each category, procedural, and also of --objects '
                             '(default 20)')
    parser.add_argument('--objects', type=Path, metavar='DIR',
                        help='folder with one folder an object, with a URDF')
    parser.add_argument('--frames', type=Path, metavar='DIR',
                        help='folders with depth.png, camera_info.yaml, mask.png and truth.json')
    parser.add_argument('--scenes', type=int, default=50, metavar='N',
                        help='scenes of clutter alone (default 50)')
    parser.add_argument('--rooms', type=int, default=20, metavar='N',
                        help='images of rooms without a thing (default 20)')
    parser.add_argument('--categories', nargs='+', choices=trained_categories(), metavar='C',
                        help='categories to ask for (default: all)')
    parser.add_argument('--others', action='store_true',
                        help='ask about each view for every other category, too')
    parser.add_argument('--without', nargs='+', choices=TERMS, default=[], metavar='TERM',
                        help=f'terms of the verification to leave out: {", ".join(TERMS)}')
    parser.add_argument('--no-auto', action='store_true', help='leave auto out')
    parser.add_argument('--seed', type=int, default=0, help='of views, scenes and estimates')
    parser.add_argument('--json', type=Path, metavar='F', help='file for the answers')
    parser.add_argument('--from', dest='read', type=Path, metavar='F',
                        help='print the tables of this file of --json, and measure nothing')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
