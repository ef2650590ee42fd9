"""The pictures of a demo: one frame from input to estimate, and the joints over time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.simulation.camera import SimulatedScene
from kinediff3d_core.visualization.panels import write_panels
from kinediff3d_core.visualization.preview import (
    depth_colours,
    draw_preview,
    thinned,
)
from kinediff3d_core.visualization.rasterizer import render
from kinediff3d_core.visualization.scene import RenderedScene
from kinediff3d_core.visualization.virtual_camera import camera_view
from kinediff3d_ros.tools.demo_options import INTRINSICS, SCENE
from kinediff3d_ros.tools.demo_recording import DemoRecording
from kinediff3d_ros.tools.joint_positions import DISPLAY_UNITS, format_position

SCENE_POINTS, OBJECT_POINTS = 120_000, 2_000
"""Points of the whole image and of the object that a picture shows. Chosen."""

DPI = 110


def draw_pictures(recording: DemoRecording, out: Path) -> None:
    """Write ``input/`` and the pictures ``1_depth.png`` to ``4_joint.png``."""
    frames = recording.complete_frames()
    if frames:
        # The frame in which the joints are the furthest out shows the most.
        stamp = max(frames, key=lambda s: float(np.nansum(recording.true_positions_at(s))))
        depth, estimate = recording.depth_at(stamp), recording.estimate_at(stamp)
        write_input(depth, recording.mask_at(stamp), out / 'input')
        _draw_depth(depth, out / '1_depth.png')
        _draw_points(depth, estimate, out / '2_cloud.png')
        _draw_estimate(estimate, recording.true_positions_at(stamp), recording.category,
                       out / '3_estimate.png')
    _draw_joints(recording, out / '4_joint.png')


def write_input(depth: np.ndarray, mask: np.ndarray, folder: Path) -> None:
    """Write a frame as the files that ``kinediff3d infer`` reads.

    Args:
        depth: (H, W), m.
        mask: (H, W), true on the object.
    """
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.round(1000 * depth).astype(np.uint16)).save(folder / 'depth.png')
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / 'mask.png')
    i = INTRINSICS
    (folder / 'camera_info.yaml').write_text(yaml.safe_dump({
        'width': i.width, 'height': i.height, 'distortion_model': 'plumb_bob', 'd': [0.0] * 5,
        'k': [i.fx, 0.0, i.cx, 0.0, i.fy, i.cy, 0.0, 0.0, 1.0]}, sort_keys=False))


def _draw_depth(depth: np.ndarray, path: Path) -> None:
    figure = Figure(figsize=(7.2, 5.0), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = axes.imshow(np.where(depth > 0, depth, np.nan), cmap='viridis_r')
    axes.set_axis_off()
    axes.set_title('depth image, input of the perception node')
    figure.colorbar(shown, label='depth [m]', shrink=0.85)
    figure.savefig(path, dpi=DPI)


def _draw_points(depth: np.ndarray, estimate: ArticulatedEstimate, path: Path) -> None:
    cloud = backproject(depth, INTRINSICS)
    view = camera_view(cloud)
    write_panels([
        (name, render(RenderedScene(points=points,
                                    point_colours=depth_colours(points[:, 2])), view))
        for name, points in (('all points', thinned(cloud, SCENE_POINTS)),
                             ('points on the object', estimate.points))], path)


def _draw_estimate(estimate: ArticulatedEstimate, true_positions: np.ndarray, category: Category,
                   path: Path) -> None:
    scene = SimulatedScene.sample(category.name, SCENE.seed, SCENE.instance, INTRINSICS,
                                  SCENE.states)
    draw_preview(replace(estimate, points=thinned(estimate.points, OBJECT_POINTS)), path,
                 truth_meshes=scene.meshes(np.nan_to_num(true_positions)),
                 title=_title(category, estimate, true_positions))


def _title(category: Category, estimate: ArticulatedEstimate, true_positions: np.ndarray) -> str:
    """The category and the positions of all estimated joints with the truth."""
    truth = dict(zip((j.name for j in category.joints), true_positions, strict=True))
    joints = []
    for joint in estimate.joints:
        true = truth[joint.name]
        known = f'truth {format_position(joint.joint_type, true)}' if np.isfinite(true) \
            else 'the object lacks it'
        joints.append(f'{joint.name} {format_position(joint.joint_type, joint.position)} '
                      f'({known})')
    return f'{category.name}: ' + ', '.join(joints)


def _draw_joints(recording: DemoRecording, path: Path) -> None:
    """Joint positions over time; a gap is where no estimate was published."""
    stamps, truth = recording.truth()
    samples = recording.samples()
    times = np.array([s.stamp for s in samples])
    estimated = np.array([s.positions for s in samples]).reshape(-1, truth.shape[1])
    rows = np.flatnonzero(np.isfinite(estimated).any(0) | np.isfinite(truth).any(0))
    figure = Figure(figsize=(10, 2.2 + 1.8 * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    plots = figure.subplots(len(rows), squeeze=False, sharex=True)[:, 0]
    first = min([stamps[0], *times[:1]])
    for i, axes in zip(rows, plots, strict=True):
        joint = recording.category.joints[i]
        unit, factor = DISPLAY_UNITS[joint.joint_type]
        axes.plot(stamps - first, truth[:, i] * factor, color='0.6', linewidth=2, label='truth')
        axes.plot(times - first, estimated[:, i] * factor, 'o', color='#c8102e', markersize=4,
                  label='estimate, at the stamp of its image')
        axes.set_ylabel(f'{joint.name} [{unit}]')
        axes.grid(alpha=0.3)
    plots[0].legend(loc='upper right')
    plots[-1].set_xlabel('time [s]')
    figure.savefig(path, dpi=DPI)
