"""The name of an object in TF, URDFs and topics, and where its topics are."""

from __future__ import annotations

import re

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.objects.urdf import default_object_name

UNKNOWN = 'object'
"""Name of an object whose category is still to be determined. It does not change afterwards."""

_ALLOWED = re.compile(r'[A-Za-z][A-Za-z0-9_]*')


def check_object_name(given: str) -> None:
    """Check the parameter ``object_name``: one token of topics, TF frames and URDF links.

    Raises:
        ValueError: another name; the message says what is allowed.
    """
    if given and not _ALLOWED.fullmatch(given):
        allowed = re.sub(r'\W+', '_', given, flags=re.ASCII).strip('_')
        example = f', for example {allowed!r}' if _ALLOWED.fullmatch(allowed) else ''
        raise ValueError(f"parameter 'object_name' is {given!r}; write a letter, then letters, "
                         f'digits and _{example}')


def object_name(given: str, category: str, number: int) -> str:
    """The name of an object: as given, or that of its category; with a mask id, ``<name>_<id>``.

    Args:
        given: the parameter ``object_name``; may be empty.
        number: mask id; 0 for the only object.
    """
    name = given or (UNKNOWN if category == AUTO else default_object_name(category))
    return f'{name}_{number}' if number else name


def topic_prefix(namespace: str, name: str) -> str:
    """What comes before the topics of an object: ``<name>/``.

    '' in a namespace whose last token is the name already.
    """
    return '' if namespace.rpartition('/')[2] == name else f'{name}/'
