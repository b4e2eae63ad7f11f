# libtorch: -DTorch_DIR=..., else the one of an active Python environment, else the system's.
if(NOT Torch_DIR AND DEFINED ENV{VIRTUAL_ENV})
  execute_process(COMMAND $ENV{VIRTUAL_ENV}/bin/python3 -c "import torch; print(torch.utils.cmake_prefix_path)"
                  OUTPUT_VARIABLE torch_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(torch_prefix)
    set(Torch_DIR ${torch_prefix}/Torch)
  endif()
endif()
find_package(Torch REQUIRED)
message(STATUS "libtorch ${Torch_VERSION} from ${TORCH_INSTALL_PREFIX}")
find_package(OpenMP REQUIRED COMPONENTS CXX)
