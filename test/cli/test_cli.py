"""The command line: help, and bad input that ends in one line and exit status 2."""

import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from estimates import laptop_estimate
from PIL import Image
from tabletops import CAMERA, block, camera_above, draw, plate

from kinediff3d_core.cli import arguments as arguments_of_cli
from kinediff3d_core.cli import main
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.inference import auto, decoding
from kinediff3d_core.inference.presets import ConfidenceConfig
from kinediff3d_core.io.estimate import write_estimate
from kinediff3d_core.objects.estimate import NoEstimate

COMMANDS = ('demo', 'infer', 'generate', 'evaluate', 'benchmark', 'train', 'import', 'replay',
            'view')


def refused(capsys, *arguments):
    """The one line of a command's error about unusable arguments."""
    try:
        status = main.main([str(a) for a in arguments])
    except SystemExit as stop:
        status = stop.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(lines) == 1, (status, lines)
    assert lines[0].startswith('kinediff3d: error: ')
    return lines[0]


@pytest.mark.parametrize('command', COMMANDS)
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main([command, '--help'])
    assert stop.value.code == 0
    assert f'kinediff3d {command}' in capsys.readouterr().out.split('examples:')[1]


def test_help_imports_nothing_heavy():
    code = ('import sys\nfrom kinediff3d_core.cli import main\n'
            'try:\n    main.main(["--help"])\nexcept SystemExit:\n    pass\n'
            'print("HEAVY", [m for m in ("torch", "numpy", "scipy", "open3d") '
            'if m in sys.modules])')
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().endswith('HEAVY []')


@pytest.fixture
def depth(tmp_path):
    image = np.zeros((48, 64), dtype=np.uint16)
    image[10:30, 20:50] = 900
    Image.fromarray(image).save(tmp_path / 'depth.png')
    (tmp_path / 'camera.yaml').write_text('fx: 60\nfy: 60\ncx: 32\ncy: 24\n')
    return tmp_path / 'depth.png'


def test_arguments_of_infer(depth, tmp_path, capsys):
    base = ('infer', '--category', 'laptop', '--out', tmp_path / 'o')
    camera = ('--camera-info', tmp_path / 'camera.yaml')
    assert 'either --depth or --points' in refused(capsys, *base)
    assert '--camera-info' in refused(capsys, *base, '--depth', depth)
    assert 'either --camera-info' in refused(capsys, *base, '--depth', depth, *camera, '--fx', 1)
    assert 'unknown category' in refused(capsys, 'infer', '--depth', depth, *camera, '--category',
                                         'chair', '--out', tmp_path)
    assert 'does not exist' in refused(capsys, *base, '--depth', tmp_path / 'no.png', *camera)
    assert 'does not exist' in refused(capsys, *base, '--points', tmp_path / 'no.ply')
    assert 'goes with --depth' in refused(capsys, *base, '--points', depth, '--mask', depth)
    assert '--instances each' in refused(capsys, *base, '--points', depth, '--instances', 'each')
    assert '--instances each' in refused(capsys, *base, '--depth', depth, *camera, '--mask', depth,
                                         '--instances', 'each')
    assert 'is not finite' in refused(capsys, *base, '--depth', depth, '--fx', 'nan')
    assert 'invalid choice' in refused(capsys, *base, '--depth', depth, '--preset', 'slow')
    assert 'positive' in refused(capsys, *base, '--depth', depth, '--fx', 0, '--fy', 1, '--cx', 1,
                                 '--cy', 1)
    assert 'is not a folder' in refused(capsys, *base, '--depth', depth, *camera, '--weights',
                                        tmp_path / 'none')
    assert 'no weights' in refused(capsys, *base, '--depth', depth, *camera, '--weights', tmp_path)
    small = tmp_path / 'mask.png'
    Image.fromarray(np.full((10, 10), 255, np.uint8)).save(small)
    assert '10 x 10' in refused(capsys, *base, '--depth', depth, *camera, '--mask', small)
    (tmp_path / 'camera.yaml').write_text('fx: 60\nfy: 60\ncx: 32\ncy: 24\nwidth: 9\nheight: 9')
    assert '64 x 48' in refused(capsys, *base, '--depth', depth, *camera)


class OfLargeOnes:
    """A pipeline that gives an estimate of clouds with more than 1000 points."""

    def infer(self, points, mesh, seed):
        if len(points) <= 1000:
            raise NoEstimate('too small')
        return laptop_estimate()

    def with_meshes(self, estimate):
        return estimate


TWO_BLOCKS = (plate(5.0, 5.0), block(0.0, 0.0, [0.08, 0.08, 0.05]),
              block(0.3, 0.1, [0.04, 0.04, 0.03]))
"""A table, and two boxes on it."""


def draw_two_blocks(folder, things=TWO_BLOCKS):
    """The options of ``infer`` that read them, by kind of input."""
    depth, _ = draw(things, camera_above())
    np.save(folder / 'depth.npy', depth)
    np.save(folder / 'points.npy', backproject(depth, CAMERA))
    return {'depth': ('--depth', folder / 'depth.npy', '--fx', 300, '--fy', 300, '--cx', 159.5,
                      '--cy', 119.5),
            'points': ('--points', folder / 'points.npy', '--segment')}


@pytest.mark.parametrize('source', ['depth', 'points'])
def test_each_instance_has_its_own_folder(source, tmp_path, monkeypatch, capsys):
    """Two boxes on a table, the smaller one without an estimate; then a bare table."""
    monkeypatch.setattr(auto, 'load_pipeline', lambda *arguments: OfLargeOnes())
    given = draw_two_blocks(tmp_path)[source]
    arguments = [str(a) for a in ('infer', *given, '--category', 'laptop', '--instances', 'each',
                                  '--out', tmp_path / 'out')]
    assert main.main(arguments) == 0
    assert (tmp_path / 'out' / '1' / 'estimate.json').exists()
    assert not (tmp_path / 'out' / '2').exists()
    assert f'no estimate for {tmp_path}/out/2: too small' in capsys.readouterr().err
    draw_two_blocks(tmp_path, TWO_BLOCKS[:1])
    assert main.main(arguments) == arguments_of_cli.NO_ANSWER
    assert 'nothing of at least' in capsys.readouterr().err


class OfSmallOnes(OfLargeOnes):
    """Is sure about the smaller one of two things alone."""

    def infer(self, points, mesh, seed):
        return replace(laptop_estimate(), confidence=0.2 if len(points) > 1000 else 0.9)


@pytest.mark.parametrize('source', ['depth', 'points'])
def test_without_a_mask_the_likeliest_thing_is_taken(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(auto, 'load_pipeline', lambda *arguments: OfSmallOnes())
    given = draw_two_blocks(tmp_path)[source]
    arguments = ['infer', *map(str, given), '--category', 'laptop', '--out',
                 str(tmp_path / 'out')]
    assert main.main(arguments) == 0
    out = capsys.readouterr().out
    assert 'confidence 0.90' in out and 'segmentation: thing 2 of 2' in out
    assert main.main([*arguments, '--min-confidence', '0.95']) == arguments_of_cli.NO_ANSWER
    assert 'is below the threshold of 0.95' in capsys.readouterr().err


class Unsure:
    """A pipeline whose estimates have a confidence of 0.1, as ``auto`` gives them."""

    def infer(self, points, mesh, seed):
        return replace(laptop_estimate(), confidence=0.1,
                       categories={'laptop': 0.6, 'box': 0.4})

    def with_meshes(self, estimate):
        return estimate


def test_an_answer_of_low_confidence_is_no_estimate(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(auto, 'load_pipeline', lambda *arguments: Unsure())
    np.save(tmp_path / 'points.npy', laptop_estimate().points)
    arguments = [str(a) for a in ('infer', '--points', tmp_path / 'points.npy', '--category',
                                  'auto', '--out', tmp_path / 'out')]
    assert main.main(arguments) == arguments_of_cli.NO_ANSWER
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('kinediff3d: no estimate: none of the 2 categories; the nearest is '
                           'laptop (60 %): the confidence of 0.100 is below the threshold of ')
    assert not (tmp_path / 'out' / 'estimate.json').exists()
    for least, status in (('0', 0), ('0.1', 0), ('0.11', 1)):
        assert main.main([*arguments, '--min-confidence', least]) == status
    capsys.readouterr()
    assert 'more than 1' in refused(capsys, *arguments, '--min-confidence', 1.1)
    assert 'less than 0' in refused(capsys, *arguments, '--min-confidence=-0.1')


def test_help_of_infer_has_the_exit_statuses_and_the_threshold(capsys):
    with pytest.raises(SystemExit):
        main.main(['infer', '--help'])
    text = ' '.join(capsys.readouterr().out.split())
    assert 'exit status: 0 an estimate, 1 no estimate' in text
    assert f'(default {ConfidenceConfig().min_confidence:g})' in text


def test_a_refusal_without_a_mask_says_what_needs_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(auto, 'load_pipeline', lambda *arguments: OfLargeOnes())
    depth, drawn = draw([plate(5.0, 5.0), block(0.0, 0.0, [0.04, 0.04, 0.03])], camera_above())
    np.save(tmp_path / 'depth.npy', depth)
    np.save(tmp_path / 'mask.npy', drawn == 1)
    base = ('infer', '--category', 'laptop', '--out', tmp_path / 'o', '--depth',
            tmp_path / 'depth.npy', '--fx', 300, '--fy', 300, '--cx', 159.5, '--cy', 119.5)
    for more, hint in (((), True), (('--mask', tmp_path / 'mask.npy'), False)):
        assert main.main([str(a) for a in (*base, *more)]) == arguments_of_cli.NO_ANSWER
        (line,) = capsys.readouterr().err.splitlines()
        assert 'too small' in line and len(line) <= 300
        assert ('furniture that is built in, give --mask or --box' in line) == hint


def test_arguments_of_generate(tmp_path, capsys):
    path = write_estimate(laptop_estimate(), tmp_path / 'e')
    out = ('--out', tmp_path / 'o')
    assert 'give --estimate' in refused(capsys, 'generate', '--positions', 1, *out)
    base = ('generate', '--estimate', path, *out, '--positions')
    assert 'needs 1 value' in refused(capsys, *base, 1, 2)
    assert '--degrees' in refused(capsys, *base, 90)
    assert 'is not a number' in refused(capsys, *base, 'x')
    assert 'SEED/INDEX' in refused(capsys, *base, 1, '--truth', 'seven')
    assert 'does not exist' in refused(capsys, 'generate', '--estimate', tmp_path / 'x',
                                       '--positions', 1, *out)
    path.write_text('{')
    assert 'not an estimate' in refused(capsys, *base, 1)


def test_arguments_of_the_rest(tmp_path, capsys):
    assert 'less than 1' in refused(capsys, 'evaluate', '--count', 0)
    assert 'does not exist' in refused(capsys, 'evaluate', '--objects', tmp_path / 'none',
                                       '--category', 'laptop')
    assert 'not allowed with' in refused(capsys, 'evaluate', '--objects', tmp_path, '--source',
                                         'procedural')
    assert 'categories there: none' in refused(capsys, 'evaluate', '--source', tmp_path,
                                               '--category', 'laptop')
    assert 'is a folder' in refused(capsys, 'evaluate', '--json', tmp_path)
    assert 'unknown category' in refused(capsys, 'benchmark', '--category', 'chair')
    assert 'invalid choice' in refused(capsys, 'train', 'nothing', '--category', 'laptop')
    (tmp_path / 'laptop').mkdir()
    (tmp_path / 'laptop' / 'shape.checkpoint').write_text('')
    assert '--resume' in refused(capsys, 'train', 'shape', '--category', 'laptop', '--out',
                                 tmp_path)
    assert 'required' in refused(capsys)
    assert 'not above 0' in refused(capsys, 'demo', '--seconds', 0)


def test_train_passes_its_options_on(tmp_path, monkeypatch):
    from kinediff3d_core.training import run
    from kinediff3d_core.training.config import TrainingConfig

    calls = []
    monkeypatch.setattr(run, 'train', lambda *arguments: calls.append(arguments))
    assert main.main(['train', 'all', '--category', 'laptop', '--steps', '7', '--out',
                     str(tmp_path)]) == 0
    assert calls == [(('shape', 'pose', 'latent'), ['laptop'], tmp_path,
                      TrainingConfig(steps=7))]


def test_a_resumed_training_without_a_checkpoint_is_noted(tmp_path, monkeypatch, capsys):
    from kinediff3d_core.training import run

    monkeypatch.setattr(run, 'train', lambda *_: None)
    arguments = ['train', 'all', '--category', 'laptop', '--resume', '--out', str(tmp_path)]
    assert main.main(arguments) == 0
    assert f'no checkpoint in {tmp_path / "laptop"}; it starts anew' in capsys.readouterr().err
    (tmp_path / 'laptop').mkdir()
    (tmp_path / 'laptop' / 'shape.checkpoint').write_text('')
    assert main.main(arguments) == 0 and 'note' not in capsys.readouterr().err


def test_demo_without_ros_names_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'kinediff3d_ros.tools.demo', None)
    assert 'make venv' in refused(capsys, 'demo', '--headless')


def test_demo_is_called(monkeypatch, tmp_path):
    seen = []
    stub = types.SimpleNamespace(run_demo=lambda *a: seen.append(a) or 0)
    monkeypatch.setitem(sys.modules, 'kinediff3d_ros.tools.demo', stub)
    assert main.main(['demo', '--seconds', '3', '--headless', '--out', str(tmp_path)]) == 0
    assert seen == [('laptop', 3.0, True, tmp_path, 5.0)]


class Entry:
    """An entry point whose import raises an error."""

    def __init__(self, name, error):
        self.name, self.error = name, error

    def load(self):
        raise self.error


ROS_COMMANDS = ('demo', 'replay', 'view')


@pytest.fixture
def further_commands(monkeypatch):
    """Sets the entry points that the command line finds."""
    return lambda *entries: monkeypatch.setattr(main, 'entry_points', lambda group: entries)


def listed_commands(capsys):
    """Commands in the top-level help."""
    with pytest.raises(SystemExit) as stop:
        main.main(['--help'])
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_help_lists_the_commands_of_the_ros_package(capsys):
    text = listed_commands(capsys)
    for name, words in (('demo', 'ROS 2 nodes'), ('replay', 'recording'), ('view', 'browser')):
        assert f'    {name} ' in text and words in text


@pytest.mark.parametrize('name', ROS_COMMANDS)
def test_without_the_ros_package_its_commands_name_it(name, further_commands, capsys):
    further_commands()
    assert 'needs the package kinediff3d_ros, which is not installed' in refused(capsys, name)
    assert 'make venv' in refused(capsys, name, '--headless', 'x')
    assert f'    {name} ' in listed_commands(capsys)


@pytest.mark.parametrize('name', ROS_COMMANDS)
def test_a_ros_package_that_cannot_be_imported_is_named(name, further_commands, capsys):
    further_commands(*(Entry(n, ImportError("No module named 'rclpy'")) for n in ROS_COMMANDS))
    assert "cannot be imported (No module named 'rclpy')" in refused(capsys, name)


@pytest.mark.parametrize('entries', [(), (Entry('demo', ImportError('no rclpy')),)])
def test_the_commands_of_the_core_work_without_the_ros_package(entries, further_commands, capsys):
    further_commands(*entries)
    with pytest.raises(SystemExit) as stop:
        main.main(['infer', '--help'])
    assert stop.value.code == 0 and '--depth' in capsys.readouterr().out
    assert 'give either --depth or --points' in refused(
        capsys, 'infer', '--category', 'laptop', '--out', 'o')


def test_further_packages_add_commands(monkeypatch):
    calls = []

    def add(commands):
        commands.add_parser('extra').set_defaults(run=lambda options: calls.append(1) or 0)

    entry = types.SimpleNamespace(name='extra', load=lambda: add)
    monkeypatch.setattr(main, 'entry_points', lambda group: [entry])
    assert main.main(['extra']) == 0 and calls == [1]


def test_the_metadata_of_the_package_registers_the_ros_commands():
    text = (Path(__file__).parents[2] / 'setup.py').read_text()
    for name in ROS_COMMANDS:
        assert f"'{name} = kinediff3d_ros.tools.commands:add_{name}'" in text


@pytest.mark.parametrize('arguments', [
    ('infer', '--points', 'cloud.npy'), ('generate', '--truth', '0/0', '--positions', '1')])
def test_a_shape_without_a_mesh_is_no_estimate(arguments, tmp_path, monkeypatch, capsys):
    """Exit status 1, as for every view without an estimate; it is no unusable input."""
    sample = procedural_samples('laptop', 0)(0)
    np.save(tmp_path / 'cloud.npy', backproject(sample.depth, sample.intrinsics, sample.mask))

    def no_surface(*_, **__):
        raise ValueError('no surface between -1 and 1')

    monkeypatch.setattr(decoding, 'extract_mesh', no_surface)
    monkeypatch.chdir(tmp_path)
    assert main.main([*arguments, '--category', 'laptop', '--out', 'out']) == 1
    assert 'no estimate: the estimated shape of part' in capsys.readouterr().err
