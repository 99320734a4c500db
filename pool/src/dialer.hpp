#pragma once

#include "channel.hpp"
#include "http1_channel.hpp"
#include "timers.hpp"
#include "tls.hpp"

#include <jirapool/pool/params.hpp>

#include <memory>
#include <string>
#include <unordered_map>

namespace jirapool::detail {

/// Resolves, connects and shakes hands: a limit on each. Resolution happens on every dial.
class tls_dialer final : public dialer {
public:
    tls_dialer(asio::any_io_executor ex, timers& t, std::shared_ptr<tls_context const> context,
               std::shared_ptr<client_params const> params);
    asio::awaitable<dial_result> dial(std::string host) override;

private:
    class resolution;
    asio::awaitable<bool> resolve(std::string host, std::vector<asio::ip::tcp::endpoint>* out, dial_result* result);
    asio::awaitable<std::unique_ptr<timed_socket>> connect(std::vector<asio::ip::tcp::endpoint> const* to,
                                                           dial_result* result);
    asio::awaitable<bool> shake_hands(timed_socket* socket, tls_stream* tls, dial_result* result);
    address_override const* override_of(std::string const& host) const noexcept;

    asio::any_io_executor executor_;
    timers& timers_;
    std::shared_ptr<tls_context const> context_;
    std::shared_ptr<client_params const> params_;
    read_scratch scratch_;
    std::unordered_map<std::string, session_slot> sessions_;  // by host; references stay valid
};

}  // namespace jirapool::detail
