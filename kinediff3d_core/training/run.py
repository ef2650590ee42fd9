"""Training: one loop for all stages, resumable at any moment, deterministic by its seed.

The same loop runs in one process or in several (:mod:`kinediff3d_core.training.ranks`).
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from kinediff3d_core.data.sample_files import ImportedObjects
from kinediff3d_core.networks.checkpoints import (
    SHIPPED,
    folder_of,
    load_network,
    read_notes,
    save_network,
)
from kinediff3d_core.networks.kavae import KAVAE
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel
from kinediff3d_core.objects.category import Category, get_category
from kinediff3d_core.objects.category_file import FILE_NAME, read_category, write_category
from kinediff3d_core.simulation.families import FAMILIES, TEST_SEED_OFFSET
from kinediff3d_core.training.fast import fast_matmul
from kinediff3d_core.training.pool import Pool
from kinediff3d_core.training.ranks import Ranks, joined
from kinediff3d_core.training.stages import STAGES, LatentStage, PoseStage, ShapeStage

EMA_DECAY = 0.999
WARM_UP = 200
GPU_LUMP = 256
"""On a GPU so many new instances are made at once."""


def train(stages: Sequence[str], categories: Sequence[str], out: Path, steps: int | None = None,
          seed: int = 0, device: str = 'cpu', seconds: float | None = None,
          batch: int | None = None, refresh: int | None = None, fill: int | None = None,
          data: Path | None = None, procedural: float = 0.0,
          start: Path | None = None, lr: float | None = None) -> None:
    """Train stages of categories one after the other and write ``<out>/<category>/<stage>``.

    Each run leaves ``<stage>.safetensors`` (averaged weights), ``<stage>.checkpoint`` (to resume
    from, written every minute) and ``<stage>.jsonl`` (losses). A run that finds its checkpoint
    goes on from there; one that is finished is skipped. Under torchrun every process takes its
    own batch and its own data, and rank 0 writes.

    Args:
        stages: of ``shape``, ``pose`` and ``latent`` (needs a shape stage in ``out`` or
            shipped, and is better after a pose stage).
        steps: a stage; None takes the stage's own number.
        seconds: wall time a stage may take; the learning rate then follows the clock.
        batch, refresh, fill: override the stage's batch, its new instances every ten steps, and
            how many instances are made before the first.
        data: folder of imported objects, of the one category; None takes the procedural family.
        procedural: share of procedural objects among imported ones.
        start: folder of weights to start from where there is no checkpoint; None starts at random.
        lr: overrides the stage's peak learning rate.

    Raises:
        ValueError: unknown stage or category, or a latent stage without a trained shape stage.
        FloatingPointError: the loss is not finite; the message names the step.
    """
    for stage in stages:
        if stage not in STAGES:
            raise ValueError(f'unknown stage {stage!r}; known: {", ".join(STAGES)}')
    with joined(torch.device(device)) as ranks:
        for name in categories:
            imported = None
            if data is not None:
                imported = ImportedObjects(data, get_category(name), ranks.device)
            if name not in FAMILIES:
                _keep_category(get_category(name), out / name / FILE_NAME, ranks)
            for stage in stages:
                _train_stage(stage, name, out / name, steps, seed, ranks, seconds, batch, refresh,
                             fill, imported, procedural, start, lr)
                ranks.wait()  # the next stage reads what rank 0 wrote


def _keep_category(category: Category, path: Path, ranks: Ranks) -> None:
    """Write a user's category beside its weights, which mean nothing without it."""
    if path.is_file() and read_category(path) != category:
        raise ValueError(f'{path} describes another {category.name!r} than the data: choose '
                         'another --out')
    ranks.wait()
    if ranks.first:
        write_category(category, path)


def _made_before(stage: str, name: str, folder: Path, device: torch.device) -> nn.Module | None:
    """The network of an earlier stage in ``folder``, or the shipped one.

    A latent stage can do without a score model, but not without a shape.
    """
    own = folder if (folder / f'{stage}.safetensors').is_file() else None
    if stage == 'pose' and own is None and not (SHIPPED / name / 'pose.safetensors').is_file():
        return None
    return load_network(stage, name, own, device)


def _start_from(network: nn.Module, given: nn.Module, folder: Path) -> None:
    """Copy the weights of a trained network. Codes of another shape stage have a scale of their
    own, which a latent stage then measures anew."""
    try:
        network.load_state_dict(given.state_dict())
    except RuntimeError as error:
        raise ValueError(f'the networks in {folder} have other sizes: '
                         f'{str(error).splitlines()[1].strip()}') from error
    if isinstance(network, LatentDenoiser):
        network.mean.zero_()


def _train_stage(stage: str, name: str, folder: Path, steps: int | None, seed: int,
                 ranks: Ranks, seconds: float | None, batch: int | None,
                 refresh: int | None, fill: int | None, imported: ImportedObjects | None,
                 procedural: float, start: Path | None, lr: float | None) -> None:
    category, config, device = get_category(name), STAGES[stage], ranks.device
    config = replace(config, steps=steps or config.steps, batch=batch or config.batch,
                     refresh=config.refresh if refresh is None else refresh,
                     fill=fill or config.fill, lr=lr or config.lr)
    torch.manual_seed(seed)
    annotate = None
    module: nn.Module
    if stage == 'shape':
        module = ShapeStage(category)
    elif stage == 'pose':
        module = PoseStage(category)
    else:
        module = LatentStage(category, cast(KAVAE, _made_before('shape', name, folder, device)),
                             cast(ScoreModel | None,
                                  _made_before('pose', name, folder, device)))
        annotate = module.annotate
    module.to(device)
    network = cast(nn.Module, module.network)
    before = None
    if start is not None:
        _start_from(network, load_network(stage, name, start, device), start)
        before = read_notes(folder_of(name, start) / f'{stage}.safetensors')
    ranks.copy_from_first(module)
    average = {k: v.clone() for k, v in network.state_dict().items()}
    learned = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=config.lr, weight_decay=1e-4,
                                  fused=device.type == 'cuda')
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f'{stage}.checkpoint'
    step, spent = 0, 0.0
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        module.load_state_dict(saved['module'])
        optimizer.load_state_dict(saved['optimizer'])
        average, step, spent = saved['average'], saved['step'], saved['spent']
    ranks.same(step, 'steps')

    def progress() -> float:
        by_clock = spent / seconds if seconds else 0.0
        return min(1.0, max(step / config.steps, by_clock))

    if progress() >= 1.0:
        return
    # Below the held-out seeds, and another stream of data after a resume.
    data_seed = (seed + 7919 * step + 104_729 * ranks.rank) % TEST_SEED_OFFSET
    pool = Pool(name, device, data_seed, stage != 'pose', config.views, config.capacity, annotate,
                imported, procedural)
    bar = tqdm(total=config.steps, initial=step, desc=f'{name} {stage}', mininterval=2.0,
               disable=not ranks.first)
    # A GPU makes many as quickly as one.
    lump = GPU_LUMP if device.type == 'cuda' else 1
    filled, due = 0, 0
    while filled < config.fill:
        pool.refresh(min(max(64, lump), config.fill - filled))
        filled += max(64, lump)
    last_save = tick = time.monotonic()

    def save() -> None:
        state = {'module': module.state_dict(), 'optimizer': optimizer.state_dict(),
                 'average': average, 'step': step, 'spent': spent}
        torch.save(state, checkpoint.with_suffix('.partial'))
        os.replace(checkpoint.with_suffix('.partial'), checkpoint)
        raw = {k: v.clone() for k, v in network.state_dict().items()}
        network.load_state_dict(average)
        save_network(network, stage, name, folder / f'{stage}.safetensors',
                     {'steps': step, 'seconds': round(spent),
                      'device': device.type, 'seed': seed, 'batch': config.batch,
                      'processes': ranks.size, 'before': before})
        network.load_state_dict(raw)

    buffers = [b for b in module.buffers() if b.is_floating_point()]
    # The averages, and what they follow: both are changed in place alone.
    averaged, current = list(average.values()), list(network.state_dict().values())
    zero = torch.zeros((), device=device)
    sums: dict[str, Tensor] = {}
    with (folder / f'{stage}.jsonl').open('a') if ranks.first else nullcontext() as log:
        while progress() < 1.0:
            if step % 10 == 0:
                due += config.refresh
                if due >= lump:
                    pool.refresh(due)
                    due = 0
            warm = min(1.0, (step + 1) / WARM_UP)
            for group in optimizer.param_groups:
                group['lr'] = config.lr * warm * (0.01 + 0.99 * 0.5
                                                  * (1 + math.cos(math.pi * progress())))
            losses = module(pool, config.batch)
            optimizer.zero_grad(set_to_none=True)
            with fast_matmul():
                losses['total'].backward()
            now = time.monotonic()
            spent += now - tick
            tick = now
            if ranks.size > 1:
                # The clock goes round, too: all ranks follow one learning rate and stop together.
                clock = torch.tensor(spent, device=device)
                ranks.average([p.grad for p in learned if p.grad is not None] + buffers + [clock])
                spent = float(clock)
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            step += 1
            decay = min(EMA_DECAY, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(averaged, current, 1 - decay)
            bar.update()
            # Nothing here waits for the device but every fiftieth step.
            for key, loss in losses.items():
                sums[key] = sums.get(key, zero) + loss.detach()
            if step % 50 == 0:
                means = torch.stack(list(sums.values())) / 50
                ranks.average([means])
                line = dict(zip(sums, means.tolist(), strict=True))
                if not math.isfinite(line['total']):
                    raise FloatingPointError(f'{name} {stage}: the loss is {line["total"]} at '
                                             f'step {step}; resume with a lower rate')
                if log is not None:
                    log.write(json.dumps({'step': step, 'seconds': round(spent, 1), **line})
                              + '\n')
                    log.flush()
                bar.set_postfix({k: f'{v:.4g}' for k, v in line.items()})
                sums = {}
            if ranks.first and now - last_save > 50:
                save()
                last_save = now
        if ranks.first:
            save()
    bar.close()
