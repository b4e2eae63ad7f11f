# One helper per kind of target, so that layers, tests and examples each have one spelling.

# vernier_layer(NAME ALIAS): a library layer with the project's settings.
function(vernier_layer name alias)
  add_library(${name} STATIC)
  add_library(vernier::${alias} ALIAS ${name})
  set_target_properties(${name} PROPERTIES EXPORT_NAME ${alias} POSITION_INDEPENDENT_CODE ON)
  vernier_settings(${name})
  target_include_directories(${name}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
endfunction()

function(vernier_settings target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-unknown-pragmas -ffp-contract=off
                                           $<$<BOOL:${VERNIER_DEV}>:-Werror>)
  # Newer compilers suspect references into tables whose key is a temporary, and fmt's own buffers.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    target_compile_options(${target} PRIVATE -Wno-dangling-reference -Wno-array-bounds)
  endif()
  # Together files instantiate what they share once. GCC then takes none for the main one, whose types in unnamed
  # namespaces may be members, and would warn of all; and GCC 12 sees strings of negative length in what it inlines.
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${VERNIER_UNITY} UNITY_BUILD_BATCH_SIZE 12)
  if(VERNIER_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage -Wno-stringop-overflow -Wno-restrict)
    if(NOT VERNIER_DEV)  # what users build: the same doubts at -O3; whoever develops keeps these warnings
      target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-maybe-uninitialized)
    endif()
  endif()
  if(VERNIER_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${VERNIER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${VERNIER_SANITIZE})
  endif()
endfunction()

# vernier_test(LAYER file_test.cpp ...): adds the files to the layer's one test program (core_tests, torch_tests).
function(vernier_test layer)
  if(NOT VERNIER_DEV)
    return()
  endif()
  foreach(file ${ARGN})
    set_property(GLOBAL APPEND PROPERTY VERNIER_${layer}_TESTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
endfunction()

# vernier_test_program(NAME LAYER libraries ...): made once all folders have named their tests.
function(vernier_test_program name layer)
  get_property(files GLOBAL PROPERTY VERNIER_${layer}_TESTS)
  add_executable(${name} ${files})
  vernier_settings(${name})
  target_compile_options(${name} PRIVATE -O0)  # what they test is optimized; they compile longer than they run
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARGN} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE VERNIER_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  # libtorch read from a cold disk takes longer than the 5 s that a listing may take by default.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 600)
endfunction()
