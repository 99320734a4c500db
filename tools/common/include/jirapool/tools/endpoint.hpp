#pragma once

#include <jirapool/core/result.hpp>
#include <jirapool/pool/params.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::tools {

/// An IP address, without brackets, and a port.
struct endpoint {
    std::string address;
    std::uint16_t port = 0;
};

/// "127.0.0.1:9090", "[::1]:9090". Port 0 is let through: "any free one". Errors: invalid_argument with the rule.
result<endpoint> parse_endpoint(std::string_view text);

/// "[HOST:]ADDR:PORT": an address override for one origin's host or, without HOST, for all.
/// Errors: invalid_argument with the rule.
result<address_override> parse_connect_to(std::string_view text);

}  // namespace jirapool::tools
