"""What the packages of pip_ros/ import."""

import subprocess
import sys

from installed_ros import pip_ros_only

PACKAGES = ('cv_bridge', 'tf2_ros', 'sensor_msgs_py', 'tf_transformations')


@pip_ros_only
def test_opencv_and_torch_are_not_loaded() -> None:
    program = (
        f'import sys, {", ".join(PACKAGES)}\n'
        f'assert all("site-packages" in sys.modules[p].__file__ for p in {PACKAGES})\n'
        'print([p for p in ("cv2", "torch") if p in sys.modules])'
    )
    printed = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == '[]', printed.stderr
