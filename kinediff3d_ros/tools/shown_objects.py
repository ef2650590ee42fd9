"""What a viewer knows of the objects of a perception node, and how a page says it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from defusedxml import DefusedXmlException, ElementTree

from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.urdf import joint_name, link_name
from kinediff3d_ros.tools.joint_positions import DISPLAY_UNITS, format_position

SILENCE = 3.0
"""Seconds without a report after which a state is stale: a perception node reports every second.
Chosen."""

FORGOTTEN = 30.0
"""Seconds without a report after which an object is not listed any more. Chosen."""

NODE_TASK = 'objects'
"""Name under which a perception node of several objects reports about itself."""

KEPT_STATES = 30
"""Joint states of an object that are kept, to find those of a cloud's stamp. Chosen."""

STATE_COLOURS = {'estimate': '#2b8a3e', 'inactive': '#868e96', 'waiting': '#e8590c',
                 'no_estimate': '#e8590c', 'stale': '#c92a2a', 'lost': '#c92a2a'}
"""Colours of states; of others, errors, as of ``lost``."""


@dataclass(frozen=True)
class JointInfo:
    """A joint: type, limits (rad or m) and the link that it moves."""

    joint_type: str
    lower: float
    upper: float
    child: str

    @property
    def unit(self) -> tuple[str, float]:
        """The unit that is displayed and its number in a rad or m."""
        return DISPLAY_UNITS[self.joint_type]


@dataclass
class ShownObject:
    """One object: its last joint states and diagnostics.

    Attributes:
        name: as in its topics and frames.
        joints: by name, as the description states them; empty until it is known.
        category_joints: as the category has them. A joint that is found later is in the
            description seconds after its first position.
        positions, deviations: stamp (ns) and values (rad or m) by joint, oldest first.
        state, message, confidence: of the last report; '' and NaN without.
        reported: monotonic time of the last report, or of the first message, s.
    """

    name: str
    joints: dict[str, JointInfo] = field(default_factory=dict)
    category_joints: dict[str, JointInfo] = field(default_factory=dict)
    positions: deque[tuple[int, dict[str, float]]] = field(
        default_factory=lambda: deque(maxlen=KEPT_STATES))
    deviations: deque[tuple[int, dict[str, float]]] = field(
        default_factory=lambda: deque(maxlen=KEPT_STATES))
    state: str = ''
    message: str = ''
    confidence: float = math.nan
    reported: float = 0.0

    def describe(self, urdf: str) -> None:
        """Read the joints from a URDF; a text that is none changes nothing."""
        try:
            root = ElementTree.fromstring(urdf, forbid_dtd=True)
            self.joints = {j.get('name', ''): _joint_info(j) for j in root.iter('joint')
                           if j.get('type') in DISPLAY_UNITS}
        except (ElementTree.ParseError, DefusedXmlException, ValueError):
            return

    def report(self, state: str, message: str, confidence: float, now: float,
               category: str = '') -> None:
        """Take a report of the diagnostics."""
        self.state, self.message, self.confidence = state, message, confidence
        self.reported = now
        self.category_joints = _category_joints(self.name, category)

    def state_at(self, now: float) -> tuple[str, str]:
        """State and what is said about it; ``stale`` if the reports have stopped."""
        silent = now - self.reported
        if self.state not in ('', 'lost') and silent > SILENCE:
            return 'stale', f'no report for {silent:.0f} s'
        return self.state or 'unknown', self.message if self.state else 'no report yet'

    def values_at(self, stamp: int | None) -> dict[str, tuple[float, float]]:
        """Position and standard deviation (rad or m) of each joint at a stamp, or the newest.

        A standard deviation that is not known is NaN.
        """
        deviations = _at(self.deviations, stamp)
        return {name: (q, deviations.get(name, math.nan))
                for name, q in _at(self.positions, stamp).items()}

    def joint_text(self, joint: str, stamp: int | None) -> str:
        """Position and standard deviation of a joint with their unit; '' if it has none."""
        values = self.values_at(stamp)
        if joint not in values:
            return ''
        position, deviation = values[joint]
        known = self.joints.get(joint) or self.category_joints.get(joint)
        kind = known.joint_type if known else ''
        text = format_position(kind, position)
        return text if math.isnan(deviation) else f'{text} ± {format_position(kind, deviation)}'

    def label(self, frame: str, stamp: int | None) -> str:
        """Label of a part's frame: the part, and the position of the joint that moves it."""
        joints = {**self.category_joints, **self.joints}
        joint = next((name for name, info in joints.items() if info.child == frame), '')
        part = frame.removeprefix(link_name(self.name, ''))
        return f'{part} {self.joint_text(joint, stamp)}'.rstrip() if joint else \
            f'{self.name} {part}'


def _at(history: deque[tuple[int, dict[str, float]]], stamp: int | None) -> dict[str, float]:
    """Values at a stamp, or else the newest; without any, {}."""
    newest = history[-1][1] if history else {}
    return next((values for at, values in reversed(history) if at == stamp), newest)


def _joint_info(joint: ElementTree.Element) -> JointInfo:
    limit, child = joint.find('limit'), joint.find('child')
    lower, upper = (0.0, 0.0) if limit is None else (
        float(limit.get(name, 0.0)) for name in ('lower', 'upper'))
    return JointInfo(joint.get('type', ''), lower, upper,
                     '' if child is None else child.get('link', ''))


def _category_joints(name: str, category: str) -> dict[str, JointInfo]:
    """The joints of an object as its category has them; {} of a category that is not known."""
    found = CATEGORIES.get(category)
    return {} if found is None else {
        joint_name(name, j.name): JointInfo(j.joint_type, j.lower, j.upper,
                                            link_name(name, found.parts[j.child]))
        for j in found.joints}


def objects_html(objects: Mapping[str, ShownObject], stamp: int | None, now: float) -> str:
    """A table of all objects: state, confidence, joint positions with standard deviations."""
    return ''.join(_object_html(shown, stamp, now) for shown in _listed(objects, now))


def _listed(objects: Mapping[str, ShownObject], now: float) -> list[ShownObject]:
    """The objects in order; the node itself only if something is wrong with it."""
    return [objects[name] for name in sorted(objects)
            if name != NODE_TASK or objects[name].state_at(now)[0] != 'estimate']


def _object_html(shown: ShownObject, stamp: int | None, now: float) -> str:
    state, message = shown.state_at(now)
    colour = STATE_COLOURS.get(state, STATE_COLOURS['lost'])
    confidence = '' if math.isnan(shown.confidence) or state != 'estimate' else \
        f', confidence {shown.confidence:.2f}'
    rows = ''.join(
        f'<tr><td style="padding-right:1em">{escape(joint.removeprefix(shown.name + "_"))}</td>'
        f'<td>{escape(shown.joint_text(joint, stamp))}</td></tr>'
        for joint in shown.values_at(stamp) if state == 'estimate')
    return (f'<div style="padding:0.2em 1em;font-size:0.9em"><b>{escape(shown.name)}</b>: '
            f'<b style="color:{colour}">{escape(state)}</b>{confidence}'
            + ('' if state == 'estimate' else f'<br>{escape(message)}')
            + f'<table>{rows}</table></div>')


def caption(objects: Mapping[str, ShownObject], stamp: int | None) -> str:
    """All joint positions in one line, without standard deviations."""
    return ', '.join(f'{joint} {objects[name].joint_text(joint, stamp).partition(" ± ")[0]}'
                     for name in sorted(objects) for joint in objects[name].values_at(stamp))


def title(objects: Mapping[str, ShownObject], now: float) -> str:
    """States of all objects in one line."""
    return ', '.join(f'{shown.name}: {shown.state_at(now)[0]}' for shown in _listed(objects, now))
