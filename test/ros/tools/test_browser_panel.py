"""The controls of the page: layers, and sliders that move a ghost."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viser', reason='needs viser')

from estimates import laptop_estimate  # noqa: E402

from kinediff3d_core.objects.urdf import urdf_string  # noqa: E402
from kinediff3d_ros.tools import browser_panel  # noqa: E402
from kinediff3d_ros.tools.browser_panel import BrowserPanel, GhostControls  # noqa: E402
from kinediff3d_ros.tools.shown_objects import ShownObject  # noqa: E402

LID = 'laptop_lid_joint'


@pytest.fixture
def laptop() -> ShownObject:
    shown = ShownObject('laptop')
    shown.positions.append((1, {LID: np.pi / 4}))
    shown.describe(urdf_string(laptop_estimate(0.5)))
    return shown


@pytest.fixture
def panel(page_server) -> BrowserPanel:
    page_server.gui.reset()
    return BrowserPanel(page_server)


def test_contacts_alone_are_hidden_at_first(panel: BrowserPanel) -> None:
    assert panel.hidden == {'contacts'}
    panel._layers['cloud'].value = False
    assert panel.hidden == {'contacts', 'cloud'}


def test_a_slider_commands_positions_within_the_limits(page_server, laptop: ShownObject) -> None:
    ghost = GhostControls(page_server.gui, laptop)
    slider = ghost._sliders[LID]
    assert slider.value == pytest.approx(45.0) and ghost._button.disabled
    assert ghost.command() is None, 'nobody has moved it'
    slider.value = 90.0
    assert ghost.command() == {LID: pytest.approx(np.pi / 2)}
    assert ghost.command() is None and not ghost._button.disabled
    slider.value = 180.0
    assert ghost.command()[LID] <= laptop.joints[LID].upper
    ghost._removed = True  # as the button does
    assert ghost.command() == {} and ghost.command() is None and ghost._button.disabled
    ghost.remove()


def test_the_button_removes_the_ghost(page_server, laptop: ShownObject) -> None:
    pressed = []
    gui = SimpleNamespace(
        add_folder=page_server.gui.add_folder, add_slider=page_server.gui.add_slider,
        add_button=lambda *_, **__: SimpleNamespace(on_click=pressed.append, disabled=True))
    ghost = GhostControls(gui, laptop)
    pressed[0](None)
    assert ghost.command() == {}
    ghost.remove()


def test_controls_follow_objects_and_their_limits(panel: BrowserPanel,
                                                  laptop: ShownObject) -> None:
    panel.show_ghost_controls({'laptop': laptop, 'new': ShownObject('new')})
    controls = panel._ghosts['laptop']
    assert set(panel._ghosts) == {'laptop'} and panel.commands() == {}
    laptop.joints = {LID: replace(laptop.joints[LID], upper=1.0)}
    panel.show_ghost_controls({'laptop': laptop})
    assert panel._ghosts['laptop'] is controls, 'a slider in use is not made anew'
    assert controls._sliders[LID].max == pytest.approx(np.degrees(1.0), abs=0.1)
    controls._sliders[LID].value = 57.2957795
    assert panel.commands()['laptop'][LID] <= 1.0
    laptop.joints = {LID: replace(laptop.joints[LID], lower=0.0, upper=0.0)}
    panel.show_ghost_controls({'laptop': laptop})
    assert not panel._ghosts, 'a joint that cannot move has no slider'


def test_texts_and_pictures_are_sent_when_they_change(panel: BrowserPanel, monkeypatch) -> None:
    labels = []
    monkeypatch.setattr(panel._gui, 'set_panel_label', labels.append)
    for _ in range(3):
        panel.show_states('<b>laptop</b>', 'laptop: estimate')
        panel.show_missing('nothing')
    assert labels == [f'{browser_panel.LABEL} – laptop: estimate']
    assert panel.text == '<b>laptop</b>nothing'
    panel.show_image(np.zeros((4, 4, 3), np.uint8), '/camera/depth')
    assert panel._image_folder.visible and panel._image_folder.label == '/camera/depth'
