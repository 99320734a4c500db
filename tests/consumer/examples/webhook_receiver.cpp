// Receives what Jira delivers to a webhook: behind a proxy that does the TLS, so Jira's URL is https and this listens on 127.0.0.1.
// Each delivery is proved by its signature, handled once, and answered with a status that tells Jira whether to deliver it again.
#include <jirapool/pool/webhook_delivery.hpp>

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
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

class receiver {
public:
    explicit receiver(jirapool::secret key) : key_(std::move(key)) {}

    /// The status to answer with.
    int receive(http::request<http::string_body> const& request) {
        std::vector<jirapool::webhook_request::header> headers;
        for (auto const& field : request) {
            auto const name = field.name_string();
            auto const value = field.value();
            headers.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
        }
        auto const method = request.method_string();
        auto delivery = jirapool::read_webhook_delivery({{method.data(), method.size()}, headers, request.body()},
                                                        key_);
        if (!delivery) {
            std::cerr << delivery.error().describe() << '\n';
            return delivery.error().status();
        }
        if (!seen_.is_new(delivery->id, std::chrono::steady_clock::now()))
            return 200;  // a retry of one that was handled
        try {
            handle(*delivery);
            return 200;
        } catch (std::exception const& e) {
            // Not handled: with a 500 Jira delivers it again, up to five times.
            seen_.forget(delivery->id);
            std::cerr << e.what() << '\n';
            return 500;
        }
    }

private:
    /// What your service does with it. Longer work belongs into a queue: Jira waits some 20 s for the answer.
    static void handle(jirapool::webhook_delivery const& d) { std::cout << d.event << ' ' << d.issue_key << '\n'; }

    jirapool::secret key_;
    jirapool::webhook_window seen_;
};

asio::awaitable<void> serve(tcp::socket socket, receiver* jira) {
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer;
    for (bool open = true; open;) {
        stream.expires_after(60s);
        http::request_parser<http::string_body> parser;
        parser.body_limit(25u << 20);  // Jira sends no more
        beast::error_code ec;
        co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, ec));
        if (ec && ec != http::error::body_limit) co_return;
        auto const status = ec ? 413 : jira->receive(parser.get());
        open = !ec && parser.keep_alive();
        http::response<http::empty_body> answer(static_cast<http::status>(status), parser.get().version());
        answer.keep_alive(open);
        answer.prepare_payload();
        co_await http::async_write(stream, answer, asio::redirect_error(asio::use_awaitable, ec));
        if (ec) co_return;
    }
}

asio::awaitable<void> accept(tcp::acceptor acceptor, receiver* jira) {
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
    receiver jira{jirapool::secret(key)};
    auto const port = static_cast<unsigned short>(std::atoi(argv[1]));
    asio::co_spawn(io, accept({io, {asio::ip::address_v4::loopback(), port}}, &jira), asio::detached);
    io.run();
}
