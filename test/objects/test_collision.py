"""Collision pieces let the joints move."""

from dataclasses import replace

import numpy as np
import pytest
from estimates import box_mesh, laptop_estimate
from scipy.optimize import linprog
from true_objects import coarse_object

from kinediff3d_core.objects.collision import collision_pieces
from kinediff3d_core.objects.convex import hull_of, separated


def overlap(one, other):
    """Radius of the largest ball inside both polyhedra, m."""
    normals = np.concatenate([one.normals, other.normals])
    found = linprog([0, 0, 0, -1], np.c_[normals, np.ones(len(normals))],
                    np.concatenate([one.offsets, other.offsets]), bounds=[(None, None)] * 4)
    return float(found.x[3])


def overlaps(estimate, pieces, positions):
    """Pairs of parts that overlap at joint positions."""
    poses = estimate.part_poses_at(np.asarray(positions, float))
    placed = {name: [hull_of(m.vertices).moved(poses[name]) for m in meshes]
              for name, meshes in pieces.items()}
    names = list(placed)
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1:]
            if any(not separated(p, q, -1e-5) and overlap(p, q) > 1e-5
                   for p in placed[a] for q in placed[b])]


@pytest.mark.parametrize('category', ['laptop', 'drawer', 'scissors', 'cutter'])
def test_one_joint_at_a_time_moves_freely(category):
    """Without cuts the pieces of these overlap."""
    estimate = coarse_object(category, 2)
    pieces = collision_pieces(estimate)
    for i, joint in enumerate(estimate.joints):
        for position in np.linspace(joint.lower, joint.upper, 5):
            q = np.zeros(len(estimate.joints))
            q[i] = position
            assert not [pair for pair in overlaps(estimate, pieces, q) if joint.child in pair]


def test_a_part_inside_a_solid_one_makes_itself_room():
    """A drawer in a cabinet whose estimated mesh is solid."""
    laptop = laptop_estimate()
    base, lid = laptop.parts
    joint = replace(laptop.joints[0], joint_type='prismatic', axis=np.array([1.0, 0, 0]),
                    origin=np.array([0.05, 0.0, 0.0]), lower=0.0, upper=0.3, position=0.1)
    cabinet = replace(laptop, parts=(replace(base, mesh=box_mesh((0.4, 0.4, 0.4))), replace(
        lid, mesh=box_mesh((0.3, 0.3, 0.2)))), joints=(joint,))
    pieces = collision_pieces(cabinet)
    assert len(pieces['base']) >= 5 and len(pieces['lid']) == 1
    for q in (0.0, 0.1, 0.3):
        assert not overlaps(cabinet, pieces, [q])


def test_parts_beside_each_other_do_not_overlap_where_they_are_estimated():
    """The folded legs of glasses cross each other."""
    glasses = coarse_object('eyeglasses', 2, share=0.9)
    pieces = collision_pieces(glasses)
    assert set(pieces) == {'base', 'leg_left', 'leg_right'} and all(pieces.values())
    assert not overlaps(glasses, pieces, [j.position for j in glasses.joints])


def test_parts_without_meshes_have_none():
    bare = laptop_estimate()
    bare = replace(bare, parts=(bare.parts[0], replace(bare.parts[1], mesh=None)))
    assert list(collision_pieces(bare)) == ['base']
