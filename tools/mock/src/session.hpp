#pragma once

#include "worker.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>

namespace jirapool::mock {

/** One TLS connection from its handshake to its end, as `host` runs it, by the version of HTTP that ALPN chose. `number` counts the
    server's connections from 1. */
asio::awaitable<void> serve(worker* host, tcp::socket socket, std::uint64_t number);

}  // namespace jirapool::mock
