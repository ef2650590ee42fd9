"""The pipelines of the categories in use; they move to the CPU when GPU memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from kinediff3d_core.inference.auto import AUTO, AutoPipeline, load_pipeline
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.tracking.tracker import Tracker
from kinediff3d_ros.scene.config import SceneConfig

Result = TypeVar('Result')

WARM_UP_RUNS = 2
"""On a GPU the first run loads the kernels and the second captures the CUDA graphs."""


class Models:
    """Loads one pipeline per category; moves all to the CPU when the GPU's memory is full.

    Args:
        categories: names; ``auto`` loads all that have weights.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        weights: folder with the networks, or with one folder per category; '' takes those that
            ship with the package.
        warn: called with a message when the device changes.
        mesh_cells: as in ``SceneConfig``.

    Attributes:
        categories: those that are loaded. device: where they are loaded.

    Raises:
        ValueError: unknown category, preset or device, or weights that do not load.
    """

    def __init__(self, categories: Iterable[str], preset: str, device: str, weights: str,
                 warn: Callable[[str], None], mesh_cells: int = SceneConfig.mesh_cells) -> None:
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._requested, self._preset, self.device = tuple(categories), preset, device
        self._mesh_cells = mesh_cells
        self._weights, self._warn = Path(weights) if weights else None, warn
        self._pipelines: dict[str, Pipeline] = {}
        self._auto: AutoPipeline | None = None
        self._on_device(self._load)
        if self.device != 'cpu':
            self._on_device(self._warm_up)

    def infer(self, category: str, cloud: ObjectCloud, mesh: bool,
              seed: int) -> ArticulatedEstimate:
        """Return a full estimate of the object that a cloud shows; see ``Pipeline.infer``.

        With category ``auto`` the estimate has the category that explains the cloud best.
        """
        return self._on_device(lambda: (
            self._auto if category == AUTO else self._pipelines[category]
        ).infer(cloud, mesh=mesh, seed=seed))

    def tracker(self, category: str, estimate: ArticulatedEstimate, seconds: float,
                T_fixed_camera: np.ndarray | None) -> Tracker:
        """Return a tracker that starts from an estimate."""
        return self._on_device(
            lambda: Tracker(self._pipelines[category], estimate, seconds, T_fixed_camera))

    def fall_back(self, error: torch.OutOfMemoryError) -> None:
        """Move to the CPU; trackers that were made before cannot be used any more."""
        self._warn(f'{self.device} is out of memory ({str(error).splitlines()[0]}); '
                   'continuing on the CPU, which is slower')
        self.device = 'cpu'
        self._load()

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(self._pipelines)

    def _load(self) -> None:
        self._pipelines.clear()
        self._auto = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        for category in self._requested:
            pipeline = load_pipeline(category, self._preset, self.device, self._weights)
            if isinstance(pipeline, AutoPipeline):
                self._auto = pipeline
                self._pipelines |= pipeline.pipelines
            else:
                self._pipelines[category] = pipeline
        for pipeline in self._pipelines.values():
            pipeline.preset = replace(pipeline.preset, cells=self._mesh_cells)

    def _warm_up(self) -> None:
        """Run each pipeline on a random cloud, so that the first real frame is not slow."""
        cloud = np.random.default_rng(0).normal(0, 0.1, (2000, 3)).astype(np.float32)
        cloud[:, 2] += 1.0
        for pipeline in (p for p in self._pipelines.values() for _ in range(WARM_UP_RUNS)):
            try:
                pipeline.infer(cloud, mesh=True)
            except NoEstimate:
                pass

    def _on_device(self, work: Callable[[], Result]) -> Result:
        """Return the result of ``work``, from the CPU if the GPU runs out of memory."""
        try:
            return work()
        except torch.OutOfMemoryError as error:
            if self.device == 'cpu':
                raise
            self.fall_back(error)
            return work()
