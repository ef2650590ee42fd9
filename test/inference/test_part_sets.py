"""Of the sets of parts that a category allows, the likeliest is taken."""

import math

import torch

from kinediff3d_core.inference.part_sets import UNDECIDED, possible_log_odds
from kinediff3d_core.networks.kavae import KAVAE
from kinediff3d_core.objects.category import get_category

CABINET, DRAWER, LAPTOP = (get_category(name) for name in ('cabinet', 'drawer', 'laptop'))


def test_a_set_that_the_category_allows_keeps_its_log_odds():
    doors = torch.tensor([[math.inf, 2.0, -1.0], [math.inf, -3.0, 0.1], [math.inf, 1.0, 4.0]])
    assert torch.equal(possible_log_odds(doors, CABINET), doors)
    drawers = torch.tensor([[math.inf, math.inf, 0.2, -0.1, -math.inf]])
    assert torch.equal(possible_log_odds(drawers, DRAWER), drawers)
    always = torch.full((2, 2), math.inf)
    assert possible_log_odds(always, LAPTOP) is always


def test_another_set_becomes_the_likeliest_one():
    """A cabinet has one door at least; there is no third drawer without a second one."""
    none = torch.tensor([[math.inf, -2.0, -1.5], [math.inf, -math.inf, -math.inf]])
    found = possible_log_odds(none, CABINET)
    assert found[0].tolist() == [math.inf, -2.0, torch.tensor(UNDECIDED)]
    assert (found[1] > 0).tolist() == [True, True, False]
    gap = torch.tensor([[math.inf, math.inf, -0.1, 0.6, -2.0],
                        [math.inf, math.inf, -0.6, 0.1, -2.0]])
    found = possible_log_odds(gap, DRAWER)
    assert (found > 0).tolist() == [[True, True, True, True, False],
                                    [True, True, False, False, False]]
    assert found[0, 2] == torch.tensor(UNDECIDED) and found[0, 3] == gap[0, 3]


def test_the_decoder_is_certain_of_parts_that_every_object_has():
    for category, certain in ((CABINET, 1), (DRAWER, 2), (LAPTOP, 2)):
        net, joints = KAVAE(category), len(category.joints)
        field = net.decode(torch.zeros(2, net.config.latent), torch.zeros(2, joints))
        assert (field.exists[:, :certain] == math.inf).all()
        assert field.exists[:, certain:].isfinite().all()
