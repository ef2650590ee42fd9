"""Settings of a scene that are no ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneConfig:
    """What a scene does per frame, and how long it waits."""

    initial_frame_period: float = 0.2
    """While the first full estimates are made and nothing is tracked yet, least time between two
    frames that are converted and segmented, s; 0 processes all of them. Frames between them take
    time from the estimate and are replaced by newer ones before their turn. Chosen."""

    estimate_timeout: float = 30.0
    """Time within which a call of the service ``estimate`` is answered, s. Chosen."""

    mesh_cells: int = 48
    """Cells of the marching-cubes grid along a part's longest side. With the presets' resolution a
    cabinet's meshes have 250,000 faces, which markers simplify anyway. Chosen."""


DEFAULT = SceneConfig()
