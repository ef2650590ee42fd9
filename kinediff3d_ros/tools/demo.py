"""The demo: the real nodes on a simulated camera, and a record of how well they did."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as PngImage
from sensor_msgs.msg import Image, JointState, PointCloud2
from tf2_msgs.msg import TFMessage
from tqdm import tqdm
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.geometry.rigid import rotation_angle
from kinediff3d_core.objects.category import Category, get_category
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh, PartEstimate
from kinediff3d_core.simulation.camera import SimulatedScene
from kinediff3d_core.visualization.panels import write_panels
from kinediff3d_core.visualization.preview import depth_colours, draw_preview
from kinediff3d_core.visualization.rasterizer import render
from kinediff3d_core.visualization.scene import RenderedScene
from kinediff3d_core.visualization.virtual_camera import camera_view
from kinediff3d_ros.messages import clouds, images, poses
from kinediff3d_ros.scene.parameters import CameraSimParameters
from kinediff3d_ros.tools.processes import (
    NodeProcess,
    Recorder,
    private_graph,
    reliably,
    stamp_key,
)

START_LIMIT = 300.0
"""Seconds within which the first answer must come."""

LAST_WORDS = 0.5
"""Seconds in which what a node said before its end is heard."""

SCENE = CameraSimParameters(instance=1, table=True, rate=5.0)
"""What the demo's camera looks at."""

INTRINSICS = Intrinsics(SCENE.focal_length, SCENE.focal_length, (SCENE.width - 1) / 2,
                        (SCENE.height - 1) / 2, SCENE.width, SCENE.height)

Stamp = tuple[int, int]


class DemoError(RuntimeError):
    """The demo cannot go on; one line that says why."""


@dataclass(frozen=True)
class Sample:
    """One estimate beside the truth of its input's stamp.

    Attributes:
        stamp: s since the epoch.
        positions, true_positions: (K-1,) rad or m, NaN of joints that it does not have.
        T_camera_base, true_T_camera_base: (4, 4).
        latency: s from the stamp to the arrival of the joint state.
    """

    stamp: float
    positions: np.ndarray
    true_positions: np.ndarray
    T_camera_base: np.ndarray
    true_T_camera_base: np.ndarray
    latency: float


class Listener:
    """All topics of the demo's graph."""

    def __init__(self, recorder: Recorder, category: Category) -> None:
        self.category = category
        self.depth = recorder.listen(Image, '/camera/depth/image_rect', keep=300, raw=True)
        self.mask = recorder.listen(Image, '/camera/mask', keep=300, raw=True)
        self.true_joints = recorder.listen(JointState, '/camera/truth/joint_states', 100)
        self.true_pose = recorder.listen(PoseStamped, '/camera/truth/pose', 100)
        self.joints = recorder.listen(JointState, '/joint_states', 100)
        self.tf = recorder.listen(TFMessage, '/tf', 100)
        self.points = recorder.listen(PointCloud2, '/points_used', keep=300, raw=True)
        self.markers = recorder.listen(MarkerArray, '/markers', keep=60, raw=True)
        self.diagnostics = recorder.listen(DiagnosticArray, '/diagnostics')

    def status(self) -> dict[str, str]:
        """Values of the newest diagnostics; empty before the first."""
        if not self.diagnostics.entries:
            return {}
        status = self.diagnostics.entries[-1][1].status[0]
        return {**{v.key: v.value for v in status.values}, 'message': status.message}

    def answers(self) -> int:
        """Frames that were answered so far, by an estimate or by a no."""
        return sum(int(self.status().get(k, 0)) for k in ('estimates', 'no_estimates'))

    def samples(self) -> list[Sample]:
        """Estimates whose truth was heard, from when the joints began to move."""
        true_positions = {stamp_key(m): self._in_order(m) for m in self.true_joints.messages}
        true_poses = {stamp_key(m): poses.matrix_from_pose(m.pose)
                      for m in self.true_pose.messages}
        base_poses = self._base_poses()
        begin = self.motion_begin() or (0, 0)
        samples = []
        for arrival, message in list(self.joints.entries):
            key = stamp_key(message)
            if begin <= key in true_positions and key in true_poses and key in base_poses:
                stamp = _seconds(key)
                samples.append(Sample(stamp, self._in_order(message), true_positions[key],
                                      base_poses[key], true_poses[key], arrival - stamp))
        return samples

    def motion_begin(self) -> Stamp | None:
        """Stamp of the first state that is not the one at the start; None before."""
        messages = self.true_joints.messages
        return next((stamp_key(m) for m in messages if m.position != messages[0].position), None)

    def truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Stamps (N,), s since the epoch, in order, and true positions (N, K-1) as in samples."""
        every = {stamp_key(m): self._in_order(m) for m in self.true_joints.messages}
        keys = sorted(every)
        return (np.array([_seconds(key) for key in keys]),
                np.array([every[key] for key in keys]))

    def complete_frames(self) -> list[Stamp]:
        """Stamps of estimates of which everything is still held."""
        held = [{stamp_key(m) for m in heard.messages}
                for heard in (self.depth, self.mask, self.points, self.true_joints, self.joints)]
        shown = min((stamp_key(a.markers[0]) for a in self.markers.messages
                     if any(_is_mesh(m) for m in a.markers)), default=(2 ** 31, 0))
        return sorted(s for s in set.intersection(*held, set(self._base_poses())) if s >= shown)

    def depth_at(self, stamp: Stamp) -> np.ndarray:
        return images.depth_from_image(_at(self.depth.messages, stamp))

    def mask_at(self, stamp: Stamp) -> np.ndarray:
        return images.mask_from_image(_at(self.mask.messages, stamp))

    def true_positions_at(self, stamp: Stamp) -> np.ndarray:
        return self._in_order(_at(self.true_joints.messages, stamp))

    def estimate_at(self, stamp: Stamp) -> ArticulatedEstimate:
        """The estimate, put together again from the messages alone."""
        category = self.category
        transforms = next(m for m in self.tf.messages if stamp_key(m.transforms[0]) == stamp)
        T_camera_part = {t.child_frame_id.rpartition('/')[2]: poses.matrix_from_transform(t)
                         for t in transforms.transforms}
        shown = {(m.ns, m.id): m for a in self.markers.messages
                 if stamp_key(a.markers[0]) <= stamp for m in a.markers}
        meshes = {category.parts[m.id]: _mesh(m) for m in shown.values() if _is_mesh(m)}
        arrows = {m.id: np.array([[p.x, p.y, p.z] for p in m.points]) for m in shown.values()
                  if m.type == Marker.ARROW and m.action == Marker.ADD}
        state = _at(self.joints.messages, stamp)
        positions = dict(zip(state.name, state.position, strict=True))
        joints = []
        for i, joint in enumerate(category.joints):
            if joint.name in positions and i in arrows:
                start, end = arrows[i]
                joints.append(JointEstimate(
                    joint.name, joint.joint_type, category.parts[joint.parent],
                    category.parts[joint.child], (start + end) / 2,
                    (end - start) / np.linalg.norm(end - start), positions[joint.name],
                    joint.lower, joint.upper, 0.0))
        parts = tuple(PartEstimate(name, T_camera_part[name], meshes.get(name))
                      for name in category.parts if name in T_camera_part)
        return ArticulatedEstimate(
            category.name, parts, tuple(joints), np.zeros((6, 6)), 0.0, 1.0, (), np.zeros(0),
            clouds.points_from_cloud(_at(self.points.messages, stamp)))

    def _in_order(self, message: JointState) -> np.ndarray:
        """Positions (K-1,) in the category's order, NaN of joints that the message has not."""
        told = dict(zip(message.name, message.position, strict=True))
        return np.array([told.get(j.name, np.nan) for j in self.category.joints])

    def _base_poses(self) -> dict[Stamp, np.ndarray]:
        base = poses.part_frame(self.category.name, self.category.parts[0])
        return {stamp_key(t): poses.matrix_from_transform(t)
                for m in self.tf.messages for t in m.transforms if t.child_frame_id == base}


def run_demo(category: str, seconds: float, headless: bool, out_dir: Path,
             rate: float = SCENE.rate) -> int:
    """Run the nodes for some seconds and write what came of it to ``out_dir``.

    Args:
        headless: do not say how to look at it in RViz.
        rate: of the camera, Hz.

    Returns:
        exit status: 0 if estimates came, 1 if none did, 2 for unusable arguments.
    """
    try:
        spec = get_category(category)
        if not seconds > 0:
            raise ValueError(f'--seconds must be positive, got {seconds:g}')
        if not 0.1 <= rate <= 60:
            raise ValueError(f'--rate must be in 0.1..60 Hz, got {rate:g}')
        out = Path(out_dir).absolute()
        (out / 'logs').mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        print(f'kinediff3d demo: {error}', file=sys.stderr)
        return 2
    # The nodes must not outlive the demo, whichever way it is ended.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(spec, seconds, headless, out, rate)
    except DemoError as error:
        print(f'kinediff3d demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('kinediff3d demo: interrupted', file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(category: Category, seconds: float, headless: bool, out: Path, rate: float) -> int:
    domain, start = private_graph(), time.time()
    inputs = ('depth/image_rect', 'depth/camera_info', 'mask')
    description = out / 'description'
    shutil.rmtree(description, ignore_errors=True)
    camera_sim = NodeProcess(
        'camera_sim', out / 'logs' / 'camera_sim.log', namespace='camera', parameters={
            'category': category.name, 'seed': SCENE.seed, 'instance': SCENE.instance,
            'table': SCENE.table, 'rate': float(rate)})
    perception = NodeProcess(
        'perception', out / 'logs' / 'perception.log', parameters={
            'category': category.name, 'description_dir': str(description),
            'description_period': 5.0, **reliably(*(f'/camera/{t}' for t in inputs))},
        remaps={topic: f'/camera/{topic}' for topic in inputs})
    with camera_sim, perception, Recorder(domain) as recorder:
        listener = Listener(recorder, category)
        if not headless:
            config = Path(__file__).parents[2] / 'config' / 'perception.rviz'
            print('To look at it in RViz, in another terminal:\n'
                  f'  ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST '
                  f'rviz2 -d {config}')
        _wait_for_first_answer(listener, (camera_sim, perception))
        answered_at = time.time()
        # The truth may be discovered after the image that was answered; an answer may be a no.
        imaged_at = min([listener.true_joints.entries[0][0],
                         *(_seconds(stamp_key(m)) for m in listener.joints.messages[:1])])
        _wait_for_motion(listener, (camera_sim, perception))
        begin, before = time.time(), len(listener.joints.entries)
        memory = _record(listener, seconds, (camera_sim, perception))
        elapsed = time.time() - begin
        answered = (len(listener.joints.entries) - before) / elapsed
        # The last of what it says counts all of its frames.
        perception.stop()
        time.sleep(LAST_WORDS)
        status = listener.status()
    summary = summarise(listener, status, answered, seconds, category, rate)
    summary.update(first_image_s=round(imaged_at - start, 1),
                   first_answer_s=round(answered_at - start, 1), **memory)
    (out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    if not summary['estimates']:
        raise DemoError(f'no estimate came; last state: {status.get("message", "unknown")} '
                        f'(see {out / "logs"})')
    _keep_last_description(description / category.name, out)
    draw_story(listener, out)
    print(_in_words(summary))
    print(f'summary.json, pictures, meshes and URDF are in {out}')
    return 0


def _seconds(stamp: Stamp) -> float:
    return stamp[0] + 1e-9 * stamp[1]


def _wait_for_first_answer(listener: Listener, processes: Sequence[NodeProcess]) -> None:
    with _progress('starting the nodes', START_LIMIT, '{desc}: {elapsed}') as bar:
        end = time.monotonic() + START_LIMIT
        # The truth may be discovered after the answer.
        while not (listener.answers() and listener.true_joints.entries):
            _require_running(processes)
            if time.monotonic() > end:
                state = listener.status().get('message', 'the perception node says nothing')
                raise DemoError(f'no answer within {START_LIMIT:.0f} s: {state}')
            time.sleep(0.25)
            bar.refresh()


def _wait_for_motion(listener: Listener, processes: Sequence[NodeProcess]) -> None:
    """The camera renders most of the states while it shows the first."""
    with _progress('rendering the other states', START_LIMIT, '{desc}: {elapsed}') as bar:
        end = time.monotonic() + START_LIMIT
        while listener.motion_begin() is None and time.monotonic() < end:
            _require_running(processes)
            time.sleep(0.25)
            bar.refresh()


def _record(listener: Listener, seconds: float, processes: Sequence[NodeProcess],
            ) -> dict[str, object]:
    """Watch; the last process's resident memory, medians of the second and the last tenth."""
    resident: list[float] = []
    with _progress('watching', seconds,
                   '{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s{postfix}') as bar:
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            _require_running(processes)
            bar.n = passed
            bar.set_postfix_str(f'{len(listener.joints.entries)} estimates')
            resident.append(processes[-1].resident_mib() or np.nan)
            time.sleep(0.2)
        bar.n = seconds
        bar.refresh()
    tenth = len(resident) // 10
    early, late = (float(np.median(resident[i * tenth:(i + 1) * tenth] or [np.nan]))
                   for i in (1, 9))
    return {'resident_mib': {'early': round(early, 1), 'late': round(late, 1)}
            } if np.isfinite(early + late) else {}


def _progress(text: str, seconds: float, bar_format: str) -> tqdm:
    """A bar on a terminal; elsewhere, as in a log, one line."""
    if not sys.stderr.isatty():
        print(f'{text} …', file=sys.stderr)
    return tqdm(total=seconds, desc=text, bar_format=bar_format, disable=None)


def _require_running(processes: Sequence[NodeProcess]) -> None:
    for process in processes:
        if process.exit_status is not None:
            lines = process.output().strip().splitlines() or ['(no output)']
            reason = re.sub(r'^\[\w+\] \[[\d.]+\] \[[\w.]+\]: ', '', lines[-1])
            raise DemoError(f'{process.log.stem} ended: {reason}')


def summarise(listener: Listener, status: dict[str, str], answered: float, seconds: float,
              category: Category, rate: float) -> dict[str, object]:
    """Content of ``summary.json``; errors are over all estimates, joint by joint.

    Args:
        answered: estimates a second. rate: frames a second.
    """
    samples = listener.samples()
    summary: dict[str, object] = {
        'category': category.name,
        'command': f'kinediff3d demo --category {category.name} --seconds {seconds:g}'
                   + ('' if rate == SCENE.rate else f' --rate {rate:g}'),
        'seed': SCENE.seed,
        'instance': SCENE.instance,
        'seconds': seconds,
        'frames': int(status.get('frames_received', 0)),
        'estimates': len(listener.joints.entries),
        'compared': len(samples),
        'no_estimates': int(status.get('no_estimates', 0)),
        'dropped': int(status.get('frames_dropped', 0)),
        'unpaired': int(status.get('frames_unpaired', 0)),
        'full_estimates': int(status.get('full_estimates', 0)),
        'rate_hz': round(answered, 2),
    }
    if not samples:
        return summary
    summary['latency_ms'] = _spread(1e3 * np.array([s.latency for s in samples]), 1)
    turning = [j.joint_type == 'revolute' for j in category.joints]
    there = np.isfinite([s.positions for s in samples])
    truly = np.isfinite([s.true_positions for s in samples])
    if len(turning) > 1:
        summary['joints_missed'] = round(float((truly & ~there).sum(1).mean()), 2)
        summary['joints_invented'] = round(float((there & ~truly).sum(1).mean()), 2)
    errors = np.array([np.abs(s.positions - s.true_positions) for s in samples])
    for kind, name, factor, digits in ((turning, 'joint_error_deg', 180 / np.pi, 2),
                                       (~np.array(turning), 'joint_error_m', 1.0, 4)):
        of_kind = factor * errors[:, kind]
        if np.isfinite(of_kind).any():
            summary[name] = _spread(of_kind[np.isfinite(of_kind)], digits)
    summary['rotation_error_deg'] = _spread(np.degrees([
        rotation_angle(s.T_camera_base[:3, :3], s.true_T_camera_base[:3, :3])
        for s in samples]), 2)
    summary['translation_error_m'] = _spread(np.array(
        [np.linalg.norm(s.T_camera_base[:3, 3] - s.true_T_camera_base[:3, 3])
         for s in samples]), 4)
    return summary


def draw_story(listener: Listener, out: Path) -> None:
    """Pictures of one frame from input to estimate, and of the joint over time."""
    frames = listener.complete_frames()
    if frames:
        # The frame in which the joints are the furthest out shows the most.
        stamp = max(frames, key=lambda s: float(np.nansum(listener.true_positions_at(s))))
        depth, estimate = listener.depth_at(stamp), listener.estimate_at(stamp)
        _write_input(depth, listener.mask_at(stamp), out / 'input')
        _draw_depth(depth, out / '1_depth.png')
        cloud = backproject(depth, INTRINSICS)
        view, some = camera_view(cloud), _some(cloud, 120_000)
        write_panels([
            ('all points', render(RenderedScene(
                points=some, point_colours=depth_colours(some)), view)),
            ('points on the object', render(RenderedScene(
                points=estimate.points, point_colours=depth_colours(estimate.points)), view)),
        ], out / '2_cloud.png')
        estimate = replace(estimate, points=_some(estimate.points, 2_000))
        truth = listener.true_positions_at(stamp)
        scene = SimulatedScene.sample(estimate.category, SCENE.seed, SCENE.instance, INTRINSICS,
                                      SCENE.states)
        draw_preview(estimate, out / '3_estimate.png',
                     truth_meshes=scene.meshes(np.nan_to_num(truth)),
                     title=_title(listener.category, estimate, truth))
    _draw_joints(listener, out / '4_joint.png')


def _write_input(depth: np.ndarray, mask: np.ndarray, folder: Path) -> None:
    """The frame as files for ``kinediff3d infer``."""
    folder.mkdir(exist_ok=True)
    PngImage.fromarray(np.round(1000 * depth).astype(np.uint16)).save(folder / 'depth.png')
    PngImage.fromarray(mask.astype(np.uint8) * 255).save(folder / 'mask.png')
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
    figure.savefig(path, dpi=110)


def _draw_joints(listener: Listener, path: Path) -> None:
    """Joint positions over time; a gap is where no estimate was published."""
    stamps, truth = listener.truth()
    samples = listener.samples()
    known = np.isfinite([s.positions for s in samples]).any(0) | np.isfinite(truth).any(0)
    shown = np.flatnonzero(known)
    figure = Figure(figsize=(10, 2.2 + 1.8 * len(shown)), layout='constrained')
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(shown), squeeze=False)[:, 0]
    first = min(samples[0].stamp, stamps[0])
    for i, axes in zip(shown, rows, strict=True):
        joint = listener.category.joints[i]
        unit, factor = ('°', 180 / np.pi) if joint.joint_type == 'revolute' else ('m', 1.0)
        axes.plot(stamps - first, truth[:, i] * factor, color='0.6', linewidth=2, label='truth')
        axes.plot([s.stamp - first for s in samples],
                  [s.positions[i] * factor for s in samples], 'o', color='#c8102e',
                  markersize=4, label='estimate, at the stamp of its image')
        axes.set_ylabel(f'{joint.name} [{unit}]')
        axes.grid(alpha=0.3)
    rows[0].legend(loc='upper right')
    rows[-1].set_xlabel('time [s]')
    figure.savefig(path, dpi=110)


def _title(category: Category, estimate: ArticulatedEstimate, truth: np.ndarray) -> str:
    told = []
    for joint in estimate.joints:
        true = truth[[j.name for j in category.joints].index(joint.name)]
        turning = joint.joint_type == 'revolute'
        estimated, really = (f'{np.degrees(q):.1f}°' if turning else f'{1e3 * q:.0f} mm'
                             for q in (joint.position, true))
        told.append(f'{joint.name} {estimated} '
                    f'({f"truth {really}" if np.isfinite(true) else "not there"})')
    return f'{category.name}: ' + ', '.join(told)


def _keep_last_description(folder: Path, out: Path) -> None:
    """Move the newest URDF and its meshes to where the user looks for them."""
    versions = sorted((p for p in folder.glob('*') if (p / 'object.urdf').exists()),
                      key=lambda p: p.stat().st_mtime)
    if versions:
        shutil.rmtree(out / 'meshes', ignore_errors=True)
        shutil.copytree(versions[-1], out, dirs_exist_ok=True)
    shutil.rmtree(folder.parent, ignore_errors=True)


def _in_words(summary: dict[str, object]) -> str:
    memory: Any = summary.get('resident_mib')
    lines = [f'{summary["estimates"]} estimates of {summary["frames"]} frames '
             f'({summary["dropped"]} dropped for newer ones, {summary["unpaired"]} without mask, '
             f'{summary["no_estimates"]} without an answer), {summary["rate_hz"]} per second',
             f'first image {summary["first_image_s"]} s, first answer '
             f'{summary["first_answer_s"]} s after the start'
             + (f'; resident memory of the node {memory["early"]:.0f} MiB early, '
                f'{memory["late"]:.0f} MiB late' if memory else '')]
    for key, name, unit in (
            ('joint_error_deg', 'joint error', '°'), ('joint_error_m', 'joint error', ' m'),
            ('rotation_error_deg', 'rotation error', '°'),
            ('translation_error_m', 'translation error', ' m'),
            ('latency_ms', 'latency', ' ms')):
        spread = summary.get(key)
        if isinstance(spread, dict):
            lines.append(f'{name}: median {spread["median"]}{unit}, 95th percentile '
                         f'{spread["p95"]}{unit}')
    return '\n'.join(lines)


def _some(points: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the points (N, 3), spread at random."""
    return np.random.default_rng(0).permutation(points)[:count]


def _spread(values: np.ndarray, digits: int) -> dict[str, float]:
    return {'median': round(float(np.median(values)), digits),
            'p95': round(float(np.percentile(values, 95)), digits)}


def _is_mesh(marker: Marker) -> bool:
    return bool(marker.type == Marker.TRIANGLE_LIST and marker.action == Marker.ADD)


def _mesh(marker: Marker) -> Mesh:
    """Mesh of a TRIANGLE_LIST; corners that several triangles share are one vertex again."""
    corners = np.array([[p.x, p.y, p.z] for p in marker.points])
    vertices, index = np.unique(corners, axis=0, return_inverse=True)
    return Mesh(vertices, index.reshape(-1, 3))


def _at(messages: Sequence[Any], stamp: Stamp) -> Any:
    return next(m for m in messages if stamp_key(m) == stamp)
