#pragma once

#include <cmath>

/// Catch2's Approx has another name in each of its major versions.
inline bool close_to(double a, double b, double part = 1e-9) { return std::abs(a - b) <= part * std::abs(b); }
