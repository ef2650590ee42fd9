"""Pictures of an estimate and its contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kinediff3d_core.objects.contact import Contact
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh, transform_mesh
from kinediff3d_core.visualization.rendering import (
    PART_COLOURS,
    Array,
    Arrow,
    Colour,
    Scene,
    View,
    camera_view,
    fitted,
    render,
    side_view,
)

MOTION_COLOUR: Colour = (0.10, 0.60, 0.15)
OUTWARD_COLOUR: Colour = (0.15, 0.30, 0.90)


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
    """Motion (x, green) and z (blue, shorter) of contact frames; ``length`` in metres."""
    arrows = []
    for contact in contacts:
        T = contact.T_camera_contact
        for column, share, colour in ((0, 1.0, MOTION_COLOUR), (2, 0.6, OUTWARD_COLOUR)):
            arrows.append(Arrow(T[:3, 3], T[:3, 3] + share * length * T[:3, column], colour))
    return tuple(arrows)


def draw_contacts(estimate: ArticulatedEstimate, contacts: Sequence[Contact], width: int = 560,
                  height: int = 460) -> Array:
    """Picture (H, W, 3) of the parts, the joint axes (red) and the contact frames on them."""
    meshes = posed_meshes(estimate)
    points = np.concatenate([m.vertices for m in meshes])
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    arrows = joint_arrows(estimate, 0.35 * size) + contact_arrows(contacts, 0.28 * size)
    tips = np.array([x for a in arrows for x in (a.start, a.end)]).reshape(-1, 3)
    T = np.asarray(estimate.T_camera_base, dtype=np.float64)
    back = T[:3, :3] @ (np.array([0.72, 0.48, 0.50]) / np.linalg.norm((0.72, 0.48, 0.50)))
    x = np.cross(-back, T[:3, 2])
    x /= np.linalg.norm(x)
    look = np.eye(4)
    look[:3, :3] = np.stack([x, np.cross(-back, x), -back])
    centre = (points.min(0) + points.max(0)) / 2
    look[:3, 3] = -look[:3, :3] @ (centre + 5 * size * back)
    view = fitted(View(look, 1.0, 0.0, 0.0, width, height), np.concatenate([points, tips]))
    colours = tuple(PART_COLOURS[i % len(PART_COLOURS)] for i in range(len(meshes)))
    return render(Scene(meshes, colours, arrows=arrows, ground=ground_under(meshes, T)), view)


def posed_meshes(estimate: ArticulatedEstimate) -> tuple[Mesh, ...]:
    """The parts' meshes in the camera's frame; parts without one are left out."""
    return tuple(transform_mesh(p.T_camera_part, p.mesh) for p in estimate.parts
                 if p.mesh is not None)


def ground_under(meshes: Sequence[Mesh], T_camera_base: Array) -> Array | None:
    """Plane (4,) across the base's z axis that touches the lowest point of meshes."""
    if not meshes:
        return None
    up = T_camera_base[:3, 2]
    lowest = min(float((m.vertices @ up).min()) for m in meshes)
    return np.append(up, -lowest)


def thinned(points: Array, most: int = 1500) -> Array:
    """At most about ``most`` of points (N, 3), at random, so that meshes show between them."""
    share = np.random.default_rng(0).random(len(points))
    return np.asarray(points[share < most / max(len(points), 1)])


def depth_colours(points: Array) -> Array:
    """Colours (N, 3) from near (yellow) to far (violet)."""
    from matplotlib import colormaps

    low, high = np.percentile(points[:, 2], (2, 98))
    t = ((points[:, 2] - low) / max(high - low, 1e-6)).clip(0, 1)
    return np.asarray(colormaps['viridis'](0.92 - 0.85 * t)[:, :3])


def caption(estimate: ArticulatedEstimate) -> str:
    """Joint positions with their standard deviation, and the confidence."""
    told = []
    for joint in estimate.joints:
        if joint.joint_type == 'prismatic':
            told.append(f'{joint.name} {joint.position * 1000:.0f} ± {joint.std * 1000:.0f} mm')
        else:
            told.append(f'{joint.name} {np.degrees(joint.position):.1f}° ± '
                        f'{np.degrees(joint.std):.1f}°')
    return ', '.join(told) + f', confidence {estimate.confidence:.2f}'


def draw_preview(estimate: ArticulatedEstimate, out: Path | str,
                 truth_meshes: Sequence[Mesh] | None = None, title: str | None = None,
                 T_camera_truth: Array | None = None) -> Path:
    """Write a picture of an estimate: the cloud, the parts on it, the parts from the side.

    Args:
        truth_meshes: of the true object in the camera's frame, one a part, drawn beside it.
        title: above the panels; the category and joint positions by default.
        T_camera_truth: (4, 4) of the true base; with it the truth casts its shadow.

    Returns:
        The path of the PNG.
    """
    return write_panels(draw_panels(estimate, truth_meshes, T_camera_truth), Path(out),
                        title or f'{estimate.category}: {caption(estimate)}')


def draw_panels(estimate: ArticulatedEstimate, truth_meshes: Sequence[Mesh] | None = None,
                T_camera_truth: Array | None = None, width: int = 560, height: int = 460,
                ) -> list[tuple[str, Array]]:
    """The panels of :func:`draw_preview` with their names, (height, width, 3) uint8 each."""
    meshes = posed_meshes(estimate)
    colours = tuple(PART_COLOURS[i % len(PART_COLOURS)] for i in range(len(meshes)))
    points = np.asarray(estimate.points, dtype=np.float64)
    truth = tuple(truth_meshes or ())
    truth_colours = tuple(PART_COLOURS[i % len(PART_COLOURS)] for i in range(len(truth)))
    everything = np.concatenate([points, *(m.vertices for m in meshes),
                                 *(m.vertices for m in truth)])
    size = float(np.linalg.norm(np.ptp(everything, axis=0)))
    arrows = joint_arrows(estimate, 0.55 * size)
    axis = estimate.joints[0].axis if estimate.joints else None
    T = np.asarray(estimate.T_camera_base, dtype=np.float64)
    tips = np.array([x for a in arrows for x in (a.start, a.end)]).reshape(-1, 3)
    front = camera_view(everything, width, height)
    side = side_view(np.concatenate([everything, tips]), T, axis, width, height)
    solid = Scene(meshes, colours, arrows=arrows, ground=ground_under(meshes, T))
    panels = [
        ('depth camera: points used', render(Scene(points=points,
                                                   point_colours=depth_colours(points)), front)),
        ('estimate on the points', render(replace(solid, points=thinned(points), arrows=(),
                                                  ground=None), front)),
        ('estimate from the side, joint axis', render(solid, side)),
    ]
    if truth:
        ground = None if T_camera_truth is None else ground_under(truth, T_camera_truth)
        shown = Scene(truth, truth_colours, ground=ground)
        panels.append(('truth from the side', render(shown, side)))
    return panels


def write_panels(panels: Sequence[tuple[str, Array]], out: Path, title: str = '') -> Path:
    """Write pictures (H, W, 3) side by side under their titles as one PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 100
    height, width = panels[0][1].shape[:2]
    gap, head = 12, 64 if title else 34
    total = (len(panels) * (width + gap) + gap, height + head + gap)
    figure = Figure(figsize=(total[0] / dpi, total[1] / dpi), dpi=dpi, facecolor='white')
    canvas = FigureCanvasAgg(figure)
    if title:
        figure.text(gap / total[0], 1 - 18 / total[1], title, fontsize=12.5, weight='bold',
                    va='center', color='0.15')
    for i, (name, picture) in enumerate(panels):
        left = gap + i * (width + gap)
        axes = figure.add_axes((left / total[0], gap / total[1], width / total[0],
                                height / total[1]))
        axes.imshow(picture, interpolation='none', aspect='auto')
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color('0.8')
        figure.text(left / total[0], 1 - (head - 14) / total[1], name, fontsize=10.5,
                    va='center', color='0.3')
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.print_png(str(out))  # type: ignore[no-untyped-call]
    return out
