"""Settings of training: of a stage, of one run, and of the loop that all stages share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kinediff3d_core.objects.suggestion import unknown

CLOUD_POINTS = 512
"""Points of a cloud that the score model and the latent denoiser receive. Chosen."""


@dataclass(frozen=True)
class StageConfig:
    """Sizes and rates of one stage."""

    batch: int
    """Instances (shape) or views (all others) in a step."""
    lr: float
    """Peak learning rate of AdamW. It is warmed up and decays along a cosine."""
    steps: int
    """Steps of a full run on a CPU."""
    views: int
    """Views made of each new instance; 0 for the shape stage."""
    fill: int
    """Instances made before the first step."""
    refresh: int
    """New instances every ten steps."""
    capacity: int
    """Instances kept."""


STAGES = {
    'shape': StageConfig(batch=24, lr=3e-3, steps=5000, views=0, fill=400, refresh=4,
                         capacity=6000),
    'pose': StageConfig(batch=64, lr=7e-4, steps=6000, views=4, fill=512, refresh=8,
                        capacity=6000),
    'latent': StageConfig(batch=64, lr=7e-4, steps=4000, views=4, fill=512, refresh=8,
                          capacity=6000),
    'parts': StageConfig(batch=32, lr=2e-3, steps=4000, views=4, fill=256, refresh=4,
                         capacity=6000),
}
"""Settings by stage. Chosen: sized for a CPU (docs/training.md)."""


@dataclass(frozen=True)
class TrainingConfig:
    """What one run trains with. Where a field may be None, None keeps the stage's own value."""

    steps: int | None = None
    """Steps of a stage."""
    seconds: float | None = None
    """Wall time that a stage may take, s. The learning rate then follows the clock."""
    batch: int | None = None
    """Instances or views in a step."""
    refresh: int | None = None
    """New instances every ten steps."""
    fill: int | None = None
    """Instances made before the first step."""
    lr: float | None = None
    """Peak learning rate."""
    seed: int = 0
    """Seed of the initial weights and of the data."""
    device: str = 'cpu'
    """A device of torch. Under torchrun, ``cuda`` is the GPU of the process's local rank."""
    data: Path | None = None
    """Folder of imported objects, all of one category; None uses the procedural family."""
    procedural: float = 0.0
    """Share of procedural objects among imported ones, 0 to 1."""
    without: tuple[str, ...] = ()
    """Effects of the real world that procedural views shall not have, for ablations."""
    start: Path | None = None
    """Folder of weights to start from where there is no checkpoint; None starts at random."""

    def of_stage(self, stage: str) -> StageConfig:
        """The settings of a stage with this run's values in place of its own.

        Raises:
            ValueError: unknown stage.
        """
        if stage not in STAGES:
            raise ValueError(unknown('stage', stage, STAGES))
        config = STAGES[stage]
        return replace(config, steps=self.steps or config.steps, batch=self.batch or config.batch,
                       refresh=config.refresh if self.refresh is None else self.refresh,
                       fill=self.fill or config.fill, lr=self.lr or config.lr)


@dataclass(frozen=True)
class LoopConfig:
    """Constants of the training loop, the same for all stages. All are chosen."""

    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    gradient_norm: float = 1.0
    """Gradients are scaled down to this norm where they exceed it."""
    warm_up: int = 200
    """Steps over which the learning rate rises to its peak."""
    final_lr: float = 0.01
    """Learning rate at the end, as a share of its peak."""
    average_decay: float = 0.999
    """Decay a step of the exponentially averaged weights. In the first steps it is
    (1 + step) / (10 + step)."""
    refresh_steps: int = 10
    """Steps between two additions to the pool."""
    least_fill: int = 64
    """Instances made at a time while the pool is filled."""
    gpu_refresh: int = 256
    """On a GPU at least this many instances are made at a time: it makes many as fast as one."""
    log_steps: int = 50
    """Steps over which losses are averaged before they are written. Only then the loop waits for
    the GPU."""
    save_seconds: float = 50.0
    """Time between two checkpoints, s."""


LOOP = LoopConfig()
