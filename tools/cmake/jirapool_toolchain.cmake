# How every target of ours is compiled. Only defaults: a parent project's choices stay.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

if(PROJECT_IS_TOP_LEVEL)
    find_program(JIRAPOOL_CCACHE ccache)
    if(JIRAPOOL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_CXX_COMPILER_LAUNCHER ${JIRAPOOL_CCACHE})
    endif()
    find_program(JIRAPOOL_MOLD mold)
    if(JIRAPOOL_MOLD AND NOT CMAKE_EXE_LINKER_FLAGS MATCHES "fuse-ld")
        add_link_options(-fuse-ld=mold)
    endif()
endif()

# Targets of ours call this once: the language level, visibility and warnings in one place.
function(jirapool_compile_as_ours target)
    target_compile_features(${target} PUBLIC cxx_std_20)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON
        POSITION_INDEPENDENT_CODE ON)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # False alarms of GCC 12: Asio's coroutine frames (new by aligned_alloc, delete by free), what the sanitizers'
        # instrumentation makes look uninitialized, and std::string's operator+ at -O3 (GCC bug 105651).
        target_compile_options(${target} PRIVATE -Wno-mismatched-new-delete -Wno-maybe-uninitialized -Wno-restrict)
    endif()
    if(JIRAPOOL_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()
