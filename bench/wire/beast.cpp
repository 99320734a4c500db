// As Beast's own examples do it: a coroutine per connection over ssl_stream, a deadline per operation, string_body.
#include "bench.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <stdexcept>

namespace jirapool::bench {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

struct progress {
    std::size_t done = 0;
    double begun = 0;
    double ended = 0;
    std::string failed = {};
};

asio::awaitable<void> call_and_call(asio::ssl::context* tls, task t, progress* p) {
    beast::ssl_stream<beast::tcp_stream> stream(co_await asio::this_coro::executor, *tls);
    auto& tcp = beast::get_lowest_layer(stream);
    tcp.expires_after(std::chrono::seconds(30));
    asio::ip::tcp::endpoint const to(asio::ip::address_v4::loopback(), t.port);
    co_await tcp.async_connect(to, asio::use_awaitable);
    tcp.socket().set_option(asio::ip::tcp::no_delay(true));
    SSL_set_tlsext_host_name(stream.native_handle(), host);
    co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
    http::request<http::empty_body> request(
        http::verb::get,
        "/ex/jira/11111111-2222-3333-4444-555555555555/rest/api/3/myself?bytes=" + std::to_string(t.body), 11);
    request.set(http::field::host, host);
    request.set(http::field::user_agent, "bench/1");
    request.set(http::field::authorization, "Bearer 0123456789abcdef0123456789abcdef");
    request.set(http::field::accept, "application/json");
    beast::flat_buffer buffer;
    while (p->done < t.warm_up + t.calls) {
        tcp.expires_after(std::chrono::seconds(30));
        co_await http::async_write(stream, request, asio::use_awaitable);
        http::response<http::string_body> response;
        co_await http::async_read(stream, buffer, response, asio::use_awaitable);
        if (response.result_int() != 200 || response.body().size() != t.body) throw std::runtime_error("beast: answer");
        if (++p->done == t.warm_up) p->begun = cpu_seconds();
        if (p->done == t.warm_up + t.calls) p->ended = cpu_seconds();
    }
}

}  // namespace

double run_beast(task const& t) {
    asio::io_context io(1);
    asio::ssl::context tls(asio::ssl::context::tls_client);
    tls.load_verify_file(t.ca_file);
    tls.set_verify_mode(asio::ssl::verify_peer);
    progress p;
    for (int i = 0; i < channels; ++i)
        asio::co_spawn(io, call_and_call(&tls, t, &p), [&p](std::exception_ptr e) {
            try {
                if (e) std::rethrow_exception(e);
            } catch (std::exception const& x) {
                p.failed = x.what();
            }
        });
    io.run();
    if (!p.failed.empty()) throw std::runtime_error(p.failed);
    return p.ended - p.begun;
}

}  // namespace jirapool::bench
