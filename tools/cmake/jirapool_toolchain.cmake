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

# Debian's hardening (dpkg-buildflags with hardening=+all), for optimised builds: FORTIFY needs one, and the presets without
# optimisation bring sanitizers. With a parent project the flags are that one's business.
option(JIRAPOOL_HARDEN "Compile and link optimised builds with Debian's hardening flags" ${PROJECT_IS_TOP_LEVEL})
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)
function(jirapool_harden target)
    if(NOT JIRAPOOL_HARDEN)
        return()
    endif()
    set(optimised $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)
    set(flags -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        list(APPEND flags -fcf-protection)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
        list(APPEND flags -mbranch-protection=standard)
    endif()
    target_compile_options(${target} PRIVATE "$<${optimised}:${flags}>")
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "EXECUTABLE")
        target_link_options(${target} PRIVATE "$<${optimised}:LINKER:-z,relro,-z,now>")
    endif()
endfunction()

# Targets of ours call this once: the language level, visibility and warnings in one place.
function(jirapool_compile_as_ours target)
    target_compile_features(${target} PUBLIC cxx_std_20)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON
        POSITION_INDEPENDENT_CODE ON)
    jirapool_harden(${target})
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
