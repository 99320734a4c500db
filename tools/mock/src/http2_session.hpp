#pragma once

#include "tls_channel.hpp"
#include "worker.hpp"

#include <boost/asio/awaitable.hpp>

namespace jirapool::mock {

/// HTTP/2 behind a channel's handshake, to the end of the connection: many requests at a time, each with its answer, and the faults
/// that are played. What an answer says is app's.
asio::awaitable<void> serve_http2(worker* host, tls_channel* channel);

}  // namespace jirapool::mock
