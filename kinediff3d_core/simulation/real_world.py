"""Everything that training views have of the real world, with a name for each effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kinediff3d_core.simulation.depth_cameras import DEPTH_CAMERAS
from kinediff3d_core.simulation.mask_errors import REAL_MASKS, MaskErrors
from kinediff3d_core.simulation.missing_returns import REAL_RETURNS
from kinediff3d_core.simulation.sensor import SensorModel
from kinediff3d_core.simulation.surroundings import NO_SURROUNDINGS, Surroundings
from kinediff3d_core.simulation.views import TEST_VIEWS, TRAIN_VIEWS, ViewRange


@dataclass(frozen=True)
class RealWorld:
    """Views, surroundings and sensor of images that shall be like real ones."""

    views: ViewRange = TRAIN_VIEWS
    surroundings: Surroundings = Surroundings()
    sensor: SensorModel = SensorModel(
        mask_error=1, edge_dropout=0.2, cameras=DEPTH_CAMERAS, camera_share=0.7,
        returns=REAL_RETURNS, blurred=0.2, inpainted=0.1, masks=REAL_MASKS)
    """Training images are coarser than a camera's, so that a pixel of error covers more of the
    object. Chosen."""


TEST_WORLD = RealWorld(
    views=replace(TEST_VIEWS, closed=TRAIN_VIEWS.closed, resting=TRAIN_VIEWS.resting,
                  facing=TRAIN_VIEWS.facing),
    sensor=SensorModel(
        cameras=DEPTH_CAMERAS, camera_share=0.7, returns=replace(REAL_RETURNS, cell=24),
        blurred=0.2, blur_pixels=7, inpainted=0.1,
        masks=replace(REAL_MASKS, grown_pixels=10, closed_pixels=8)))
"""For ``evaluate --source realistic``: the same effects in images of 640x480 pixels, in views that
are otherwise those of the test protocol."""


def _returns(**changes: float) -> Callable[[RealWorld], RealWorld]:
    return lambda w: replace(w, sensor=replace(
        w.sensor, returns=replace(w.sensor.returns, **changes)))


def _masks(**changes: float) -> Callable[[RealWorld], RealWorld]:
    return lambda w: replace(w, sensor=replace(w.sensor, masks=replace(w.sensor.masks, **changes)))


EFFECTS: dict[str, Callable[[RealWorld], RealWorld]] = {
    'cameras': lambda w: replace(w, sensor=replace(w.sensor, cameras=())),
    'grazing': _returns(grazing=0.0),
    'dark': _returns(dark=0.0),
    'shiny': _returns(shiny=0.0),
    'shadow': _returns(shadow=0.0),
    'registration': _returns(registration=0.0, lines=0.0),
    'blur': lambda w: replace(w, sensor=replace(w.sensor, blurred=0.0)),
    'inpainting': lambda w: replace(w, sensor=replace(w.sensor, inpainted=0.0)),
    'masks': lambda w: replace(w, sensor=replace(w.sensor, masks=MaskErrors())),
    'boxes': _masks(boxes=0.0),
    'truncation': _masks(truncated=0.0),
    'surroundings': lambda w: replace(w, surroundings=NO_SURROUNDINGS),
    'built-in': lambda w: replace(w, surroundings=replace(w.surroundings, built_in=0.0)),
    'hands': lambda w: replace(w, surroundings=replace(w.surroundings, hand=0.0)),
    'resting': lambda w: replace(w, views=replace(w.views, resting=0.0)),
    'facing': lambda w: replace(w, views=replace(w.views, facing=0.0)),
}
"""Effects by name, and what switches each off."""


def without(effects: Sequence[str], world: RealWorld | None = None) -> RealWorld:
    """The real world without some effects, for ablations.

    Raises:
        ValueError: unknown effect; the message lists the known ones.
    """
    world = world or RealWorld()
    for name in effects:
        if name not in EFFECTS:
            raise ValueError(f'unknown effect {name!r}; known: {", ".join(EFFECTS)}')
        world = EFFECTS[name](world)
    return world
