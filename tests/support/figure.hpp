#pragma once

#include <cstdio>
#include <cstdlib>

namespace jirapool::support {

/// A line for tests/figures.sh, "name value", when it asks for them with JIRAPOOL_FIGURES=1; else nothing.
inline void figure(char const* name, double value) {
    if (std::getenv("JIRAPOOL_FIGURES")) std::printf("%s %.10g\n", name, value);
}

}  // namespace jirapool::support
