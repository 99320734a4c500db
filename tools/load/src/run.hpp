#pragma once

#include "options.hpp"

namespace jirapool::load {

/// The whole run, output and all. @return the exit status.
int run(options const& o);

}  // namespace jirapool::load
