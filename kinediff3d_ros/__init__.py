"""ROS 2 nodes around ``kinediff3d_core``: messages in, messages out, nothing else."""
