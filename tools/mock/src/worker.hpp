#pragma once

#include "app.hpp"
#include "clock.hpp"

#include <jirapool/mock/http2.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <thread>
#include <unordered_set>

namespace jirapool::mock {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// For sessions of either port.
constexpr std::chrono::seconds handshake_timeout{10};
/// For the rest of a request that began, and for an answer to be taken.
constexpr std::chrono::seconds transfer_timeout{30};
constexpr std::chrono::seconds shutdown_timeout{2};
/// CloudFront's ceiling for request line and headers.
constexpr std::uint32_t max_header = 20'480;

class guest;

/// A thread with its event loop, and what has a socket there. What it serves is the sessions' matter.
struct worker {
    worker(app& a, asio::ssl::context& t) : application(a), tls(t), io(1), guard(io.get_executor()), sweeper(io) {}

    /// Tells guests that their deadline has passed, until is_stopping. Spawn it once.
    asio::awaitable<void> sweep();
    void abort_guests(bool reset);
    /// Those of the admin port stay.
    void abort_api_guests(bool reset);
    void play_now(http2_step const& s);
    void tell_http2_settings();

    app& application;
    asio::ssl::context& tls;
    bool is_stopping = false;
    std::unordered_set<guest*> guests;
    // After `guests`: sessions that live in its handlers leave the set when they end with it.
    asio::io_context io;
    asio::executor_work_guard<asio::io_context::executor_type> guard;
    asio::steady_timer sweeper;
    std::thread thread;
};

/// Something with a socket on a worker: known to it, so that it can be ended.
class guest {
public:
    explicit guest(worker& host) : host_(host) { host_.guests.insert(this); }
    virtual ~guest() { host_.guests.erase(this); }
    guest(guest const&) = delete;
    guest& operator=(guest const&) = delete;

    /// At once; pending operations end with an error.
    virtual void abort(bool reset) = 0;
    virtual void on_deadline() = 0;
    virtual bool is_of_admin_port() const noexcept { return false; }
    // Of HTTP/2 connections.
    virtual void play_now(http2_step const&) {}
    virtual void on_http2_settings() {}
    steady_time deadline() const noexcept { return deadline_; }

protected:
    void expire_after(std::chrono::nanoseconds t) noexcept { deadline_ = read_clock().steady + t; }

    worker& host_;
    steady_time deadline_ = steady_time::max();
};

void close_socket(tcp::socket& socket, bool reset);

/// Whoever spawns ends with what the coroutine throws: it would be a bug of the mock.
inline void rethrow(std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
}

}  // namespace jirapool::mock
