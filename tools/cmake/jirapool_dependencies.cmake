# Everything the project needs from outside, by the names both Debian 12 and Debian 13 package.
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
# No version asked for: simdjson 3.12 says it is compatible with nothing but its own minor version.
find_package(simdjson CONFIG REQUIRED)
# Headers for all of it; URL has a library.
find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS url)
if(JIRAPOOL_BUILD_METRICS)
    find_package(prometheus-cpp CONFIG)
    if(NOT prometheus-cpp_FOUND)
        message(FATAL_ERROR "The component metrics needs prometheus-cpp (Debian: prometheus-cpp-dev). "
            "-DJIRAPOOL_BUILD_METRICS=OFF builds core and pool without it.")
    endif()
endif()
find_package(ZLIB REQUIRED)
# Brotli brings no CMake package: its libraries are named as the linker knows them.
find_path(JIRAPOOL_BROTLI_INCLUDE brotli/decode.h REQUIRED)
find_library(JIRAPOOL_BROTLI_LIBRARY brotlidec REQUIRED)
# Nor does Debian 12's c-ares.
find_path(JIRAPOOL_CARES_INCLUDE ares.h REQUIRED)
find_library(JIRAPOOL_CARES_LIBRARY cares REQUIRED)
# Nor does nghttp2.
find_path(JIRAPOOL_NGHTTP2_INCLUDE nghttp2/nghttp2.h REQUIRED)
find_library(JIRAPOOL_NGHTTP2_LIBRARY nghttp2 REQUIRED)
mark_as_advanced(JIRAPOOL_NGHTTP2_INCLUDE JIRAPOOL_NGHTTP2_LIBRARY)
mark_as_advanced(JIRAPOOL_BROTLI_INCLUDE JIRAPOOL_BROTLI_LIBRARY JIRAPOOL_CARES_INCLUDE JIRAPOOL_CARES_LIBRARY)

if(JIRAPOOL_BUILD_TOOLS OR JIRAPOOL_BUILD_TESTS)
    find_package(fmt REQUIRED)
    find_package(CLI11 CONFIG REQUIRED)
endif()
if(JIRAPOOL_BUILD_TESTS)
    find_package(Catch2 REQUIRED)
    find_package(Protobuf REQUIRED)
endif()
if(JIRAPOOL_BUILD_BENCH)
    find_package(benchmark REQUIRED)
endif()
