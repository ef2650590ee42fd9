"""Every parameter of every node: type, default, range, unit and description, in one place.

A node's parameters are a frozen dataclass. Each field carries the content of its ROS descriptor.
``kinediff3d_ros.nodes.parameters`` declares them on a node and reads their values.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kinediff3d_core.inference.refusal import MIN_CONFIDENCE
from kinediff3d_ros.scene.object_names import check_object_name
from kinediff3d_ros.scene.planning_scene import check_planned_parts

MESH_URI = re.compile(r'file|relative|package://[A-Za-z][A-Za-z0-9_]*(/[^/\s]+)*/?')
"""What ``mesh_uri`` may be."""

MAX_MASK_ID = 65535
"""Largest value of a pixel of a mask, which has at most 16 bits."""


@dataclass(frozen=True)
class Spec:
    """Content of the descriptor of one parameter.

    Attributes:
        description: one sentence.
        unit: '' where there is none.
        lower, upper: inclusive range of a number.
        choices: allowed values of a string; empty allows any.
        live: may be changed at any time; otherwise only while the node is unconfigured.
    """

    description: str
    unit: str = ''
    lower: float | None = None
    upper: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False


TIME: dict[str, Any] = {'unit': 's', 'lower': 0.0, 'upper': 3600.0, 'live': True}
"""Rest of the ``Spec`` of most times: up to an hour, may be changed at any time."""


def parameter(default: Any, description: str, **spec: Any) -> Any:
    """A dataclass field that is a ROS parameter; ``spec`` as in ``Spec``."""
    return dataclasses.field(default=default, metadata={'spec': Spec(description, **spec)})


class NodeParameters:
    """Base of the parameters of a node."""

    def check_live(self) -> None:
        """Check the values of a configured node, of which some have changed.

        Raises:
            ValueError: values that cannot be used; the message names a parameter.
        """


@dataclass(frozen=True)
class PerceptionParameters(NodeParameters):
    """Parameters of ``perception_node``."""

    category: str = parameter(
        'laptop', 'Category of the object; it must have weights. auto: the category that '
        'explains each object best.')
    preset: str = parameter(
        'fast', 'Inference settings.', choices=('fast', 'paper'))
    device: str = parameter(
        'auto', 'Torch device: auto (CUDA where there is one), cpu, cuda or cuda:N.')
    weights: str = parameter(
        '', 'Directory with the weights; empty takes those that ship with the package.')
    threads: int = parameter(
        0, 'CPU threads of torch; 0 takes OMP_NUM_THREADS, else half of the cores.',
        lower=0, upper=256)
    autostart: bool = parameter(
        True, 'Configure and activate at start; otherwise a lifecycle manager does.')
    seed: int = parameter(
        0, 'Seed of the samplers, the same for every frame.', lower=0, upper=2**31 - 1, live=True)
    object_name: str = parameter(
        '', 'Name of the object in topics, TF frames, URDF and markers; empty takes the category '
        '("object" with category auto). With several objects, _<id> follows.')
    instances: str = parameter(
        'one', 'one: the mask shows one object, and without a mask the likeliest thing is it; '
        'each: every id in the mask is an object of its own, and without a mask everything that '
        'segmentation finds; listed: those ids that objects names.',
        choices=('one', 'each', 'listed'))
    objects: str = parameter(
        '', 'Categories of mask ids with several objects, as "1:laptop, 4:box"; other ids are of '
        'the category.')
    max_objects: int = parameter(
        8, 'Most objects at a time; further ids are ignored until one is lost, with a warning.',
        lower=1, upper=255)
    segment_period: float = parameter(
        1.0, 'With instances each and no mask: time between two segmentations, which look for new '
        'objects; tracked ones need none. 0 segments every frame.', **TIME)
    input: str = parameter(
        'depth', 'Where the geometry comes from: depth images or the points topic.',
        choices=('depth', 'points'))
    depth_transport: str = parameter(
        'raw', 'Transport of the depth images: raw, or compressedDepth (the topic '
        '<depth topic>/compressedDepth).', choices=('raw', 'compressedDepth'))
    register_depth: bool = parameter(
        False, "Register the depth images to the mask's camera, which mask/camera_info and TF "
        'describe; estimates are then in its frame. False: the mask is in pixels of the depth '
        'image.')
    mask_mode: str = parameter(
        'auto', 'auto: use the mask if the topic has a publisher, else segment the object; '
        'required: wait for a mask; initialize: a mask, also a late one, initializes an object, '
        'which is then tracked without masks; ignored: do not subscribe to the mask.',
        choices=('auto', 'required', 'initialize', 'ignored'))
    mask_source: str = parameter(
        'image', 'What mask_mode calls a mask: image: the topic mask; detections: the boxes on '
        'detections_2d, a vision_msgs/Detection2DArray; detection: a Detection2D there.',
        choices=('image', 'detections', 'detection'))
    detection_classes: str = parameter(
        '', 'Categories of class ids in detections, as "63:laptop, suitcase:box"; auto: the '
        'category that explains the object best. A class id that is a category needs no entry.')
    min_detection_score: float = parameter(
        0.3, 'Detections of a lower score are ignored.', lower=0.0, upper=1.0, live=True)
    mask_queue: int = parameter(
        30, 'Depth images that are kept for masks which are still to come; a mask that is later '
        'finds no image. At 15 Hz, 30 images are 2 s.',
        lower=1, upper=300)
    mask_id: int = parameter(
        0, 'Value of the object in the mask image; 0 takes every non-zero pixel.',
        lower=0, upper=MAX_MASK_ID, live=True)
    segment_points: bool = parameter(
        False, 'With input points: find the object in the cloud of a whole scene, as in a depth '
        'image without a mask. False takes the whole cloud as the object.', live=True)
    max_age: float = parameter(
        0.0, 'Frames older than this by the node\'s clock are refused and counted; 0 takes any.',
        **TIME)
    max_future: float = parameter(
        0.5, 'Frames stamped further ahead of the node\'s clock are refused and counted.', **TIME)
    fixed_frame: str = parameter(
        '', 'Frame that does not move, for a camera that does: the parent of the part frames, by '
        'the camera\'s transform at the image\'s stamp. Empty: the camera does not move.')
    sync_slop: float = parameter(
        0.02, 'Largest difference between the stamps of a depth image and its mask.',
        unit='s', lower=0.0, upper=1.0)
    max_depth: float = parameter(
        0.0, 'Measurements farther than this are ignored; 0 keeps all.',
        unit='m', lower=0.0, upper=100.0, live=True)
    min_points: int = parameter(
        100, 'Fewer valid points on the object than this give no estimate.',
        lower=1, upper=1_000_000, live=True)
    min_confidence: float = parameter(
        MIN_CONFIDENCE, 'Full estimates of a lower confidence are no estimate: they neither are '
        'published nor start or replace a track; 0 takes every one.',
        lower=0.0, upper=1.0, live=True)
    tracking: bool = parameter(
        True, 'Track an object from frame to frame after its full estimate; otherwise every frame '
        'gets a full estimate.', live=True)
    estimate_period: float = parameter(
        0.0, 'Time between full estimates of a tracked object; 0: only when needed.', **TIME)
    lost_after: float = parameter(
        2.0, 'Time without input, or without its id in the mask, after which an object counts as '
        'lost and its markers are deleted.',
        unit='s', lower=0.1, upper=3600.0, live=True)
    max_rate: float = parameter(
        0.0, 'Upper limit on frames processed per second; 0 sets no limit.',
        unit='Hz', lower=0.0, upper=1000.0, live=True)
    publish_tf: str = parameter(
        'parts', 'parts: the frame of every part, as a child of the camera; base: the root frame '
        '<object> alone, for use with robot_state_publisher; none: no TF.',
        choices=('parts', 'base', 'none'))
    publish_meshes: bool = parameter(
        True, 'Extract meshes; without them there are neither part markers nor a '
        'robot_description.', live=True)
    mesh_period: float = parameter(
        5.0, 'Time between new meshes of an object that is not tracked; between them the last '
        'meshes move with the parts. 0 extracts meshes for every full estimate.',
        **TIME)
    marker_triangles: int = parameter(
        6000, 'Part meshes with more triangles are simplified for the markers only.',
        lower=100, upper=1_000_000, live=True)
    description_dir: str = parameter(
        '', 'Directory of the mesh files of robot_description; empty is $ROS_HOME/kinediff3d '
        '(~/.ros/kinediff3d).')
    mesh_uri: str = parameter(
        'file', 'Addresses of the meshes in robot_description: file (file://), relative, or what '
        'stands for description_dir, as package://my_package/objects.', live=True)
    collision_pieces: int = parameter(
        16, 'Most convex pieces into which a part is decomposed for collisions, before they are '
        'cut back where parts move; 0: its mesh is its collision geometry.',
        lower=0, upper=64, live=True)
    description_period: float = parameter(
        10.0, 'Time between updates of robot_description, which come with new meshes; 0 publishes '
        'it only when the object appears.', **TIME)
    opening_target: float = parameter(
        1.0, 'Where opening paths end, as a share of each joint\'s range: 0 is the lower limit, '
        '1 the upper one.',
        lower=0.0, upper=1.0, live=True)
    planning_scene: bool = parameter(
        False, 'Publish every part as a collision object, for the planning scene of MoveIt.')
    planning_parts: str = parameter(
        '', 'Parts that are collision objects, as "base, lid", or <object>_<part> for that of one '
        'object; empty: all. A part that is not listed any more is removed at once.', live=True)
    planning_triangles: int = parameter(
        500, 'Meshes of collision objects with more triangles are simplified to about this '
        'number; up to five times as many stay where fewer would not keep the shape.',
        lower=20, upper=100_000, live=True)
    planning_rate: float = parameter(
        5.0, 'How often a collision object is moved at most.',
        unit='Hz', lower=0.1, upper=100.0, live=True)
    planning_motion: float = parameter(
        0.005, 'A collision object is moved once a corner of its box has moved by more than this.',
        unit='m', lower=0.0, upper=1.0, live=True)

    def check(self) -> None:
        """Check that the values fit together, beyond the ranges and choices of single parameters.

        Raises:
            ValueError: values that do not fit together; the message names a parameter.
        """
        check_object_name(self.object_name)
        if self.instances != 'one' and self.input == 'points':
            raise ValueError(f"parameter 'instances' is {self.instances!r}, which needs depth "
                             "images; parameter 'input' is 'points'")
        if self.instances == 'listed' and self.mask_mode == 'ignored':
            raise ValueError("parameter 'instances' is 'listed', which needs a mask of instance "
                             "ids; parameter 'mask_mode' is 'ignored'")
        if not MESH_URI.fullmatch(self.mesh_uri):
            raise ValueError(f"parameter 'mesh_uri' is {self.mesh_uri!r}; write file, relative or "
                             'package://<package>/<folder>, which stands for description_dir')
        if self.register_depth and (self.input == 'points' or self.mask_mode == 'ignored'):
            raise ValueError("parameter 'register_depth' is true, which needs depth images with "
                             'a mask')
        if self.mask_mode == 'initialize' and (self.input == 'points' or self.register_depth):
            raise ValueError("parameter 'mask_mode' is 'initialize', which needs depth images "
                             'with masks in their own pixels: neither input points nor '
                             'register_depth')
        if self.mask_source != 'image' and self.input == 'points':
            raise ValueError(f"parameter 'mask_source' is {self.mask_source!r}, which needs depth "
                             "images; parameter 'input' is 'points'")
        object_categories(self.objects)
        detection_classes(self.detection_classes)

    def check_live(self) -> None:
        """As :meth:`check`, and that all parts are known: those of the weights are, by now."""
        self.check()
        check_planned_parts(self.planning_parts)

    def categories(self) -> set[str]:
        """Categories whose weights are needed.

        Raises:
            ValueError: as :func:`object_categories` and :func:`detection_classes`.
        """
        listed = set(object_categories(self.objects).values())
        if self.instances == 'one':
            return {self.category}
        if self.instances == 'listed':
            return listed
        detected = set() if self.mask_source == 'image' else set(
            detection_classes(self.detection_classes).values())
        return {*listed, *detected, self.category}


@dataclass(frozen=True)
class CameraSimParameters(NodeParameters):
    """Parameters of ``camera_sim_node``."""

    category: str = parameter('laptop', 'Category of the simulated object.')
    seed: int = parameter(
        0, 'Seed of the held-out test objects, the view and the noise.',
        lower=0, upper=2**31 - 1)
    instance: int = parameter(
        0, 'Which object of that seed.', lower=0, upper=9999)
    frame_id: str = parameter(
        'camera_depth_optical_frame', 'Optical frame of the simulated camera.')
    encoding: str = parameter(
        '16UC1', 'Depth encoding: 16UC1 in mm or 32FC1 in m.', choices=('16UC1', '32FC1'))
    rate: float = parameter(
        10.0, 'Frames per second.', unit='Hz', lower=0.1, upper=60.0, live=True)
    width: int = parameter(640, 'Image width.', unit='px', lower=64, upper=1920)
    height: int = parameter(480, 'Image height.', unit='px', lower=48, upper=1200)
    focal_length: float = parameter(
        600.0, 'Focal length, both axes.', unit='px', lower=10.0, upper=5000.0)
    states: int = parameter(
        24, 'Joint states rendered at the start, from one limit to the other.', lower=1, upper=360)
    sweep_period: float = parameter(
        12.0, 'Time in which the joint goes from one limit to the other and back.',
        unit='s', lower=0.5, upper=3600.0)
    table: bool = parameter(False, 'Put the object on a table.')
    noise: bool = parameter(True, 'Apply the sensor model.')
    publish_mask: bool = parameter(True, 'Publish the mask of the object.')


def fields(parameters: type) -> dict[str, tuple[Any, Spec]]:
    """Name to (default, spec) of a parameter dataclass, in order of definition."""
    return {f.name: (f.default, f.metadata['spec']) for f in dataclasses.fields(parameters)}


def object_categories(text: str) -> dict[int, str]:
    """Mask id to category from the parameter ``objects``, '1:laptop, 4:box'.

    Raises:
        ValueError: anything else; the message shows it.
    """
    def is_mask_id(key: str) -> bool:
        return key.isdecimal() and 0 < int(key) <= MAX_MASK_ID

    return {int(key): category for key, category in _entries(
        text, str.partition, is_mask_id,
        'objects', "<mask id>:<category>, as in '1:laptop, 4:box'")}


def detection_classes(text: str) -> dict[str, str]:
    """Class id to category from the parameter ``detection_classes``, '63:laptop, suitcase:box'.

    Raises:
        ValueError: anything else; the message shows it.
    """
    return dict(_entries(
        text, str.rpartition, bool,
        'detection_classes', "<class id>:<category>, as in '63:laptop, suitcase:box'"))


def _entries(text: str, split: Callable[[str, str], tuple[str, str, str]],
             is_key: Callable[[str], bool], name: str, form: str) -> Iterator[tuple[str, str]]:
    """Key and category of every entry of a parameter, <key>:<category>, ...

    Args:
        split: at the first or at the last colon.
        name, form: of the parameter and of its entries, for the error.

    Raises:
        ValueError: an entry of another form.
    """
    for item in filter(None, (x.strip() for x in text.split(','))):
        key, _, category = (x.strip() for x in split(item, ':'))
        if not (is_key(key) and category):
            raise ValueError(f'parameter {name!r} has {item!r}; write {form}')
        yield key, category
