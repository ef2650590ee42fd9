"""The demo: runs the nodes on a simulated camera and measures their accuracy."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.category import get_category
from kinediff3d_ros.tools.demo_options import SCENE, DemoOptions
from kinediff3d_ros.tools.demo_pictures import draw_pictures
from kinediff3d_ros.tools.demo_recording import DemoRecording
from kinediff3d_ros.tools.demo_summary import in_words, summarize
from kinediff3d_ros.tools.demo_viewers import viewer_lines
from kinediff3d_ros.tools.processes import NodeProcess, private_graph
from kinediff3d_ros.tools.recorder import Recorder

START_LIMIT = 300.0
"""Seconds within which the first frame must be processed. Chosen for a busy machine."""

LAST_MESSAGES = 2.0
"""Seconds within which the last messages of a stopped node arrive. Chosen."""

SAMPLE_PERIOD = 0.2
"""Seconds between two samples of the node's memory. Chosen."""

DESCRIPTION_PERIOD = 5.0
"""Parameter ``description_period`` of the perception node, s. Chosen: some in each demo."""

DESCRIPTION_LIMIT = 120.0
"""Seconds after the recording within which there must be a description. Chosen for a busy
machine; it is there already on others."""

REPORT_PERIOD = 10.0
"""Seconds between two lines that say what is awaited, where there is no terminal. Chosen."""

RESULTS = ('summary.json', '1_depth.png', '2_cloud.png', '3_estimate.png', '4_joint.png',
           'object.urdf')
"""Files that the demo writes."""

INPUTS = ('depth/image_rect', 'depth/camera_info', 'mask')


class DemoError(RuntimeError):
    """The demo cannot continue; the message is one line that says why."""


@dataclass(frozen=True)
class Timing:
    """Times and rates of one demo.

    Attributes:
        first_image: when the camera had sent an image, s since the epoch.
        first_answer: when the node had processed a frame, s since the epoch.
        estimate_rate: estimates in one second of the recording.
        resident_mib: memory of the perception node at each sample of the recording, MiB.
    """

    first_image: float
    first_answer: float
    estimate_rate: float
    resident_mib: list[float]


def run_demo(category: str, seconds: float, headless: bool, out_dir: Path,
             rate: float = SCENE.rate) -> int:
    """Run the nodes and write the results to ``out_dir``.

    Args:
        seconds: for how long estimates are recorded.
        headless: do not print how to start RViz.
        rate: of the camera, Hz.

    Returns:
        Exit status: 0 if estimates came, 1 if none did, 2 for unusable arguments, 130 after
        Ctrl-C.
    """
    try:
        options = DemoOptions(get_category(category), seconds, rate, headless,
                              Path(out_dir).absolute())
        (options.out / 'logs').mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        print(f'kinediff3d demo: {error}', file=sys.stderr)
        return 2
    # SIGTERM raises KeyboardInterrupt, so that the nodes end with the demo.
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(options)
    except DemoError as error:
        print(f'kinediff3d demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('kinediff3d demo: interrupted', file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, handler)
    return 0


def _run(options: DemoOptions) -> None:
    """Run the nodes, then write and print the results."""
    domain, start = private_graph(), time.time()
    descriptions = options.out / 'description'
    shutil.rmtree(descriptions, ignore_errors=True)
    for name in RESULTS:  # A demo that fails leaves nothing of an earlier one.
        (options.out / name).unlink(missing_ok=True)
    camera_sim, perception = _start_nodes(options, descriptions)
    with camera_sim, perception, Recorder(domain) as recorder:
        recording = DemoRecording(recorder, options.category)
        if not options.headless:
            print(viewer_lines(domain, recording.object_name), flush=True)
        timing = _record(recorder, recording, options.seconds, (camera_sim, perception))
        if recording.joints.entries:
            _wait_for_description(recorder, descriptions)
        perception.stop()
        status = _last_status(recorder, recording)
    summary = summarize(options, status, timing.estimate_rate, recording.samples())
    summary.update(first_image_s=round(timing.first_image - start, 1),
                   first_answer_s=round(timing.first_answer - start, 1),
                   **memory_growth(timing.resident_mib))
    write_text(options.out / 'summary.json', json.dumps(summary, indent=2) + '\n')
    if not summary['estimates']:
        raise DemoError(f'no estimate came; last state: {status.get("message", "unknown")} '
                        f'(see {options.out / "logs"})')
    _move_last_description(descriptions, options.out)
    draw_pictures(recording, options.out)
    print(in_words(summary))
    print(f'summary.json, pictures, meshes and URDF are in {options.out}')


def _start_nodes(options: DemoOptions, descriptions: Path) -> tuple[NodeProcess, NodeProcess]:
    """The camera and the perception node."""
    logs, category = options.out / 'logs', options.category.name
    camera_sim = NodeProcess(
        'camera_sim', logs / 'camera_sim.log', namespace='camera', parameters={
            'category': category, 'seed': SCENE.seed, 'instance': SCENE.instance,
            'table': SCENE.table, 'rate': float(options.rate)})
    topics = {topic: f'/camera/{topic}' for topic in INPUTS}
    perception = NodeProcess(
        'perception', logs / 'perception.log', remaps=topics, parameters={
            'category': category, 'description_dir': str(descriptions),
            'description_period': DESCRIPTION_PERIOD})
    return camera_sim, perception


def _record(recorder: Recorder, recording: DemoRecording, seconds: float,
            processes: Sequence[NodeProcess]) -> Timing:
    """Wait until the object moves, then record for some seconds."""
    # The node may process a frame before the recorder discovers the truth.
    def state() -> str:
        return recording.status().get('message', 'the perception node sends no diagnostics')

    if not _wait(recorder, processes, 'starting the nodes',
                 lambda: recording.processed_frames() and recording.true_joints.entries, state):
        reason = next((e for p in reversed(processes) if (e := last_error(p))), state())
        raise DemoError(f'no frame was processed within {START_LIMIT:.0f} s: {reason} '
                        f'(see {processes[-1].log.parent})')
    first_image, first_answer = recording.first_image_time(), time.time()
    # The camera shows the first joint state until it has rendered the others.
    _wait(recorder, processes, 'rendering the joint states', recording.motion_begin, state)
    begin, before = time.time(), len(recording.joints.entries)
    resident_mib = _sample_memory(recording, seconds, processes)
    estimates = len(recording.joints.entries) - before
    return Timing(first_image, first_answer, estimates / (time.time() - begin), resident_mib)


def _last_status(recorder: Recorder, recording: DemoRecording) -> dict[str, str]:
    """The diagnostics of the stopped node, which count all frames; the newest if they are lost."""
    try:
        recorder.wait_for(lambda: recording.status().get('state') == 'inactive', LAST_MESSAGES,
                          'diagnostics of the stopped node')
    except TimeoutError:
        pass
    return recording.status()


def _wait(recorder: Recorder, processes: Sequence[NodeProcess], text: str,
          condition: Callable[[], object], state: Callable[[], str]) -> bool:
    """Wait for a condition; whether it came true within ``START_LIMIT``.

    Args:
        state: of the perception node in words, which is shown meanwhile.
    """
    begin = time.monotonic()
    with _progress(text, START_LIMIT, '{desc}: {elapsed}') as bar:
        reported = 0

        def check() -> object:
            nonlocal reported
            require_running(processes)
            answer = condition()
            passed = time.monotonic() - begin
            if bar.disable and not answer and passed > (reported + 1) * REPORT_PERIOD:
                print(f'{text}: {passed:.0f} s, {state()}', file=sys.stderr)
                reported += 1
            bar.set_description(f'{text} ({state()})')
            return answer

        try:
            return bool(recorder.wait_for(check, START_LIMIT, text))
        except TimeoutError:
            return False


def _sample_memory(recording: DemoRecording, seconds: float, processes: Sequence[NodeProcess],
                   ) -> list[float]:
    """Let the nodes run; resident memory of the last process at each sample, MiB."""
    resident_mib: list[float] = []
    with _progress('recording', seconds,
                   '{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s{postfix}') as bar:
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            require_running(processes)
            bar.n = passed
            bar.set_postfix_str(f'{len(recording.joints.entries)} estimates')
            resident_mib.append(processes[-1].resident_mib() or np.nan)
            time.sleep(SAMPLE_PERIOD)
        bar.n = seconds
        bar.refresh()
    return resident_mib


def memory_growth(resident_mib: list[float]) -> dict[str, dict[str, float]]:
    """Medians of the second and of the last tenth; nothing where the system reports none."""
    tenth = len(resident_mib) // 10
    early, late = (float(np.median(resident_mib[i * tenth:(i + 1) * tenth] or [np.nan]))
                   for i in (1, 9))
    if not np.isfinite(early + late):
        return {}
    return {'resident_mib': {'early': round(early, 1), 'late': round(late, 1)}}


def _progress(text: str, seconds: float, bar_format: str) -> tqdm:
    """A progress bar on a terminal; elsewhere, as in a log, one line."""
    if not sys.stderr.isatty():
        print(f'{text} …', file=sys.stderr)
    return tqdm(total=seconds, desc=text, bar_format=bar_format, disable=None)


def require_running(processes: Sequence[NodeProcess]) -> None:
    """Raise DemoError with the last error of a process that has ended, or its last line."""
    for process in processes:
        if process.exit_status is not None:
            lines = process.output().strip().splitlines() or ['(no output)']
            reason = last_error(process) or lines[-1]
            raise DemoError(f'{process.log.stem} ended: {reason}')


def last_error(process: NodeProcess) -> str:
    """The last error in the log of a node, without time and name; empty where there is none."""
    found = re.findall(r'^\[(?:ERROR|FATAL)\] \[[\d.]+\] \[[^\]]+\]: (.+)$', process.output(),
                       re.MULTILINE)
    return found[-1] if found else ''


def _wait_for_description(recorder: Recorder, folder: Path) -> None:
    """Wait until the node has written a description, which it does beside its estimates."""
    try:
        recorder.wait_for(lambda: _versions(folder), DESCRIPTION_LIMIT, 'description')
    except TimeoutError:
        raise DemoError(f'no description was written within {DESCRIPTION_LIMIT:.0f} s') from None


def _versions(folder: Path) -> list[Path]:
    """Folders of complete descriptions in the node's ``description_dir``, the newest last."""
    return sorted((p.parent for p in folder.glob('*/*/object.urdf')
                   if not p.parent.name.startswith('.')), key=lambda p: p.stat().st_mtime)


def _move_last_description(folder: Path, out: Path) -> None:
    """Move the newest URDF and its meshes to ``out`` and delete the older ones."""
    versions = _versions(folder)
    if versions:
        shutil.rmtree(out / 'meshes', ignore_errors=True)
        shutil.copytree(versions[-1], out, dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
