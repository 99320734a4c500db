#pragma once

#include "clock.hpp"

#include <string>

namespace jirapool::mock {

/// A certificate authority made on the spot, and what it signed for the hosts of Jira Cloud. All in PEM.
struct certificates {
    std::string ca;
    std::string leaf;
    /// The leaf's.
    std::string private_key;
};

/// Valid from a day ago (clocks of clients differ) for a year. Throws std::runtime_error.
certificates make_certificates(wall_time now);

}  // namespace jirapool::mock
