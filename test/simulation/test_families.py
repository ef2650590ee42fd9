"""What holds for the objects of every procedural family."""

import math

import pytest
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import invert_transform, make_transform, transform_points
from kinediff3d_core.simulation.families import (
    FAMILIES,
    TEST_SEED_OFFSET,
    held_out_generator,
    sample_instances,
)
from kinediff3d_core.simulation.render import render_depth
from kinediff3d_core.simulation.views import posed_corners

N = 8
PENETRATION = {'laptop': 0.015}  # m: some lids' rear edges turn into what is behind the hinge
LARGEST = {'cabinet': 2.3}  # m: wardrobes
CAMERA = Intrinsics(75.0, 75.0, 39.5, 29.5, 80, 60)  # a 64th of the test camera's pixels


@pytest.fixture(scope='module', params=sorted(FAMILIES))
def objects(request):
    return sample_instances(request.param, N, torch.Generator().manual_seed(11))


@pytest.fixture(scope='module')
def surfaces(objects):
    g = torch.Generator().manual_seed(0)
    return [objects.surface_points(k, 400, g)[0] for k in range(objects.num_parts)]


def test_the_seed_decides(objects):
    name = objects.category.name
    again = sample_instances(name, N, torch.Generator().manual_seed(11))
    other = sample_instances(name, N, torch.Generator().manual_seed(12))
    assert torch.equal(objects.centre, again.centre)
    assert torch.equal(objects.upper, again.upper)
    assert not torch.equal(objects.centre, other.centre)


def test_limits_are_ordered_and_parts_exist(objects):
    assert (objects.lower < objects.upper).all()
    assert objects.exists[:, 0].all() and objects.exists[:, 1:].any(1).all()
    if not objects.category.optional_parts:
        assert objects.exists.all()


def test_part_frames_are_in_the_middle_of_their_boxes(objects):
    """The base's in all axes, a moving part's in those that its joint leaves free."""
    middle = objects.bounds.mean(2)
    torch.testing.assert_close(middle[:, 0], torch.zeros(N, 3), atol=1e-5, rtol=0)
    for j, joint in enumerate(objects.category.joints):
        moving = middle[:, joint.child][objects.exists[:, joint.child]]
        if joint.joint_type == 'revolute':
            moving = (moving * objects.axis[0, j]).sum(-1)
        torch.testing.assert_close(moving, torch.zeros_like(moving), atol=1e-4, rtol=0)


def test_sizes_are_plausible(objects):
    size = (objects.bounds[:, :, 1] - objects.bounds[:, :, 0])[objects.exists]
    assert (size > 5e-4).all() and (size < LARGEST.get(objects.category.name, 1.5)).all()


def test_surface_points_are_on_the_surface_and_in_the_box(objects, surfaces):
    """They lie on the zero level and in the part's box."""
    for k, p in enumerate(surfaces):
        exists = objects.exists[:, k]
        assert objects.part_sdf(k, p)[exists].abs().max() < 1e-4
        low, high = objects.bounds[exists, k].unbind(1)
        assert (p[exists] > low[:, None] - 1e-4).all() and (p[exists] < high[:, None] + 1e-4).all()


def test_boxes_are_tight(objects):
    """The surface comes close to every face of every part's box."""
    u, v = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 32), indexing='ij')
    for k in range(objects.num_parts):
        existing = objects[objects.exists[:, k]]
        low, high = existing.bounds[:, k].unbind(1)
        close = (0.05 * (high - low).amax(-1)).clamp_min(0.003)
        for axis in range(3):
            for face in (0.0, 1.0):
                at = torch.stack([u.flatten(), v.flatten()], dim=-1)
                at = torch.cat([at[:, :axis], torch.full((len(at), 1), face), at[:, axis:]], dim=1)
                d = existing.part_sdf(k, low[:, None] + at * (high - low)[:, None])
                assert (d.amin(1) < close).all(), (k, axis, face)


def test_moving_parts_do_not_cut_into_the_base(objects, surfaces):
    deepest = PENETRATION.get(objects.category.name, 3e-3)
    eye = torch.eye(4).expand(N, 4, 4)
    for share in (0.0, 0.1, 0.4, 0.7, 1.0):
        poses = objects.part_poses(objects.lower + share * (objects.upper - objects.lower), eye)
        for k in range(1, objects.num_parts):
            exists = objects.exists[:, k]
            own = objects.part_sdf(0, transform_points(poses[:, k], surfaces[k]))
            assert own[exists].min() > -deepest, (k, share)
            back = transform_points(invert_transform(poses[:, k]), surfaces[0])
            assert objects.part_sdf(k, back)[exists].min() > -deepest, (k, share)


def test_moving_parts_are_seen(objects):
    """Half open and seen from the front and above, each has 300 pixels of a test image."""
    azimuth, elevation = math.radians(25), math.radians(40)
    back = torch.tensor([math.cos(elevation) * math.cos(azimuth),
                         math.cos(elevation) * math.sin(azimuth), math.sin(elevation)])
    z = -back
    x = torch.nn.functional.normalize(torch.linalg.cross(z, torch.tensor([0.0, 0.0, 1.0])), dim=0)
    R = torch.stack([x, torch.linalg.cross(z, x), z])
    eye = torch.eye(4).expand(N, 4, 4)
    q = objects.lower + 0.5 * (objects.upper - objects.lower)
    corners = posed_corners(objects, q, eye)
    low, high = corners.amin(1), corners.amax(1)
    camera = (low + high) / 2 + 1.3 * (high - low).norm(dim=-1, keepdim=True) * back
    T = make_transform(R.expand(N, 3, 3), -(camera @ R.T))
    _, part = render_depth(objects, q, T, CAMERA)
    for k in range(1, objects.num_parts):
        seen = (part == k).flatten(1).sum(1)[objects.exists[:, k]]
        assert (seen >= 300 / 64).all(), (k, seen.tolist())


def test_held_out_objects_are_not_those_of_training(laptops):
    again = sample_instances('laptop', 16, torch.Generator().manual_seed(3))
    assert torch.equal(laptops.centre, again.centre)
    held_out = sample_instances('laptop', 16, held_out_generator(3))
    assert not torch.isclose(laptops.half[:, 0], held_out.half[:, 0]).all(1).any()
    assert held_out_generator(0).initial_seed() == TEST_SEED_OFFSET


def test_laptops_vary_and_use_every_slab(laptops):
    many = sample_instances('laptop', 400, torch.Generator().manual_seed(0))
    size = many.bounds[:, 0, 1] - many.bounds[:, 0, 0]
    assert size[:, 1].min() < 0.27 and size[:, 1].max() > 0.40
    assert size[:, 2].min() < 0.010 and size[:, 2].max() > 0.035
    assert (many.present.float().mean(0)[1:] > 0.02).all(), 'a slab that no laptop has'


def test_the_lid_of_a_laptop_is_above_its_base_and_the_hinge_behind(laptops):
    """Origin at the centre of the base's box; the hinge is behind and the lid lies above."""
    torch.testing.assert_close(laptops.bounds[:, 0].mean(1), torch.zeros(16, 3), atol=1e-6, rtol=0)
    assert (laptops.origin[:, 0, 0] < 0).all()
    lid_middle = laptops.bounds[:, 1].mean(1) + laptops.origin[:, 0]
    assert (lid_middle[:, 2] > 0).all() and (lid_middle[:, 0].abs() < 0.08).all()


def test_some_boxes_are_shells_that_open_flat_and_do_not_cut_into_themselves():
    """As of ReArtMix: 23 x 8 x 3.5 cm, a lid as wide as the base, open to half a turn or more."""
    boxes = sample_instances('box', 300, torch.Generator().manual_seed(5))
    size = boxes.bounds[..., 1, :] - boxes.bounds[..., 0, :]
    flat = boxes.upper[:, 0] >= math.pi - 1e-5
    assert 0.2 < flat.float().mean() < 0.45
    assert math.radians(185) < boxes.upper.max() < math.radians(200.1)
    low = flat & (size[:, 0, 2] < 0.6 * size[:, 0, 0]) & (size[:, 0, 1] < 0.4)
    deep_lid = size[:, 1, 2] > 0.4 * size[:, 0, 2]
    assert (low & deep_lid).float().mean() > 0.05
    g = torch.Generator().manual_seed(0)
    lid, _ = boxes.surface_points(1, 300, g)
    poses = boxes.part_poses(boxes.upper, torch.eye(4).expand(300, 4, 4))
    inside = boxes.part_sdf(0, transform_points(poses[:, 1], lid)).amin(1)
    assert inside.min() > -3.5e-3


def test_cabinets_have_all_sets_of_doors_and_use_every_slab():
    many = sample_instances('cabinet', 400, torch.Generator().manual_seed(0))
    left, right = many.exists[:, 1:].unbind(1)
    assert (left | right).all()
    for doors in (left & ~right, right & ~left, left & right):
        assert 0.2 < doors.float().mean() < 0.5
    assert (many.present.float().mean(0) > 0.005).all(), 'a slab that no cabinet has'
    size = (many.bounds[:, 0, 1] - many.bounds[:, 0, 0])
    assert size[:, 2].min() < 0.25 and size[:, 2].max() > 1.8
    upper = torch.rad2deg(many.upper[many.exists[:, 1:]])
    assert upper.min() >= 88 and upper.max() <= 180.01 and (upper > 120).float().mean() > 0.2


def test_hinges_of_cabinets_are_at_their_doors_outer_edges():
    """Left is -y, and a door that starts to open moves to the front."""
    many = sample_instances('cabinet', 64, torch.Generator().manual_seed(11))
    torch.testing.assert_close(many.axis[0], torch.tensor([[0.0, 0, -1], [0, 0, 1]]))
    for k, side in ((1, -1.0), (2, 1.0)):
        doors = many[many.exists[:, k]]
        low, high = doors.bounds[:, k].unbind(1)
        inner, outer = (high, low) if side < 0 else (-low, -high)
        assert (inner[:, 1] > 0.05).all() and (outer[:, 1].abs() < 0.15 * inner[:, 1]).all()
        wide = (doors.origin[:, k - 1, 1] * side > 0).float().mean()
        assert wide > 0.85, 'but for single doors in the middle of a front'


def test_some_doors_of_cabinets_are_of_glass_that_gives_no_depth():
    """It lies within the door, and never in the case."""
    many = sample_instances('cabinet', 400, torch.Generator().manual_seed(0))
    glass = many.glass[..., 0, 0].isfinite()
    assert not glass[:, 0].any() and not (glass & ~many.exists).any()
    assert 0.03 < glass.any(1).float().mean() < 0.2
    box, door = many.glass[:, 1:][glass[:, 1:]], many.bounds[:, 1:][glass[:, 1:]]
    assert (box[:, 0, 1:] >= door[:, 0, 1:]).all() and (box[:, 1, 1:] <= door[:, 1, 1:]).all()
    assert (box[:, 1, 1:] - box[:, 0, 1:] > 0.03).all()


def test_zero_of_a_stapler_is_visible():
    """At q = 0 the magazine is parallel to the plate; an arm that rests higher has a limit there.

    Otherwise q depended on where the arm rests, which an open stapler does not show.
    """
    staplers = sample_instances('stapler', 64, torch.Generator().manual_seed(11))
    magazine = next(i for i, s in enumerate(staplers.slots) if s.part == 1 and not s.cut)
    torch.testing.assert_close(staplers.rotation[:, magazine], torch.eye(3).expand(64, 3, 3))
    rest = staplers.lower[:, 0]
    assert (rest >= 0).all() and 0.2 < (rest > 0).float().mean() < 0.7


def test_zero_of_legs_is_straight_back():
    """Legs that lean inwards at rest have a limit there, and legs that are splayed start at 0."""
    glasses = sample_instances('eyeglasses', 64, torch.Generator().manual_seed(11))
    first = next(i for i, s in enumerate(glasses.slots) if s.part == 1)
    x = glasses.rotation[:, first, :, 0]
    inwards = torch.atan2(x[:, 1], x[:, 0])
    rest = glasses.lower[:, 0]
    assert (inwards < 1e-6).all() and (rest >= 0).all()
    assert torch.equal(glasses.lower[:, 0], glasses.lower[:, 1])
    assert 0.1 < (rest > 0).float().mean() < 0.5 and ((rest == 0) | (inwards > -1e-6)).all()
