"""Everything that training views have of the real world, with a name for each effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

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
CUT_OFF_WORLD = RealWorld(TEST_VIEWS, NO_SURROUNDINGS,
                          SensorModel(masks=MaskErrors(truncated=1.0)))
"""For ``evaluate --source cut-off``: the views of the test protocol, but the picture ends on the
object."""

EFFECTS: dict[str, tuple[str, object]] = {
    'cameras': ('sensor.cameras', ()),
    'grazing': ('sensor.returns.grazing', 0.0),
    'dark': ('sensor.returns.dark', 0.0),
    'shiny': ('sensor.returns.shiny', 0.0),
    'shadow': ('sensor.returns.shadow', 0.0),
    'registration': ('sensor.returns.registration', 0.0),
    'lines': ('sensor.returns.lines', 0.0),
    'blur': ('sensor.blurred', 0.0),
    'inpainting': ('sensor.inpainted', 0.0),
    'masks': ('sensor.masks', MaskErrors()),
    'grown': ('sensor.masks.grown', 0.0),
    'closed': ('sensor.masks.closed', 0.0),
    'boxes': ('sensor.masks.boxes', 0.0),
    'truncation': ('sensor.masks.truncated', 0.0),
    'surroundings': ('surroundings', NO_SURROUNDINGS),
    'built-in': ('surroundings.built_in', 0.0),
    'hands': ('surroundings.hand', 0.0),
    'resting': ('views.resting', 0.0),
    'facing': ('views.facing', 0.0),
}
"""Effects by name: the field of :class:`RealWorld`, and the value that switches it off."""


def without(effects: Sequence[str], world: RealWorld | None = None) -> RealWorld:
    """The real world without some effects, for ablations.

    Raises:
        ValueError: unknown effect; the message lists the known ones.
    """
    world = world or RealWorld()
    for name in effects:
        if name not in EFFECTS:
            raise ValueError(f'unknown effect {name!r}; known: {", ".join(EFFECTS)}')
        path, value = EFFECTS[name]
        world = _with_field(world, path.split('.'), value)
    return world


def _with_field(instance: Any, path: Sequence[str], value: object) -> Any:
    """A copy of a frozen dataclass with the field at a path of names changed."""
    first, *rest = path
    if rest:
        value = _with_field(getattr(instance, first), rest, value)
    return replace(instance, **{first: value})
