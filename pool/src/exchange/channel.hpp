#pragma once

#include <jirapool/core/channel_plan.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/core/time.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::detail {

namespace asio = boost::asio;

class sink_stream;
class source_stream;

/// Told that an answer is late.
class slow_watch {
public:
    /// Once, in the exchange, which goes on behind it.
    virtual void on_slow() noexcept = 0;

protected:
    ~slow_watch() = default;
};

/// The types of cancellation that end an exchange. Not total, which promises that nothing was done.
inline constexpr auto while_exchanging = asio::cancellation_type::terminal | asio::cancellation_type::partial;

/// One request as a channel writes it. Everything it points to outlives the exchange.
struct exchange_input {
    jirapool::method method = jirapool::method::get;
    std::string_view base_path;
    std::string_view target;
    // Header fields by their values; empty: without it. Who writes the wire adds names and syntax, and what the request needs beside:
    // Accept and Accept-Encoding, unless they are among `headers`, Content-Type and Content-Length.
    std::string_view host;
    std::string_view user_agent;
    std::string_view authorization;  ///< the credential
    std::string_view content_type;
    /// In place of one that is among `headers`.
    std::string_view traceparent;
    std::vector<std::pair<std::string, std::string>> const* headers = nullptr;
    std::string_view body;
    /// What the body is read from in place of `body`; null: it is that.
    source_stream* source = nullptr;
    /// Where the body of a 2xx answer goes; null: into the response.
    sink_stream* sink = nullptr;
    /// The answer holds a token: the channel keeps no copy of it.
    bool secret_answer = false;
    steady_time deadline{};
    /// Told when the request was sent this long ago and nothing of an answer came. Null: nobody.
    slow_watch* slow = nullptr;
    steady_duration slow_after{};
};

/// How a step of a body that streams went.
struct stream_step {
    failure error;           ///< no code: the body goes on
    bool of_caller = false;  ///< the error is of the call's own sink or source
    bool goes_on() const noexcept { return !error.code(); }
};

/// How an exchange went.
struct exchange_report {
    failure error;  ///< no code: the response is whole
    bool unprocessed =
        true;                ///< provably: nothing of the request left us, or the server says that it did not act on it
    bool refused = false;    ///< of what is unprocessed: the server said so, or that it takes no more
    bool read = false;       ///< at least one byte of an answer came
    bool reusable = false;   ///< the channel is provably clean
    bool announced = false;  ///< the answer said that the channel closes
    bool caller_failed = false;  ///< the error is of the call's own sink or source
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    steady_time written{};     ///< when the last byte of the request was handed to the system
    steady_time first_byte{};  ///< of the answer
};

class channel;

/// Told what a channel that carries several exchanges at once learns between them.
class channel_watch {
public:
    /// Its capacity is another one, or it takes no more exchanges (`alive`). The one that is told may begin nothing and destroy
    /// nothing in here.
    virtual void on_change(channel& c) noexcept = 0;

protected:
    ~channel_watch() = default;
};

/** One TLS transport to an origin.

    @par Threads   Its shard's. */
class channel {
public:
    virtual ~channel() = default;

    /// As many at a time as `capacity` says. Ends by the input's deadline, on cancellation, and when the shard stops.
    virtual asio::awaitable<exchange_report> exchange(exchange_input const* in, response* out) = 0;

    /// The exchange whose answer goes there, if it is under way, ends soon and with errc::cancelled unless it ends by itself first.
    virtual void interrupt(response const& out) noexcept = 0;

    /// Of HTTP, as OpenTelemetry names it: "1.1" or "2".
    virtual std::string_view version() const noexcept { return "1.1"; }

    /// How many exchanges may run at once: what the peer allows and the params do. It may fall below what runs, even to none.
    virtual std::size_t capacity() const noexcept { return 1; }

    /// Looks, without waiting, whether another exchange may begin once there is room for it. What runs goes on in any case.
    virtual bool alive() noexcept = 0;

    /// It was not used for a while: gives back what only exchanges need.
    virtual void rest() noexcept {}

    steady_time usable_until = steady_time::max();  ///< of the channel: what the server announced, less a margin

    // Kept by the pool.
    channel_watch* watch = nullptr;
    channel* previous = nullptr;  ///< in the list of those with room
    channel* next = nullptr;
    steady_time idle_since{};  ///< while it is leased: its last answer
    steady_time retire_at{};
    std::uint32_t exchanges = 0;  ///< of the channel: begun
    std::uint32_t leases = 0;     ///< that are out
    std::uint32_t known_capacity = 1;
    channel_state state = channel_state::closed;
    close_reason ends_for = close_reason::peer_closed;
    // In one byte, as there are thousands of idle channels.
    /// Several exchanges at once, so that how one of them ended says nothing of the channel: the channel says so in its beginning,
    /// or the pool sees it by a capacity that is not 1.
    bool multiplexes : 1 = false;
    bool served : 1 = false;    ///< it answered an exchange
    bool has_room : 1 = false;  ///< leased, and in the list of those that may have one more
    bool ending : 1 = false;    ///< takes no more leases, and goes with its last one
    bool successor_dialled : 1 = false;
};

/// A new channel, or why there is none.
class dial_result {
public:
    std::unique_ptr<jirapool::detail::channel> channel;
    failure error;
    dial_stage failed_at = dial_stage::resolve;
    steady_duration took[dial_stage_count] = {};
    bool timed_out = false;  ///< the step's limit passed
    bool resumed = false;
};

class dialer {
public:
    virtual ~dialer() = default;
    /// Ends in bounded time (wire_params), and when the shard stops.
    virtual asio::awaitable<dial_result> dial(std::string host) = 0;
    /// No channel to the host is left, and none is being dialled: what was kept for the next dial may go.
    virtual void forget([[maybe_unused]] std::string const& host) noexcept {}

    /// Told of a host that is spoken to in HTTP/1.1 for a while, as its HTTP/2 is bad. On the shard; may throw bad_alloc, and is told
    /// again then.
    std::function<void(std::string const& host)> on_http1_instead;
};

}  // namespace jirapool::detail
