from glob import glob

from setuptools import find_packages, setup

package_name = 'kinediff3d_ros'

setup(
    name=package_name,
    version='0.1.0',
    description='Articulated objects from one depth image, for ROS 2',
    maintainer='KineDiff3D maintainers',
    maintainer_email='maintainers@example.com',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['kinediff3d_core*', 'kinediff3d_ros*']),
    package_data={'kinediff3d_core': ['weights/**/*', 'py.typed']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
        (f'share/{package_name}/launch', glob('launch/*.launch.py')),
        (f'share/{package_name}/config', glob('config/*')),
    ],
    # rclpy and the other ROS packages come from rosdep (package.xml), or from
    # requirements-ros.txt and pip_ros on a machine without ROS 2.
    install_requires=[
        'defusedxml',
        'fast-simplification',
        'matplotlib',
        'numpy',
        'open3d',
        'pillow',
        'pyyaml',
        # Later ones import torch's compiler, which doubles the start of every process.
        'roma<1.6',
        'safetensors',
        'scikit-image',
        'scipy',
        'torch>=2.2',
        'torchdiffeq',
        'tqdm',
        'trimesh',
        'yourdfpy',
    ],
    extras_require={
        'bags': ['lz4', 'rosbags', 'zstandard'],
        # For examples/open_it.py: a wheel of 103 MB, 290 MB on disk. `make` does not install it.
        'examples': ['pybullet'],
        # libusb for Open3D, where the system package libusb-1.0-0 is not installed.
        'libusb': ['libusb-package'],
        'view': ['viser'],
        'test': ['hypothesis', 'mujoco-core', 'mypy', 'pytest', 'pytest-timeout', 'ruff',
                 'types-PyYAML', 'types-defusedxml', 'types-tqdm'],
    },
    entry_points={
        'console_scripts': [
            'kinediff3d = kinediff3d_core.cli.main:main',
            'perception_node = kinediff3d_ros.nodes.perception:main',
            'camera_sim_node = kinediff3d_ros.nodes.camera_sim:main',
            'description_relay_node = kinediff3d_ros.nodes.description_relay:main',
        ],
        # Commands of `kinediff3d` that need ROS: kinediff3d_core/cli/main.py finds them here.
        'kinediff3d.commands': [
            'demo = kinediff3d_ros.tools.commands:add_demo',
            'replay = kinediff3d_ros.tools.commands:add_replay',
            'view = kinediff3d_ros.tools.commands:add_view',
        ],
    },
    zip_safe=False,
)
