"""What the replacements of ROS 2 packages import."""

import subprocess
import sys

from upstream import replacement_only

PACKAGES = ('cv_bridge', 'tf2_ros', 'sensor_msgs_py', 'tf_transformations')


@replacement_only
def test_the_replacements_do_not_load_opencv_or_torch() -> None:
    program = (
        f'import sys, {", ".join(PACKAGES)}\n'
        f'assert all("site-packages" in sys.modules[p].__file__ for p in {PACKAGES})\n'
        'print([p for p in ("cv2", "torch") if p in sys.modules])'
    )
    printed = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == '[]', printed.stderr
