"""Samples of the two diffusion models, with networks whose answers are known."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from spheres import SphereShape, sphere_field, sphere_state

from kinediff3d_core.inference.presets import Preset, SamplingConfig
from kinediff3d_core.inference.sampling import sample_codes, sample_states
from kinediff3d_core.objects.category import get_category

Q = 9
"""Index of the lid's position in a state vector."""


class Pose:
    """A score model: a cloud's feature is its extent along x, which is the lid's position."""

    size = 16

    def __init__(self):
        self.asked = 0

    def encode(self, clouds):
        assert clouds.mean(1).abs().max() < 1e-5  # centred
        return clouds[..., 0].amax(1, keepdim=True) - clouds[..., 0].amin(1, keepdim=True)

    def _state(self, feature):
        x = torch.zeros(len(feature), self.size)
        x[:, 0], x[:, 4], x[:, 12:15], x[:, Q] = 1.0, 1.0, 1.0, feature[:, 0]
        return x

    def denoise(self, x, sigma, feature):
        self.asked += 1
        return self._state(feature)

    def regress(self, feature):
        return self._state(-feature)

    def unwhiten(self, x):
        return x + 10.0 * torch.eye(self.size)[Q]


class Latent:
    """A denoiser whose answer is the mean of the points in the base's frame, x and y."""

    config = SimpleNamespace(latent=2)

    def __init__(self):
        self.asked = []

    def condition(self, points):
        return points[:, 0, :, :2].mean(1)

    def denoise(self, z, t, condition):
        self.asked.append((z.clone(), t.clone()))
        return condition

    def unwhiten(self, z):
        return z


class Shape(SphereShape):
    """Decodes every code to two spheres; says which parts exist."""

    axis = torch.tensor([[0.0, -1.0, 0.0]])
    log_odds = torch.tensor([[9.0, 1.0]])

    def decode(self, z, q):
        self.decoded = z, q
        return replace(sphere_field(len(z)), exists=self.log_odds.expand(len(z), 2))


@pytest.fixture
def model():
    graphs = []

    def run(function, *args):
        graphs.append(function.__name__)
        return function(*args)

    return SimpleNamespace(category=get_category('laptop'), pose=Pose(), latent=Latent(),
                           shape=Shape(), graphs=run, used=graphs, device=torch.device('cpu'))


def clouds():
    """Two clouds of extents 0.5 and 1 along x, about different centres."""
    base = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.25, 0.3, 0.6]])
    return torch.stack([base + torch.tensor([0.1, 0.0, 2.0]),
                        base * 2 + torch.tensor([0.3, 0.0, 3.0])])


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(('sampler', 'graphs'), [
    ('fixed', ['_sample_state_vectors']), ('rk45', [])])
def test_each_cloud_has_a_regressed_state_and_its_samples(model, sampler, graphs):
    preset = Preset(clouds=2, hypotheses=3, sampler=sampler, sampler_steps=5)
    model.pose.unwhiten = lambda x: x
    state = sample_states(model, preset, clouds(), generator())
    # Regressed states of both, below their joint's limit; then samples of each in turn.
    assert state.q[:, 0].tolist() == pytest.approx([0.0, 0.0, *[0.5, 1.0] * 3])
    centres = clouds().mean(1).tolist() * 4
    for T, centre in zip(state.T_camera_base, centres, strict=True):
        assert T[:3, 3].tolist() == pytest.approx(centre)
    # An adaptive solver asks as often as it has to.
    assert model.used == graphs and (model.pose.asked == 5) == (sampler == 'fixed')


def test_states_are_unwhitened_and_within_limits(model):
    state = sample_states(model, Preset(clouds=2, hypotheses=1, sampler_steps=2), clouds(),
                          generator())
    assert state.q[:, 0].tolist() == pytest.approx([math.pi] * 4)


def codes(model, preset, exists=None):
    state = sphere_state(2)
    return sample_codes(model, preset, clouds(), replace(state, origin=state.origin + 1),
                        generator(), exists), state


def test_a_code_is_the_mean_over_the_clouds(model):
    found, state = codes(model, Preset(latent_steps=2))
    inverse = torch.linalg.inv(state.T_camera_base[0])
    centre = inverse[:3, :3] @ clouds().mean((0, 1)) + inverse[:3, 3]
    assert found.z.tolist() == [pytest.approx(centre[:2].tolist())] * 2
    assert model.shape.decoded[0] is found.z and torch.equal(model.shape.decoded[1], state.q)


def test_ddim_starts_from_scaled_noise_that_all_codes_share(model):
    preset = Preset(latent_steps=2, sampling=SamplingConfig(ddim_start=0.5))
    codes(model, preset)
    z, t = model.latent.asked[0]
    noise = torch.randn(1, 2, generator=generator())
    assert torch.equal(z, (0.5 * noise).expand(4, 2)) and t.tolist() == [1.0] * 4
    assert len(model.latent.asked) == 2 and model.used == ['_decode_samples']


def test_ancestral_sampling_starts_from_noise_of_its_own(model):
    codes(model, Preset(latent_sampler='ancestral', latent_steps=3))
    z, _ = model.latent.asked[0]
    assert torch.equal(z, torch.randn(4, 2, generator=generator()))
    assert len(model.latent.asked) == 3 and not model.used


def test_which_parts_exist_is_the_mean_of_the_hypotheses_unless_it_is_given(model):
    model.shape.log_odds = torch.tensor([[9.0, 1.0], [9.0, -2.0]])
    found, _ = codes(model, Preset(latent_steps=2))
    share = (1 / (1 + math.exp(-1)) + 1 / (1 + math.exp(2))) / 2
    expected = math.log(share / (1 - share))
    assert found.field.exists[:, 1].tolist() == pytest.approx([expected] * 2, rel=1e-5)
    given = torch.tensor([[3.0, 4.0]])
    found, _ = codes(model, Preset(latent_steps=2), given)
    assert found.field.exists.tolist() == [[3.0, 4.0]] * 2


def test_the_parts_are_a_set_that_the_category_allows(model):
    """Here a set without the moving part, although that is likelier there than not."""
    model.category = replace(model.category, part_sets=((),))
    found, _ = codes(model, Preset(latent_steps=2))
    assert (found.field.exists > 0).tolist() == [[True, False]] * 2


@pytest.mark.parametrize(('log_odds', 'decoded'), [(1.0, True), (-1.0, False), (0.0, False)])
def test_pivots_are_those_of_the_decoded_parts_that_exist(model, log_odds, decoded):
    model.shape.log_odds = torch.tensor([[9.0, log_odds]])
    found, state = codes(model, Preset(latent_steps=2))
    expected = sphere_field(2).origin if decoded else state.origin + 1
    assert torch.equal(found.state.origin, expected)
    assert torch.equal(found.state.axis, Shape.axis.expand(2, 1, 3))
