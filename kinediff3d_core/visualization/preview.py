"""Pictures of an estimate and its contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.objects.contact import Contact
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh, transform_mesh
from kinediff3d_core.visualization.panels import write_panels
from kinediff3d_core.visualization.rasterizer import render
from kinediff3d_core.visualization.scene import (
    Arrow,
    Colour,
    RenderedScene,
    ground_under,
    part_colours,
)
from kinediff3d_core.visualization.virtual_camera import (
    HEIGHT,
    WIDTH,
    camera_view,
    side_view,
    three_quarter_view,
)

Array = np.ndarray[Any, Any]

MOTION_COLOUR: Colour = (0.10, 0.60, 0.15)
APPROACH_COLOUR: Colour = (0.15, 0.30, 0.90)
APPROACH_SHARE = 0.6
"""Length of a contact's approach, in lengths of its motion. Chosen."""


def joint_arrows(estimate: ArticulatedEstimate, length: float) -> tuple[Arrow, ...]:
    """An arrow along each joint's axis through its pivot; ``length`` in metres."""
    poses = {p.name: p.T_camera_part for p in estimate.parts}
    arrows = []
    for joint in estimate.joints:
        T = poses[joint.parent]
        pivot = T[:3, :3] @ joint.origin + T[:3, 3]
        along = T[:3, :3] @ joint.axis
        back, ahead = (0.0, 0.7) if joint.joint_type == 'prismatic' else (0.62, 0.75)
        arrows.append(Arrow(pivot - back * length * along, pivot + ahead * length * along))
    return tuple(arrows)


def contact_arrows(contacts: Sequence[Contact], length: float) -> tuple[Arrow, ...]:
    """Motion (x, green) of contacts, and approach (z, blue, shorter), which ends at the contact.

    Args:
        length: of the motion's arrow, m.
    """
    arrows = []
    for contact in contacts:
        x, z, at = (contact.T_camera_contact[:3, i] for i in (0, 2, 3))
        arrows += [Arrow(at, at + length * x, MOTION_COLOUR),
                   Arrow(at - APPROACH_SHARE * length * z, at, APPROACH_COLOUR)]
    return tuple(arrows)


def draw_contacts(estimate: ArticulatedEstimate, contacts: Sequence[Contact], width: int = WIDTH,
                  height: int = HEIGHT) -> Array:
    """Picture (H, W, 3) of the parts, the joint axes (red) and the contact frames on them."""
    meshes = posed_meshes(estimate)
    points = np.concatenate([m.vertices for m in meshes])
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    arrows = joint_arrows(estimate, 0.35 * size) + contact_arrows(contacts, 0.28 * size)
    tips = np.array([x for a in arrows for x in (a.start, a.end)]).reshape(-1, 3)
    T = np.asarray(estimate.T_camera_base, dtype=np.float64)
    camera = three_quarter_view(points, T, width, height, np.concatenate([points, tips]))
    return render(RenderedScene(meshes, part_colours(len(meshes)), arrows=arrows,
                                ground=ground_under(meshes, T)), camera)


def posed_meshes(estimate: ArticulatedEstimate) -> tuple[Mesh, ...]:
    """The parts' meshes in the camera's frame; parts without one are left out."""
    return tuple(transform_mesh(p.T_camera_part, p.mesh) for p in estimate.parts
                 if p.mesh is not None)


def thinned(points: Array, most: int = 1500) -> Array:
    """About ``most`` of the points (N, 3) or fewer, at random, so that meshes stay visible."""
    share = np.random.default_rng(0).random(len(points))
    return np.asarray(points[share < most / max(len(points), 1)])


def depth_colours(depth: Array) -> Array:
    """Colours (N, 3) of depths (N,), from near (yellow) to far (violet)."""
    from matplotlib import colormaps

    low, high = np.percentile(depth, (2, 98))
    t = ((depth - low) / max(high - low, 1e-6)).clip(0, 1)
    return np.asarray(colormaps['viridis'](0.92 - 0.85 * t)[:, :3])


def caption(estimate: ArticulatedEstimate) -> str:
    """Joint positions with their standard deviation, and the confidence."""
    positions = []
    for joint in estimate.joints:
        if joint.joint_type == 'prismatic':
            positions.append(f'{joint.name} {joint.position * 1000:.0f} ± '
                             f'{joint.std * 1000:.0f} mm')
        else:
            positions.append(f'{joint.name} {np.degrees(joint.position):.1f}° ± '
                        f'{np.degrees(joint.std):.1f}°')
    return ', '.join(positions) + f', confidence {estimate.confidence:.2f}'


def draw_preview(estimate: ArticulatedEstimate, out: Path | str,
                 truth_meshes: Sequence[Mesh] | None = None, title: str | None = None,
                 T_camera_truth: Array | None = None) -> Path:
    """Write a picture of an estimate: the cloud, the parts on it, the parts from the side.

    Args:
        truth_meshes: of the true object in the camera's frame, one a part, drawn beside it.
        title: above the panels; the category and joint positions by default.
        T_camera_truth: (4, 4) of the true base; with it the truth has a shadow on the ground.

    Returns:
        The path of the PNG.
    """
    return write_panels(draw_panels(estimate, truth_meshes, T_camera_truth), Path(out),
                        title or f'{estimate.category}: {caption(estimate)}')


def draw_panels(estimate: ArticulatedEstimate, truth_meshes: Sequence[Mesh] | None = None,
                T_camera_truth: Array | None = None, width: int = WIDTH, height: int = HEIGHT,
                ) -> list[tuple[str, Array]]:
    """The panels of :func:`draw_preview`: their names and pictures (height, width, 3) uint8."""
    meshes = posed_meshes(estimate)
    colours = part_colours(len(meshes))
    points = np.asarray(estimate.points, dtype=np.float64)
    truth = tuple(truth_meshes or ())
    truth_colours = part_colours(len(truth))
    everything = np.concatenate([points, *(m.vertices for m in meshes),
                                 *(m.vertices for m in truth)])
    size = float(np.linalg.norm(np.ptp(everything, axis=0)))
    arrows = joint_arrows(estimate, 0.55 * size)
    axis = estimate.joints[0].axis if estimate.joints else None
    T = np.asarray(estimate.T_camera_base, dtype=np.float64)
    tips = np.array([x for a in arrows for x in (a.start, a.end)]).reshape(-1, 3)
    front = camera_view(everything, width, height)
    side = side_view(np.concatenate([everything, tips]), T, axis, width, height)
    solid = RenderedScene(meshes, colours, arrows=arrows, ground=ground_under(meshes, T))
    panels = [
        ('depth camera: points used', render(RenderedScene(
            points=points, point_colours=depth_colours(points[:, 2])), front)),
        ('estimate on the points', render(replace(solid, points=thinned(points), arrows=(),
                                                  ground=None), front)),
        ('estimate from the side, joint axis', render(solid, side)),
    ]
    if truth:
        ground = None if T_camera_truth is None else ground_under(truth, T_camera_truth)
        shown = RenderedScene(truth, truth_colours, ground=ground)
        panels.append(('truth from the side', render(shown, side)))
    return panels
