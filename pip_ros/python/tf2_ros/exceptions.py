"""Why a transform could not be given."""


class TransformException(Exception):  # noqa: N818 (the name is upstream's)
    """Base of every error that a lookup raises."""


class LookupException(TransformException):
    """A frame that no transform has mentioned, or a tree that runs in a circle."""


class ConnectivityException(TransformException):
    """Both frames are known, and no chain of transforms joins them."""


class ExtrapolationException(TransformException):
    """The frames are joined, but not at the time asked for."""


class InvalidArgumentException(TransformException):
    """A frame name that is empty or starts with a slash."""


class TimeoutException(TransformException):
    """Kept for code that catches it by name; nothing here raises it."""
