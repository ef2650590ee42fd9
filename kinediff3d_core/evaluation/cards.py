"""Writes the model card of each category, from its weights and from measured results.

    kinediff3d evaluate --category all --count 200 --json docs/results/procedural.json
    kinediff3d evaluate --category all --objects DIR --count 48 --json docs/results/objects.json
    python -m kinediff3d_core.evaluation.cards
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import degrees
from pathlib import Path
from typing import Any

from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.records import units
from kinediff3d_core.evaluation.summary_files import read_summaries
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import (
    NETWORKS,
    REQUIRED,
    SHIPPED,
    read_notes,
    trained_categories,
)
from kinediff3d_core.objects.category import get_category

Summary = Mapping[str, Mapping[str, float]]

WHAT = {'shape': 'KA-VAE', 'pose': 'score model', 'latent': 'latent denoiser',
        'parts': 'head of the baseline ancsh, on the encoder of `pose`'}
BATCH_OF = {'shape': 'instances', 'pose': 'views', 'latent': 'views', 'parts': 'views'}
ROWS = {'rot_err_deg': 'rotation', 'trans_err_m': 'translation', 'joint_state_err': 'joint state',
        'axis_err_deg': 'axis direction', 'axis_pos_err_m': 'axis position',
        'joints_missed': 'missed joints per view', 'joints_invented': 'invented joints per view',
        'cd_w': 'CD-w', 'cd_s': 'CD-s', 'cd_m': 'CD-m', 'gen_cd_w': 'CD-w, generated state',
        'cd_floor': 'CD between two draws from the true surface',
        'cd_l1_w': 'CD-L1-w', 'cd_l1_floor': 'CD-L1 between two draws from the true surface',
        'cd_l1_w_surface': 'CD-L1-w to the surface',
        'gen_cd_l1_w_surface': 'CD-L1-w to the surface, generated state'}
SOURCES = {'procedural': 'procedural, held out', 'objects': 'third-party'}


def earlier_notes(noted: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Notes of the weights that training started from, and of all earlier weights."""
    while noted := noted.get('before') or {}:
        yield noted


def scores(category: str, summaries: Mapping[str, Summary]) -> str:
    """``mean / median`` of every metric, one column a source, as Markdown."""
    unit = units(category)

    def figures(summary: Summary, metric: str) -> str:
        if metric not in summary:
            return '–'
        scale = 1e3 if unit.get(metric) == 'm' else 1.0
        return f'{scale * summary[metric]["mean"]:.3g} / {scale * summary[metric]["median"]:.3g}'

    rows = []
    for metric, title in ROWS.items():
        if any(metric in s for s in summaries.values()):
            what = {'m': ', mm', '°': ', °'}.get(unit.get(metric, ''), '')
            rows.append([title + what, *(figures(s, metric) for s in summaries.values())])
    rows.append(['failures (none, or rotation > 20°)',
                 *(f'{100 * s["failure_rate"]["mean"]:.1f} %' for s in summaries.values())])
    return markdown_table(['mean / median', *(f'{SOURCES[name]}, n = {int(s["failure_rate"]["n"])}'
                                        for name, s in summaries.items())], rows)


def card(category: str, folder: Path, summaries: Mapping[str, Summary]) -> str:
    """The card of the networks in ``folder``.

    Args:
        summaries: of this category, by source (``procedural``, ``objects``).
    """
    spec = get_category(category)
    low, high = spec.train_range
    seen = (f'{100 * low:.0f} to {100 * high:.0f} cm' if spec.joints[0].joint_type == 'prismatic'
            else f'{degrees(low):.0f} to {degrees(high):.0f}°')
    rows = [['data', 'procedural instances of '
             f'`kinediff3d_core/simulation/families/{category}.py`, made during training; no '
             'third-party objects'],
            ['joints', ', '.join(j.name for j in spec.joints)
             + f': {seen}, within the range of the instance']]
    stages = [s for s in NETWORKS if s in REQUIRED or (folder / f'{s}.safetensors').is_file()]
    for stage in stages:
        n = read_notes(folder / f'{stage}.safetensors')
        rows.append([f'`{stage}` ({WHAT[stage]})',
                     f'{n.get("steps", "?")} steps of {n.get("batch", "?")} {BATCH_OF[stage]}, '
                     f'{n.get("seconds", "?")} s on one {n.get("device", "?")}, '
                     f'seed {n.get("seed", "?")}'
                     + ''.join(f', after {b.get("steps", "?")} steps of {b.get("batch", "?")}'
                               + (f' for {b["category"]}' if 'category' in b else '')
                               for b in earlier_notes(n))])
    if folder.parent == SHIPPED:
        rows.append(['how', 'docs/training.md, "The shipped weights", has the commands and what '
                     'the views contained'])
    rows.append(['made with', f'`kinediff3d train {{{",".join(stages)}}} --category ' + category
                 + ' --seconds …`, resumable; weights of another run differ'])
    measured = scores(category, summaries) if summaries else 'Not measured yet.'
    return '\n\n'.join([
        f'# Weights of category {category}',
        'The networks as safetensors, without executable code. Large matrices have 8 bits and a '
        'scale for each row. All other values have half precision.',
        markdown_table(['', ''], rows), '## Scores',
        'docs/evaluation.md defines the test views and metrics. Views have sensor noise; the '
        'preset is `fast`.\nCD is A-SDF\'s sum of mean squared distances, CD-L1 the mean of plain '
        'distances, both in thousandths, with a\nbounding sphere of radius one.',
        measured,
        '## Limits',
        f'- The networks are trained on {category} objects only. A cloud of another object may '
        'get an estimate, too. Check `confidence`, `residual` and the modes.\n'
        '- Training has no views from below the object, and no clutter without a mask.\n'
        '- Small details of the surface are smoothed.']) + '\n'


def write_cards(options: argparse.Namespace) -> None:
    """Write the card of each category with weights."""
    summaries = read_summaries(options.folder, SOURCES)
    for category in trained_categories(options.weights):
        measured = {name: s[category] for name, s in summaries.items() if category in s}
        out = options.weights / category / 'MODEL_CARD.md'
        write_text(out, card(category, options.weights / category, measured))
        print(out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the cards; returns the exit status."""
    parser = Parser('cards', 'Write the model card of each category with weights.')
    parser.add_argument('--from', dest='folder', type=Path, default=Path('docs/results'),
                        metavar='DIR', help='folder with procedural.json and objects.json')
    parser.add_argument('--weights', type=Path, default=SHIPPED, metavar='DIR',
                        help='one folder a category (default: the shipped weights)')
    return run(parser, write_cards, arguments)


if __name__ == '__main__':
    sys.exit(main())
