"""Writes docs/results.md from summaries of ``kinediff3d evaluate --json``.

    python -m kinediff3d_core.evaluation.results --missing | sh -e
    python -m kinediff3d_core.evaluation.results

The first command prints the commands whose results are missing in the folder, or have Chamfer
distances in the unit of an older version. The second one writes the page from the results that
exist. Inputs have fixed names: ``procedural.json``, ``objects.json``, ``paper.json``,
``peer_<name>.json`` (a baseline), ``rounds_<n>.json``, and ``auto.json`` of the confusion program,
each with a ``.meta.json`` beside it. Where a baseline has fewer views than ``procedural.json``,
the records ``procedural.jsonl`` give the pipeline's figures on the same views.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kinediff3d_core.evaluation.confusion import table as confusion_table
from kinediff3d_core.evaluation.confusion import views
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.paper_figures import (
    ARTIMAGE,
    POSE,
    PUBLISHED,
    PUBLISHED_ROUNDS,
    PUBLISHED_VISIBILITY,
    SHAPE,
)
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.readme_table import write_accuracy
from kinediff3d_core.evaluation.records import Record, origin_path, read_all_records, summary_of
from kinediff3d_core.evaluation.summary_files import (
    Summaries,
    has_outdated_units,
    in_current_units,
    read_summaries,
)
from kinediff3d_core.evaluation.visibility import THIRDS
from kinediff3d_core.io.files import write_text

BASELINES = {'regression': 'direct regression', 'asdf': 'A-SDF\'s optimisation (true pose given)',
         'score': 'score model alone', 'ancsh': 'part-centric, after A-NCSH'}
SLOW = ('asdf',)
"""Baselines that take as long as the preset ``paper``, and therefore get as few views."""

ROUNDS = (1, 2, 3, 4, 5)

SHAPE_L1 = ('cd_l1_w', 'cd_l1_s', 'cd_l1_m', 'gen_cd_l1_w', 'gen_cd_l1_s', 'gen_cd_l1_m')
"""Means of plain distances, in the order of the paper's squared ones."""

TITLES = {
    'cd_w': 'CD-w', 'cd_s': 'CD-s', 'cd_m': 'CD-m', 'cd_floor': 'floor', 'gen_cd_w': 'gen. CD-w',
    'gen_cd_s': 'gen. CD-s', 'gen_cd_m': 'gen. CD-m', 'rot_err_deg': 'rot [°]',
    'trans_err_m': 'trans [m]', 'joint_state_err': 'state [° or m]', 'axis_err_deg': 'axis [°]',
    'axis_pos_err_m': 'axis pos. [m]', 'failure_rate': 'failures',
    'failure_rate_modes': 'in every mode', 'seconds': 'seconds',
    'visibility': 'visibility', 'cd_l1_floor': 'floor',
    **dict(zip(SHAPE_L1, ('CD-L1-w', 'CD-L1-s', 'CD-L1-m', 'gen. CD-L1-w', 'gen. CD-L1-s',
                          'gen. CD-L1-m'), strict=True))}

HEAD = """# Results

After reading this page you know how accurate the estimates are, and how they compare with the
paper and with the baselines. `python -m kinediff3d_core.evaluation.results` writes the page from
measurements of `kinediff3d evaluate`: do not edit it. [evaluation.md](evaluation.md) defines the
metrics and the test views.

- A cell is the mean ± the standard deviation, and the median after the bar.
- A failure is a view without an estimate, or with a rotation error above 20°. The table gives its
  share and the number of views. Estimates with a large rotation error count in all means.
- *In every mode* is the share of views that fail in all named modes (weight 0.1 or more).
- The paper's rows are the paper's figures on the paper's data. They show the order of magnitude,
  not a comparison under equal conditions.
- CD is A-SDF's: the sum of both directions' mean squared distances. CD-L1 is the mean of plain
  distances. Both are thousandths, with a bounding sphere of radius one.
- *Floor* is the distance between two draws of 30,000 points from the true surface. *To the
  surface* has no floor.
- *Seconds* are wall time of one thread beside other work. They show the order of magnitude;
  [performance.md](performance.md) has times of an idle machine.
"""


def commands(folder: Path, count: int = 200, paper_count: int = 20, objects: Path | None = None,
             extra: Sequence[str] = ()) -> dict[str, str]:
    """The command that makes each input, by the input's name."""
    def line(name: str, *arguments: object, views: int = count) -> str:
        return shlex.join(['kinediff3d', 'evaluate', *map(str, arguments), '--count', str(views),
                           '--json', str(folder / f'{name}.json'), *extra])

    out = {'procedural': line('procedural', '--records', folder / 'procedural.jsonl'),
           'objects': line('objects', '--objects', objects or 'DIR'),
           'paper': line('paper', '--preset', 'paper', views=paper_count)}
    out.update({f'peer_{p}': line(f'peer_{p}', '--peer', p,
                                  views=paper_count if p in SLOW else count) for p in BASELINES})
    out.update({f'rounds_{n}': line(f'rounds_{n}', '--rounds', n) for n in ROUNDS})
    out['auto'] = _confusion_command(folder, paper_count, extra)
    return out


def _confusion_command(folder: Path, count: int, extra: Sequence[str] = ()) -> str:
    return shlex.join(['python', '-m', 'kinediff3d_core.evaluation.confusion', '--count',
                       str(count), '--json', str(folder / 'auto.json'), *extra])


def page(folder: Path, makers: Mapping[str, str]) -> str:
    """The page as Markdown.

    Args:
        makers: the command of each input (:func:`commands`).
    """
    inputs = read_summaries(folder, (name for name in makers if name != 'auto'))
    parts = [HEAD]

    def section(title: str, text: str, names: Sequence[str], table: str) -> None:
        found = [n for n in names if n in inputs]
        body = [f'## {title}', _filled(text)]
        if found:
            body += [table, '\n'.join(_origin(folder, n, _counts(inputs[n])) for n in found)]
        body.append('\n'.join(f'- {what}: `{n}.json`, by `{makers[n]}`' for n in names
                              if (what := _to_measure(folder / f'{n}.json'))))
        parts.append('\n\n'.join(x for x in body if x) + '\n')

    procedural, objects = inputs.get('procedural', {}), inputs.get('objects', {})
    section('Table 1: reconstruction and generation', 'Held-out procedural objects with sensor '
            'noise. Chamfer distances × 1000 of the whole object (w), its base (s) and its moving '
            'parts (m). *gen.* is the object decoded in a joint state that was not observed.',
            ['procedural'], _shape_table(procedural))
    section('Table 2: pose and joints', 'The same views.', ['procedural'],
            _pose_table(procedural))
    section('Table 3, I to III: visibility', 'The same views in three groups of equal size, by '
            'the share of the object\'s surface that the camera sees. A camera sees at most half '
            'of a convex object, so the paper\'s highest bound would leave an empty group.',
            ['procedural'],
            _visibility_table(procedural))
    rounds = {n: inputs[f'rounds_{n}'] for n in ROUNDS if f'rounds_{n}' in inputs}
    section('Table 3, IV to VIII: rounds of optimisation', 'The same views, estimated with '
            'different numbers of rounds.', [f'rounds_{n}' for n in ROUNDS], _rounds_table(rounds))
    others = [('ours, preset `paper`', inputs.get('paper', {})),
              *((title, inputs.get(f'peer_{p}', {})) for p, title in BASELINES.items())]
    methods = [('ours', procedural), *_ours_on_fewer(folder / 'procedural.jsonl', procedural,
                                                     [s for _, s in others]), *others]
    section('Baselines', 'Other methods with the same networks, decoder and views. Where a '
            'baseline has fewer views, *ours, first N* gives our figures on the same views.',
            ['procedural', 'paper', *(f'peer_{p}' for p in BASELINES)],
            _baseline_table(methods))
    auto = folder / 'auto.json'
    parts.append('\n\n'.join([
        '## Category recognition',
        _filled('The categories that `category: auto` chooses for held-out procedural objects '
                '(number of views), the mean weight of its choice, and the mean weight of wrong '
                'choices.'),
        _confusion_part(auto) if auto.is_file() else
        f'- Not measured yet: `auto.json`, by `{makers["auto"]}`\n']))
    section('Third-party objects', 'Mesh objects that are not in the training data, in views of '
            'the same kind.', ['objects'], _both_tables(objects))
    return '\n'.join(parts)


def _to_measure(path: Path) -> str:
    """What of an input is still to be measured; empty if nothing is."""
    if not path.is_file():
        return 'Not measured yet'
    return 'Shapes not measured in the current unit' if has_outdated_units(path) else ''


def _filled(text: str) -> str:
    """A paragraph in lines of at most 120 columns."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def cell(summary: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """``mean ± std | median`` of a metric; failures as a share of all views."""
    if metric not in summary:
        return '–'
    s = summary[metric]
    if metric.startswith('failure_rate'):
        return f'{100 * s["mean"]:.3g} % of {int(s["n"])}'
    return f'{s["mean"]:.3g} ± {s["std"]:.2g} \\| {s["median"]:.3g}'


def _rows(summaries: Summaries, metrics: Sequence[str], surface: bool = False,
          ) -> list[list[str]]:
    """Rows of each category: ours, with ``surface`` ours to the surface, and the paper's."""
    out = []
    for category, summary in summaries.items():
        out.append([category, 'ours', *(cell(summary, m) for m in metrics)])
        if surface and any(f'{m}_surface' in summary for m in metrics):
            out.append([category, 'ours, to the surface',
                        *(cell(summary, f'{m}_surface') for m in metrics)])
        name, figures = PUBLISHED.get(category, ('', {}))
        if any(m in figures for m in metrics):
            out.append([category, name, *(f'{figures[m]:g}' if m in figures
                                          else '–' for m in metrics)])
    return out


def _heads(metrics: Sequence[str]) -> list[str]:
    return ['category', '', *(TITLES[m] for m in metrics)]


def _shape_table(summaries: Summaries) -> str:
    squared, plain = (*SHAPE, 'cd_floor', 'failure_rate'), (*SHAPE_L1, 'cd_l1_floor')
    return markdown_table(_heads(squared), _rows(summaries, squared)) + '\n\n' + \
        markdown_table(_heads(plain), _rows(summaries, plain, surface=True))


def _pose_table(summaries: Summaries) -> str:
    metrics = (*POSE, 'failure_rate', 'failure_rate_modes', 'seconds')
    return markdown_table(_heads(metrics), _rows(summaries, metrics))


def _both_tables(summaries: Summaries) -> str:
    return _shape_table(summaries) + '\n\n' + _pose_table(summaries)


def _visibility_table(summaries: Summaries) -> str:
    metrics = ('visibility', 'cd_w', 'rot_err_deg', 'trans_err_m', 'joint_state_err',
               'failure_rate')
    rows = [[category, f'{third} third', *(cell(summary, f'{m}_{third}_third') for m in metrics)]
            for category, summary in summaries.items() for third in THIRDS
            if f'visibility_{third}_third' in summary]
    rows += [['dishwasher', ARTIMAGE, level, *(f'{x:g}' for x in values), '–', '–']
             for level, values in PUBLISHED_VISIBILITY.items()]
    return markdown_table(_heads(metrics), rows)


def _rounds_table(rounds: Mapping[int, Summaries]) -> str:
    metrics = ('cd_w', 'gen_cd_w', 'rot_err_deg', 'trans_err_m', 'joint_state_err',
               'failure_rate')
    categories = list(dict.fromkeys(c for summaries in rounds.values() for c in summaries))
    rows = [[category, str(n), *(cell(summaries[category], m) for m in metrics)]
            for category in categories for n, summaries in rounds.items()
            if category in summaries]
    rows += [['dishwasher', f'{n} ({ARTIMAGE})', f'{cd:g}', '–', f'{rot:g}', f'{trans:g}', '–',
              '–'] for n, (cd, rot, trans) in PUBLISHED_ROUNDS.items()]
    return markdown_table(['category', 'rounds', *(TITLES[m] for m in metrics)], rows)


def _baseline_table(methods: Sequence[tuple[str, Summaries]]) -> str:
    metrics = ('cd_w', 'gen_cd_w', 'rot_err_deg', 'trans_err_m', 'joint_state_err',
               'failure_rate', 'seconds')
    categories = list(dict.fromkeys(c for _, summaries in methods for c in summaries))
    return markdown_table(_heads(metrics), [
        [category, title, *(cell(summaries[category], m) for m in metrics)]
        for category in categories for title, summaries in methods if category in summaries])


def _ours_on_fewer(records: Path, ours: Summaries, others: Sequence[Summaries],
                   ) -> list[tuple[str, Summaries]]:
    """Our summaries on the first views of a category, by the number of views of other methods."""
    if not records.is_file():
        return []
    by_category = read_all_records(records)
    out: dict[int, dict[str, Any]] = {}
    for other in others:
        for category, summary in other.items():
            n = _views(summary)
            if category in by_category and n < _views(ours.get(category, {})):
                out.setdefault(n, {})[category] = summary_of(
                    [_in_current_units(r) for r in by_category[category][:n]])
    return [(f'ours, first {n}', out[n]) for n in sorted(out, reverse=True)]


def _in_current_units(record: Record) -> Record:
    return replace(record, metrics=record.metrics and in_current_units(record.metrics))


def _views(summary: Mapping[str, Mapping[str, float]]) -> int:
    return int(summary['failure_rate']['n']) if 'failure_rate' in summary else 0


def _confusion_part(path: Path) -> str:
    """The table of the confusion program, and how its file was made."""
    try:
        result = json.loads(path.read_text())
        counts = views(result)
        origin = _origin(path.parent, path.stem, counts,
                         _confusion_command(path.parent, counts[-1]))
        return f'{confusion_table(result)}\n\n{origin}\n'
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is not a file of the confusion program') from error


def _counts(summaries: Summaries) -> list[int]:
    """The different numbers of views of a category, ascending."""
    return sorted({_views(s) for s in summaries.values()} - {0})


def _origin(folder: Path, name: str, counts: Sequence[int], command: str = 'unknown command',
            ) -> str:
    """How an input was made, in one line.

    Args:
        counts: numbers of views of a category.
        command: of a file that has no origin beside it.
    """
    path = origin_path(folder / f'{name}.json')
    meta: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    machine = ', '.join(str(meta[k]) for k in ('gpu', 'device', 'processor') if k in meta)
    threads = f', {meta["threads"]} thread(s)' if 'threads' in meta else ''
    return (f'- `{name}.json`: `{meta.get("command", command)}`'
            + (f' ({"/".join(map(str, counts))} views a category' if counts else ' (')
            + (f'; {machine}{threads})' if machine else ')'))


def write_page(options: argparse.Namespace) -> None:
    """Write the page and the README's table, or print the commands of missing inputs."""
    makers = commands(options.folder, options.count, options.paper_count, options.objects,
                      shlex.split(options.extra))
    if options.missing:
        for name, maker in makers.items():
            path = options.folder / f'{name}.json'
            there = path.is_file() and (name == 'auto' or not has_outdated_units(path))
            if not there and (name != 'objects' or options.objects is not None):
                print(maker)
        return
    write_text(options.out, page(options.folder, makers))
    print(options.out)
    if options.readme is not None:
        inputs = read_summaries(options.folder, ('procedural', 'objects'))
        write_accuracy(options.readme, inputs.get('procedural', {}), inputs.get('objects', {}))
        print(options.readme)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or print what is missing; returns the exit status."""
    parser = Parser('results', 'Write docs/results.md from summaries of "kinediff3d evaluate".')
    parser.add_argument('--from', dest='folder', type=Path, default=Path('docs/results'),
                        metavar='DIR', help='folder of the summaries (default docs/results)')
    parser.add_argument('--out', type=Path, default=Path('docs/results.md'), metavar='F',
                        help='page to write (default docs/results.md)')
    parser.add_argument('--readme', type=Path, metavar='F',
                        help='write the table of accuracy between its two marks in this file, too')
    parser.add_argument('--missing', action='store_true',
                        help='print the commands that make missing summaries instead, for sh')
    parser.add_argument('--count', type=int, default=200, metavar='N',
                        help='views a category in these commands (default 200)')
    parser.add_argument('--paper-count', type=int, default=20, metavar='N',
                        help='views a category with the slow preset paper and the slow '
                             'baseline asdf (default 20)')
    parser.add_argument('--objects', type=Path, metavar='DIR',
                        help='folder of third-party objects; without it they are left out')
    parser.add_argument('--extra', default='', metavar='ARGS',
                        help='more arguments for the commands, such as "--weights runs"')
    return run(parser, write_page, arguments)


if __name__ == '__main__':
    sys.exit(main())
