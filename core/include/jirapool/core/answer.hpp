#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/connection_config.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/response.hpp>

#include <cstdint>

namespace jirapool {

/// What an answer means for the call, and what it says of the connection.
struct answer_verdict {
    answer_class what = answer_class::delivered;
    answer_sign says = answer_sign::none;
};
/// Reads status, headers and at most the first bytes of the body.
answer_verdict judge(response const& r, connection_kind kind) noexcept;

/** An answer with this head has in its body what was asked for: 2xx, and not what Jira tells anybody whose credential it
    ignored. What an error says is for whoever classifies it. */
bool has_what_was_asked(response const& head) noexcept;

/// The server says that it did not act on the request: 421, 425, and 408 with `Connection: close` where the channel had served
/// before. Such a request may be sent again whatever its method, on another channel.
bool not_processed(response const& r, bool reused_channel) noexcept;

}  // namespace jirapool
