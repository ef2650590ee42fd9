"""Text files of named values: YAML, JSON, OpenCV's FileStorage, messages as ROS prints them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from kinediff3d_core.io.files import checked_file, decoded, shortened

MAX_TEXT = 64 * 2**20
"""Largest file that is parsed, bytes. Chosen: bounds memory."""
MAX_YAML = 2 * 2**20
"""Most YAML that is parsed, characters; repeated messages count once. Chosen: it takes seconds."""
MAX_DOCUMENTS = 1000
"""Most documents that differ in more than their stamps. Chosen."""
TOO_DEEP = 'nested too deeply'
MAX_DEPTH = 50
"""Deepest brackets, and dashes in a line, of YAML. Chosen: libyaml takes time with the square of
the depth, and its recursion ends the process at some ten thousand."""
_BRACKET = re.compile(r'[\[\]{}]')
_DASHES = re.compile(rf'(?:[-?:][ \t]+){{{MAX_DEPTH}}}')
_STAMPS = re.compile(r'^\s+(sec|nanosec|secs|nsecs|seq|stamp):.*$', re.MULTILINE)
_NOTICES = re.compile(r'^(WARNING: .*|Is /clock being published\?|A message was lost!!!'
                      r'|\s+total count( change)?:\s*\d+)', re.MULTILINE)
"""What `rostopic echo` and `ros2 topic echo` print between messages."""
_SEPARATOR = re.compile(r'^---.*$', re.MULTILINE)
_ANCHOR, _ALIAS = (re.compile(rf'(^|[\s\[{{,:?-]){mark}\w', re.MULTILINE) for mark in ('&', r'\*'))
"""Aliases can stand for more values than memory holds."""
_DIRECTIVE = re.compile(r'\A\s*%YAML[: ][^\n]*')


def read_documents(path: Path | str, what: str) -> list[Any]:
    """The values of a text file, one for each YAML document that differs in more than stamps.

    JSON, and XML of OpenCV, are one document. Tags of OpenCV and others are read as plain values.

    Args:
        what: what the file should be, for messages.

    Raises:
        ValueError: missing, no text, too long, damaged or empty.
    """
    file = checked_file(path, what)
    if file.stat().st_size > MAX_TEXT:
        raise ValueError(f'{file}: {file.stat().st_size} bytes of text are more than {MAX_TEXT}')
    try:
        text = decoded(file.read_bytes())
        found = [x for x in _parsed(text, file.suffix.lower()) if x is not None]
    except (UnicodeDecodeError, ValueError, RecursionError, LookupError) as error:
        reason = TOO_DEEP if isinstance(error, RecursionError) else shortened(error)
        raise ValueError(f'{file}: not readable as {what} ({reason})') from error
    if not found:
        raise ValueError(f'{file}: holds no values to read as {what}')
    return found


def _parsed(text: str, suffix: str) -> Iterator[Any]:
    start = text.lstrip()[:1]
    if suffix == '.json' or start == '{':
        try:
            yield json.loads(text)
            return
        except json.JSONDecodeError:
            if suffix == '.json':
                raise
    if start == '<':
        yield _opencv_xml(text)
        return
    yield from _yaml_documents(text)


def _yaml_documents(text: str) -> list[Any]:
    """Documents of YAML; repeated messages are parsed once."""
    import yaml

    class Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):  # type: ignore[misc]
        """YAML's safe loader; unknown tags stand for plain values."""

    Loader.add_multi_constructor('', _untagged)
    texts = dict.fromkeys(_STAMPS.sub('', part) for part in
                          _SEPARATOR.split(_NOTICES.sub('', _DIRECTIVE.sub('', text))))
    if len(texts) > MAX_DOCUMENTS or sum(map(len, texts)) > MAX_YAML:
        raise ValueError(f'{len(texts)} documents that differ, {len(text)} characters of YAML; '
                         f'at most {MAX_DOCUMENTS} and {MAX_YAML}')
    if _ANCHOR.search(text) and _ALIAS.search(text):
        raise ValueError('aliases of YAML (&name, *name) are not read')
    if _depth(text) > MAX_DEPTH or _DASHES.search(text):
        raise ValueError(TOO_DEEP)
    found: list[Any] = []
    try:
        for part in texts:
            found.append(yaml.load(part, Loader))
    except yaml.YAMLError as error:
        # The last of several messages may be cut off, where `ros2 topic echo` was interrupted.
        if part != list(texts)[-1] or not any(isinstance(value, dict) for value in found):
            raise ValueError(str(error).splitlines()[0]) from error
    except (TypeError, AttributeError, OverflowError) as error:  # of PyYAML's constructors
        raise ValueError(shortened(error)) from error
    return found


def _depth(text: str) -> int:
    """Greatest depth of brackets that are open, whether they are quoted or not."""
    deepest = depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = depth + 1 if bracket[0] in '[{' else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _untagged(loader: Any, tag: str, node: Any) -> Any:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


def _opencv_xml(text: str) -> dict[str, Any]:
    """Matrices and scalars of OpenCV's XML."""
    import defusedxml.ElementTree
    from defusedxml import DefusedXmlException

    try:
        root = defusedxml.ElementTree.fromstring(text.encode(), forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException) as error:
        raise ValueError(f'damaged XML: {error}') from error
    if root.tag != 'opencv_storage':
        raise ValueError(f'XML of {root.tag!r}, not of OpenCV')
    return {element.tag: {child.tag: (child.text or '').split() for child in element}
            if len(element) else (element.text or '').strip() for element in root}
