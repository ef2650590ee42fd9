"""Training of stages: resumable at any moment, deterministic by its seed.

The same loop runs in one process or in several (:mod:`kinediff3d_core.distributed.ranks`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from kinediff3d_core.data.sample_files import ImportedObjects
from kinediff3d_core.distributed.ranks import Ranks, joined
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import SHIPPED, load_network, train_command
from kinediff3d_core.networks.kavae import KAVAE
from kinediff3d_core.networks.score import ScoreModel
from kinediff3d_core.objects.category import Category, get_category
from kinediff3d_core.objects.category_file import FILE_NAME, category_yaml, read_category
from kinediff3d_core.simulation.families import FAMILIES
from kinediff3d_core.simulation.real_world import without
from kinediff3d_core.training.config import TrainingConfig
from kinediff3d_core.training.latent_stage import LatentStage
from kinediff3d_core.training.loop import Job, StageModule, Trainer, run_loop
from kinediff3d_core.training.part_stage import PartStage
from kinediff3d_core.training.pool import PoolConfig
from kinediff3d_core.training.pose_stage import PoseStage
from kinediff3d_core.training.shape_stage import ShapeStage
from kinediff3d_core.training.warm_start import warm_start

WITH_SHAPES = ('shape', 'latent')
"""Stages that need samples of the instances' surfaces and distances."""


def train(stages: Sequence[str], categories: Sequence[str], out: Path,
          config: TrainingConfig | None = None) -> None:
    """Train stages of categories one after the other and write ``<out>/<category>/<stage>``.

    Each stage leaves ``<stage>.safetensors`` (averaged weights), ``<stage>.checkpoint`` (to resume
    from, written every minute) and ``<stage>.jsonl`` (losses). A stage that finds its checkpoint
    resumes from it; one that is finished is skipped. Under torchrun every process draws its own
    data, and rank 0 writes.

    Args:
        stages: of ``shape``, ``pose``, ``latent`` (needs a shape stage in ``out`` or shipped, and
            is better after a pose stage) and ``parts`` (needs a pose stage there).

    Raises:
        ValueError: unknown stage or category, or a stage without the earlier one that it needs.
        FloatingPointError: the loss is not finite; the message names the step.
    """
    config = config or TrainingConfig()
    settings = {stage: config.of_stage(stage) for stage in stages}
    world = without(config.without)
    with joined(torch.device(config.device)) as ranks:
        for name in categories:
            category, folder = get_category(name), out / name
            imported = None
            if config.data is not None:
                imported = ImportedObjects(config.data, category, ranks.device)
            if name not in FAMILIES:
                _write_own_category(category, folder / FILE_NAME, ranks)
            for stage in stages:
                pool = PoolConfig(stage in WITH_SHAPES, settings[stage].views,
                                  settings[stage].capacity, imported, config.procedural,
                                  world=world)
                train_stage(Job(stage, name, folder, settings[stage], config, ranks), pool)
                ranks.wait()  # the next stage reads what rank 0 wrote


def train_stage(job: Job, pool: PoolConfig) -> None:
    """Train one stage, from its checkpoint where there is one."""
    torch.manual_seed(job.run.seed)
    job.folder.mkdir(parents=True, exist_ok=True)
    module = _new_module(job)
    module.to(job.ranks.device)
    before = None
    if job.run.start is not None:
        before = warm_start(module.network, job.stage, job.category, job.run.start,
                            quiet=not job.ranks.first)
    job.ranks.copy_from_first(module)
    trainer = Trainer(job, module, before)
    if trainer.progress < 1.0:
        run_loop(trainer, pool)


def _new_module(job: Job) -> StageModule:
    """The stage's module with random weights."""
    category = get_category(job.category)
    if job.stage == 'shape':
        return ShapeStage(category)
    if job.stage == 'pose':
        return PoseStage(category)
    pose = cast(ScoreModel | None, _trained_network('pose', job))
    if job.stage == 'parts':
        if pose is None:
            raise ValueError(f'the stage parts needs the encoder of a pose stage; train one with '
                             f'{train_command("pose", category.name)}')
        return PartStage(category, pose)
    return LatentStage(category, cast(KAVAE, _trained_network('shape', job)), pose)


def _trained_network(stage: str, job: Job) -> nn.Module | None:
    """The network of an earlier stage in the job's folder, or the shipped one.

    A latent stage can be trained without a score model, but not without a shape.
    """
    trained = (job.folder / f'{stage}.safetensors').is_file()
    shipped = (SHIPPED / job.category / f'{stage}.safetensors').is_file()
    if stage == 'pose' and not trained and not shipped:
        return None
    own = None if shipped and not trained else job.folder
    network = load_network(stage, job.category, own, job.ranks.device)
    if job.ranks.first:
        of = 'the shipped weights' if own is None else own
        print(f'{job.category} {job.stage}: uses the {stage} network of {of}', file=sys.stderr)
    return network


def _write_own_category(category: Category, path: Path, ranks: Ranks) -> None:
    """Write a user's category beside its weights, which cannot be used without it."""
    if path.is_file() and read_category(path) != category:
        raise ValueError(f'{path} describes another {category.name!r} than the data: choose '
                         'another --out')
    ranks.wait()
    if ranks.first:
        write_text(path, category_yaml(category))
