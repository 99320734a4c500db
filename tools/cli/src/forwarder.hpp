#pragma once

#include <jirapool/core/result.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::cli {

namespace asio = boost::asio;

/// Where deliveries are posted on to.
struct forward_target {
    std::string host;       ///< a name, or an address without brackets
    std::string port;       ///< in digits
    std::string authority;  ///< as `Host` has it
    std::string path;       ///< and the query; empty: each delivery's own
};

/// Reads "http://HOST[:PORT][/PATH]". Errors: invalid_argument with the rule, which never repeats the text: it may hold a password.
result<forward_target> parse_forward_url(std::string_view url);

/// A delivery that was proved: what is posted on of it.
struct forwarded_delivery {
    std::string target;  ///< path and query that it came to
    std::string id;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;

    std::size_t size() const noexcept { return body.size(); }
};

/** Posts deliveries on by plain HTTP, one after the other, behind whoever received them: the queue is bounded, and drops the oldest.

    @par Threads   The context's, of which there is one. The context must not run any more when the forwarder ends. */
class forwarder {
public:
    /// Of all that waits; Jira's largest delivery has 25 MiB.
    static constexpr std::size_t most_waiting = 100;
    static constexpr std::size_t most_waiting_bytes = 64u << 20;
    /// From the dial to the answer's head.
    static constexpr std::chrono::seconds patience{5};

    /// What became of a delivery.
    struct outcome {
        unsigned status = 0;               ///< the target's answer; 0: there was none
        std::string problem;               ///< why there was none
        std::chrono::milliseconds took{};  ///< 0 when it was not sent
    };
    using report = std::function<void(forwarded_delivery const&, outcome const&)>;

    /// `then` is told of each delivery when it was posted or dropped.
    forwarder(asio::io_context& io, forward_target to, report then);
    forwarder(forwarder const&) = delete;
    forwarder& operator=(forwarder const&) = delete;

    /// One that came from here is not posted once more: its target is whom it came to.
    void add(forwarded_delivery d);
    /// Calls `end` once nothing waits any more, at once when nothing does. Nothing may be added behind it.
    void when_idle(std::function<void()> end);
    /// How many are not posted yet, the one that is under way among them.
    std::size_t left() const noexcept { return waiting_.size() + (posting_ ? 1 : 0); }

private:
    static asio::awaitable<void> post_all(forwarder* self);
    static asio::awaitable<void> post(forwarder* self, forwarded_delivery const* d, outcome* o);

    asio::io_context& io_;
    asio::ip::tcp::resolver resolver_;
    forward_target const to_;
    report const then_;
    std::string const via_;  ///< how this process is named to those behind it (RFC 9110, 7.6.3)
    std::deque<forwarded_delivery> waiting_;
    std::size_t waiting_bytes_ = 0;
    std::size_t dropped_ = 0;
    bool posting_ = false;
    std::function<void()> end_;
};

}  // namespace jirapool::cli
