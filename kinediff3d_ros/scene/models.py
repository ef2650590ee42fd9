"""The pipelines of the categories in use; they move to the CPU when GPU memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class LoadedPipelines:
    """The pipelines on one device.

    Attributes:
        by_category: of each category. auto: of all categories together, if that was asked for.
    """

    device: str
    by_category: Mapping[str, Pipeline]
    auto: AutoPipeline | None

    def of(self, category: str) -> Pipeline | AutoPipeline:
        """The pipeline of a category or of ``auto``."""
        return self.auto if category == AUTO and self.auto else self.by_category[category]


class Models:
    """Loads one pipeline per category; moves all to the CPU when the GPU's memory is full.

    For several threads: each call works with the pipelines that are loaded when it begins, and a
    move replaces them all at once.

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
        self._requested, self._preset = tuple(categories), preset
        self._mesh_cells = mesh_cells
        self._weights, self._warn = Path(weights) if weights else None, warn
        self._moving = threading.Lock()
        try:
            self._loaded = self._load(device)
        except torch.OutOfMemoryError as error:
            self._loaded = LoadedPipelines(device, {}, None)
            self.fall_back(error)
        if self.device != 'cpu':
            self._on_device(_warm_up)

    def infer(self, category: str, cloud: ObjectCloud, seed: int) -> ArticulatedEstimate:
        """Return a full estimate, without meshes, of the object that a cloud shows; see
        ``Pipeline.infer``.

        With category ``auto`` the estimate has the category that explains the cloud best.
        """
        return self._on_device(
            lambda loaded: loaded.of(category).infer(cloud, mesh=False, seed=seed))

    def with_meshes(self, category: str, estimate: ArticulatedEstimate) -> ArticulatedEstimate:
        """Return an estimate of :meth:`infer` with meshes; see ``Pipeline.with_meshes``."""
        return self._on_device(lambda loaded: loaded.of(category).with_meshes(estimate))

    def tracker(self, category: str, estimate: ArticulatedEstimate, seconds: float,
                T_fixed_camera: np.ndarray | None) -> Tracker:
        """Return a tracker that starts from an estimate."""
        return self._on_device(lambda loaded: Tracker(
            loaded.by_category[category], estimate, seconds, T_fixed_camera))

    def fall_back(self, error: torch.OutOfMemoryError) -> None:
        """Move to the CPU, unless another thread has done so already.

        Trackers that were made before cannot be used any more.
        """
        with self._moving:
            if self.device == 'cpu':
                return
            self._warn(f'{self.device} is out of memory ({str(error).splitlines()[0]}); '
                       'continuing on the CPU, which is slower')
            self._loaded = self._load('cpu')
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def device(self) -> str:
        return self._loaded.device

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(self._loaded.by_category)

    def _load(self, device: str) -> LoadedPipelines:
        found: dict[str, Pipeline] = {}
        auto: AutoPipeline | None = None
        for category in self._requested:
            pipeline = load_pipeline(category, self._preset, device, self._weights)
            if isinstance(pipeline, AutoPipeline):
                own = {name: self._with_cells(p) for name, p in pipeline.pipelines.items()}
                auto = AutoPipeline(own, pipeline.config)
                found |= own
            else:
                found[category] = self._with_cells(pipeline)
        return LoadedPipelines(device, found, auto)

    def _with_cells(self, pipeline: Pipeline) -> Pipeline:
        return Pipeline(pipeline.model, replace(pipeline.preset, cells=self._mesh_cells))

    def _on_device(self, work: Callable[[LoadedPipelines], Result]) -> Result:
        """Return the result of ``work``, from the CPU if the GPU runs out of memory."""
        loaded = self._loaded
        try:
            return work(loaded)
        except torch.OutOfMemoryError as error:
            if loaded.device == 'cpu':
                raise
            self.fall_back(error)
            return work(self._loaded)


def _warm_up(loaded: LoadedPipelines) -> None:
    """Run each pipeline on a random cloud, so that the first real frame is not slow."""
    cloud = np.random.default_rng(0).normal(0, 0.1, (2000, 3)).astype(np.float32)
    cloud[:, 2] += 1.0
    for pipeline in (p for p in loaded.by_category.values() for _ in range(WARM_UP_RUNS)):
        try:
            pipeline.infer(cloud, mesh=True)
        except NoEstimate:
            pass
