"""Opens articulated objects in a physics simulation, from what the perception node publishes.

A depth camera, rendered by PyBullet, sees a held-out procedural object. The perception node
(a process of its own) answers each depth image. A floating gripper goes where ``handles/<part>``
says, closes, and follows ``opening/<part>``, which it takes anew from the tracker five times in a
second while the part moves. Nothing but topics goes from the node to the gripper.

    pip install '.[examples]'
    python examples/open_it.py --category laptop --count 20 --seed 0 --json laptop.json
    python examples/open_it.py --category all --true --json upper_bound.json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from guidance import Guide, TrueGuide
from opening_pictures import Film, write_animation, write_strip
from opening_summary import Record, summarize, table
from simulated_object import SimulatedObject
from tqdm import tqdm

from kinediff3d_core.distributed.identity import package_version
from kinediff3d_core.distributed.journal import Journal
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import weights_digest
from kinediff3d_core.objects.category import get_category

CATEGORIES = ('laptop', 'dishwasher', 'drawer', 'box', 'stapler', 'eyeglasses', 'scissors',
              'cutter')
"""What ``all`` stands for: categories with weights and a procedural family."""
GuideOf = Callable[[SimulatedObject], Guide]


@dataclass(frozen=True)
class Options:
    """What is run: see ``--help``."""

    categories: tuple[str, ...]
    count: int
    seed: int
    true: bool
    running_node: bool
    out: Path
    json: Path | None
    gif: Path | None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    try:
        options = parse(arguments)
        if importlib.util.find_spec('pybullet') is None:
            raise RuntimeError("PyBullet is missing: pip install '.[examples]'")
        records = {category: open_objects(category, options) for category in options.categories}
    except (ValueError, OSError, RuntimeError) as error:
        print(f'open_it: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('open_it: interrupted; the same command continues', file=sys.stderr)
        return 130
    summary = summarize(records)
    print(table(summary))
    if options.json is not None:
        write_text(options.json, json.dumps(summary, indent=1) + '\n')
    return 0


def parse(arguments: list[str] | None) -> Options:
    """The options of a command line.

    Raises:
        ValueError: an unknown category, all of them for one node, or a count below one.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--category', default='laptop', help='a category, or all')
    parser.add_argument('--count', type=int, default=20, help='objects of each category')
    parser.add_argument('--seed', type=int, default=0, help='of objects, views and noise')
    parser.add_argument('--true', action='store_true',
                        help='guide the gripper with the true pose, joint and mesh instead')
    parser.add_argument('--running-node', action='store_true',
                        help='use a perception node that runs already (open_it.launch.py)')
    parser.add_argument('--json', type=Path, help='file for the results')
    parser.add_argument('--out', type=Path, default=Path('open_it_output'),
                        help='folder for records, objects, logs and pictures of failures')
    parser.add_argument('--gif', type=Path, help='animation of the first object of the run')
    given = parser.parse_args(arguments)
    if given.count < 1:
        raise ValueError(f'--count is {given.count}; at least one object is needed')
    if given.running_node and given.category == 'all':
        raise ValueError('--running-node needs one category, that of the node, not all')
    names = CATEGORIES if given.category == 'all' else (get_category(given.category).name,)
    return Options(names, given.count, given.seed, given.true, given.running_node, given.out,
                   given.json, given.gif)


def open_objects(category: str, options: Options) -> list[Record]:
    """Records of a category's objects; those of an earlier, interrupted run are not made again.

    Raises:
        ValueError: that run had another seed, version or weights.
    """
    name = 'true' if options.true else 'perceived'
    run = {'seed': options.seed, 'version': package_version(),
           'weights': '' if options.true else weights_digest(category)}
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(
            options.out / 'records', f'{category}_{name}', run))
        missing = [n for n in range(options.count) if n not in journal.entries]
        if missing:
            guide_of = TrueGuide if options.true else perceived(category, options, stack)
            for number in tqdm(missing, desc=f'{category}, {name}'):
                record = open_one(category, number, guide_of, options)
                journal.append(number, record.to_dict())
        return [Record.from_dict(journal.entries[n]) for n in range(options.count)]


def perceived(category: str, options: Options, stack: ExitStack) -> GuideOf:
    """A function that makes the guide of an object, by a node that ends with the stack."""
    from lockstep import Lockstep
    from perceived_guide import PerceivedGuide

    lockstep = stack.enter_context(Lockstep(
        category, None if options.running_node else options.out / 'logs' / f'{category}.log'))

    def guide_of(thing: SimulatedObject) -> Guide:
        lockstep.restart()
        return PerceivedGuide(lockstep, thing.joint_name, thing.part, thing.scene.intrinsics)

    return guide_of


def open_one(category: str, number: int, guide_of: GuideOf, options: Options) -> Record:
    """Open one object; a failure is pictured."""
    from opening import Opener
    from world import World

    thing = SimulatedObject.sample(category, options.seed, number)
    name = f'{category}_{options.seed}_{number}'
    urdf = thing.write(options.out / 'objects' / name)
    film = Film(1) if options.gif is not None else Film()
    with World(thing, urdf, options.seed + number) as world:
        story = Opener(world, guide_of(thing), watch=film.watch).open()
        film.pictures.append(world.picture())
    record = Record(number, story.opened, story.reason, tuple(story.events))
    if not record.success:
        kind = 'true' if options.true else 'perceived'
        write_strip(film.pictures, f'{name}: opened {100 * record.opened:.0f} %; {record.reason}',
                    options.out / 'failures' / f'{name}_{kind}.png')
    if options.gif is not None and not options.gif.exists():
        write_animation(film.pictures, options.gif)
    return record


if __name__ == '__main__':
    sys.exit(main())
