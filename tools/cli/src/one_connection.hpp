#pragma once

#include "options.hpp"

#include <jirapool/pool/client.hpp>

#include <boost/asio/io_context.hpp>

#include <optional>
#include <string>

namespace jirapool::cli {

/** A client with the one connection that a command names.

    @par Threads   The one that made it. */
class one_connection {
public:
    /// Throws std::invalid_argument with what is wrong: the file, the connection, or its not being there.
    explicit one_connection(connect_options const& o);

    connection get() const { return *connection_; }
    /// What the file sets beside the credential.
    connection_options const& options() const noexcept { return options_; }
    /// What its access token may, as the token endpoint said; nullopt: it has none yet.
    std::optional<std::string> const& scopes() const noexcept { return scopes_; }
    asio::io_context& context() noexcept { return context_; }
    /// Returns when stop() was called and all has ended.
    void run() { context_.run(); }
    void stop() { client_.stop(); }

private:
    client_params params_of(connect_options const& o);

    std::optional<std::string> scopes_;
    asio::io_context context_{1};
    client client_;
    connection_options options_;
    std::optional<connection> connection_;
};

}  // namespace jirapool::cli
