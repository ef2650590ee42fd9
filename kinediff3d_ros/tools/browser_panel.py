"""The controls beside the scene of a web page: states, layers, ghosts and the camera's image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinediff3d_ros.tools.browser_scene import LAYERS
from kinediff3d_ros.tools.browser_server import LABEL
from kinediff3d_ros.tools.shown_objects import JointInfo, ShownObject

HIDDEN_AT_FIRST = ('contacts',)
"""Layers that are off at first: contacts are computed only while somebody listens."""

SLIDER_STEP = 0.5
"""Step of a joint's slider, ° or mm. Chosen."""

SHOWN_LAST = 1e9
"""Viser's order of what comes after all that is added later."""

PANEL_WIDTH = 'large'
"""Viser's width of the panel: joint names, values and states of an object fit into lines."""


class GhostControls:
    """A slider a joint that moves the ghost of an object, and a button that removes it.

    Browsers move sliders on viser's threads; all calls come from the view's.

    Args:
        gui: viser's.
        shown: the object; some of its joints can move.
    """

    def __init__(self, gui: Any, shown: ShownObject) -> None:
        self._joints = _movable(shown)
        self._removed = False
        positions = shown.values_at(None)
        self._folder = gui.add_folder(f'{shown.name}: ghost')
        with self._folder:
            self._sliders = {name: _slider(gui, name.removeprefix(f'{shown.name}_'), info,
                                           positions.get(name, (info.lower, 0.0))[0])
                             for name, info in self._joints.items()}
            self._button = gui.add_button('Remove the ghost', disabled=True)
        self._button.on_click(lambda _: setattr(self, '_removed', True))
        self._seen = self._values()

    def _values(self) -> dict[str, float]:
        return {name: slider.value for name, slider in self._sliders.items()}

    def fit(self, shown: ShownObject) -> bool:
        """Take the object's present joint limits; False if it has other joints by now."""
        joints = _movable(shown)
        if joints.keys() != self._joints.keys():
            return False
        for name, info in joints.items():
            if info != self._joints[name]:
                self._sliders[name].min, self._sliders[name].max = _range(info)
        self._joints = joints
        return True

    def command(self) -> dict[str, float] | None:
        """Positions (rad or m) that were set since the last call, {} to remove the ghost.

        None without a change.
        """
        values, removed = self._values(), self._removed
        changed, self._seen, self._removed = values != self._seen, values, False
        if removed or changed:
            self._button.disabled = removed
        if removed:
            return {}
        return {name: float(np.clip(value / self._joints[name].unit[1],
                                    self._joints[name].lower, self._joints[name].upper))
                for name, value in values.items()} if changed else None

    def remove(self) -> None:
        """Remove the controls from the page."""
        self._folder.remove()


def _movable(shown: ShownObject) -> dict[str, JointInfo]:
    return {name: info for name, info in shown.joints.items() if info.lower < info.upper}


def _range(info: JointInfo) -> tuple[float, float]:
    """Limits in the displayed unit, without the digits that nobody needs."""
    return round(info.unit[1] * info.lower, 1), round(info.unit[1] * info.upper, 1)


def _slider(gui: Any, label: str, info: JointInfo, position: float) -> Any:
    (lower, upper), (unit, factor) = _range(info), info.unit
    return gui.add_slider(f'{label}, {unit}', lower, upper, SLIDER_STEP,
                          round(float(np.clip(factor * position, lower, upper)), 1))


class BrowserPanel:
    """Fills viser's panel. All calls come from one thread.

    Args:
        server: the viser server.
    """

    def __init__(self, server: Any) -> None:
        self._gui = server.gui
        self._gui.configure_theme(control_width=PANEL_WIDTH, show_logo=False,
                                  show_share_button=False)
        self._gui.main_panel.dock_right()  # beside the scene, not on it
        self._missing = self._gui.add_html('')
        self._objects = self._gui.add_html('')
        self._image: Any = None
        self._image_folder = self._gui.add_folder('image', visible=False)
        with self._gui.add_folder('show', order=SHOWN_LAST):
            self._layers = {layer: self._gui.add_checkbox(layer, layer not in HIDDEN_AT_FIRST)
                            for layer in LAYERS}
        self._ghosts: dict[str, GhostControls] = {}
        self._label = LABEL

    @property
    def hidden(self) -> set[str]:
        """Layers that are switched off."""
        return {layer for layer, box in self._layers.items() if not box.value}

    @property
    def text(self) -> str:
        """The HTML of states and of what is missing."""
        return str(self._objects.content) + str(self._missing.content)

    def show_states(self, html: str, title: str) -> None:
        """Show the table of objects, and their states in the panel's title.

        The title stays visible when the panel is folded.
        """
        if self._objects.content != html:
            self._objects.content = html
        label = ' – '.join(filter(None, (LABEL, title)))
        if label != self._label:
            self._label = label
            self._gui.set_panel_label(label)

    def show_missing(self, html: str) -> None:
        """Show what is missing; '' for nothing."""
        if self._missing.content != html:
            self._missing.content = html

    def show_image(self, picture: np.ndarray, topic: str) -> None:
        """Show a picture (H, W, 3) uint8 of a topic."""
        if self._image is None:
            with self._image_folder:
                self._image = self._gui.add_image(picture)
        self._image_folder.visible, self._image_folder.label = True, topic
        self._image.image = picture

    def show_ghost_controls(self, objects: Mapping[str, ShownObject]) -> None:
        """Have controls of the objects that have movable joints with positions, of no others."""
        wanted = {name: shown for name, shown in objects.items()
                  if _movable(shown) and shown.positions}
        for name, controls in list(self._ghosts.items()):
            if name not in wanted or not controls.fit(wanted[name]):
                controls.remove()
                del self._ghosts[name]
        for name, shown in wanted.items():
            if name not in self._ghosts:
                self._ghosts[name] = GhostControls(self._gui, shown)

    def commands(self) -> dict[str, dict[str, float]]:
        """Positions (rad or m) that users have set since the last call, by object and joint."""
        commands = {name: ghost.command() for name, ghost in self._ghosts.items()}
        return {name: command for name, command in commands.items() if command is not None}
