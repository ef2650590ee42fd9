"""The pipelines of the categories in use, on one device as long as its memory lasts."""

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

Answer = TypeVar('Answer')

LIVE_CELLS = 48
"""Cells along a part's longest side: with the preset's hollow cabinets have a quarter of a million
faces, which markers simplify anyway."""


class Models:
    """Loads a pipeline a category; moves to the CPU when the GPU's memory is full.

    Args:
        categories: by name; ``auto`` stands for all with weights.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        weights: folder with the networks, or with one folder a category; '' takes those that
            ship with the package.
        warn: is told when the device has to change.

    Attributes:
        categories: those that are loaded. device: that they are on.

    Raises:
        ValueError: unknown category, preset or device, or weights that do not load.
    """

    def __init__(self, categories: Iterable[str], preset: str, device: str, weights: str,
                 warn: Callable[[str], None]) -> None:
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._wanted, self._preset, self.device = tuple(categories), preset, device
        self._weights, self._warn = Path(weights) if weights else None, warn
        self._pipelines: dict[str, Pipeline] = {}
        self._auto: AutoPipeline | None = None
        self._on_device(self._load)
        if self.device != 'cpu':
            self._on_device(self._warm_up)

    def infer(self, category: str, cloud: ObjectCloud, mesh: bool,
              seed: int) -> ArticulatedEstimate:
        """A full estimate of the object that a cloud shows; see ``Pipeline.infer``.

        With category ``auto`` the estimate says what the object is, too.
        """
        return self._on_device(lambda: (
            self._auto if category == AUTO else self._pipelines[category]
        ).infer(cloud, mesh=mesh, seed=seed))

    def tracker(self, category: str, estimate: ArticulatedEstimate, seconds: float,
                T_fixed_camera: np.ndarray | None) -> Tracker:
        """A tracker that starts from an estimate."""
        return self._on_device(
            lambda: Tracker(self._pipelines[category], estimate, seconds, T_fixed_camera))

    def fall_back(self, error: torch.OutOfMemoryError) -> None:
        """Go on with the CPU; trackers that were made before must be made anew."""
        self._warn(f'{self.device} is out of memory ({str(error).splitlines()[0]}); '
                   'going on with the CPU, which is slower')
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
        for category in self._wanted:
            found = load_pipeline(category, self._preset, self.device, self._weights)
            if isinstance(found, AutoPipeline):
                self._auto = found
                self._pipelines |= found.pipelines
            else:
                self._pipelines[category] = found
        for pipeline in self._pipelines.values():
            pipeline.preset = replace(pipeline.preset, cells=LIVE_CELLS)

    def _warm_up(self) -> None:
        """The first run on a GPU loads its kernels, the second captures what it replays then."""
        cloud = np.random.default_rng(0).normal(0, 0.1, (2000, 3)).astype(np.float32)
        cloud[:, 2] += 1.0
        for pipeline in (p for p in self._pipelines.values() for _ in range(2)):
            try:
                pipeline.infer(cloud, mesh=True)
            except NoEstimate:
                pass

    def _on_device(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            if self.device == 'cpu':
                raise
            self.fall_back(error)
            return work()
