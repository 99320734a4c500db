#include "commands.hpp"
#include "exit_status.hpp"
#include "forwarder.hpp"
#include "report_parts.hpp"

#include <jirapool/pool/webhook_delivery.hpp>
#include <jirapool/tools/json_writer.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::cli {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::size_t most_body = 25u << 20;  // Jira sends no more
constexpr std::size_t most_connections = 64;
constexpr std::string_view webhook_headers = "X-Atlassian-Webhook-";

std::string_view view(beast::string_view text) noexcept { return {text.data(), text.size()}; }

/// What came to it, shown as it comes. Of one thread.
class listener {
public:
    explicit listener(listen_options o)
        : options_(std::move(o)), io_(1), acceptor_(io_), signals_(io_, SIGINT, SIGTERM) {
        if (options_.forward)
            forwarder_.emplace(io_, *options_.forward,
                               [this](forwarded_delivery const& d, forwarder::outcome const& was) {
                                   if (!tools::print("jirapool", show(d, was))) stop(failed);
                               });
    }

    int run() {
        tcp::endpoint const at(asio::ip::make_address(options_.address), options_.port);
        beast::error_code ec;
        acceptor_.open(at.protocol(), ec);
        if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
        if (!ec) acceptor_.bind(at, ec);
        if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
        if (ec) {
            tools::tell(fmt::format("jirapool: cannot listen on {}, port {}: {}\n", options_.address, options_.port,
                                    ec.message()));
            return failed;
        }
        tools::tell(fmt::format("listening on port {} of {}\n", acceptor_.local_endpoint().port(), options_.address));
        signals_.async_wait([this](beast::error_code, int) { stop(ok); });
        asio::co_spawn(io_, accept(this), asio::detached);
        io_.run();
        if (forwarder_ && forwarder_->left() != 0)
            tools::tell(fmt::format("jirapool: {} more were not forwarded\n", forwarder_->left()));
        return status_;
    }

private:
    void stop(int status) {
        status_ = status;
        io_.stop();
    }

    /// Takes no more, and ends when what was taken is forwarded.
    void finish() {
        if (!forwarder_) return stop(ok);
        beast::error_code ignored;
        acceptor_.close(ignored);
        forwarder_->when_idle([this] { stop(ok); });
    }

    static asio::awaitable<void> accept(listener* self) {
        asio::steady_timer pause(self->io_);
        for (;;) {
            beast::error_code ec;
            auto socket = co_await self->acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, ec));
            if (self->finishing_) co_return;
            if (ec) {
                // Of descriptors, most likely: there are some again when others end.
                pause.expires_after(100ms);
                co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
                continue;
            }
            if (self->connections_ >= most_connections) continue;
            asio::co_spawn(self->io_, serve(self, std::move(socket)), asio::detached);
        }
    }

    static asio::awaitable<void> serve(listener* self, tcp::socket socket) {
        class counted {
        public:
            explicit counted(std::size_t& n) noexcept : n_(++n) {}
            ~counted() { --n_; }
            counted(counted const&) = delete;
            counted& operator=(counted const&) = delete;

        private:
            std::size_t& n_;
        } const one(self->connections_);
        beast::tcp_stream stream(std::move(socket));
        beast::flat_buffer buffer;
        for (bool open = true; open;) {
            stream.expires_after(30s);
            http::request_parser<http::string_body> parser;
            parser.body_limit(most_body);
            beast::error_code ec;
            co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, ec));
            if ((ec && ec != http::error::body_limit) || self->finishing_) co_return;
            auto const status = ec ? self->refuse_large(view(parser.get().target())) : self->take(parser.get());
            bool const is_last = self->shown_ == self->options_.count;
            // At once: others come while this one is answered.
            if (is_last) self->finishing_ = true;
            open = !ec && parser.keep_alive();
            http::response<http::empty_body> answer(static_cast<http::status>(status), parser.get().version());
            answer.keep_alive(open);
            answer.prepare_payload();
            co_await http::async_write(stream, answer, asio::redirect_error(asio::use_awaitable, ec));
            if (is_last) self->finish();
            if (ec) co_return;
        }
    }

    /// The status to answer with. What is refused is shown too.
    unsigned take(http::request<http::string_body> const& m) {
        std::vector<webhook_request::header> headers;
        for (auto const& field : m) headers.emplace_back(view(field.name_string()), view(field.value()));
        auto read = read_webhook_delivery({view(m.method_string()), headers, m.body()}, options_.signing_secret);
        std::string text;
        unsigned status = 200;
        if (read) {
            bool const is_new = seen_.is_new(read->id, std::chrono::steady_clock::now());
            text = show(*read, view(m.target()), is_new);
        } else {
            auto const why = read.error();
            status = static_cast<unsigned>(why.status());
            text = show(why, view(m.target()));
        }
        ++shown_;
        if (!tools::print("jirapool", text)) {
            stop(failed);
            return 503;  // so Jira delivers it again
        }
        if (read && forwarder_) forward(std::move(*read), view(m.target()), headers);
        return status;
    }

    /// What is not even read.
    unsigned refuse_large(std::string_view target) {
        auto const why = failure(errc::invalid_argument, "must be at most 25 MiB").with_field("body").with_status(413);
        ++shown_;
        if (!tools::print("jirapool", show(why, target))) stop(failed);
        return 413;
    }

    /// With what proves it to the target too.
    void forward(webhook_delivery d, std::string_view target, std::vector<webhook_request::header> const& headers) {
        forwarded_delivery on{std::string(target), std::move(d.id), {}, std::move(d.body)};
        for (auto const& [name, value] : headers)
            if (beast::iequals(name, "X-Hub-Signature") || beast::iequals(name, "Content-Type") ||
                beast::iequals(name, "Via") || beast::iequals(name.substr(0, webhook_headers.size()), webhook_headers))
                on.headers.emplace_back(name, value);
        forwarder_->add(std::move(on));
    }

    std::string show(webhook_delivery const& d, std::string_view target, bool is_new) const {
        if (options_.json) {
            tools::json_writer out;
            out.begin_object();
            out.member("target", target);
            out.member("id", d.id);
            out.member("retry", d.retry);
            out.member("duplicate", !is_new);
            out.member("event", d.event);
            if (d.timestamp)
                out.member(
                    "timestamp",
                    std::chrono::duration_cast<std::chrono::milliseconds>(d.timestamp->time_since_epoch()).count());
            out.member("issue_id", d.issue_id);
            out.member("issue_key", d.issue_key);
            if (options_.bodies) out.member("body", d.body);
            out.end_object();
            return out.take();
        }
        auto text = fmt::format("{}  {}  {}  id {}, retry {}{}\n", tools::printable(target), tools::printable(d.event),
                                d.issue_key.empty() ? "-" : tools::printable(d.issue_key),
                                d.id.empty() ? "-" : tools::printable(d.id), d.retry, is_new ? "" : ", again");
        if (options_.bodies) text += tools::printable(d.body) + "\n";
        return text;
    }

    std::string show(failure const& why, std::string_view target) const {
        if (options_.json) {
            tools::json_writer out;
            out.begin_object();
            out.member("target", target);
            out.member("refused", why.status());
            out.member("field", why.field());
            out.member("rule", why.rule());
            out.end_object();
            return out.take();
        }
        return fmt::format("{}  refused with {}: {}: {}\n", tools::printable(target), why.status(), why.field(),
                           why.rule());
    }

    std::string show(forwarded_delivery const& d, forwarder::outcome const& was) const {
        bool const taken = was.status >= 200 && was.status < 300;
        if (options_.json) {
            tools::json_writer out;
            out.begin_object();
            out.member("target", d.target);
            out.member("id", d.id);
            out.member("forwarded", taken);
            if (was.status != 0) out.member("status", was.status);
            else out.key("status").null();
            write_text(out, "problem", was.problem);
            out.member("took_ms", was.took.count());
            out.end_object();
            return out.take();
        }
        return fmt::format("{}  {}  id {}: {}\n", tools::printable(d.target), taken ? "forwarded" : "NOT FORWARDED",
                           d.id.empty() ? "-" : tools::printable(d.id),
                           was.status != 0 ? fmt::format("{} in {} ms", was.status, was.took.count())
                                           : tools::printable(was.problem));
    }

    listen_options const options_;
    asio::io_context io_;
    tcp::acceptor acceptor_;
    asio::signal_set signals_;
    webhook_window seen_;
    std::size_t connections_ = 0;
    std::size_t shown_ = 0;
    bool finishing_ = false;
    std::optional<forwarder> forwarder_;
    int status_ = ok;
};

}  // namespace

int listen_for_webhooks(listen_options o) { return listener(std::move(o)).run(); }

}  // namespace jirapool::cli
