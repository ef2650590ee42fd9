"""The parameter tables: files, documentation, and values that do not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kinediff3d_ros.scene.parameters import (
    CameraSimParameters,
    PerceptionParameters,
    detection_classes,
    fields,
    object_categories,
)

ROOT = Path(__file__).parents[3]


def test_object_categories() -> None:
    assert object_categories(' 1:laptop, 4 : box,') == {1: 'laptop', 4: 'box'}
    assert object_categories('65535:box') == {65535: 'box'} and object_categories('') == {}
    for bad in ('laptop', '0:laptop', 'x:laptop', '3:', '65536:box'):
        with pytest.raises(ValueError, match='objects'):
            object_categories(bad)


def test_detection_classes() -> None:
    assert detection_classes(' 63:laptop, suit case : box, coco:28:box,') == {
        '63': 'laptop', 'suit case': 'box', 'coco:28': 'box'}
    assert detection_classes('') == {}
    for bad in ('laptop', ':laptop', '63:', '63=laptop'):
        with pytest.raises(ValueError, match="'detection_classes' has .* write <class id>:"):
            detection_classes(bad)


@pytest.mark.parametrize(('values', 'reason'), [
    ({'object_name': '7'}, "'object_name' is '7'; write a letter, then letters, digits and _$"),
    ({'object_name': 'left/my-laptop'}, "is 'left/my-laptop'; .* for example 'left_my_laptop'"),
    ({'objects': 'laptop=1'}, 'objects'),
    ({'mesh_uri': 'http://x'}, "'mesh_uri' is 'http://x'; write file, relative or package://"),
    ({'instances': 'each', 'input': 'points'}, 'needs depth images'),
    ({'instances': 'listed', 'mask_mode': 'ignored'}, 'needs a mask of instance ids'),
    ({'mask_source': 'detections', 'input': 'points'}, "'mask_source' is 'detections', which"),
    ({'detection_classes': '63'}, 'detection_classes'),
])
def test_values_that_do_not_fit_together_are_refused(values: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        PerceptionParameters(**values).check()


@pytest.mark.parametrize(('values', 'categories'), [
    ({}, {'laptop'}),
    ({'object_name': 'my_laptop_2', 'objects': '4:box'}, {'laptop'}),
    ({'category': 'auto', 'input': 'points', 'mask_mode': 'ignored'}, {'auto'}),
    ({'instances': 'each', 'objects': '4:box'}, {'laptop', 'box'}),
    ({'instances': 'listed', 'objects': '4:box, 5:drawer', 'category': 'auto'},
     {'box', 'drawer'}),
    ({'instances': 'each', 'mask_source': 'detections', 'detection_classes': '63:stapler'},
     {'laptop', 'stapler'}),
    ({'instances': 'each', 'detection_classes': '63:stapler'}, {'laptop'}),
    ({'mask_source': 'detection', 'detection_classes': '63:stapler, 28:laptop'}, {'laptop'}),
])
def test_categories_that_are_needed(values: dict, categories: set[str]) -> None:
    parameters = PerceptionParameters(**values)
    parameters.check()
    assert parameters.categories() == categories


@pytest.mark.parametrize(('file', 'parameters'), [
    ('perception.yaml', PerceptionParameters), ('camera_sim.yaml', CameraSimParameters)])
def test_yaml_holds_every_parameter_at_its_default(file: str, parameters: type) -> None:
    table = yaml.safe_load((ROOT / 'config' / file).read_text())['/**']['ros__parameters']
    expected = {name: default for name, (default, _) in fields(parameters).items()}
    assert table == expected
    assert {k: type(v) for k, v in table.items()} == {k: type(v) for k, v in expected.items()}


@pytest.mark.parametrize('parameters', [PerceptionParameters, CameraSimParameters])
def test_documentation_names_every_parameter(parameters: type) -> None:
    text = (ROOT / 'docs' / 'ros.md').read_text()
    for name, (default, spec) in fields(parameters).items():
        row = next((r for r in text.splitlines() if r.startswith(f'| `{name}` ')), '')
        assert row, f'docs/ros.md has no row for {name}'
        assert str(default).lower() in row.lower() or default == ''
        assert all(choice in row for choice in spec.choices)
        assert not spec.unit or f' {spec.unit} ' in row
        if spec.lower is not None and spec.upper is not None:
            assert f'| {as_documented(spec.lower)} … {as_documented(spec.upper)} |' in row


def as_documented(value: float) -> str:
    return {1_000_000: '10⁶', 2_147_483_647: '2³¹ − 1'}.get(value, f'{value:g}')
