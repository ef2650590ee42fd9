#!/bin/sh
# Checks the requirements of this machine before anything is installed. Argument: the Python.
set -eu
python=${1:-python3}

fail() {
    echo "make: $1" >&2
    exit 1
}

if [ "$(uname -s) $(uname -m)" != 'Linux x86_64' ]; then
    fail "the ROS 2 wheels exist only for Linux on x86_64; this is $(uname -s) $(uname -m).
      With ROS 2 Jazzy installed, build the package with colcon instead (README.md)."
fi
command -v "$python" >/dev/null || fail "there is no $python; try make PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' ||
    fail "$python is $("$python" --version); use Python 3.11 to 3.14: make PYTHON=python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot create virtual environments: sudo apt install python3-venv"
for compiler in "${CC:-cc}" "${CXX:-c++}"; do
    # Not quoted, because CC and CXX may contain arguments.
    # shellcheck disable=SC2086
    command -v ${compiler%% *} >/dev/null ||
        fail "no C++ compiler ($compiler); message packages must be compiled: sudo apt install g++"
done
"$python" -c 'import sys, sysconfig, os
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    fail "$python has no header files: sudo apt install python3-dev"
