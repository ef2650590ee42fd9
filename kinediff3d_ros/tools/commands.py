"""The commands of ``kinediff3d`` that need ROS, ``demo`` and ``view``, and ``replay``.

``kinediff3d_core.cli`` finds them by the entry-point group ``kinediff3d.commands``. Modules that
need rclpy are imported when a command runs: ``--help`` works without ROS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from kinediff3d_core.cli.arguments import (
    DONE,
    INTERRUPTED,
    NO_ANSWER,
    UNUSABLE,
    add_command,
    number,
)

RESULTS = ('estimates.jsonl', 'timeline.png', 'output')
"""What ``replay`` writes for a recording."""
STORAGES = ('mcap', 'sqlite3')

DEMO_EXAMPLES = '''
  kinediff3d demo --headless --out demo_output
  kinediff3d demo --category laptop --seconds 60
'''
REPLAY_EXAMPLES = '''
  kinediff3d replay recording --category laptop --out replayed
  kinediff3d replay recording.mcap --category drawer --out replayed --write-bag mcap \
--depth-topic /camera/depth/image_rect_raw
  torchrun --nproc-per-node 8 -m kinediff3d_core.cli replay recordings/* --category laptop \
--out replayed

exit status: 0 an estimate in at least one frame, 1 in none, 2 bad input, 130 after Ctrl-C
'''
VIEW_EXAMPLES = '''
  kinediff3d view
  kinediff3d view --namespace /left --fixed-frame map --z-up --port 8081
'''


def _import_tool(module: str) -> Any:
    """A module of ``kinediff3d_ros.tools``.

    Raises:
        ValueError: ROS 2 cannot be imported; the message says what to do.
    """
    try:
        return import_module(f'kinediff3d_ros.tools.{module}')
    except ImportError as error:
        raise ValueError(f'this command needs ROS 2, which cannot be imported ({error}); source a '
                         'ROS 2 workspace, or run "make venv" or "make demo"') from error


def add_demo(commands: Any) -> None:
    """Add the command ``demo`` to those of the command line."""
    command = add_command(commands, 'demo', _demo,
                          'run the ROS 2 nodes on a simulated depth camera that '
                          'watches a moving joint',
                          DEMO_EXAMPLES)
    command.add_argument('--category', default='laptop', metavar='C', help='default: laptop')
    command.add_argument('--seconds', type=number(float, above=0), default=30.0, metavar='S',
                         help='for how long estimates are recorded (default 30)')
    command.add_argument('--rate', type=number(float, above=0), default=5.0, metavar='HZ',
                         help='images per second of the camera (default 5)')
    command.add_argument('--headless', action='store_true', help='do not print how to start RViz')
    command.add_argument('--out', type=Path, default=Path('demo_output'), metavar='DIR',
                         help='folder for summary.json, pictures, mesh and URDF '
                              '(default demo_output)')


def _demo(options: argparse.Namespace) -> int:
    from kinediff3d_core.io.outputs import require_writable
    from kinediff3d_core.objects.category import get_category

    get_category(options.category)
    require_writable(options.out, folder=True)
    tools = _import_tool('demo')
    return int(tools.run_demo(options.category, options.seconds, options.headless, options.out,
                              options.rate))


def add_replay(commands: Any) -> None:
    """Add the command ``replay`` to those of the command line."""
    command = add_command(commands, 'replay', _replay,
                          'run the pipeline over recordings (MCAP, sqlite3, ROS 1 bags)',
                          REPLAY_EXAMPLES)
    command.add_argument('bags', type=Path, nargs='+', metavar='BAG',
                         help='folder of a bag, or a .mcap, .db3 or .bag file; of several, those '
                              'that an earlier run has replayed are not replayed again')
    command.add_argument('--category', required=True, metavar='C',
                         help='category of the object')
    command.add_argument('--out', type=Path, required=True, metavar='DIR',
                         help='folder for estimates.jsonl, timeline.png and the new bag; of '
                              'several recordings, for one such folder each')
    for name, what in (('depth', 'depth images'), ('camera-info', 'their calibration'),
                       ('mask', 'masks of the object'), ('points', 'clouds, instead of depth'),
                       ('truth', 'joint states to draw beside the estimates')):
        command.add_argument(f'--{name}-topic', default='', metavar='T',
                             help=f'{what}; default: found by type and name')
    command.add_argument('--mask-camera-info-topic', default='', metavar='T',
                         help="calibration of the masks' camera: register the depth images to it, "
                              'by the recorded TF; default: masks are in pixels of the depth '
                              'images')
    command.add_argument('--detections-topic', default='', metavar='T',
                         help='boxes of a detector (vision_msgs/Detection2DArray), in place of '
                              'masks')
    command.add_argument('--detection-classes', default='', metavar='IDS',
                         help="categories of the detector's class ids, as 63:laptop,28:box; a "
                              'class id that is the category needs no entry')
    command.add_argument('--mask-id', type=number(int, at_least=0), default=0, metavar='N',
                         help='value of the object in the mask (default: any value except 0)')
    command.add_argument('--segment', action='store_true',
                         help='clouds show the whole scene: find the object in them')
    command.add_argument('--no-tracking', action='store_true',
                         help='make a full estimate for every frame')
    command.add_argument('--every', type=number(int, at_least=1), default=1, metavar='N',
                         help='use every N-th frame (default 1)')
    command.add_argument('--limit', type=number(int, at_least=1), default=None, metavar='N',
                         help='stop after N frames')
    command.add_argument('--write-bag', choices=STORAGES, default='', metavar='STORAGE',
                         help='also write the bag DIR/output with /tf, joint_states and markers: '
                              'mcap or sqlite3')
    command.add_min_confidence()
    command.add_seed('of the samplers')
    command.add_model_arguments()


def _replay(options: argparse.Namespace) -> int:
    from kinediff3d_core.distributed.ranks import first_rank
    from kinediff3d_core.io.outputs import replaced_results, require_writable
    from kinediff3d_core.objects.category import get_category

    get_category(options.category)
    if len(options.bags) > 1:
        require_writable(options.out, folder=True)
        return _replay_several(options)
    if not first_rank():
        return DONE
    with replaced_results(options.out, RESULTS) as folder:
        return _replay_one(options, folder)


def _replay_one(options: argparse.Namespace, folder: Path) -> int:
    """Replay one recording into a folder, whose files appear in --out."""
    bag, = options.bags
    if not bag.exists():
        raise ValueError(f'recording {bag} does not exist')
    tools = _import_tool('replay')
    settings = _replay_options(options, bag, folder)
    with tools.open_bag(bag) as reader:
        tools.choose_topics(reader, settings.topics)  # an unusable bag ends the command at once
    tools.require_bag_writer(settings)
    from tqdm import tqdm

    from kinediff3d_core.distributed.interruption import Interruption
    from kinediff3d_core.inference.pipeline import Pipeline

    pipeline = Pipeline.load(options.category, preset=options.preset, device=options.device,
                             weights=options.weights)
    with tqdm(total=options.limit, unit='frame', disable=None) as bar, Interruption() as stop:
        results, outcome = tools.replay(pipeline, settings, lambda _: bar.update(),
                                        lambda: stop.requested)
    _warn(bag.name, outcome.warnings)
    written = [name for name in RESULTS if (folder / name).exists()]
    print(f'{"interrupted after " if stop.requested else ""}{outcome}; wrote '
          f'{" and ".join(written)} in {options.out}')
    if stop.requested:
        return INTERRUPTED
    return DONE if outcome.frames['none'] < len(results) else NO_ANSWER


def _warn(name: str, warnings: Sequence[str]) -> None:
    from kinediff3d_core.io.files import shortened

    for warning in warnings:
        where = '' if warning.startswith(name) else f'{name}: '
        print(f'kinediff3d: warning: {where}{shortened(warning, 250)}', file=sys.stderr)


def _replay_several(options: argparse.Namespace) -> int:
    """Replay recordings into folders of their names in --out; processes share them."""
    import torch

    from kinediff3d_core.distributed.identity import package_version
    from kinediff3d_core.distributed.ranks import first_rank, sharing
    from kinediff3d_core.inference.pipeline import Pipeline
    from kinediff3d_core.networks.checkpoints import weights_digest

    tools = _import_tool('recordings')
    recordings = [_replay_options(options, bag, options.out / name) for bag, name in
                  zip(options.bags, tools.recording_names(options.bags), strict=True)]
    run = {'category': options.category, 'preset': options.preset, 'device': options.device,
           'weights': weights_digest(options.category, options.weights),
           'version': package_version()}
    from tqdm import tqdm

    with sharing(torch.device(options.device)) as ranks, \
            tqdm(unit='frame', disable=None if ranks.first else True) as bar:
        pipeline = Pipeline.load(options.category, preset=options.preset,
                                 device=str(ranks.device), weights=options.weights)
        replayed = tools.replay_recordings(pipeline, recordings, run, ranks,
                                           lambda _: bar.update())
    return _report(replayed, options.out) if first_rank() else DONE


def _replay_options(options: argparse.Namespace, bag: Path, out: Path) -> Any:
    """Options of one recording."""
    tools = _import_tool('replay')
    topics = tools.Topics(options.depth_topic, options.camera_info_topic, options.mask_topic,
                          options.points_topic, options.truth_topic,
                          options.mask_camera_info_topic, options.detections_topic)
    return tools.ReplayOptions(
        bag, out, topics, tracking=not options.no_tracking, storage=options.write_bag,
        segment_points=options.segment, mask_id=options.mask_id, every=options.every,
        limit=options.limit or 0, seed=options.seed, min_confidence=options.min_confidence,
        detection_classes=options.detection_classes)


def _report(replayed: Sequence[Any], out: Path) -> int:
    """Print one line a recording and their number; returns the exit status."""
    for recording in replayed:
        if recording.error:
            print(f'kinediff3d: {recording.name}: {recording.error}', file=sys.stderr)
        else:
            _warn(recording.name, recording.outcome.warnings)
            print(f'{recording.name}: {recording.outcome}'
                  + (' (replayed earlier)' if recording.earlier else ''))
    good = [r for r in replayed if not r.error]
    failed = len(replayed) - len(good)
    print(f'{len(good)} of {len(replayed)} recordings are in {out}'
          + (f'; {failed} failed' if failed else ''))
    if failed:
        return UNUSABLE
    answered = all(r.outcome.frames['full'] + r.outcome.frames['tracked'] for r in good)
    return DONE if answered else NO_ANSWER


def add_view(commands: Any) -> None:
    """Add the command ``view`` to those of the command line."""
    command = add_command(commands, 'view', _view,
                          'show the live scene of a running perception node in a browser',
                          VIEW_EXAMPLES)
    command.add_argument('--host', default='127.0.0.1', metavar='H',
                         help='address to listen on (default 127.0.0.1: this machine only; '
                              '0.0.0.0 gives everyone on the network access, without a '
                              'password)')
    command.add_argument('--port', type=number(int, at_least=1, at_most=65535), default=8080,
                         metavar='N',
                         help='default 8080')
    command.add_argument('--namespace', default='', metavar='NS',
                         help='namespace of the perception node (default: none)')
    command.add_argument('--fixed-frame', default='', metavar='F',
                         help='frame of the scene (default: the frame of the first cloud)')
    command.add_argument('--image-topic', default='', metavar='T',
                         help='image beside the scene, depth or colour (default: the depth image '
                              'that the perception node uses)')
    command.add_argument('--z-up', action='store_true',
                         help='the z axis of the fixed frame points upward, as in map or '
                              'base_link; default: an optical frame, -y upward')
    command.add_argument('--seconds', type=number(float, above=0), metavar='S',
                         help='end after S seconds (default: with Ctrl-C)')
    command.add_argument('--strip', type=Path, metavar='F',
                         help='take pictures of what the first browser shows, write them to F, '
                              'then end: as an animation that loops for ever if F ends in .gif, '
                              'otherwise side by side as a PNG')
    command.add_argument('--frames', type=number(int, at_least=1), default=5, metavar='N',
                         help='number of pictures in F (default 5)')
    command.add_argument('--every', type=number(float, above=0), default=2.0, metavar='S',
                         help='seconds from one picture to the next (default 2); an animation '
                              'shows each for as long, at most for 0.15 s')


def _view(options: argparse.Namespace) -> int:
    from kinediff3d_core.io.outputs import require_writable

    require_writable(options.strip)
    tools = _import_tool('view')
    capture = None
    if options.strip is not None:
        capture = tools.CaptureOptions(options.strip, options.frames, options.every)
    tools.run_view(tools.ViewOptions(
        options.host, options.port, options.z_up,
        tools.ViewTopics(options.namespace, options.fixed_frame, options.image_topic),
        options.seconds, capture))
    return DONE
