#include "worker.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace jirapool::mock {
namespace {

/// How late a deadline may be noticed.
constexpr std::chrono::milliseconds sweep_interval{50};

}  // namespace

asio::awaitable<void> worker::sweep() {
    while (!is_stopping) {
        steady_time const now = read_clock().steady;
        // What a deadline does may end a guest, but only later, from a handler: the set does not change here.
        for (guest* const g : guests) {
            if (g->deadline() <= now) g->on_deadline();
        }
        error_code ignored;
        sweeper.expires_after(sweep_interval);
        co_await sweeper.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
}

void worker::abort_guests(bool reset) {
    for (guest* const g : guests) g->abort(reset);
}

void worker::abort_api_guests(bool reset) {
    for (guest* const g : guests) {
        if (!g->is_of_admin_port()) g->abort(reset);
    }
}

void worker::play_now(http2_step const& s) {
    for (guest* const g : guests) g->play_now(s);
}

void worker::tell_http2_settings() {
    for (guest* const g : guests) g->on_http2_settings();
}

void close_socket(tcp::socket& socket, bool reset) {
    error_code ignored;
    if (reset) socket.set_option(asio::socket_base::linger(true, 0), ignored);
    socket.close(ignored);
}

}  // namespace jirapool::mock
