#pragma once

#include "tls_channel.hpp"
#include "worker.hpp"

#include <boost/asio/awaitable.hpp>

namespace jirapool::mock {

/// HTTP/1.1 behind a channel's handshake, to the end of the connection: a request, its answer, the next request. What an answer says
/// is app's.
asio::awaitable<void> serve_http1(worker* host, tls_channel* channel);

}  // namespace jirapool::mock
