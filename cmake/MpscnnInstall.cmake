# Installs headers, libraries and the relocatable package config for find_package(mpscnn CONFIG).

include(CMakePackageConfigHelpers)

set(mpscnn_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/mpscnn")

set(mpscnn_installed_targets mpscnn)
if(MPSCNN_BUILD_STATIC)
    list(APPEND mpscnn_installed_targets mpscnn_static)
endif()
# Linkers find the library for -lmpscnn by the symbolic link libmpscnn.so. Wheels cannot contain symbolic links: on Linux
# a linker script of one line takes its place, and on macOS, whose linker has no scripts, the name has the ABI's number.
set(mpscnn_link)
set(mpscnn_link_name -lmpscnn)
if(MPSCNN_BUILD_PYTHON)
    set(mpscnn_link NAMELINK_SKIP)
    if(APPLE)
        set(mpscnn_link_name "-lmpscnn.${mpscnn_abi}")
    else()
        file(WRITE "${PROJECT_BINARY_DIR}/script/libmpscnn.so" "INPUT(libmpscnn.so.${mpscnn_abi})\n")
        install(FILES "${PROJECT_BINARY_DIR}/script/libmpscnn.so" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
    endif()
endif()
install(TARGETS ${mpscnn_installed_targets} EXPORT mpscnnTargets
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ${mpscnn_link}
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(TARGET mpscnn-check)
    file(RELATIVE_PATH mpscnn_library_from_programs
        "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
    set_target_properties(mpscnn-check PROPERTIES
        INSTALL_RPATH "@loader_path/${mpscnn_library_from_programs}")
    install(TARGETS mpscnn-check RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/cpp/include/mpscnn" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT mpscnnTargets NAMESPACE mpscnn:: DESTINATION "${mpscnn_config_dir}")

configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/mpscnnConfig.cmake.in" "${PROJECT_BINARY_DIR}/mpscnnConfig.cmake"
    INSTALL_DESTINATION "${mpscnn_config_dir}"
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/mpscnnConfigVersion.cmake" COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/mpscnnConfig.cmake" "${PROJECT_BINARY_DIR}/mpscnnConfigVersion.cmake"
    DESTINATION "${mpscnn_config_dir}")

# Installs mpscnn.pc for builds without CMake. Its paths are relative to the file, so that the tree may be moved. This is
# not possible with absolute library or include directories, which some distributions set.
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    file(RELATIVE_PATH mpscnn_prefix_from_pc "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" mpscnn_prefix_from_pc "${mpscnn_prefix_from_pc}")
    configure_file("${PROJECT_SOURCE_DIR}/cmake/mpscnn.pc.in" "${PROJECT_BINARY_DIR}/mpscnn.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/mpscnn.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
