"""The training loop of one stage: network, averaged weights, optimizer, checkpoint and log."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from kinediff3d_core.distributed.interruption import Interruption
from kinediff3d_core.distributed.journal import append_line
from kinediff3d_core.distributed.ranks import Ranks
from kinediff3d_core.io.files import shortened, write_bytes
from kinediff3d_core.networks.checkpoints import save_network
from kinediff3d_core.simulation.families import TEST_SEED_OFFSET
from kinediff3d_core.training.config import LOOP, StageConfig, TrainingConfig
from kinediff3d_core.training.latent_stage import LatentStage
from kinediff3d_core.training.matmul_precision import tf32_matmul
from kinediff3d_core.training.part_stage import PartStage
from kinediff3d_core.training.pool import Pool, PoolConfig, PoolFeed
from kinediff3d_core.training.pose_stage import PoseStage
from kinediff3d_core.training.shape_stage import ShapeStage

StageModule = ShapeStage | PoseStage | LatentStage | PartStage


@dataclass(frozen=True)
class Job:
    """One stage of one category.

    Attributes:
        folder: where its files are written.
        ranks: the processes that train it.
    """

    stage: str
    category: str
    folder: Path
    config: StageConfig
    run: TrainingConfig
    ranks: Ranks

    def path(self, kind: str) -> Path:
        """The stage's file of a kind: safetensors, checkpoint or jsonl."""
        return self.folder / f'{self.stage}.{kind}'

    def data_seed(self, step: int) -> int:
        """Seed of the data from a step on.

        It is below the held-out seeds. Each rank, and each resume, has a stream of its own.
        """
        return (self.run.seed + 7919 * step + 104_729 * self.ranks.rank) % TEST_SEED_OFFSET


class Trainer:
    """A stage in training; it resumes from the job's checkpoint where there is one.

    Args:
        before: notes of the weights that it starts from, or None.

    Attributes:
        step: steps done. spent: seconds that they took, over all runs.
    """

    def __init__(self, job: Job, module: StageModule, before: Mapping[str, Any] | None) -> None:
        self.job, self.module, self.before = job, module, before
        device = job.ranks.device
        self.network = cast(nn.Module, module.network)
        self.average = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.learned = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learned, lr=job.config.lr,
                                           weight_decay=LOOP.weight_decay,
                                           fused=device.type == 'cuda')
        self.step, self.spent = 0, 0.0
        self._resume()
        self.buffers = [b for b in module.buffers() if b.is_floating_point()]
        # Both are changed in place alone, so that these lists stay valid.
        self.averaged = list(self.average.values())
        self.current = list(self.network.state_dict().values())
        self.last_tick = time.monotonic()

    def _resume(self) -> None:
        path = self.job.path('checkpoint')
        if path.is_file():
            try:
                saved = torch.load(path, map_location=self.job.ranks.device, weights_only=True)
                self.module.load_state_dict(saved['module'])
                self.optimizer.load_state_dict(saved['optimizer'])
                self.average, self.step, self.spent = (saved[k] for k in (
                    'average', 'step', 'spent'))
            except Exception as error:  # torch passes on whatever its readers raise
                raise ValueError(f'{path} is no checkpoint of this stage ({shortened(error, 80)});'
                                 ' delete it, and the stage starts anew') from error
        self.job.ranks.require_equal(self.step, 'steps')

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1, by steps or by the clock."""
        seconds = self.job.run.seconds
        by_clock = self.spent / seconds if seconds else 0.0
        return min(1.0, max(self.step / self.job.config.steps, by_clock))

    def start_clock(self) -> None:
        """Count time from now on."""
        self.last_tick = time.monotonic()

    def learning_rate(self) -> float:
        """The rate of the next step: a linear warm-up, then a cosine."""
        warm = min(1.0, (self.step + 1) / LOOP.warm_up)
        cosine = (1 - LOOP.final_lr) * 0.5 * (1 + math.cos(math.pi * self.progress))
        return self.job.config.lr * warm * (LOOP.final_lr + cosine)

    def train_step(self, pool: Pool) -> dict[str, Tensor]:
        """Train on one batch; returns its losses."""
        lr = self.learning_rate()
        for group in self.optimizer.param_groups:
            group['lr'] = lr
        losses: dict[str, Tensor] = self.module(pool, self.job.config.batch)
        self.optimizer.zero_grad(set_to_none=True)
        with tf32_matmul():
            losses['total'].backward()  # type: ignore[no-untyped-call]
        self._tick()
        self._average_over_ranks()
        torch.nn.utils.clip_grad_norm_(self.learned, LOOP.gradient_norm)
        self.optimizer.step()
        self.step += 1
        decay = min(LOOP.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.averaged, self.current, 1 - decay)
        return losses

    def _tick(self) -> None:
        """Add the time since the last tick."""
        now = time.monotonic()
        self.spent += now - self.last_tick
        self.last_tick = now

    def _average_over_ranks(self) -> None:
        """Average gradients, buffers and the clock: all ranks then have one learning rate, and
        stop together."""
        ranks = self.job.ranks
        if ranks.size > 1:
            clock = torch.tensor(self.spent, device=ranks.device)
            gradients = [p.grad for p in self.learned if p.grad is not None]
            ranks.average(gradients + self.buffers + [clock])
            self.spent = float(clock)

    def save(self) -> None:
        """Write the checkpoint, complete or not at all, and the averaged weights."""
        job, path = self.job, self.job.path('checkpoint')
        data = BytesIO()
        torch.save({'module': self.module.state_dict(), 'optimizer': self.optimizer.state_dict(),
                    'average': self.average, 'step': self.step, 'spent': self.spent}, data)
        write_bytes(path, data.getbuffer())
        raw = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        save_network(self.network, job.stage, job.category, job.path('safetensors'),
                     {'steps': self.step, 'seconds': round(self.spent),
                      'device': job.ranks.device.type, 'seed': job.run.seed,
                      'batch': job.config.batch, 'processes': job.ranks.size,
                      'before': self.before,
                      **({'without': list(job.run.without)} if job.run.without else {}),
                      **(self.module.notes if isinstance(self.module, PartStage) else {})})
        self.network.load_state_dict(raw)


class LossLog:
    """Mean losses, averaged over ranks, as JSON lines of rank 0.

    Args:
        file: handle that is open for appending; None in other ranks.
    """

    def __init__(self, job: Job, file: int | None) -> None:
        self.job, self.file = job, file
        self.sums: dict[str, Tensor] = {}
        self.steps = 0
        self.zero = torch.zeros((), device=job.ranks.device)

    def add(self, losses: Mapping[str, Tensor], step: int, spent: float,
            ) -> dict[str, float] | None:
        """Add the losses of a step; every ``LOOP.log_steps`` write and return their means.

        Raises:
            FloatingPointError: the mean total is not finite; the message names the step.
        """
        for key, loss in losses.items():
            self.sums[key] = self.sums.get(key, self.zero) + loss.detach()
        self.steps += 1  # fewer than between two lines where training has resumed
        if step % LOOP.log_steps:
            return None
        means = torch.stack(list(self.sums.values())) / self.steps
        self.job.ranks.average([means])
        line = dict(zip(self.sums, means.tolist(), strict=True))
        self.sums, self.steps = {}, 0
        if not math.isfinite(line['total']):
            raise FloatingPointError(f'{self.job.category} {self.job.stage}: the loss is '
                                     f'{line["total"]} at step {step}; resume with a lower rate')
        if self.file is not None:
            append_line(self.file, json.dumps({'step': step, 'seconds': round(spent, 1), **line}),
                        self.job.path('jsonl'))
        return line


@contextmanager
def loss_log(job: Job) -> Iterator[LossLog]:
    """A log that appends to ``<stage>.jsonl``; only rank 0 has a file."""
    if not job.ranks.first:
        yield LossLog(job, None)
        return
    file = os.open(job.path('jsonl'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        yield LossLog(job, file)
    finally:
        os.close(file)


def run_loop(trainer: Trainer, config: PoolConfig) -> None:
    """Train until the steps or the seconds of the run are over, and save.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM. The checkpoint is saved; the message names it.
    """
    job, module = trainer.job, trainer.module
    annotate = module.annotate if isinstance(module, LatentStage) else None
    pool = Pool(job.category, job.ranks.device, job.data_seed(trainer.step), config, annotate)
    feed = PoolFeed(pool, job.config.refresh)
    with tqdm(total=job.config.steps, initial=trainer.step, mininterval=2.0,
              desc=f'{job.category} {job.stage}', disable=not job.ranks.first) as bar:
        feed.fill(job.config.fill)
        with Interruption() as interruption:
            try:
                _run_steps(trainer, feed, bar, interruption)
            except RuntimeError:  # Another rank may have ended first.
                if not interruption.requested:
                    raise
            if job.ranks.first:
                trainer.save()
    if interruption.requested and trainer.progress < 1.0:
        raise KeyboardInterrupt(f'{job.path("checkpoint")} is saved at step {trainer.step}; '
                                'continue with --resume')


def _run_steps(trainer: Trainer, feed: PoolFeed, bar: tqdm[Any],
               interruption: Interruption) -> None:
    """Train to the end, or until that is interrupted; save from time to time."""
    job = trainer.job
    trainer.start_clock()
    last_save = trainer.last_tick
    with loss_log(job) as log:
        while trainer.progress < 1.0 and not interruption.requested:
            feed.before_step(trainer.step)
            losses = trainer.train_step(feed.pool)
            bar.update()
            means = log.add(losses, trainer.step, trainer.spent)
            if means is not None:
                bar.set_postfix({k: f'{v:.4g}' for k, v in means.items()})
            if job.ranks.first and trainer.last_tick - last_save > LOOP.save_seconds:
                trainer.save()
                last_save = trainer.last_tick
