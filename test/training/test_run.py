"""Training stages: repeatable, resumable, and from given weights."""

import json
import signal
from dataclasses import replace

import pytest
import torch

from kinediff3d_core.distributed.interruption import Interruption
from kinediff3d_core.distributed.ranks import Ranks
from kinediff3d_core.evaluation.cards import earlier_notes
from kinediff3d_core.networks.checkpoints import (
    SHIPPED,
    load_network,
    read_notes,
    save_network,
)
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel
from kinediff3d_core.objects.category import CATEGORIES, get_category
from kinediff3d_core.simulation.real_world import without
from kinediff3d_core.training.config import LOOP, STAGES, StageConfig, TrainingConfig
from kinediff3d_core.training.loop import Job, LossLog, Trainer, run_loop
from kinediff3d_core.training.pool import Pool, PoolConfig, PoolFeed
from kinediff3d_core.training.pose_stage import PoseStage
from kinediff3d_core.training.run import _new_module, train
from kinediff3d_core.training.warm_start import start_folder, start_from, warm_start

LAPTOP = get_category('laptop')
SMALL = {'batch': 4, 'refresh': 0, 'fill': 8}
ALONE = Ranks(0, 1, torch.device('cpu'))


@pytest.mark.slow
def test_training_resumes_and_a_seed_repeats_itself(tmp_path):
    torch.set_num_threads(2)
    stages = ['shape', 'pose', 'latent']
    for run in 'ab':
        train(stages, ['laptop'], tmp_path / run, TrainingConfig(steps=3, **SMALL))
    for stage in stages:
        a, b = ((tmp_path / run / 'laptop' / f'{stage}.safetensors').read_bytes()
                for run in 'ab')
        assert a == b or same_weights(tmp_path, stage)
    train(stages, ['laptop'], tmp_path / 'a', TrainingConfig(steps=5, **SMALL))
    saved = torch.load(tmp_path / 'a' / 'laptop' / 'pose.checkpoint', weights_only=True)
    assert saved['step'] == 5
    with pytest.raises(ValueError, match="unknown stage 'pise'"):
        train(['pise'], ['laptop'], tmp_path)


def same_weights(folder, stage):
    one, two = (load_network(stage, 'laptop', folder / run / 'laptop').state_dict()
                for run in 'ab')
    return all(torch.equal(one[k], two[k]) for k in one)


def test_training_starts_from_given_weights(tmp_path):
    """One step at a warm-up's rate moves trained weights by almost nothing."""
    train(['pose'], ['laptop'], tmp_path, TrainingConfig(steps=1, start=SHIPPED, **SMALL))
    given, made = (load_network('pose', 'laptop', folder).state_dict()
                   for folder in (None, tmp_path))
    for name, value in given.items():
        torch.testing.assert_close(made[name], value, atol=2e-4, rtol=2e-2)
    notes = read_notes(tmp_path / 'laptop' / 'pose.safetensors')
    assert notes['steps'] == 1
    assert notes['before'] == read_notes(SHIPPED / 'laptop' / 'pose.safetensors')
    chain = [notes['before']['steps'], *(b['steps'] for b in earlier_notes(notes['before']))]
    assert [b['steps'] for b in earlier_notes(notes)] == chain


def test_a_latent_stage_that_starts_from_given_weights_measures_its_codes_again():
    network = LatentDenoiser(LAPTOP)
    start_from(network, load_network('latent', 'laptop'), SHIPPED)
    assert not network.mean.any() and network.std.any()
    with pytest.raises(ValueError, match='other sizes'):
        start_from(ScoreModel(LAPTOP), load_network('pose', 'drawer'), SHIPPED)


def test_a_network_starts_from_what_fits_of_another_category_s(capsys):
    """The encoder does; what states look like is measured again."""
    network, given = ScoreModel(get_category('cabinet')), load_network('pose', 'dishwasher')
    own = {k: v.clone() for k, v in network.state_dict().items()}
    notes = warm_start(network, 'pose', 'cabinet', start_folder('shipped/dishwasher'))
    started, of = network.state_dict(), given.state_dict()
    fitting = [k for k, v in of.items() if v.shape == own[k].shape]
    assert {k.split('.')[0] for k in fitting} >= {'encoder', 'features', 'blocks'}
    assert all(torch.equal(started[k], of[k]) for k in fitting)
    assert all(torch.equal(started[k], own[k]) for k in own if k not in fitting)
    assert not network.mean.any() and notes['category'] == 'dishwasher'
    assert f'{len(fitting)} of {len(own)} tensors start from those of dishwasher' in (
        capsys.readouterr().err)


def test_another_category_of_the_same_size_is_measured_again(tmp_path):
    eyeglasses = start_folder('shipped/eyeglasses')
    network = ScoreModel(get_category('cabinet'))
    warm_start(network, 'pose', 'cabinet', eyeglasses, quiet=True)
    given = load_network('pose', 'eyeglasses').state_dict()
    own = network.state_dict()
    assert [k for k in own if not torch.equal(own[k], given[k])] == ['mean', 'std']
    with pytest.raises(ValueError, match='no weights at .*train pose --category cabinet'):
        warm_start(network, 'pose', 'cabinet', tmp_path)
    with pytest.raises(ValueError, match="'dishwashr' .did you mean dishwasher"):
        start_folder('shipped/dishwashr')
    with pytest.raises(ValueError, match='weights shiped is not a folder .did you mean shipped'):
        start_folder('shiped')


def test_a_run_overrides_only_what_it_names():
    assert TrainingConfig().of_stage('pose') == STAGES['pose']
    changed = TrainingConfig(steps=9, refresh=0, lr=1e-4).of_stage('pose')
    assert (changed.steps, changed.refresh, changed.lr) == (9, 0, 1e-4)
    assert (changed.batch, changed.views) == (STAGES['pose'].batch, STAGES['pose'].views)


@pytest.fixture
def trainer(tmp_path):
    """A pose stage of 400 steps or 100 s."""
    config = StageConfig(batch=2, lr=0.01, steps=400, views=1, fill=4, refresh=1, capacity=8)
    job = Job('pose', 'laptop', tmp_path, config, TrainingConfig(seconds=100.0), ALONE)
    return Trainer(job, PoseStage(LAPTOP), None)


def test_the_learning_rate_warms_up_and_follows_a_cosine(trainer):
    assert trainer.learning_rate() == pytest.approx(0.01 / LOOP.warm_up)
    trainer.step = 200
    assert trainer.progress == 0.5
    assert trainer.learning_rate() == pytest.approx(0.01 * (1 + LOOP.final_lr) / 2)
    trainer.step = 400
    assert trainer.learning_rate() == pytest.approx(0.01 * LOOP.final_lr)


def test_progress_is_by_steps_or_by_the_clock_whichever_is_ahead(trainer):
    trainer.spent, trainer.step = 75.0, 100
    assert trainer.progress == 0.75
    trainer.spent, trainer.step = 25.0, 200
    assert trainer.progress == 0.5
    trainer.spent = 1000.0
    assert trainer.progress == 1.0


def test_a_step_changes_the_weights_and_the_average_follows(trainer):
    pool = Pool('laptop', torch.device('cpu'), 0, PoolConfig(False, 1, 8))
    pool.refresh(8)
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer.train_step(pool)
    assert trainer.step == 1 and trainer.spent > 0
    after = trainer.network.state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in before)
    decay = 2 / 11  # (1 + step) / (10 + step)
    for name, value in trainer.average.items():
        torch.testing.assert_close(value, decay * before[name] + (1 - decay) * after[name])


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_saves_its_checkpoint(number, trainer, monkeypatch):
    def interrupted_step(pool):
        trainer.step += 1
        if trainer.step == 3:
            signal.raise_signal(number)
        return {'total': torch.zeros(())}

    before = signal.getsignal(number)
    monkeypatch.setattr(trainer, 'train_step', interrupted_step)
    with pytest.raises(KeyboardInterrupt, match='pose.checkpoint is saved at step 3; continue'):
        run_loop(trainer, PoolConfig(False, 1, 8))
    assert Trainer(trainer.job, PoseStage(LAPTOP), None).step == 3
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once():
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_latent_stage_says_whose_shapes_it_uses(tmp_path, capsys):
    job = Job('latent', 'laptop', tmp_path, STAGES['latent'], TrainingConfig(), ALONE)
    _new_module(job)
    said = capsys.readouterr().err
    assert 'laptop latent: uses the shape network of the shipped weights' in said
    save_network(load_network('shape', 'laptop'), 'shape', 'laptop',
                 tmp_path / 'shape.safetensors')
    _new_module(job)
    assert f'uses the shape network of {tmp_path}' in capsys.readouterr().err


def test_a_latent_stage_without_shapes_names_the_folder_and_the_data(tmp_path, monkeypatch):
    monkeypatch.setitem(CATEGORIES, 'toolbox', replace(LAPTOP, name='toolbox'))
    job = Job('latent', 'toolbox', tmp_path, STAGES['latent'], TrainingConfig(), ALONE)
    with pytest.raises(ValueError, match=f'no weights at {tmp_path}.*train shape --data DIR'):
        _new_module(job)


def test_a_checkpoint_restores_step_time_and_average(trainer):
    trainer.step, trainer.spent = 7, 3.5
    next(iter(trainer.average.values())).add_(1.0)
    trainer.save()
    assert {p.name for p in trainer.job.folder.iterdir()} == {'pose.checkpoint',
                                                              'pose.safetensors'}
    again = Trainer(trainer.job, PoseStage(LAPTOP), None)
    assert (again.step, again.spent) == (7, 3.5)
    for name, value in trainer.average.items():
        assert torch.equal(again.average[name], value)
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)


def test_every_rank_and_every_resume_has_data_of_its_own(trainer):
    job = trainer.job
    other = Job('pose', 'laptop', job.folder, job.config, job.run, Ranks(1, 2, ALONE.device))
    assert len({job.data_seed(0), job.data_seed(5), other.data_seed(0)}) == 3


def test_losses_are_written_as_means_and_a_bad_one_stops(tmp_path):
    job = Job('pose', 'laptop', tmp_path, STAGES['pose'], TrainingConfig(), ALONE)
    with (tmp_path / 'log').open('w') as file:
        log = LossLog(job, file.fileno())
        for step in range(1, LOOP.log_steps + 1):
            means = log.add({'total': torch.tensor(float(step))}, step, 1.0)
            assert (means is None) == (step < LOOP.log_steps)
    line = json.loads((tmp_path / 'log').read_text())
    assert line == {'step': 50, 'seconds': 1.0, 'total': 25.5}
    bad = LossLog(job, None)
    with pytest.raises(FloatingPointError, match='laptop pose: the loss is nan at step 50'):
        for step in range(1, LOOP.log_steps + 1):
            bad.add({'total': torch.tensor(float('nan'))}, step, 1.0)


def test_a_mean_after_a_resume_is_over_the_steps_since_then(tmp_path):
    job = Job('pose', 'laptop', tmp_path, STAGES['pose'], TrainingConfig(), ALONE)
    log = LossLog(job, None)
    means = [log.add({'total': torch.tensor(2.0)}, step, 1.0)
             for step in range(LOOP.log_steps - 9, LOOP.log_steps + 1)]
    assert means[-1] == {'total': 2.0}


def test_effects_are_left_out_and_the_weights_say_so(tmp_path, monkeypatch):
    seen = []
    make = Pool._make
    monkeypatch.setattr(Pool, '_make', lambda self, n: (seen.append(self.config.world),
                                                       make(self, n))[1])
    config = TrainingConfig(steps=1, without=('hands', 'shadow'), **SMALL)
    train(['pose'], ['laptop'], tmp_path, config)
    assert seen and all(w == without(['hands', 'shadow']) for w in seen)
    notes = read_notes(tmp_path / 'laptop' / 'pose.safetensors')
    assert notes['without'] == ['hands', 'shadow']
    with pytest.raises(ValueError, match='unknown effect'):
        train(['pose'], ['laptop'], tmp_path / 'b', TrainingConfig(without=('noise',)))


class CountingPool:
    device = torch.device('cpu')

    def __init__(self):
        self.made = []

    def refresh(self, n):
        self.made.append(n)


def test_a_pool_is_filled_in_pieces_and_renewed_every_ten_steps():
    pool = CountingPool()
    feed = PoolFeed(pool, 3)
    feed.fill(150)
    assert pool.made == [64, 64, 22]
    pool.made.clear()
    for step in range(25):
        feed.before_step(step)
    assert pool.made == [3, 3, 3]


def test_on_a_gpu_a_pool_is_renewed_by_many_instances_at_a_time():
    pool = CountingPool()
    pool.device = torch.device('cuda')
    feed = PoolFeed(pool, 100)
    feed.fill(300)
    assert pool.made == [256, 44]
    for step in range(60):
        feed.before_step(step)
    assert pool.made[2:] == [300, 300]


def test_a_full_pool_replaces_its_oldest_instances():
    pool = Pool('laptop', torch.device('cpu'), 1, PoolConfig(False, 1, 3))
    pool.refresh(3)
    before = pool.store['origin'].clone()
    pool.refresh(2)
    assert pool.rows == 3 and pool.cursor == 2
    changed = (pool.store['origin'] != before).flatten(1).any(1)
    assert changed.tolist() == [True, True, False]


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 cut', 'other'])
def test_a_checkpoint_that_cannot_be_used_is_named(tmp_path, content):
    """Damaged, or of another network."""
    config = StageConfig(batch=2, lr=0.01, steps=4, views=1, fill=4, refresh=1, capacity=8)
    job = Job('pose', 'laptop', tmp_path, config, TrainingConfig(), ALONE)
    if isinstance(content, str):
        torch.save({'module': {'weight': torch.zeros(1)}}, tmp_path / 'pose.checkpoint')
    else:
        (tmp_path / 'pose.checkpoint').write_bytes(content)
    with pytest.raises(ValueError, match='pose.checkpoint is no checkpoint of this stage'):
        Trainer(job, PoseStage(LAPTOP), None)
