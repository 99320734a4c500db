#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::detail {

/// Where an https URL leads.
class receiver_url {
public:
    /// Precondition: why_invalid_receiver_url says nothing against it.
    explicit receiver_url(std::string_view text);

    std::string name;  ///< to resolve, and for the certificate: a name or an IP address without brackets
    std::string host;  ///< the value of the Host header
    std::uint16_t port = 443;
    std::string target;  ///< path and query
};

/// What is wrong with it as a receiver's URL, a literal; nullptr: nothing. May throw std::bad_alloc.
char const* why_invalid_receiver_url(std::string_view text);

}  // namespace jirapool::detail
