# Generates an interface package with the ROS 2 wheels of the Python that runs the build.
#
#   interface_package(DEPENDS package ...)   messages: msg/*.msg of the calling package

find_package(Python3 REQUIRED COMPONENTS Interpreter Development.Module NumPy)

# The wheels install the usual ROS prefix (share/, lib/, include/) around site-packages. The
# packages that were built before this one are in CMAKE_INSTALL_PREFIX.
execute_process(
  COMMAND ${Python3_EXECUTABLE} -c
    "import pathlib, rosidl_cmake; print(pathlib.Path(rosidl_cmake.__file__).parents[4])"
  OUTPUT_VARIABLE ros_prefix OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
list(PREPEND CMAKE_PREFIX_PATH ${CMAKE_INSTALL_PREFIX} ${ros_prefix})
set(ENV{AMENT_PREFIX_PATH} ${CMAKE_INSTALL_PREFIX}:${ros_prefix})

macro(interface_package)
  cmake_parse_arguments(interfaces "" "" "DEPENDS" ${ARGN})
  find_package(ament_cmake REQUIRED)
  find_package(rosidl_default_generators REQUIRED)
  foreach(package IN LISTS interfaces_DEPENDS)
    find_package(${package} REQUIRED)
  endforeach()

  # The exported targets contain the Python include folder of the machine that built the wheels.
  # CMake refuses include folders that do not exist.
  get_directory_property(targets IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
      list(FILTER folders EXCLUDE REGEX "^/opt/python/")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${folders}")
    endif()
  endforeach()

  file(GLOB messages RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS msg/*.msg)
  rosidl_generate_interfaces(${PROJECT_NAME} ${messages} DEPENDENCIES ${interfaces_DEPENDS})
  ament_export_dependencies(rosidl_default_runtime)
  ament_package()
endmacro()
