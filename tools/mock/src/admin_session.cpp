#include "admin_session.hpp"

#include "admin.hpp"
#include "clock.hpp"
#include "reply.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::mock {
namespace {

class admin_session final : public guest {
public:
    admin_session(worker& host, api_port& port, outbox& mail, tcp::socket socket)
        : guest(host), port_(port), mail_(mail), socket_(std::move(socket)) {}

    asio::awaitable<void> run();
    void abort(bool reset) override { close_socket(socket_, reset); }
    void on_deadline() override { abort(false); }
    bool is_of_admin_port() const noexcept override { return true; }

private:
    api_port& port_;
    outbox& mail_;
    tcp::socket socket_;
    std::string in_;
    std::string out_;
    std::array<char, 1024> scratch_;
};

asio::awaitable<void> admin_session::run() {
    error_code ec;
    auto into_ec = asio::redirect_error(asio::use_awaitable, ec);
    expire_after(handshake_timeout);
    std::size_t const head_size = co_await asio::async_read_until(socket_, asio::dynamic_buffer(in_, max_header),
                                                                  "\r\n\r\n", into_ec);
    if (ec) co_return;
    expire_after(transfer_timeout);
    reply answer;
    auto const body_size = admin_body_size(std::string_view(in_).substr(0, head_size), answer);
    if (body_size) {
        std::size_t const whole = head_size + *body_size;
        if (std::size_t const have = in_.size(); have < whole) {
            in_.resize(whole);
            co_await asio::async_read(socket_, asio::buffer(in_.data() + have, whole - have), into_ec);
            if (ec) co_return;
        }
        std::string_view const all = in_;
        answer = answer_admin(host_.application, port_, mail_, all.substr(0, head_size),
                              all.substr(head_size, *body_size), read_clock());
    }
    render(answer, false, false, read_clock().wall, out_);
    co_await asio::async_write(socket_, asio::buffer(out_), into_ec);
    // A request body that nobody read would turn the close into a reset, and that may overtake the answer.
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    expire_after(shutdown_timeout);
    do {
        co_await socket_.async_read_some(asio::buffer(scratch_), into_ec);
    } while (!ec);
}

}  // namespace

asio::awaitable<void> serve_admin(worker* host, api_port* port, outbox* mail, tcp::socket socket) {
    if (host->is_stopping) co_return;
    admin_session s(*host, *port, *mail, std::move(socket));
    co_await s.run();
}

}  // namespace jirapool::mock
