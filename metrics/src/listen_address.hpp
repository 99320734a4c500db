#pragma once

#include <jirapool/core/result.hpp>

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

/** Reads the forms that listener::open documents. Stricter than civetweb, whose own notation also has lists of ports,
    TLS and redirects.
    @par Errors   invalid_argument, field "address". */
result<listen_address> parse_listen_address(std::string_view text);

/// The operating system's reason why nobody can listen there at present; empty when it has none.
std::string why_not_bindable(listen_address const& a);

/// Connects and hangs up at once, so that a server that waits for connections there looks up. False: it was not
/// reached, or is gone.
bool knock(listen_address const& a) noexcept;

}  // namespace jirapool::metrics
