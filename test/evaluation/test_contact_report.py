"""The report of contacts on exact objects."""

from dataclasses import replace

import numpy as np
import pytest
from estimates import at_position, box_mesh, laptop_estimate

from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.evaluation import contact_report
from kinediff3d_core.evaluation.contact_report import STATES, at_share, measure, object_estimate
from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.estimate import Mesh


def test_a_laptop_is_measured_at_every_state():
    found = measure(at_position(laptop_estimate(), 0.0))
    assert [m.state for m in found] == list(STATES)
    assert all(m.on_surface and m.right_way and not m.is_handle for m in found)
    assert [m.reachable for m in found] == [False, True, True]


@pytest.mark.parametrize(('column', 'sign', 'shift', 'expected'), [
    (0, 1, 0.0, (True, True)), (0, -1, 0.0, (True, False)), (2, 1, 0.0, (True, False)),
    (0, 1, 0.002, (False, True))])
def test_a_frame_that_is_wrong_is_noticed(monkeypatch, column, sign, shift, expected):
    """x the other way or another column; the origin off the surface."""
    def wrong(estimate):
        def frame(T):
            T = T.copy()
            x = sign * T[:3, column]
            T[:3, 3] = T[:3, 3] - shift * T[:3, 2]
            T[:3, 0] = x
            return T
        return tuple(replace(c, T_part_contact=frame(c.T_part_contact),
                             T_camera_contact=frame(c.T_camera_contact))
                     for c in contacts(estimate))

    monkeypatch.setattr(contact_report, 'contacts', wrong)
    for m in measure(at_position(laptop_estimate(), 0.0)):
        assert (m.on_surface, m.right_way) == expected


def test_an_imported_object_is_at_a_share_of_its_range():
    drawer = Joint('drawer_0_joint', 'prismatic', 0, 1, (1.0, 0.0, 0.0), 0.0, 0.4)
    obj = MeshObject('drawer_1', 'drawer', ('base', 'drawer_0'), (drawer,),
                     (box_mesh((0.4, 0.4, 0.4)), box_mesh((0.3, 0.3, 0.2))),
                     np.array([[0.0, 0.0, 0.1]]))
    estimate = object_estimate(obj, 0.5)
    np.testing.assert_allclose(estimate.parts[1].T_camera_part[:3, 3], (0.2, 0.0, 0.1))
    assert estimate.joints[0].position == pytest.approx(0.2)
    inward = replace(obj, meshes=tuple(Mesh(m.vertices, m.faces[:, ::-1]) for m in obj.meshes))
    for part, mesh in zip(object_estimate(inward, 0.5).parts, obj.meshes, strict=True):
        np.testing.assert_array_equal(part.mesh.faces, mesh.faces)
    again = at_share(estimate, 1.0)
    np.testing.assert_allclose(again.parts[1].T_camera_part[:3, 3], (0.4, 0.0, 0.1))


def test_the_table_of_a_folder_without_objects_is_one_line_of_error(tmp_path, capsys):
    assert contact_report.main(['--objects', str(tmp_path / 'none')]) == 2
    assert 'does not exist' in capsys.readouterr().err
