#pragma once

#include <jirapool/core/secret.hpp>
#include <jirapool/tools/endpoint.hpp>

#include <chrono>
#include <string>

namespace jirapool::tools {

/** The body of a plain HTTP/1.0 answer of status 200. Blocks, for `timeout` at the most: for a mock's admin port.
    `bearer`: sent as `Authorization: Bearer …`, unless it is empty.
    Errors: connect_failed, timeout, channel_lost, protocol_error (another status too), response_too_large (16 MB). */
result<std::string> http_get(endpoint const& at, std::string const& target, std::chrono::milliseconds timeout,
                             secret const& bearer = {});

}  // namespace jirapool::tools
