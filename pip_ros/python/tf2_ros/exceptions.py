"""Errors of transform lookups."""


class TransformException(Exception):  # noqa: N818 (the name is upstream's)
    """Base of every error that a lookup raises."""


class LookupException(TransformException):
    """A frame is unknown, or the tree of frames contains a loop."""


class ConnectivityException(TransformException):
    """Both frames are known, but no chain of transforms connects them."""


class ExtrapolationException(TransformException):
    """The frames are connected, but not at the requested time."""


class InvalidArgumentException(TransformException):
    """A frame name is empty or starts with a slash."""


class TimeoutException(TransformException):
    """Exists for code that catches it by name. This package never raises it."""
