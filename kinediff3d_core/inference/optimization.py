"""Iterative optimisation (section 3.4): rounds of refinement and of new shape codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from kinediff3d_core.inference.fronts import Fronts, propose
from kinediff3d_core.inference.hypotheses import (
    Hypotheses,
    RefinedHypotheses,
    cover_modes,
    sample_prior,
    select_distinct,
)
from kinediff3d_core.inference.model import CategoryModel
from kinediff3d_core.inference.part_evidence import PartEvidence, part_evidence
from kinediff3d_core.inference.part_sets import set_index, set_log_odds
from kinediff3d_core.inference.presets import Preset, SolverConfig
from kinediff3d_core.inference.refinement import (
    Codes,
    refine_chamfer,
    refine_pose,
    refine_pose_and_code,
)
from kinediff3d_core.inference.residuals import Problem, fit_score, surface_samples
from kinediff3d_core.inference.sampling import (
    common_parts,
    predict_codes,
    sample_codes,
    with_parts,
)
from kinediff3d_core.inference.verification import log_support
from kinediff3d_core.inference.view import PreparedView
from kinediff3d_core.networks.score import State

Value = TypeVar('Value')


def initial_hypotheses(model: CategoryModel, preset: Preset, view: PreparedView, samples: State,
                       generator: torch.Generator, fronts: Fronts | None = None,
                       ) -> tuple[Hypotheses, PartEvidence | None]:
    """The hypotheses that the first round refines: the best of each mode by the fit score.

    They are samples of the score model, all with the likeliest set of parts, and states that
    fronts of drawers propose.

    Args:
        samples: of the score model, on the CPU.

    Returns:
        hypotheses, and the evidence about their parts.
    """
    config, cloud, codes = preset.hypothesis, view.network_clouds[:1], preset.for_initial_codes()
    state = samples[cover_modes(samples, preset.hypotheses + 1, config)].to(model.device)
    found = predict_codes(model, codes, cloud, state, generator)
    evidence = part_evidence(model, preset, found, fronts)
    found = _with_likely_parts(model, found, evidence)
    if evidence is not None:
        found = _with_proposals(model, preset, cloud, found, evidence.fronts, generator)
    surface, _ = surface_samples(model.shape, found.field, preset.refinement.initial_surface,
                                 generator, model.graphs)
    problem = Problem(model.shape, found.field, view.observation, surface)
    score, _ = model.graphs(fit_score, problem, found.state, preset.score)
    if evidence is not None:
        score = score + evidence.score(model, preset, found)
    return found[_selected(model, preset, found, evidence, score, preset.keep[0],
                           config.initial_separation)], evidence


def _with_likely_parts(model: CategoryModel, found: Hypotheses, evidence: PartEvidence | None,
                       ) -> Hypotheses:
    """The hypotheses (H) with the likeliest set of parts, and again with others that are nearly as
    likely."""
    exists = common_parts(model, found)
    if evidence is None:
        return with_parts(model, found, exists)
    return Hypotheses.concatenate([
        with_parts(model, found, set_log_odds(torch.tensor([index]), model.category, exists))
        for index in evidence.fitted])


def _selected(model: CategoryModel, preset: Preset, found: Hypotheses,
              evidence: PartEvidence | None, score: Tensor, keep: int, separation: float,
              ) -> Tensor:
    """Indices of the hypotheses of the next round (:func:`select_distinct`), and of the best one
    of each fitted set of parts that none of these has, if its score is not much worse."""
    config = preset.hypothesis
    chosen = select_distinct(found.state, score, keep, separation, config)
    if evidence is None:
        return chosen
    index = set_index(found.field.exists, model.category)
    for other in set(evidence.fitted) & set(index.tolist()) - set(index[chosen].tolist()):
        best = torch.where(index == other, score, torch.inf).argmin()
        if score[best] < score.min() + config.max_score_gap:
            chosen = torch.cat([chosen, best[None]])
    return chosen


def _with_proposals(model: CategoryModel, preset: Preset, cloud: Tensor, found: Hypotheses,
                    fronts: Fronts, generator: torch.Generator) -> Hypotheses:
    """The hypotheses, and after them those that fronts propose, each with its own drawers."""
    some = slice(0, preset.fronts.references)
    proposed = propose(model.category, fronts, found.state[some].to('cpu'), found.field[some],
                       preset.fronts)
    if proposed is None:
        return found
    codes = predict_codes(model, preset.for_initial_codes(), cloud,
                          proposed.state.to(model.device), generator)
    exists = set_log_odds(proposed.drawers.to(model.device) - 1, model.category,
                          codes.field.exists)
    return Hypotheses.concatenate([found, with_parts(model, codes, exists)])


def refine_hypotheses(model: CategoryModel, preset: Preset, view: PreparedView, start: Hypotheses,
                      samples: State, generator: torch.Generator,
                      evidence: PartEvidence | None = None) -> RefinedHypotheses:
    """Hypotheses after all rounds; scores are those of the fit alone.

    A round regenerates the codes, refines, and drops the worse hypotheses and those near a better
    one. The last round ends with a refinement, not a regeneration.
    """
    hypotheses = start
    for i in range(preset.rounds):
        if i:
            hypotheses = sample_codes(model, preset, view.network_clouds, hypotheses.state,
                                      generator, hypotheses.field.exists)
        surface, normals = surface_samples(model.shape, hypotheses.field,
                                           _of_round(preset.surface, i), generator, model.graphs)
        problem = Problem(model.shape, hypotheses.field, view.observation, surface)
        if preset.residual == 'chamfer':
            hypotheses, information = _refine_chamfer(preset, i, problem, normals, hypotheses)
        else:
            hypotheses, information = _refine_sdf(model, preset, i, problem, hypotheses, samples)
        problem = replace(problem, field=hypotheses.field)
        score, residual = model.graphs(fit_score, problem, hypotheses.state, preset.score)
        if i + 1 < preset.rounds:
            if evidence is not None:
                score = score + evidence.score(model, preset, hypotheses)
            hypotheses = hypotheses[_selected(model, preset, hypotheses, evidence, score,
                                              _of_round(preset.keep, i + 1),
                                              preset.hypothesis.separation)]
    verified = log_support(model.latent, problem, normals, hypotheses, preset.verification)
    return RefinedHypotheses(hypotheses.z, hypotheses.field, hypotheses.state, score, residual,
                             information, verified)


def _refine_sdf(model: CategoryModel, preset: Preset, i: int, problem: Problem,
                hypotheses: Hypotheses, samples: State) -> tuple[Hypotheses, Tensor]:
    """One round (i) of second-order refinement, and the information matrices.

    In the last rounds, when the poses are near, the codes are refined with them. The prior
    constrains what the cloud does not determine.
    """
    run, config = model.graphs, _solver_of_round(preset, i)
    z, field, state = hypotheses.z, hypotheses.field, hypotheses.state
    # Small tensors and decisions by values: faster on the CPU.
    prior = sample_prior(state.to('cpu'), samples, problem.observation.centroid.cpu(),
                         preset.hypothesis).to(model.device)
    state, information = run(refine_pose, problem, state, config, prior)
    if i and i + preset.refinement.code_rounds >= preset.rounds:
        state, field, information, z = run(refine_pose_and_code, problem, state,
                                           Codes(model.shape, z, model.code_sqrt), config, prior)
    if i + 1 == preset.rounds:
        field = replace(run(model.shape.decode, z, state.q), exists=field.exists)
        final = replace(config, iterations=preset.refinement.final_iterations)
        state, _ = run(refine_pose, replace(problem, field=field), state, final, prior)
    return Hypotheses(z, field, state), information


def _refine_chamfer(preset: Preset, i: int, problem: Problem, normals: Tensor,
                    hypotheses: Hypotheses) -> tuple[Hypotheses, Tensor]:
    """One round (i) of first-order refinement, and the information matrices at its end."""
    state = refine_chamfer(problem, normals, hypotheses.state, preset.iterations,
                           preset.refinement.chamfer)
    _, information = refine_pose(problem, state, replace(_solver_of_round(preset, i),
                                                         iterations=0))
    return replace(hypotheses, state=state), information


def _solver_of_round(preset: Preset, i: int) -> SolverConfig:
    """The second-order solver of round i."""
    refinement = preset.refinement
    return replace(refinement.solver, iterations=preset.iterations,
                   width=_of_round(refinement.widths, i))


def _of_round(values: Sequence[Value], i: int) -> Value:
    """The value of round i; the last one holds for further rounds."""
    return values[min(i, len(values) - 1)]
