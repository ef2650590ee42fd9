"""A category of cabinets with up to two drawers, in round numbers."""

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.objects.category import Category

X = (1.0, 0.0, 0.0)
SCALE = 0.5
CABINET = Category('cabinet', ('base', 'top', 'low'), (
    Joint('top_joint', 'prismatic', 0, 1, X, 0.0, 0.6),
    Joint('low_joint', 'prismatic', 0, 2, X, 0.0, 0.4)), SCALE, (0, 1), (0, 1),
    part_sets=((1,), (1, 2)))
