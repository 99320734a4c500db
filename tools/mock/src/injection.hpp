#pragma once

#include "reply.hpp"
#include "visit.hpp"

#include <optional>

namespace jirapool::mock {

// What `faults` makes go wrong: errors, latency, connections that just close. Which request it meets follows from the seed and
// the request's number. Nothing else of the mock rolls dice over a request.

/// The 503 that a call to the API gets instead of its answer; nullopt: not this one.
std::optional<reply> injected_api_error(visit& v);
/// The same for the token endpoint.
std::optional<reply> injected_token_error(visit& v);
/// When the answer is sent, and whether the connection ends after it without a word.
void inject_delay_and_close(visit const& v, reply& out);

}  // namespace jirapool::mock
