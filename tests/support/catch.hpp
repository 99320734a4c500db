#pragma once

// Catch2 3 (Debian 13) and 2 (Debian 12) differ in their header and in where Approx is, as far as our tests go.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
