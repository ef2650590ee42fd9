"""A category and an object of a user's own, made here; nothing third-party."""

import yaml
from estimates import laptop_estimate

from kinediff3d_core.io.urdf_folder import write_urdf

CRATE = {'name': 'crate', 'parts': ['base', 'lid'], 'scale': 0.25,
         'joints': [{'part': 'lid', 'parent': 'base', 'type': 'revolute', 'axis': [0, -1, 0],
                     'limits': [0, 3.2]}]}


def crate_file(tmp_path, **changes):
    """A category file with some fields changed; None leaves a field out."""
    path = tmp_path / 'crate.yaml'
    fields = {k: v for k, v in {**CRATE, **changes}.items() if v is not None}
    path.write_text(yaml.safe_dump(fields))
    return path


def laptop_folder(tmp_path):
    """A laptop as a URDF folder."""
    out = tmp_path / 'laptop_mine'
    write_urdf(laptop_estimate(), out)
    return out


def edit_urdf(folder, old, new):
    """Replace a text that the folder's URDF has."""
    path = folder / 'object.urdf'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
