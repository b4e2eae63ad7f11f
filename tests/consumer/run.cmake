# cmake -DBUILD= -DWORK= -DTORCH=ON|OFF -DMODEL= -DTEXT= -DGENERATOR= -DCXX= -DTorch_DIR= -P run.cmake
# Installs the build, moves the result elsewhere, and builds and runs the programs beside this file against it.

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Another ctest of this build tree waits for its turn.
get_filename_component(parent ${WORK} DIRECTORY)
file(MAKE_DIRECTORY ${parent})
file(LOCK ${WORK}.lock GUARD PROCESS TIMEOUT 500)
file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/prefix)

# Only what a library file's own name says may be absolute, and CMake writes that relative to the package.
file(GLOB_RECURSE package_files ${WORK}/prefix/*.cmake)
if(NOT package_files)
  message(FATAL_ERROR "consumer: nothing was installed as a package")
endif()
foreach(file ${package_files})
  file(STRINGS ${file} absolute REGEX "[\";:]/(usr|opt|home|root|tmp|work|builds?)/")
  if(absolute)
    message(FATAL_ERROR "consumer: ${file} names paths of this machine: ${absolute}")
  endif()
endforeach()

set(programs core)
if(TORCH)
  list(APPEND programs torch)
  run(${WORK}/prefix/bin/vernier --version)
endif()
foreach(program ${programs})
  run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${program} -B ${WORK}/${program} -G ${GENERATOR}
      -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_PREFIX_PATH=${WORK}/prefix -DTorch_DIR=${Torch_DIR} --no-warn-unused-cli)
  run(${CMAKE_COMMAND} --build ${WORK}/${program})
endforeach()
run(${WORK}/core/core_consumer)
if(TORCH)
  run(${WORK}/torch/torch_consumer ${MODEL} ${TEXT})
endif()
