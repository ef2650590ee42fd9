"""ROS parameters of a node: declared from a parameter dataclass, read into one.

``kinediff3d_ros.scene.parameters`` has the dataclasses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from kinediff3d_core.objects.suggestion import did_you_mean
from kinediff3d_ros.scene.parameters import NodeParameters, Spec, fields

ParametersT = TypeVar('ParametersT', bound=NodeParameters)


def descriptor(default: Any, spec: Spec) -> ParameterDescriptor:
    """ROS descriptor of one parameter."""
    text = spec.description + (f' Unit: {spec.unit}.' if spec.unit else '')
    message = ParameterDescriptor(description=text)
    if spec.choices:
        message.additional_constraints = 'one of: ' + ', '.join(spec.choices)
    if spec.lower is not None and spec.upper is not None:
        if isinstance(default, float):
            message.floating_point_range = [
                FloatingPointRange(from_value=spec.lower, to_value=spec.upper, step=0.0)]
        else:
            message.integer_range = [
                IntegerRange(from_value=int(spec.lower), to_value=int(spec.upper), step=1)]
    return message


def declare(node: Node, parameters: type[ParametersT],
            in_use: Callable[[], bool] = lambda: True) -> None:
    """Declare all parameters on the node.

    Args:
        in_use: returns whether the node is configured: only live parameters may change then.

    Raises:
        rclpy.exceptions.InvalidParameterTypeException, InvalidParameterValueException: an
            override is of the wrong type or outside the range; the message names it.
        ValueError: a string is none of the parameter's choices.
    """
    table = fields(parameters)
    for name, (default, spec) in table.items():
        value = node.declare_parameter(name, default, descriptor(default, spec)).value
        if spec.choices and value not in spec.choices:
            raise ValueError(_not_a_choice(name, value, spec))

    def refuse(changes: list[Parameter]) -> SetParametersResult:
        own = {change.name: change.value for change in changes if change.name in table}
        try:
            for name, value in own.items():
                _check_change(name, value, table[name][1], in_use())
            if own and in_use():
                dataclasses.replace(read(node, parameters), **own).check_live()
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(refuse)


def read(node: Node, parameters: type[ParametersT]) -> ParametersT:
    """The present values as a frozen dataclass."""
    return parameters(**{name: node.get_parameter(name).value for name in fields(parameters)})


def _check_change(name: str, value: Any, spec: Spec, in_use: bool) -> None:
    """Check the new value of one parameter.

    Raises:
        ValueError: it is read when the node is configured, or is none of its choices.
    """
    if not spec.live and in_use:
        raise ValueError(f'parameter {name!r} is read when the node is configured')
    if spec.choices and value not in spec.choices:
        raise ValueError(_not_a_choice(name, value, spec))


def _not_a_choice(name: str, value: Any, spec: Spec) -> str:
    return (f'parameter {name!r} is {value!r}{did_you_mean(value, spec.choices)}; known: '
            f'{", ".join(spec.choices)}')
