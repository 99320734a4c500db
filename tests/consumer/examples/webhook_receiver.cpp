// Receives what Jira delivers to a webhook: behind a proxy that does the TLS, so Jira's URL is https and this listens on 127.0.0.1.
// Each delivery is proved by its signature, handled once, and answered with a status that tells Jira whether to deliver it again.
#include <jirapool/pool/webhook_receiver.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

/// What your service does with it. Longer work belongs into a queue: Jira waits some 20 s for the answer.
bool handle(jirapool::webhook_delivery const& d) {
    std::cout << d.event << ' ' << d.issue_key << '\n';
    return true;  // with false, or an exception, Jira delivers it again, up to five times
}

asio::awaitable<void> serve(tcp::socket socket, jirapool::webhook_receiver* jira) {
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer;
    for (bool open = true; open;) {
        stream.expires_after(60s);
        http::request_parser<http::string_body> parser;
        parser.body_limit(25u << 20);  // Jira sends no more
        beast::error_code ec;
        co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, ec));
        if (ec && ec != http::error::body_limit) co_return;
        unsigned status = 413;
        if (!ec) {
            auto const taken = jira->receive(parser.get(), std::chrono::steady_clock::now());
            status = taken.status;
            if (taken.why.code()) std::cerr << taken.why.describe() << '\n';
        }
        open = !ec && parser.keep_alive();
        http::response<http::empty_body> answer(static_cast<http::status>(status), parser.get().version());
        answer.keep_alive(open);
        answer.prepare_payload();
        co_await http::async_write(stream, answer, asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;
    }
}

asio::awaitable<void> accept(tcp::acceptor acceptor, jirapool::webhook_receiver* jira) {
    for (;;) {
        beast::error_code ec;
        auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, ec));
        if (!ec) asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), jira), asio::detached);
    }
}

}  // namespace

int main(int argc, char** argv) {
    // As in webhook_spec::signing_secret when the webhook was created.
    char const* const key = std::getenv("JIRA_WEBHOOK_SECRET");
    if (argc != 2 || key == nullptr) {
        std::cerr << "usage: JIRA_WEBHOOK_SECRET=… webhook_receiver PORT\n";
        return 2;
    }
    asio::io_context io(1);
    // One for each connection, by its id: the webhook's URL is https://…/jira/acme (webhook_callback_url).
    jirapool::webhook_receiver jira("/jira");
    std::vector<jirapool::secret> secrets;
    secrets.emplace_back(key);
    jira.add("acme", std::move(secrets), handle);
    auto const port = static_cast<unsigned short>(std::atoi(argv[1]));
    asio::co_spawn(io, accept({io, {asio::ip::address_v4::loopback(), port}}, &jira), asio::detached);
    io.run();
}
