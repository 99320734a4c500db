#pragma once

// Catch2 3 (Debian 13) and 2 (Debian 12) differ in their header only, as far as our tests go.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
