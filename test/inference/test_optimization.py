"""Rounds of refinement: what each does, with the solvers replaced by records of their calls."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from spheres import SphereShape, sphere_field, sphere_state

from kinediff3d_core.inference import optimization
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.optimization import initial_hypotheses, refine_hypotheses
from kinediff3d_core.inference.presets import Preset, RefinementConfig
from kinediff3d_core.objects.category import get_category


@dataclass
class Records:
    """Calls in order; widths and iterations of the solver; surface samples; kept numbers."""

    calls: list[str]
    solvers: list[tuple[float, int]]
    surfaces: list[int]
    kept: list[int]
    separations: list[float]


@pytest.fixture
def records(monkeypatch):
    found = Records([], [], [], [], [])

    def surface_samples(shape, field, n, generator, run):
        found.surfaces.append(n)
        return torch.zeros(len(field.centre), 2, n, 3), torch.zeros(len(field.centre), 2, n, 3)

    def refine_pose(problem, state, config, prior=None):
        found.calls.append('pose')
        found.solvers.append((config.width, config.iterations))
        return state, torch.eye(7).repeat(len(state.q), 1, 1)

    def refine_pose_and_code(problem, state, codes, config, prior):
        found.calls.append('code')
        return state, problem.field, torch.eye(7).repeat(len(state.q), 1, 1), codes.z + 1

    def refine_chamfer(problem, normals, state, iterations, config):
        found.calls.append(f'chamfer {iterations}')
        return state

    def sample_codes(model, preset, clouds, state, generator, exists=None):
        found.calls.append('regenerate')
        return Hypotheses(torch.zeros(len(state.q), 3), sphere_field(len(state.q)), state)

    def fit_score(problem, state, config):
        n = len(state.q)
        return torch.arange(n, 0, -1.0), torch.full((n,), 0.01)

    def select_distinct(state, score, keep, degrees, config):
        found.kept.append(keep)
        found.separations.append(degrees)
        return score.argsort()[:keep]

    def log_support(latent, problem, normals, hypotheses, config):
        return -torch.arange(1.0, 1 + len(hypotheses.z))

    def with_parts(model, found, exists):
        return found

    monkeypatch.setattr(optimization, 'predict_codes', sample_codes)
    monkeypatch.setattr(optimization, 'with_parts', with_parts)
    for function in (surface_samples, refine_pose, refine_pose_and_code, refine_chamfer,
                     sample_codes, fit_score, select_distinct, log_support):
        monkeypatch.setattr(optimization, function.__name__, function)
    monkeypatch.setattr(optimization, 'sample_prior',
                        lambda *_: SimpleNamespace(to=lambda device: None))
    return found


class Shape(SphereShape):
    def decode(self, z, q):
        return sphere_field(len(z))


VIEW = SimpleNamespace(network_clouds=torch.zeros(2, 5, 3),
                       observation=SimpleNamespace(centroid=torch.zeros(3)))
MODEL = SimpleNamespace(shape=Shape(), category=get_category('laptop'),
                        device=torch.device('cpu'), code_sqrt=torch.eye(3), latent=None,
                        graphs=lambda function, *args: function(*args))


def refined(preset, h=6):
    state = sphere_state(h)
    start = Hypotheses(torch.zeros(h, 3), sphere_field(h), state)
    return refine_hypotheses(MODEL, preset, VIEW, start, state, None)


def test_a_round_regenerates_and_refines_and_the_last_ones_refine_the_codes(records):
    found = refined(Preset(rounds=4, iterations=7, keep=(6, 4, 3, 2), surface=(96, 32)))
    # The last round ends with a refinement of the decoded shape.
    assert records.calls == ['pose', 'regenerate', 'pose', 'regenerate', 'pose', 'code',
                             'regenerate', 'pose', 'code', 'pose']
    assert records.solvers == [(0.08, 7), (0.05, 7), (0.03, 7), (0.02, 7), (0.02, 2)]
    assert records.surfaces == [96, 32, 32, 32]
    assert records.kept == [4, 3, 2] and records.separations == [1.0] * 3
    assert len(found.score) == 2 and found.best == 1
    assert found.z.tolist() == [[1.0] * 3] * 2 and found.log_support.tolist() == [-1, -2]


@pytest.mark.parametrize(('code_rounds', 'rounds', 'codes'), [
    (0, 3, 0), (1, 3, 1), (3, 3, 2), (9, 3, 2), (2, 1, 0)])
def test_codes_are_refined_in_the_last_rounds_but_never_in_the_first(records, code_rounds, rounds,
                                                                     codes):
    refined(Preset(rounds=rounds, refinement=RefinementConfig(code_rounds=code_rounds)))
    assert records.calls.count('code') == codes
    assert records.calls.count('regenerate') == rounds - 1
    assert records.calls.count('pose') == rounds + 1
    assert len(records.kept) == rounds - 1


def test_first_order_rounds_use_the_solver_for_its_information_alone(records):
    refined(Preset(rounds=2, iterations=9, residual='chamfer'))
    assert records.calls == ['chamfer 9', 'pose', 'regenerate', 'chamfer 9', 'pose']
    assert [iterations for _, iterations in records.solvers] == [0, 0]


def test_the_first_round_refines_the_best_of_the_samples(records, monkeypatch):
    asked = []

    def cover_modes(samples, count, config):
        asked.append(count)
        return torch.arange(count)

    monkeypatch.setattr(optimization, 'cover_modes', cover_modes)
    preset = replace(Preset(hypotheses=4, keep=(3, 2)),
                     refinement=RefinementConfig(initial_surface=11))
    samples = sphere_state(8)
    samples = replace(samples, q=torch.arange(8.0)[:, None])
    found, evidence = initial_hypotheses(MODEL, preset, VIEW, samples, None)
    assert evidence is None
    assert asked == [5] and records.surfaces == [11]
    # The fake score falls with the index.
    assert found.state.q[:, 0].tolist() == [4, 3, 2]
    assert records.kept == [3] and records.separations == [4.0]
