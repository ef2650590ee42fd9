"""What the docs name is there: pages, headings, files, modules, options and launch arguments."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from kinediff3d_core.cli.main import parser

ROOT = Path(__file__).resolve().parents[1]

PAGES = sorted(str(page.relative_to(ROOT)) for pattern in ('*.md', 'docs/*.md', 'examples/*.md')
               for page in ROOT.glob(pattern))
WITHOUT_PURPOSE = ('README.md', 'CHANGELOG.md')
"""Pages that do not begin with what the reader can do after reading them."""

PATHS = re.compile(r'`((?:kinediff3d_core|kinediff3d_ros|test|config|launch|examples|pip_ros)'
                   r'/[\w./-]*)`')
NAMES = re.compile(r'`(kinediff3d_(?:core|ros)(?:\.\w+)+)')
IMPORTS = re.compile(r'^from (kinediff3d_(?:core|ros)(?:\.\w+)*) import (.+)$', re.MULTILINE)
RUN_MODULE = re.compile(r'python -m (kinediff3d_(?:core|ros)[\w.]*)([^`\n]*)')
COMMAND = re.compile(r'(?:kinediff3d|kinediff3d_core\.cli) ([a-z]+)((?: [^`\n|;&#]*)?)')
LAUNCH = re.compile(r'ros2 launch (?:kinediff3d_ros )?(\S+\.launch\.py)([^`\n#]*)')

README_LINES, README_WORDS, README_COLUMNS = 150, 900, 120
"""The README is read in three minutes."""


@cache
def text_of(page: str) -> str:
    """A page with the continued lines of its commands joined."""
    return (ROOT / page).read_text().replace('\\\n', ' ')


@cache
def headings(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    outside = re.sub(r'^( *)```.*?^\1```', '', text_of(page), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r'^#+ (.+)$', outside, re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


@cache
def options_of() -> dict[str, set[str]]:
    """Options of each command of ``kinediff3d``."""
    [commands] = [action for action in parser()._actions
                  if isinstance(action, argparse._SubParsersAction)]
    return {name: set(command._option_string_actions)
            for name, command in commands.choices.items()}


def options_in(arguments: str) -> Iterator[str]:
    """The options among the arguments of a command line."""
    try:
        words = shlex.split(arguments, comments=True)
    except ValueError:  # an apostrophe of the sentence that follows
        words = arguments.split()
    for word in words:
        if match := re.fullmatch(r'\[?(--[a-z][a-z-]*)\]?', word):
            yield match[1]


def file_of(module: str) -> Path | None:
    """The file of a module, or of the program that a package is."""
    path = ROOT / module.replace('.', '/')
    files = (path.with_suffix('.py'), path / '__main__.py', path / '__init__.py')
    return next((file for file in files if file.is_file()), None)


@pytest.mark.parametrize('page', [page for page in PAGES if page not in WITHOUT_PURPOSE])
def test_a_page_begins_with_what_its_reader_can_do(page: str) -> None:
    assert text_of(page).split('\n\n')[1].startswith('After reading this page you ')


@pytest.mark.parametrize('page', PAGES)
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    for target in re.findall(r'\]\(([^)\s]+)\)', text_of(page)):
        if target.startswith('https://'):
            continue
        file, _, anchor = target.partition('#')
        path = (ROOT / page).parent.joinpath(file).resolve() if file else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in headings(str(path.relative_to(ROOT))), target


@pytest.mark.parametrize('page', [page for page in PAGES if page != 'CHANGELOG.md'])
def test_files_and_names_of_the_code_exist(page: str) -> None:
    for path in PATHS.findall(text_of(page)):
        assert (ROOT / path).exists(), path
    for name in NAMES.findall(text_of(page)):
        module, _, last = name.rpartition('.')
        file = file_of(name) or file_of(module)
        assert file is not None, name
        assert file_of(name) or re.search(rf'\b{last}\b', file.read_text()), name
    for module, imported in IMPORTS.findall(text_of(page)):
        file = file_of(module)
        assert file is not None, module
        for name in imported.split(', '):
            assert re.search(rf'\b{name}\b', file.read_text()), f'{module}.{name}'


@pytest.mark.parametrize('page', PAGES)
def test_commands_take_the_options_that_are_written(page: str) -> None:
    for command, arguments in COMMAND.findall(text_of(page)):
        for option in options_in(arguments) if command in options_of() else ():
            assert option in options_of()[command], f'{command} {option}'
    for module, arguments in RUN_MODULE.findall(text_of(page)):
        file = file_of(module)
        assert file is not None, module
        if 'evaluation' in module:
            for option in options_in(arguments):
                assert f"'{option}'" in file.read_text(), f'{module} {option}'


@pytest.mark.parametrize('page', PAGES)
def test_launch_files_take_the_arguments_that_are_written(page: str) -> None:
    for name, arguments in LAUNCH.findall(text_of(page)):
        file = ROOT / name if (ROOT / name).is_file() else ROOT / 'launch' / name
        for argument in re.findall(r'(\w+):=', arguments):
            assert f"'{argument}'" in file.read_text(), f'{name} {argument}'


def test_the_readme_is_short() -> None:
    text = (ROOT / 'README.md').read_text()
    assert len(text.splitlines()) <= README_LINES
    assert len(text.split()) <= README_WORDS
    assert max(map(len, text.splitlines())) <= README_COLUMNS
