#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace jirapool::support {

/// A line of JSON for tests/figures.sh, {"figure": name, "value": value}, when it asks for them with JIRAPOOL_FIGURES=1; else
/// nothing. What a figure must be stands in tests/figures/bars.txt.
inline void figure(std::string const& name, double value) {
    if (std::getenv("JIRAPOOL_FIGURES")) std::printf("{\"figure\": \"%s\", \"value\": %.10g}\n", name.c_str(), value);
}

}  // namespace jirapool::support
