#pragma once

#include "exchange/channel.hpp"
#include "wait/timers.hpp"
#include "wire/http1_channel.hpp"
#include "wire/timed_socket.hpp"
#include "wire/tls.hpp"

#include <jirapool/pool/params.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace jirapool::detail {

/// How a server's HTTP/2 was, seen from one channel.
enum class http2_conduct : std::uint8_t {
    good,         ///< an answer was whole
    broken,       ///< it broke a rule, or said that we did
    wants_http1,  ///< it said so (HTTP_1_1_REQUIRED)
};

/// How many streams at once a host's server allows, by what it said last: what its next channel goes by until it says so itself, as what it
/// does not allow it refuses. 0: it never spoke. Shared by the channels to that host, on one shard.
using told_streams = std::shared_ptr<std::uint32_t>;

/** HTTP/2 over one TLS connection: as many exchanges at once as the server and wire_params::max_streams allow.

    What comes is read whenever it comes, whether an exchange runs or not, and told to the exchanges, each of which waits by itself. What
    they have to send goes out together, behind all that this turn of the shard resumed: in as few records as it fits.

    It may be destroyed at any time, in its exchanges' completions too: those that run then end with errc::channel_lost. */
class http2_channel final : public channel {
public:
    /// @return whether the server is spoken to in HTTP/1.1 from now on, so that the channel takes no more exchanges.
    using conduct_report = std::function<bool(http2_conduct)>;

    /// `on_conduct`: told of the server's conduct, on the shard; may be empty. `first_stream`: odd; for tests of the ids' end. `streams`:
    /// of the host; null: nobody knows.
    http2_channel(std::unique_ptr<timed_socket> socket, std::unique_ptr<tls_stream> tls, timers& t,
                  asio::any_io_executor ex, wire_params const& wire, read_scratch& scratch, conduct_report on_conduct,
                  std::uint32_t first_stream = 1, told_streams streams = nullptr);
    ~http2_channel() override;
    http2_channel(http2_channel const&) = delete;
    http2_channel& operator=(http2_channel const&) = delete;

    asio::awaitable<exchange_report> exchange(exchange_input const* in, response* out) override;
    void interrupt(response const& out) noexcept override;
    std::string_view version() const noexcept override { return "2"; }
    std::size_t capacity() const noexcept override;
    bool alive() noexcept override;
    void rest() noexcept override;

private:
    class connection;
    class running;
    static asio::awaitable<exchange_report> exchange_on(std::shared_ptr<connection> c, exchange_input const* in,
                                                        response* out);

    std::shared_ptr<connection> const connection_;
};

}  // namespace jirapool::detail
