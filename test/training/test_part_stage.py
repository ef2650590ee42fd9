"""Training of the part-centric head: labels of points, losses, and a run that resumes."""

import pytest
import torch

from kinediff3d_core.data.sample_files import nearest_part
from kinediff3d_core.networks.checkpoints import load_network, read_notes
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.training.config import TrainingConfig
from kinediff3d_core.training.part_stage import PartStage
from kinediff3d_core.training.pool import Pool, PoolConfig
from kinediff3d_core.training.run import train

LAPTOP = get_category('laptop')


def test_labels_of_a_view_are_the_nearest_parts():
    pool = Pool('laptop', torch.device('cpu'), 5, PoolConfig(True, 3, 4))
    pool.refresh(4)
    for row in range(4):
        one = {name: value[row] for name, value in pool.store.items()}
        nearest = nearest_part(one, one['points'], one['T'], one['q'], LAPTOP.joints)
        agree = (nearest == one['label'])[one['valid']].float().mean()
        assert agree > 0.93  # The parts touch at the hinge.
        assert nearest.float().mean() > 0.1


def test_the_total_is_the_weighted_sum_and_the_encoder_stays():
    pool = Pool('drawer', torch.device('cpu'), 3, PoolConfig(False, 2, 2))
    pool.refresh(2)
    pose = load_network('pose', 'drawer')
    stage = PartStage(get_category('drawer'), pose)
    losses, c = stage(pool, 4), stage.config
    torch.testing.assert_close(losses['total'], losses['part'] + c.coordinates
                               * losses['coordinates'] + c.rest * losses['rest'])
    losses['total'].backward()
    assert all(p.grad is not None for p in stage.network.parameters())
    assert {id(p) for p in stage.parameters()}.isdisjoint(id(p) for p in pose.parameters())


def test_votes_of_prismatic_joints_count_for_points_of_the_child_alone():
    stage = PartStage(get_category('cutter'), load_network('pose', 'cutter'))
    label, origin = torch.tensor([[0, 1, 1]]), torch.zeros(1, 1, 3)
    rest = torch.full((1, 3, 1, 3), 0.5)
    rest[0, 0] = 100.0
    expected = 0.5 - stage.config.huber / 2
    assert float(stage._rest_error(rest, label, origin)) == pytest.approx(expected)
    assert float(stage._rest_error(rest, 0 * label, origin)) == 0


def test_a_run_resumes_from_its_checkpoint(tmp_path):
    small = {'batch': 2, 'refresh': 0, 'fill': 4}
    train(['parts'], ['laptop'], tmp_path, TrainingConfig(steps=2, **small))
    first = load_network('parts', 'laptop', tmp_path).state_dict()
    train(['parts'], ['laptop'], tmp_path, TrainingConfig(steps=4, **small))
    second = load_network('parts', 'laptop', tmp_path).state_dict()
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert read_notes(tmp_path / 'laptop' / 'parts.safetensors')['steps'] == 4
    assert not (tmp_path / 'laptop' / 'pose.safetensors').exists()
    path = tmp_path / 'laptop' / 'parts.safetensors'
    assert path.stat().st_size < 0.35 * 2**20
