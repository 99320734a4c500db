#pragma once

#include "clock.hpp"

#include <string>

namespace jirapool::mock {

/// What a certificate authority signed for the hosts of Jira Cloud. All in PEM.
struct certificates {
    /// The authority's.
    std::string ca;
    std::string leaf;
    /// The leaf's.
    std::string private_key;
};

// What is made is valid from a day ago (clocks of clients differ) for a year. Errors are std::runtime_error.

/// A new authority: its certificate, then its private key, in PEM.
std::string make_authority(wall_time now);
/// Certificate and key of an authority, in PEM and any order. One that has expired is an error.
certificates make_certificates(std::string const& authority, wall_time now);

/** The certificates of the authority that is kept in this file; one is made, and the file with mode 0600, if there is none. An
    empty name: of a new one, which is kept nowhere. */
certificates make_certificates_from_file(std::string const& file, wall_time now);

}  // namespace jirapool::mock
