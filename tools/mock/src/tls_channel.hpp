#pragma once

#include "worker.hpp"

#include <boost/asio/ssl/stream.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace jirapool::mock {

/// A client's TLS connection: what its handshake told, and what either version of HTTP goes over.
struct tls_channel {
    tls_channel(worker& host, tcp::socket socket, std::uint64_t number_)
        : stream(std::move(socket), host.tls), number(number_) {}

    tcp::socket& socket() noexcept { return stream.next_layer(); }

    asio::ssl::stream<tcp::socket> stream;
    /// Counts the server's connections from 1.
    std::uint64_t const number;
    /// Empty: the client named no host.
    std::string sni;
    bool is_http2 = false;
};

}  // namespace jirapool::mock
