#pragma once

#include <jirapool/core/result.hpp>

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace jirapool::metrics {

/// Where a listener listens.
struct listen_address {
    std::string host;  ///< an IP address without brackets
    std::uint16_t port = 0;
    bool is_v6 = false;

    /// "127.0.0.1:9464", "[::1]:9464"
    std::string text() const;
};

/** Reads the forms that listener::open documents.
    @par Errors   invalid_argument, field "address". */
result<listen_address> parse_listen_address(std::string_view text);

/// As the system calls want it.
struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};
socket_address to_system(listen_address const& a) noexcept;

/// Of a socket that is bound.
std::uint16_t port_of(int socket) noexcept;

}  // namespace jirapool::metrics
