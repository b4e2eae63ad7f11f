# libtorch: -DTorch_DIR=..., else the one of an active Python environment, else the system's.
if(NOT Torch_DIR AND DEFINED ENV{VIRTUAL_ENV})
  execute_process(COMMAND $ENV{VIRTUAL_ENV}/bin/python3 -c "import torch; print(torch.utils.cmake_prefix_path)"
                  OUTPUT_VARIABLE torch_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(torch_prefix)
    set(Torch_DIR ${torch_prefix}/Torch)
  endif()
endif()
if(Torch_DIR)
  # TorchConfig looks for its other half, Caffe2, and for its libraries in the system first: a Debian libtorch would win.
  set(prefix_path_before ${CMAKE_PREFIX_PATH})
  list(PREPEND CMAKE_PREFIX_PATH ${Torch_DIR}/../../..)
  find_package(Torch REQUIRED)
  set(CMAKE_PREFIX_PATH ${prefix_path_before})  # it also has headers of libraries that are ours to choose
else()
  find_package(Torch REQUIRED)
endif()
message(STATUS "libtorch ${Torch_VERSION} from ${TORCH_INSTALL_PREFIX}")
find_package(OpenMP REQUIRED COMPONENTS CXX)
