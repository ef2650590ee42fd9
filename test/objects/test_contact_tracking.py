"""Contacts of a tracked object stay the same ones."""

from dataclasses import replace

import numpy as np
import pytest
from estimates import at_position, box_mesh, laptop_estimate

from kinediff3d_core.objects import contact_tracking
from kinediff3d_core.objects.contact_tracking import ContactTracker


@pytest.fixture
def found(monkeypatch):
    """Counts how often contacts are found."""
    calls, find = [], contact_tracking.contact_candidates
    monkeypatch.setattr(contact_tracking, 'contact_candidates',
                        lambda *x: calls.append(x) or find(*x))
    return calls


def test_contacts_move_with_their_parts_and_are_found_once_a_shape(found):
    tracker, estimate = ContactTracker(), laptop_estimate(0.4)
    first = tracker.update(estimate)['lid']
    for q in np.linspace(0.4, 1.2, 9):
        moved = at_position(estimate, q)
        contacts = tracker.update(moved)['lid']
        for a, b in zip(first, contacts, strict=True):
            np.testing.assert_array_equal(a.T_part_contact, b.T_part_contact)
            np.testing.assert_allclose(b.T_camera_contact,
                                       moved.parts[1].T_camera_part @ a.T_part_contact)
    assert len(found) == 1
    tracker.shape_changed()
    tracker.update(estimate)
    assert len(found) == 2


def test_whether_a_contact_is_reachable_follows_the_joint(found):
    """A closing lid: the gripper has no room any more. Meshes are needed only at first."""
    tracker, estimate = ContactTracker(), laptop_estimate(0.6)
    best = tracker.update(estimate)['lid'][0]
    assert best.reachable
    bare = replace(estimate, parts=tuple(replace(p, mesh=None) for p in estimate.parts))
    closed = tracker.update(at_position(bare, 0.0))['lid']
    assert not any(c.reachable for c in closed)
    np.testing.assert_array_equal(closed[0].T_part_contact, best.T_part_contact)
    assert tracker.update(at_position(bare, 0.6))['lid'][0].reachable
    assert len(found) == 1


def test_another_contact_is_the_best_only_while_the_last_one_is_not_reachable():
    """A wall that stands behind the far edge of the lid at some angles."""
    estimate = laptop_estimate(0.5)
    tracker = ContactTracker()
    best = tracker.update(estimate)['lid'][0].T_part_contact
    lid = at_position(estimate, 1.0).parts[1].T_camera_part
    wall = (lid @ best @ (0.0, 0.0, -0.06, 1.0))[:3]
    base = estimate.parts[0]
    centre = (np.linalg.inv(base.T_camera_part) @ (*wall, 1.0))[:3]
    blocked = replace(estimate, parts=(
        replace(base, mesh=box_mesh((0.02, 0.05, 0.02), centre)), estimate.parts[1]))
    tracker.clear()
    order = []
    for q in (0.5, 1.0, 1.5, 1.51):
        contacts = tracker.update(at_position(blocked, q))['lid']
        assert contacts[0].reachable
        order.append(contacts[0].T_part_contact)
    np.testing.assert_array_equal(order[0], best)
    assert np.abs(order[1] - best).max() > 0.02
    np.testing.assert_array_equal(order[2], order[1])
    np.testing.assert_array_equal(order[3], order[1])


def test_the_best_contact_of_a_new_shape_is_the_one_near_the_last():
    tracker, estimate = ContactTracker(), laptop_estimate(0.5)
    contacts = tracker.update(estimate)['lid']
    second = next(c for c in contacts[1:] if c.reachable)
    tracker._found = {'lid': (second, *(c for c in contacts if c is not second))}
    tracker.shape_changed()
    again = tracker.update(estimate)['lid']
    np.testing.assert_array_equal(again[0].T_part_contact, second.T_part_contact)
    assert len(again) == len(contacts)
    tracker.clear()
    np.testing.assert_array_equal(tracker.update(estimate)['lid'][0].T_part_contact,
                                  contacts[0].T_part_contact)
