# Public headers and the package that find_package(vernier COMPONENTS core torch) finds. The installed files name no path
# of this machine: dependencies are found again where the package is used. Two sets of targets, so that whoever wants the
# core alone needs no libtorch.

# vernier_headers(TARGET header ...): the headers that come with a layer; each must compile alone (test `headers`).
function(vernier_headers target)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/include/vernier/)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${ARGN})
  set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ${VERNIER_DEV})
endfunction()

# vernier_install_layer(TARGET SET)
function(vernier_install_layer target set)
  install(TARGETS ${target} EXPORT ${set}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT ${set} NAMESPACE vernier:: DESTINATION ${package_folder})
endfunction()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/vernier)
vernier_headers(vernier_core blueprint.h choices.h component.h confidence_calibration.h corruptions.h data.h error.h group_chain.h group_study.h groups.h images.h interval.h labelled_images.h layer_config.h limit.h measured.h model_config.h model_outline.h out_of_distribution.h plan.h plan_objective.h progress.h prompts.h reliability.h
                             report.h scheme.h site.h stack.h target_rules.h tensor_id.h text_perturbations.h tokenizer.h version.h vision_inputs.h worse.h worst_choice.h)
if(VERNIER_WITH_TORCH)
  vernier_headers(vernier activation_grid.h activations.h attacks.h calibrate.h classify.h compute.h confirm.h curvature.h damage_table.h decode_images.h diagnose.h evaluate.h evaluate_images.h evaluation_file.h export.h finetune.h grouped_answers.h measure_reliability.h metric.h model.h plan_front.h planning.h protect.h quantize.h quantize_tensor.h refine.h run.h screen.h search_effect.h stored_matrix.h target.h
                          value_search.h vernier.h)
endif()
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()

include(CMakePackageConfigHelpers)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/vernierConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/vernierConfig.cmake
                              INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vernierConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vernierConfig.cmake ${PROJECT_BINARY_DIR}/vernierConfigVersion.cmake
        DESTINATION ${package_folder})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
vernier_install_layer(vernier_core vernierCoreTargets)
if(VERNIER_WITH_TORCH)
  vernier_install_layer(vernier vernierTorchTargets)
  # A libtorch that the system's loader does not know (a Python environment's) is found by its path.
  set_target_properties(vernier_tensor_program PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS vernier_program vernier_tensor_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
