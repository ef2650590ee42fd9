"""Effects of the real world, and how they are switched off."""

import pytest
import torch

from kinediff3d_core.simulation.mask_errors import MaskErrors
from kinediff3d_core.simulation.real_world import EFFECTS, RealWorld, without
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor


@pytest.mark.parametrize('effect', EFFECTS)
def test_each_effect_is_on_and_can_be_switched_off_alone(effect):
    path, value = EFFECTS[effect]

    def at(world):
        for name in path.split('.'):
            world = getattr(world, name)
        return world

    assert at(RealWorld()) != value
    less = without([effect])
    assert at(less) == value
    others = [e for e in EFFECTS if not EFFECTS[e][0].startswith(path)
              and not path.startswith(EFFECTS[e][0])]
    assert without(others, less) == without([effect, *others])


def test_without_all_effects_the_sensor_has_no_new_errors():
    world = without(list(EFFECTS))
    assert world.sensor.returns.grazing == 0 and world.sensor.masks == MaskErrors()
    with pytest.raises(ValueError, match='unknown effect .shine.; known: cameras'):
        without(['shine'])


def test_missing_returns_need_rays():
    with pytest.raises(ValueError, match='give apply_sensor rays'):
        apply_sensor(torch.ones(1, 8, 8), torch.zeros(1, 8, 8), torch.Generator(),
                     RealWorld().sensor)


def test_a_share_of_the_images_has_a_real_camera():
    depth = torch.full((400, 16, 16), 2.0)
    model = SensorModel(noise=0.0, noise_per_m2=0.0, quantum=0.0, edge_dropout=0.0, flying=0.0,
                        hole_share=0.0, mask_error=0, occluded=0.0,
                        cameras=RealWorld().sensor.cameras, camera_share=0.7)
    noisy, _ = apply_sensor(depth, torch.zeros_like(depth), torch.Generator().manual_seed(0),
                            model)
    changed = (noisy != depth).flatten(1).any(1).float().mean()
    assert abs(changed - 0.7) < 0.08
