# What `cmake --install` puts down: archives, headers, a CMake package with components, pkg-config files; all of it may be moved
# to another prefix afterwards. Ours are static archives, so what they need privately is needed by whoever links them.
option(JIRAPOOL_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
if(NOT JIRAPOOL_INSTALL)
    return()
endif()
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/jirapool)
set(template_dir ${CMAKE_CURRENT_LIST_DIR})

# One export per component: a program that asks for core only needs nothing of the others. What was not built is not there.
set(components core pool)
function(jirapool_install_component component)
    install(TARGETS ${ARGN}
        EXPORT jirapool-${component}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(EXPORT jirapool-${component}
        FILE jirapool-${component}.cmake
        NAMESPACE jirapool::
        DESTINATION ${package_dir})
endfunction()

jirapool_install_component(core jirapool_core)
jirapool_install_component(pool jirapool_asio jirapool_pool)
if(TARGET jirapool_metrics)
    list(APPEND components metrics)
    jirapool_install_component(metrics jirapool_metrics)
endif()
# For tests of programs that use the library: find_package alone, as what it needs has no pkg-config files everywhere.
if(TARGET jirapool_mock)
    jirapool_install_component(mock jirapool_mock)
endif()

foreach(tool IN ITEMS jirapool jirapool-load jirapool-mock)
    if(TARGET ${tool})
        install(TARGETS ${tool} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
        get_target_property(tool_dir ${tool} SOURCE_DIR)
        install(FILES ${tool_dir}/man/${tool}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    endif()
endforeach()

configure_package_config_file(${template_dir}/jirapoolConfig.cmake.in ${PROJECT_BINARY_DIR}/jirapoolConfig.cmake
    INSTALL_DESTINATION ${package_dir}
    NO_SET_AND_CHECK_MACRO)
# While the major version is 0, a minor version may break.
set(compatibility SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(compatibility SameMinorVersion)
endif()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/jirapoolConfigVersion.cmake COMPATIBILITY ${compatibility})
install(FILES
    ${PROJECT_BINARY_DIR}/jirapoolConfig.cmake
    ${PROJECT_BINARY_DIR}/jirapoolConfigVersion.cmake
    DESTINATION ${package_dir})

# pkg-config: what the targets say, said once more. Only Boost has no file of its own there; its headers must be on the path.
file(RELATIVE_PATH pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
set(pc_asio_flags "")
get_target_property(asio_definitions jirapool_asio INTERFACE_COMPILE_DEFINITIONS)
foreach(definition IN LISTS asio_definitions)
    string(APPEND pc_asio_flags " -D${definition}")
endforeach()
foreach(component IN LISTS components)
    configure_file(${template_dir}/jirapool-${component}.pc.in ${PROJECT_BINARY_DIR}/jirapool-${component}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/jirapool-${component}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# With the facts about Jira that the headers cite.
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/core/doc/jira-cloud.md
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/jirapool)
