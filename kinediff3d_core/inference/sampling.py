"""Samples of the two diffusion models: poses and joints of a cloud, shape codes of poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kinediff3d_core.diffusion.ddpm import sample_ancestral, sample_ddim
from kinediff3d_core.diffusion.ve_sde import sample_fixed, sample_rk45
from kinediff3d_core.geometry.rigid import to_part_frames
from kinediff3d_core.inference.cancellation import check_cancelled
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.model import CategoryModel
from kinediff3d_core.inference.part_sets import possible_log_odds
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.inference.refinement import limit_joints
from kinediff3d_core.inference.residuals import part_poses
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.latent import LatentDenoiser
from kinediff3d_core.networks.score import ScoreModel, State, unpack_state


def sample_states(model: CategoryModel, preset: Preset, clouds: Tensor,
                  generator: torch.Generator) -> State:
    """Poses and joints by the score model (section 3.2).

    Args:
        clouds: (C, N, 3) choices of the view's points, canonical units.

    Returns:
        C regressed states, then ``preset.hypotheses`` samples of each choice in turn.
    """
    net, centroid = model.pose, clouds.mean(1)
    noise = torch.randn(preset.hypotheses * preset.clouds, net.size, generator=generator,
                        device=model.device)
    # An adaptive solver decides by values, which a CUDA graph cannot.
    run = model.graphs if preset.sampler == 'fixed' else _call
    x = run(_sample_state_vectors, net, clouds - centroid[:, None], noise, preset.sampler,
            preset.sampler_steps)
    return limit_joints(model.shape, unpack_state(x, centroid.repeat(preset.hypotheses + 1, 1)))


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def _sample_state_vectors(net: ScoreModel, clouds: Tensor, noise: Tensor, sampler: str,
                          steps: int) -> Tensor:
    """State vectors (C + S, size) of centred clouds (C, N, 3) and noise (S, size)."""
    feature = net.encode(clouds)
    context = feature.repeat(len(noise) // len(clouds), 1)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        check_cancelled()
        return net.denoise(x, sigma, context)

    x = (sample_rk45(denoise, noise) if sampler == 'rk45'
         else sample_fixed(denoise, noise, steps))
    return net.unwhiten(torch.cat([net.regress(feature), x]))


def sample_codes(model: CategoryModel, preset: Preset, clouds: Tensor, state: State,
                 generator: torch.Generator, exists: Tensor | None = None) -> Hypotheses:
    """Shape codes of states (H) by latent diffusion (section 3.3), decoded.

    A code is the mean over the clouds, each canonicalised with the state.

    Args:
        clouds: (C, N, 3) choices of the view's points, canonical units.
        exists: (H, K) or (1, K) log-odds of the parts, where that is decided. None uses those of
            :func:`common_parts`.
    """
    found = predict_codes(model, preset, clouds, state, generator)
    return with_parts(model, found, common_parts(model, found) if exists is None else exists)


def common_parts(model: CategoryModel, found: Hypotheses) -> Tensor:
    """Log-odds (1, K) of the parts by the mean of all hypotheses.

    Of the sets that the category allows, the likeliest is taken. More parts always explain a cloud
    a little better: a single hypothesis, or the best one, would have too many.
    """
    mean = torch.sigmoid(found.field.exists).mean(0, keepdim=True).logit()
    return possible_log_odds(mean, model.category)


def with_parts(model: CategoryModel, found: Hypotheses, exists: Tensor) -> Hypotheses:
    """Hypotheses whose objects have parts of these log-odds, (H, K) or (1, K).

    Pivots and axes of the states become those of the decoded shapes: a pivot and the moving part
    belong together.
    """
    field, state = replace(found.field, exists=exists.expand_as(found.field.exists)), found.state
    present = field.exists[:, 1:, None] > 0
    origin = torch.where(present, field.origin, state.origin)
    axis = model.shape.axis.expand_as(state.axis)
    return Hypotheses(found.z, field, replace(state, origin=origin, axis=axis))


def predict_codes(model: CategoryModel, preset: Preset, clouds: Tensor, state: State,
                  generator: torch.Generator) -> Hypotheses:
    """As :func:`sample_codes`, with the parts that each code has by itself; states stay."""
    if preset.latent_sampler == 'ancestral':
        z, field = _decode_samples(model.shape, model.latent, clouds, state, generator,
                                   preset.latent_steps)
    else:
        start = preset.sampling.ddim_start * torch.randn(
            1, model.latent.config.latent, generator=generator, device=model.device)
        z, field = model.graphs(_decode_samples, model.shape, model.latent, clouds, state, start,
                                preset.latent_steps)
    return Hypotheses(z, field, state)


def _decode_samples(shape: KAVAE, latent: LatentDenoiser, clouds: Tensor, state: State,
                    noise: Tensor | torch.Generator, steps: int) -> tuple[Tensor, Field]:
    """Codes (H, D_z) of the states, means over clouds (C, N, 3), and the decoded shapes.

    Args:
        noise: (1, D_z) start of DDIM, or the generator of ancestral sampling.
    """
    poses = part_poses(shape, state)
    condition = latent.condition(torch.cat([to_part_frames(c, poses) for c in clouds]))

    def denoise(z: Tensor, t: Tensor) -> Tensor:
        check_cancelled()
        return latent.denoise(z, t, condition)

    size = len(condition), latent.config.latent
    z = (sample_ddim(denoise, noise.expand(size), steps) if isinstance(noise, Tensor)
         else sample_ancestral(denoise, size, noise, steps, clouds.device))
    z = latent.unwhiten(z.view(len(clouds), len(state.q), -1).mean(0))
    return z, shape.decode(z, state.q)
