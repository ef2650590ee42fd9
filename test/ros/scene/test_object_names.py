"""The names of objects and where their topics are."""

from __future__ import annotations

import pytest

from kinediff3d_ros.scene.object_names import check_object_name, object_name, topic_prefix


@pytest.mark.parametrize(('given', 'category', 'number', 'name'), [
    ('', 'laptop', 0, 'laptop'), ('', 'box', 4, 'box_4'), ('kitchen', 'box', 0, 'kitchen'),
    ('kitchen', 'box', 4, 'kitchen_4'), ('', 'auto', 0, 'object'), ('mine', 'auto', 0, 'mine'),
    ('', 'tool-box', 0, 'tool_box')])
def test_names(given: str, category: str, number: int, name: str) -> None:
    assert object_name(given, category, number) == name


@pytest.mark.parametrize(('namespace', 'prefix'), [
    ('/', 'laptop/'), ('/left', 'laptop/'), ('/laptop', ''), ('/left/laptop', ''),
    ('/laptop/left', 'laptop/'), ('/my_laptop', 'laptop/')])
def test_topics_are_under_the_name_once(namespace: str, prefix: str) -> None:
    assert topic_prefix(namespace, 'laptop') == prefix


@pytest.mark.parametrize('given', ['', 'a', 'kitchen_4', 'B2', 'a_'])
def test_names_that_topics_and_frames_allow(given: str) -> None:
    check_object_name(given)


@pytest.mark.parametrize('given', ['4', '_a', 'a b', 'a/b', 'a-b', 'caf\u00e9', ' a', 'a\n'])
def test_other_names_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="'object_name' is .*write a letter, then letters"):
        check_object_name(given)
