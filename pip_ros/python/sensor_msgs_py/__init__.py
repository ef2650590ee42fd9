"""Conversion of sensor messages on machines without a ROS 2 installation."""
