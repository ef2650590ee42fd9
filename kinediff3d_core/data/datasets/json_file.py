"""JSON files of data sets: bounded, and with one clear error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kinediff3d_core.io.files import checked_file


def read_json(path: Path, kind: type) -> Any:
    """The content of a JSON file.

    Args:
        kind: of the outermost value: dict or list.

    Raises:
        ValueError: missing, damaged, too large, or of another kind; one line that names the file.
    """
    file = checked_file(path, 'file')
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not JSON: {str(error).splitlines()[0]}') from error
    if not isinstance(content, kind):
        raise ValueError(f'{path} holds a {type(content).__name__}, expected a {kind.__name__}')
    return content
