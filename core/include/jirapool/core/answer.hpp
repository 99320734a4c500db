#pragma once

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/response.hpp>

#include <cstdint>

namespace jirapool {

/// What an answer means for the call, the token, the limiter and the connection (core/doc/jira-cloud.md, 2.5).
enum class answer_class : std::uint8_t {
    delivered,     ///< the caller gets it: any status that nothing below claims
    anonymous,     ///< 2xx, but Jira ignored the credential
    unauthorized,  ///< 401 that a new token may cure, or that says an API token is bad
    maybe_expired,  ///< 403 or 404 on an OAuth connection: the gateway's answer to an expired token, if it is past expiry
    scope_mismatch,  ///< 401 that no refresh cures: the token lacks a scope
    limited,         ///< 429
    transient,       ///< 502, 503, 504; 421, 425, and 408 that closes the channel
};
inline constexpr std::size_t answer_class_count = 7;
char const* to_string(answer_class a) noexcept;

/// Reads status, headers and at most the first bytes of the body.
answer_class classify(response const& r, connection_kind kind) noexcept;

/// The server says that it did not act on the request: 421, 425, and 408 with `Connection: close` where the channel had served
/// before. Such a request may be sent again whatever its method, on another channel.
bool not_processed(response const& r, bool reused_channel) noexcept;

}  // namespace jirapool
