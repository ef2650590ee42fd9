"""ROS 2 nodes around ``kinediff3d_core``, and the commands ``demo``, ``replay`` and ``view``."""
