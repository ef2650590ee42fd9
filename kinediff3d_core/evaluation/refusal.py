"""How often a threshold on the confidence refuses right answers and lets false ones pass.

    python -m kinediff3d_core.evaluation.refusal --views 20 --scenes 50 --rooms 20 --json F

Views of our objects have a mask (docs/evaluation.md, Test views); ``--objects DIR`` adds views of
third-party objects, ``--frames DIR`` real frames. Scenes are tables and floors with clutter alone,
rooms have no thing at all: whatever segmentation proposes there is no object of ours. ``--others``
also asks for every category but the object's own. The tables have the shares by threshold; that
in use is :attr:`~kinediff3d_core.inference.presets.ConfidenceConfig.min_confidence`. ``--without``
switches off a term of the verification. ``--from F`` prints the tables of records that ``--json``
wrote.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kinediff3d_core.data.datasets.frames import Frames
from kinediff3d_core.data.truth import Truth
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
from kinediff3d_core.networks.checkpoints import trained_categories
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


def views(source: str, category: str, samples: Samples, count: int) -> Iterator[Thing]:
    """The first samples of a category."""
    for i in range(count):
        sample = samples(i)
        try:
            cloud = cloud_of(None, sample.depth, sample.intrinsics, sample.mask)
        except NoEstimate:
            continue
        yield Thing(source, f'{category} {i} {sample.name}', cloud, sample.truth)


def frames(root: Path, categories: Sequence[str]) -> Iterator[Thing]:
    """The real frames of a folder that have masks."""
    found = Frames(root)
    for category in categories:
        for name in found.views(category):
            view = found.read_view(name)
            if view.mask is not None:
                cloud = cloud_of(None, view.depth, view.intrinsics, view.mask)
                yield Thing(REAL, name, cloud, view.truth)


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
    rows = []
    for t in thresholds:
        taken = [a for a in ours if a.category and a.confidence >= t]
        right = sum(a.right for a in ours)
        wrong = sum(not a.right for a in ours if a.category)
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


def measure(options: argparse.Namespace) -> None:
    """Measure, print the tables and write the answers."""
    if options.read is not None:
        content = json.loads(options.read.read_text(encoding='utf-8'))
        print(report([Answer(**a) for a in content['answers']], content['images']))
        return
    names = options.categories or list(trained_categories())
    pipeline = _without(AutoPipeline.load(), options.without)
    auto = [] if options.no_auto else [AUTO]
    found: list[Answer] = []
    for name in names:
        for thing in tqdm(_ours(options, name), desc=name, unit='view', disable=None):
            asked = names if options.others else [name]
            found += answers(pipeline, thing, [*asked, *auto], options.seed)
        _write(options, 0, found)
    numbers = [(SCENE, i) for i in range(options.scenes)] + [
        (ROOM, i) for i in range(options.rooms)]
    for done, (source, i) in enumerate(tqdm(numbers, desc='without objects', unit='image',
                                            disable=None), start=1):
        things = clutter_scene(options.seed, i) if source == SCENE else proposals(
            ROOM, f'{options.seed}/{i}', bare_room(options.seed, i), TEST_CAMERA)
        for thing in things:
            found += answers(pipeline, thing, [*names, *auto], options.seed)
        _write(options, done, found)
    print(report(found, len(numbers)))


def _write(options: argparse.Namespace, images: int, found: Sequence[Answer]) -> None:
    """Write the answers so far: a run that is stopped leaves what it has measured."""
    if options.json is not None:
        content = {'images': images, 'answers': [asdict(a) for a in found]}
        write_text(options.json, json.dumps(content, indent=1) + '\n')


def _without(pipeline: AutoPipeline, terms: Sequence[str]) -> AutoPipeline:
    """The pipeline with terms of the verification switched off."""
    off = replace(VerificationConfig(), **dict.fromkeys(terms, math.inf))
    return AutoPipeline({name: Pipeline(p.model, replace(p.preset, verification=off))
                         for name, p in pipeline.pipelines.items()}, pipeline.config)


def _ours(options: argparse.Namespace, name: str) -> Iterator[Thing]:
    """All things of a category."""
    yield from views(VIEWS, name, procedural_samples(name, options.seed, shapes=False),
                     options.views)
    if options.objects is not None:
        yield from views(OBJECTS, name, object_samples(options.objects, name, options.seed,
                                                       shapes=False), options.views)
    if options.frames is not None:
        yield from frames(options.frames, [name])


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
