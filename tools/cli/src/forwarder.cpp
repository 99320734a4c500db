#include "forwarder.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <exception>
#include <optional>
#include <random>

namespace jirapool::cli {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

failure refuse(char const* rule) { return failure(errc::invalid_argument, rule); }

constexpr char const* url_rule = "must be http://HOST[:PORT][/PATH]";

bool has_scheme(std::string_view url, std::string_view scheme) noexcept {
    auto const lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return url.size() >= scheme.size() &&
           std::equal(scheme.begin(), scheme.end(), url.begin(), [&](char a, char b) { return a == lower(b); });
}

bool is_name(std::string_view host) noexcept {
    return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_';
    });
}

}  // namespace

result<forward_target> parse_forward_url(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    if (has_scheme(url, "https://"))
        return refuse("must be http://: https is not spoken here, so a proxy before the target has to");
    if (!has_scheme(url, scheme)) return refuse(url_rule);
    if (!std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f'; }))
        return refuse("must be visible characters of ASCII, others percent-encoded");
    url.remove_prefix(scheme.size());
    auto const authority = url.substr(0, url.find_first_of("/?#"));
    auto const path = url.substr(authority.size());
    if (authority.find('@') != std::string_view::npos)
        return refuse("must have no user or password: others can read the command line");
    if (path.find('#') != std::string_view::npos) return refuse("must have no fragment (#)");
    forward_target to;
    auto const bracket = authority.rfind(']');
    if (authority.starts_with('[') && bracket == std::string_view::npos) return refuse(url_rule);
    auto const colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    auto host = authority.substr(0, colon);
    if (colon == std::string_view::npos) {
        to.port = "80";
    } else {
        auto const digits = authority.substr(colon + 1);
        std::uint16_t port = 0;
        auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (error != std::errc{} || end != digits.data() + digits.size() || port == 0)
            return refuse("must have a port of 1 to 65535, or none");
        to.port = std::to_string(port);
    }
    if (host.starts_with('[')) {
        beast::error_code ec;
        if (!host.ends_with(']')) return refuse(url_rule);
        host = host.substr(1, host.size() - 2);
        asio::ip::make_address_v6(std::string(host), ec);
        if (ec) return refuse("must have an IPv6 address in its brackets");
    } else if (!is_name(host)) {
        return refuse(url_rule);
    }
    to.host = host;
    to.authority = authority;
    // A query without a path is of the root.
    to.path = path.starts_with('?') ? "/" + std::string(path) : std::string(path);
    return to;
}

forwarder::forwarder(asio::io_context& io, forward_target to, report then)
    : io_(io),
      resolver_(io),
      to_(std::move(to)),
      then_(std::move(then)),
      via_(fmt::format("1.1 jirapool-{:08x}", std::random_device()())) {}

void forwarder::add(forwarded_delivery d) {
    for (auto const& [name, value] : d.headers) {
        if (!beast::iequals(name, "Via") || value.find(via_) == std::string::npos) continue;
        outcome o;
        o.problem = "it came from here: the URL leads back";
        then_(d, o);
        return;
    }
    waiting_bytes_ += d.size();
    waiting_.push_back(std::move(d));
    while (waiting_.size() > most_waiting || waiting_bytes_ > most_waiting_bytes) {
        auto const oldest = std::move(waiting_.front());
        waiting_.pop_front();
        waiting_bytes_ -= oldest.size();
        outcome o;
        o.problem = fmt::format("too many wait: dropped, {} so far", ++dropped_);
        then_(oldest, o);
    }
    if (posting_) return;
    posting_ = true;
    asio::co_spawn(io_, post_all(this), [](std::exception_ptr const& e) {
        if (e) std::rethrow_exception(e);
    });
}

void forwarder::when_idle(std::function<void()> end) {
    if (left() == 0) end();
    else end_ = std::move(end);
}

asio::awaitable<void> forwarder::post_all(forwarder* self) {
    while (!self->waiting_.empty()) {
        auto const d = std::move(self->waiting_.front());
        self->waiting_.pop_front();
        self->waiting_bytes_ -= d.size();
        outcome o;
        auto const began = std::chrono::steady_clock::now();
        co_await post(self, &d, &o);
        o.took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
        self->then_(d, o);
    }
    self->posting_ = false;
    if (self->end_) self->end_();
}

asio::awaitable<void> forwarder::post(forwarder* self, forwarded_delivery const* d, outcome* o) {
    auto const& to = self->to_;
    beast::error_code ec;
    auto const describe = [](beast::error_code const& e) {
        return e == beast::error::timeout ? fmt::format("no answer within {} s", patience.count()) : e.message();
    };
    beast::tcp_stream stream(self->io_);
    // Set once: a deadline of all that follows.
    stream.expires_after(patience);
    std::vector<tcp::endpoint> at;
    auto const address = asio::ip::make_address(to.host, ec);
    if (!ec) {
        at.emplace_back(address, static_cast<std::uint16_t>(std::stoi(to.port)));
    } else {
        auto const found = co_await self->resolver_.async_resolve(to.host, to.port,
                                                                  asio::redirect_error(asio::use_awaitable, ec));
        for (auto const& one : found) at.push_back(one.endpoint());
    }
    if (!ec) co_await stream.async_connect(at, asio::redirect_error(asio::use_awaitable, ec));
    if (ec) {
        o->problem = describe(ec);
        co_return;
    }

    http::request<http::string_body> m(http::verb::post, to.path.empty() ? d->target : to.path, 11);
    m.set(http::field::host, to.authority);
    m.set(http::field::user_agent, "jirapool-cli/" JIRAPOOL_VERSION);
    m.insert(http::field::via, self->via_);
    for (auto const& [name, value] : d->headers) m.insert(name, value);
    m.body() = d->body;
    m.keep_alive(false);
    m.prepare_payload();
    beast::error_code unsent;
    co_await http::async_write(stream, m, asio::redirect_error(asio::use_awaitable, unsent));
    // Who refuses early may have answered before the body was sent.
    beast::flat_buffer buffer;
    std::optional<http::response_parser<http::string_body>> parser;
    bool is_interim = true;
    while (is_interim) {
        parser.emplace();
        parser->body_limit(1u << 20);
        co_await http::async_read_header(stream, buffer, *parser, asio::redirect_error(asio::use_awaitable, ec));
        is_interim = !ec && parser->get().result_int() < 200;
    }
    if (ec) {
        o->problem = ec == beast::error::timeout ? describe(ec) : "no answer: " + describe(unsent ? unsent : ec);
        co_return;
    }
    o->status = parser->get().result_int();
    // Nobody looks at its body, but the target shall not see the channel end in the middle of it.
    co_await http::async_read(stream, buffer, *parser, asio::redirect_error(asio::use_awaitable, ec));
}

}  // namespace jirapool::cli
