"""Articulated objects from one depth image: part poses, joints, meshes and URDF (no ROS here)."""
