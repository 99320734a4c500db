#include "courier.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace jirapool::mock {
namespace {

namespace http = boost::beast::http;

// As long as Jira is said to wait for an answer (core/doc/jira-cloud.md, 7.2).
constexpr std::chrono::seconds answer_timeout{20};

class courier final : public guest {
public:
    courier(worker& host, std::uint32_t port)
        : guest(host),
          to_(asio::ip::address_v4::loopback(), static_cast<asio::ip::port_type>(port)),
          socket_(host.io) {}

    /// The status, or 0 when there was none.
    asio::awaitable<int> exchange(std::string request);
    void abort(bool reset) override { close_socket(socket_, reset); }
    void on_deadline() override { abort(true); }
    /// What takes the API's port down takes no webhooks away.
    bool is_of_admin_port() const noexcept override { return true; }

private:
    tcp::endpoint const to_;
    tcp::socket socket_;
    boost::beast::flat_buffer in_;
};

asio::awaitable<int> courier::exchange(std::string request) {
    error_code ec;
    auto into_ec = asio::redirect_error(asio::use_awaitable, ec);
    expire_after(answer_timeout);
    if (!socket_.is_open()) {
        in_.clear();
        co_await socket_.async_connect(to_, into_ec);
    }
    if (!ec) co_await asio::async_write(socket_, asio::buffer(request), into_ec);
    http::response_parser<http::string_body> answer;
    if (!ec) co_await http::async_read(socket_, in_, answer, into_ec);
    if (ec || !answer.keep_alive()) close_socket(socket_, false);
    co_return ec ? 0 : static_cast<int>(answer.get().result_int());
}

}  // namespace

asio::awaitable<void> deliver(worker* host, deliveries* counts, delivery_round round) {
    courier c(*host, round.port());
    while (auto const step = round.next()) {
        int status = 0;
        if (!host->is_stopping) {
            std::string request = round.request(*step);
            status = co_await c.exchange(std::move(request));
        }
        if (status == 0) counts->on_unanswered();
        else counts->on_answer(status);
        if (status != 0 && !is_delivered_again(status)) continue;
        if (!host->is_stopping && round.again(*step)) counts->on_retry();
        else counts->on_given_up();
    }
}

}  // namespace jirapool::mock
