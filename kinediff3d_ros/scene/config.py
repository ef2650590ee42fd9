"""Settings of a scene that are no ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

from kinediff3d_core.tracking.association import AssociationConfig


@dataclass(frozen=True)
class SearchConfig:
    """When segmentation looks for objects, with ``instances: each`` and no mask."""

    soon: float = 0.2
    """Time until the next segmentation, s, while an object is lost or a new thing is to be seen
    again; else the parameter ``segment_period`` counts. Chosen: a segmentation takes up to 0.1 s
    of the tracking thread."""

    retry: float = 10.0
    """Time after which a thing that was refused gets another full estimate, s; it doubles each
    time. Chosen: with ``category: auto`` an estimate takes some seconds, and clutter stays."""

    remembered: float = 10.0
    """Time for which a thing is known that is neither tracked nor seen, s. Chosen: what a hand
    covers for a moment is not a new thing afterwards."""

    loss_delay: float = 1.0
    """Longest time from the move of an object to the loss of its track, s. What is found in
    between may be the moved object. Chosen: some frames of a slow camera."""

    points: int = AssociationConfig.object_samples
    """Points that are stored of a thing: as many as association uses."""


@dataclass(frozen=True)
class SceneConfig:
    """What a scene does per frame, and how long it waits."""

    initial_frame_period: float = 0.2
    """While the first full estimates are made and nothing is tracked yet, least time between two
    frames that are converted and segmented, s; 0 processes all of them. Frames between them take
    time from the estimate and are replaced by newer ones before their turn. Chosen."""

    try_again: float = 5.0
    """Time for which the tracker of a lost object tries to find it again, s. Chosen: a full
    estimate beside tracking takes less on usual machines, and the two compete then."""

    estimate_timeout: float = 30.0
    """Time within which a call of the service ``estimate`` is answered, s. Chosen."""

    search: SearchConfig = field(default_factory=SearchConfig)
    """When segmentation looks for objects."""

    mesh_cells: int = 48
    """Cells of the marching-cubes grid along a part's longest side. With the presets' resolution a
    cabinet's meshes have 250,000 faces, which markers simplify anyway. Chosen."""


DEFAULT = SceneConfig()
