#pragma once

#include "exchange/channel.hpp"
#include "wait/timers.hpp"
#include "wire/http1_channel.hpp"
#include "wire/http2_channel.hpp"
#include "wire/http_version_book.hpp"
#include "wire/name_resolver.hpp"
#include "wire/tls.hpp"

#include <jirapool/pool/params.hpp>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace jirapool::detail {

/// Resolves anew for each dial, or falls back on what worked; connects to the first address that answers; shakes hands: a limit on each.
/// All hosts at the same port, unless `names` says another.
class tls_dialer final : public dialer {
public:
    tls_dialer(asio::any_io_executor ex, timers& t, std::shared_ptr<tls_context const> context,
               std::shared_ptr<client_params const> params, std::unique_ptr<name_resolver> names = nullptr,
               std::uint16_t port = https_port);
    asio::awaitable<dial_result> dial(std::string host) override;
    void forget(std::string const& host) noexcept override {
        sessions_.erase(host);
        worked_.erase(host);
        streams_.erase(host);
        versions_.forget(host, timers_.now());
    }

    static constexpr std::uint16_t https_port = 443;

    using endpoints = std::vector<asio::ip::tcp::endpoint>;
    /// The race for the first connection, by itself for tests. Null: `result` says why.
    asio::awaitable<std::unique_ptr<timed_socket>> connect(endpoints to, dial_result* result);

private:
    class race;
    asio::awaitable<bool> resolve(std::string host, endpoints* out, dial_result* result);
    asio::awaitable<bool> shake_hands(timed_socket* socket, tls_stream* tls, dial_result* result);
    address_override const* override_of(std::string const& host) const noexcept;
    /// The channel that was agreed on; null: `result` says why.
    std::unique_ptr<channel> make_channel(std::string const& host, std::unique_ptr<timed_socket> socket,
                                          std::unique_ptr<tls_stream> tls, dial_result& result);
    /// @return whether HTTP/1.1 is spoken in place of HTTP/2 for now.
    bool on_conduct(std::string const& host, http2_conduct c);
    /// With the host, address and port that it is about.
    failure about(std::string const& host, failure f) const;

    /// What a host was connected to last, with its certificate: the address that took the connection, then the others of that answer.
    struct addresses {
        endpoints all;
        steady_time connected_at{};
    };
    /// Null: none that may still be used.
    endpoints const* stale_addresses(std::string const& host) const noexcept;
    void keep(std::string const& host, endpoints all, asio::ip::tcp::endpoint const& winner);

    asio::any_io_executor executor_;
    timers& timers_;
    std::shared_ptr<tls_context const> context_;
    std::shared_ptr<client_params const> params_;
    std::uint16_t port_;
    std::unique_ptr<name_resolver> names_;
    std::shared_ptr<poller> const poller_;
    read_scratch scratch_;
    // By host; all else that a session depends on, the TLS setting, is the same for all of a dialer. References stay valid.
    std::unordered_map<std::string, session_slot> sessions_;
    std::unordered_map<std::string, addresses> worked_;      // by host
    std::unordered_map<std::string, told_streams> streams_;  // by host; of those that spoke HTTP/2
    http_version_book versions_;
    // Gone with the dialer, which channels may outlive.
    std::shared_ptr<tls_dialer*> const self_ = std::make_shared<tls_dialer*>(this);
};

}  // namespace jirapool::detail
