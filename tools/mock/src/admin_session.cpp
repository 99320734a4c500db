#include "admin_session.hpp"

#include "admin.hpp"
#include "clock.hpp"
#include "reply.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <string>
#include <utility>

namespace jirapool::mock {
namespace {

class admin_session final : public guest {
public:
    admin_session(worker& host, tcp::socket socket) : guest(host), socket_(std::move(socket)) {}

    asio::awaitable<void> run();
    void abort(bool reset) override { close_socket(socket_, reset); }
    void on_deadline() override { abort(false); }

private:
    tcp::socket socket_;
    std::string in_;
    std::string out_;
    std::array<char, 1024> scratch_;
};

asio::awaitable<void> admin_session::run() {
    error_code ec;
    auto into_ec = asio::redirect_error(asio::use_awaitable, ec);
    expire_after(handshake_timeout);
    co_await asio::async_read_until(socket_, asio::dynamic_buffer(in_, max_header), "\r\n\r\n", into_ec);
    if (ec) co_return;
    render(answer_admin(host_.application, in_), false, false, read_clock().wall, out_);
    expire_after(transfer_timeout);
    co_await asio::async_write(socket_, asio::buffer(out_), into_ec);
    // A request body that nobody read would turn the close into a reset, and that may overtake the answer.
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    expire_after(shutdown_timeout);
    do {
        co_await socket_.async_read_some(asio::buffer(scratch_), into_ec);
    } while (!ec);
}

}  // namespace

asio::awaitable<void> serve_admin(worker* host, tcp::socket socket) {
    if (host->is_stopping) co_return;
    admin_session s(*host, std::move(socket));
    co_await s.run();
}

}  // namespace jirapool::mock
