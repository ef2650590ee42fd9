"""Networks: shapes, invariances, weights on disk, and training that resumes."""

import shutil

import pytest
import torch

from kinediff3d_core.geometry.kinematics import forward_kinematics
from kinediff3d_core.geometry.rigid import rotation_from_6d, transform_points
from kinediff3d_core.networks.checkpoints import (
    LARGE,
    SHIPPED,
    load_network,
    save_network,
    train_command,
    weights_digest,
)
from kinediff3d_core.networks.kavae import KAVAE, PRIOR_STD, kl_to_prior, segmentation_logits
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.part_coordinates import PartCoordinates
from kinediff3d_core.networks.pointnet import PointTokens, farthest_points
from kinediff3d_core.networks.score import ScoreModel, State, pack_state, unpack_state
from kinediff3d_core.objects.category import get_category

LAPTOP = get_category('laptop')


def test_kl_is_that_of_torch_distributions():
    g = torch.Generator().manual_seed(0)
    mu, log_var = torch.randn(5, 8, generator=g), torch.randn(5, 8, generator=g)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mu, (0.5 * log_var).exp()),
        torch.distributions.Normal(torch.zeros_like(mu), PRIOR_STD)).sum(-1).mean()
    torch.testing.assert_close(kl_to_prior(mu, log_var), expected)


def test_code_does_not_depend_on_the_joint_state():
    """A labelled cloud in two joint states, articulation undone, gives one and the same Z."""
    net = KAVAE(LAPTOP).eval()
    origin = torch.tensor([[[-0.4, 0.0, 0.03]]])
    lid = torch.randn(1, 200, 3) * 0.3
    base = torch.randn(1, 200, 3) * 0.3
    centre, half = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    codes = []
    for angle in (0.3, 1.9):
        q = torch.tensor([[angle]])
        poses = forward_kinematics(LAPTOP.joints, torch.eye(4)[None], q, origin, net.axis[None])
        cloud = torch.cat([base, transform_points(poses[:, 1], lid)], dim=1)
        parts = net.part_frames(cloud, q, origin)
        codes.append(net.encode(torch.stack([parts[:, 0, :200], parts[:, 1, 200:]], dim=1),
                                centre, half, origin, torch.ones(1, 2, dtype=torch.bool))[0])
    torch.testing.assert_close(codes[0], codes[1], atol=1e-5, rtol=1e-4)


def test_field_far_from_the_box_is_the_distance_to_it():
    net = KAVAE(LAPTOP).eval()
    field = net.decode(torch.zeros(1, 64), torch.zeros(1, 1))
    p = torch.tensor([[[[3.0, 0.0, 0.0]], [[0.0, 3.0, 0.0]]]])
    sdf = net.query(field, p)
    for k, axis in ((0, 0), (1, 1)):
        expected = 3.0 - field.centre[0, k, axis] - field.half[0, k, axis]
        assert sdf[0, k, 0].item() == pytest.approx(expected.item(), abs=0.3)
    assert segmentation_logits(sdf).shape == (1, 1, 2)


def test_state_vectors_round_trip():
    T = torch.eye(4).repeat(6, 1, 1)
    T[:, :3, :3] = rotation_from_6d(torch.randn(6, 6))
    T[:, :3, 3] = torch.randn(6, 3)
    axis = torch.nn.functional.normalize(torch.randn(6, 2, 3), dim=-1)
    state = State(T, torch.randn(6, 2), torch.randn(6, 2, 3), axis)
    centroid = torch.randn(3)
    back = unpack_state(pack_state(state, centroid), centroid)
    for name in ('T_camera_base', 'q', 'origin', 'axis'):
        torch.testing.assert_close(getattr(back, name), getattr(state, name), atol=1e-5, rtol=1e-5)


def test_farthest_points_cover_the_cloud():
    p = torch.rand(2, 400, 3, generator=torch.Generator().manual_seed(0))
    far = torch.gather(p, 1, farthest_points(p, 40)[..., None].expand(-1, -1, 3))
    assert torch.cdist(p, far).amin(2).max() < torch.cdist(p, p[:, :40]).amin(2).max()


def test_tokens_do_not_depend_on_the_order_of_points():
    net = PointTokens(3).eval()
    p = torch.randn(1, 256, 3, generator=torch.Generator().manual_seed(0))
    order = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(255)])
    torch.testing.assert_close(net(p, p), net(p[:, order], p[:, order]), atol=1e-4, rtol=1e-4)


def test_every_point_votes_for_itself():
    """Votes follow their points, and do not depend on the other points that vote."""
    category = get_category('drawer')
    net, g = PartCoordinates(category).eval(), torch.Generator().manual_seed(0)
    points = torch.randn(2, 40, 3, generator=g)
    tokens, feature = ScoreModel(category).eval().encode_tokens(
        torch.randn(2, 128, 3, generator=g))
    votes = net(points, tokens, feature)
    assert votes.part.shape == (2, 40, 5) and votes.coordinates.shape == (2, 40, 5, 3)
    assert votes.rest.shape == (2, 40, 4, 3)
    order = torch.randperm(40, generator=g)[:30]
    some = net(points[:, order], tokens, feature)
    for name in ('part', 'coordinates', 'rest'):
        torch.testing.assert_close(getattr(some, name), getattr(votes, name)[:, order])
    assert not torch.allclose(net(points, tokens, feature.flip(0)).part, votes.part)
    assert PartCoordinates(LAPTOP)(points, tokens, feature).rest.shape == (2, 40, 0, 3)


@pytest.mark.parametrize(('stage', 'network'), [('shape', KAVAE), ('pose', ScoreModel),
                                                ('latent', LatentDenoiser),
                                                ('parts', PartCoordinates)])
def test_weights_round_trip(tmp_path, stage, network):
    """Large matrices come back to half a step of 8 bits a row, all else to half precision."""
    net, path = network(LAPTOP).eval(), tmp_path / f'{stage}.safetensors'
    save_network(net, stage, 'laptop', path)
    back = load_network(stage, 'laptop', tmp_path)
    for name, value in net.state_dict().items():
        step = torch.zeros(())
        if value.ndim == 2 and value.numel() >= LARGE:
            step = value.abs().amax(1, keepdim=True) / 127
        off = (back.state_dict()[name] - value).abs()
        assert (off <= 0.51 * step + 1e-3 * value.abs() + 1e-6).all(), name
    assert path.stat().st_size < 1.3 * sum(p.numel() for p in net.parameters())


def test_weights_that_were_stored_stay_as_they_are_when_stored_again(tmp_path):
    first, second = tmp_path / 'a' / 'pose.safetensors', tmp_path / 'b' / 'pose.safetensors'
    save_network(ScoreModel(LAPTOP), 'pose', 'laptop', first)
    loaded = load_network('pose', 'laptop', first.parent)
    save_network(loaded, 'pose', 'laptop', second)
    again = load_network('pose', 'laptop', second.parent)
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-6, rtol=1e-3)


def test_the_command_that_trains_names_a_category_or_data(tmp_path):
    assert train_command('pose', 'laptop') == '`kinediff3d train pose --category laptop`'
    assert train_command('shape', 'toolbox') == '`kinediff3d train shape --data DIR`'


def test_bad_weights_are_named(tmp_path):
    with pytest.raises(ValueError, match='no weights at .*kinediff3d train pose'):
        load_network('pose', 'laptop', tmp_path)
    path = tmp_path / 'pose.safetensors'
    save_network(ScoreModel(LAPTOP), 'pose', 'laptop', path)
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ValueError, match='not a whole safetensors file'):
        load_network('pose', 'laptop', tmp_path)
    path.write_bytes(b'PK\x03\x04 not weights at all')
    with pytest.raises(ValueError, match='not a whole safetensors file'):
        load_network('pose', 'laptop', tmp_path)
    save_network(ScoreModel(LAPTOP), 'shape', 'laptop', path)
    with pytest.raises(ValueError, match="holds 'shape' weights"):
        load_network('pose', 'laptop', tmp_path)
    save_network(KAVAE(LAPTOP), 'pose', 'laptop', path)
    with pytest.raises(ValueError, match='does not fit this version'):
        load_network('pose', 'laptop', tmp_path)


def test_the_digest_of_weights_is_that_of_their_content(tmp_path):
    shutil.copytree(SHIPPED / 'laptop', tmp_path / 'laptop')
    shipped = weights_digest('laptop')
    assert weights_digest('laptop', tmp_path) == weights_digest('laptop', tmp_path / 'laptop')
    assert weights_digest('laptop', tmp_path) == shipped != weights_digest('box')
    with (tmp_path / 'laptop' / 'covariance_scale.json').open('a') as file:
        file.write(' ')
    assert weights_digest('laptop', tmp_path) != shipped
