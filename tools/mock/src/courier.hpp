#pragma once

#include "deliveries.hpp"
#include "worker.hpp"

#include <boost/asio/awaitable.hpp>

namespace jirapool::mock {

/// Carries the deliveries of a round to their receiver, one behind the other over a connection that is kept, and tells `counts` what
/// became of each. Ends with the last one, or when the worker stops.
asio::awaitable<void> deliver(worker* host, deliveries* counts, delivery_round round);

}  // namespace jirapool::mock
