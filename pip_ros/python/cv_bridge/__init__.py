"""Image messages to NumPy arrays and back, without OpenCV."""

from cv_bridge.core import CvBridge, CvBridgeError

__all__ = ['CvBridge', 'CvBridgeError']
