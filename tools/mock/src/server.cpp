// The mock's sockets: the only source that includes Asio and Beast.
#include <jirapool/mock/server.hpp>

#include "app.hpp"
#include "certificate.hpp"
#include "clock.hpp"
#include "compress.hpp"
#include "reply.hpp"
#include "text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <unordered_set>
#include <utility>

namespace jirapool::mock {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds handshake_timeout{10};
/// For the rest of a request that began, and for an answer to be taken.
constexpr seconds transfer_timeout{30};
constexpr seconds shutdown_timeout{2};
constexpr std::chrono::minutes never_answer_timeout{10};
/// How late a deadline may be noticed.
constexpr milliseconds sweep_interval{50};
/// CloudFront's ceiling for request line and headers.
constexpr std::uint32_t max_header = 20'480;
constexpr std::uint64_t max_body = 10u << 20;

struct worker;

/// Something with a socket on a worker: known to it, so that it can be ended.
class guest {
public:
    explicit guest(worker& host) : host_(host) {}
    virtual ~guest() = default;
    guest(guest const&) = delete;
    guest& operator=(guest const&) = delete;

    /// At once; pending operations end with an error.
    virtual void abort(bool reset) = 0;
    virtual void on_deadline() = 0;
    steady_time deadline() const noexcept { return deadline_; }

protected:
    void expire_after(std::chrono::nanoseconds t) noexcept { deadline_ = read_clock().steady + t; }

    worker& host_;
    steady_time deadline_ = steady_time::max();
};

struct worker {
    worker(app& a, asio::ssl::context& t) : application(a), tls(t), io(1), guard(io.get_executor()), sweeper(io) {}

    void sweep() {
        sweeper.expires_after(sweep_interval);
        sweeper.async_wait([this](error_code ec) {
            if (ec || is_stopping) return;
            steady_time const now = read_clock().steady;
            // What a deadline does may end a guest, but only later, from a handler: the set does not change here.
            for (guest* const g : guests) {
                if (g->deadline() <= now) g->on_deadline();
            }
            sweep();
        });
    }

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

void close_socket(tcp::socket& socket, bool reset) {
    error_code ignored;
    if (reset) socket.set_option(asio::socket_base::linger(true, 0), ignored);
    socket.close(ignored);
}

class fields_lookup final : public header_lookup {
public:
    explicit fields_lookup(http::fields const& f) : fields_(f) {}
    std::string_view find(std::string_view name) const override {
        auto const it = fields_.find(boost::beast::string_view(name.data(), name.size()));
        if (it == fields_.end()) return {};
        return std::string_view(it->value().data(), it->value().size());
    }

private:
    http::fields const& fields_;
};

std::string_view to_std(boost::beast::string_view s) noexcept { return std::string_view(s.data(), s.size()); }

/// One TLS connection: a request, its answer, the next request.
class session final : public guest, public std::enable_shared_from_this<session> {
public:
    session(worker& host, tcp::socket socket, std::uint64_t number)
        : guest(host), stream_(std::move(socket), host.tls), timer_(host.io), number_(number) {
        host_.guests.insert(this);
        host_.application.tally().connection_opened();
    }
    ~session() override {
        host_.guests.erase(this);
        host_.application.tally().connection_closed();
    }

    void start() {
        error_code ignored;
        socket().set_option(tcp::no_delay(true), ignored);
        expire_after(handshake_timeout);
        stream_.async_handshake(asio::ssl::stream_base::server,
                                [self = shared_from_this()](error_code ec) { self->on_handshake(ec); });
    }

    void abort(bool reset) override {
        is_aborted_ = true;
        timer_.cancel();
        close_socket(socket(), reset);
    }

    void on_deadline() override {
        deadline_ = steady_time::max();
        if (state_ == state::handshaking) host_.application.tally().handshake_failed();
        if (state_ != state::idle) {
            abort(false);
            return;
        }
        // The read ends first: a stream does one thing at a time.
        state_ = state::idled_out;
        error_code ignored;
        socket().cancel(ignored);
    }

private:
    enum class state : std::uint8_t { handshaking, idle, idled_out, reading, answering, closing };

    tcp::socket& socket() noexcept { return stream_.next_layer(); }

    void on_handshake(error_code ec) {
        if (ec) {
            if (!is_aborted_) host_.application.tally().handshake_failed();
            return;
        }
        SSL* const ssl = stream_.native_handle();
        host_.application.tally().handshake_done(SSL_session_reused(ssl) == 1);
        if (char const* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) sni_ = lower(name);
        read();
    }

    void read() {
        parser_.emplace();
        parser_->header_limit(max_header);
        parser_->body_limit(max_body);
        state_ = state::idle;
        expire_after(host_.application.params().idle_timeout);
        http::async_read_header(stream_, buffer_, *parser_,
                                [self = shared_from_this()](error_code ec, std::size_t) { self->on_header(ec); });
    }

    void on_header(error_code ec) {
        if (state_ == state::idled_out && !is_aborted_) return shut_down();
        if (ec) return on_read_error(ec);
        if (parser_->is_done()) return answer();
        state_ = state::reading;
        expire_after(transfer_timeout);
        if (!same_name(to_std(parser_->get()[http::field::expect]), "100-continue")) return read_body();
        out_ = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(out_), [self = shared_from_this()](error_code e, std::size_t) {
            if (!e) self->read_body();
        });
    }

    void read_body() {
        http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](error_code ec, std::size_t) {
            if (ec) return self->on_read_error(ec);
            self->answer();
        });
    }

    void on_read_error(error_code ec) {
        if (is_aborted_) return;
        if (ec == http::error::end_of_stream) return shut_down();
        bool const is_http = ec.category() == http::make_error_code(http::error::end_of_stream).category();
        if (!is_http || ec == http::error::partial_message) return;
        int const status = ec == http::error::body_limit ? 413 : ec == http::error::header_limit ? 431 : 400;
        reply_ = host_.application.refuse_unreadable(status);
        is_head_ = false;
        keep_alive_ = false;
        send();
    }

    void answer() {
        state_ = state::answering;
        auto const& request = parser_->get();
        fields_lookup const lookup(request);
        std::string_view host = to_std(request[http::field::host]);
        // No IPv6 literal is a host of ours, so the first colon begins the port.
        host = host.substr(0, host.find(':'));
        std::string const host_name = lower(host);
        request_view r;
        r.method = to_std(request.method_string());
        r.target = to_std(request.target());
        r.host = host_name;
        r.sni = sni_;
        r.body = request.body();
        r.connection = number_;
        r.request = ++requests_;
        r.headers = &lookup;
        is_head_ = request.method() == http::verb::head;
        keep_alive_ = request.keep_alive();
        reply_ = host_.application.handle(r, read_clock());
        reply_.chunked = reply_.chunked && request.version() >= 11;
        if (reply_.compress) compress(reply_, r.header("accept-encoding"));

        if (reply_.delay <= milliseconds{0}) return send();
        expire_after(reply_.delay + transfer_timeout);
        timer_.expires_after(reply_.delay);
        timer_.async_wait([self = shared_from_this()](error_code ec) {
            if (!ec && !self->is_aborted_) self->send();
        });
    }

    void send() {
        state_ = state::answering;
        expire_after(transfer_timeout);
        if (reply_.scripted && reply_.scripted->never_answer) {
            expire_after(never_answer_timeout);
            return wait_for_end();
        }
        reply_.exchange.end();
        out_.clear();
        render(reply_, is_head_, keep_alive_, read_clock().wall, out_);
        if (reply_.scripted && reply_.scripted->close_after_bytes) {
            out_.resize(std::min(out_.size(), *reply_.scripted->close_after_bytes));
        }
        asio::async_write(stream_, asio::buffer(out_),
                          [self = shared_from_this()](error_code ec, std::size_t) { self->on_sent(ec); });
    }

    void on_sent(error_code ec) {
        if (ec || is_aborted_) return;
        // One large answer must not keep its memory for the life of the connection.
        constexpr std::size_t worth_keeping = 64 * 1024;
        if (out_.capacity() > worth_keeping) std::string().swap(out_);
        if (reply_.scripted) {
            scripted_reply const& s = *reply_.scripted;
            if (s.reset) return abort(true);
            // In the middle of an answer there is no good order.
            if (s.close_after_bytes) return abort(false);
            if (s.close) return shut_down();
        }
        if (reply_.close_silently) {
            host_.application.tally().injected_close();
            return shut_down();
        }
        if (!keep_alive_) return shut_down();
        read();
    }

    void wait_for_end() {
        stream_.async_read_some(asio::buffer(scratch_), [self = shared_from_this()](error_code ec, std::size_t) {
            if (!ec && !self->is_aborted_) self->wait_for_end();
        });
    }

    void shut_down() {
        state_ = state::closing;
        expire_after(shutdown_timeout);
        stream_.async_shutdown([self = shared_from_this()](error_code) { close_socket(self->socket(), false); });
    }

    asio::ssl::stream<tcp::socket> stream_;
    asio::steady_timer timer_;
    boost::beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    std::string out_;
    reply reply_;
    std::string sni_;
    std::array<char, 256> scratch_;
    std::uint64_t const number_;
    std::uint64_t requests_ = 0;
    state state_ = state::handshaking;
    bool is_head_ = false;
    bool keep_alive_ = true;
    bool is_aborted_ = false;
};

/// One request to the admin port and its answer.
class admin_session final : public guest, public std::enable_shared_from_this<admin_session> {
public:
    admin_session(worker& host, tcp::socket socket) : guest(host), socket_(std::move(socket)) {
        host_.guests.insert(this);
    }
    ~admin_session() override { host_.guests.erase(this); }

    void start() {
        expire_after(handshake_timeout);
        asio::async_read_until(socket_, asio::dynamic_buffer(in_, max_header), "\r\n\r\n",
                               [self = shared_from_this()](error_code ec, std::size_t) {
                                   if (!ec) self->answer();
                               });
    }
    void abort(bool reset) override { close_socket(socket_, reset); }
    void on_deadline() override { abort(false); }

private:
    void answer() {
        std::string_view const line = std::string_view(in_).substr(0, in_.find("\r\n"));
        std::string_view const request = line.substr(0, line.rfind(' '));
        reply out;
        out.content_type = "application/json";
        app& a = host_.application;
        if (request == "GET /stats") {
            out.body = to_json(a.snapshot());
        } else if (request == "GET /buckets") {
            append_buckets(out.body);
        } else if (request == "GET /connections") {
            append_connections(out.body);
        } else if (request == "POST /reset") {
            a.reset_stats();
            out.status = 204;
        } else if (request.starts_with("POST /faults?")) {
            change_faults(request.substr(request.find('?') + 1), out);
        } else {
            out.status = 404;
            out.content_type = "text/plain";
            out.body = "GET /stats, GET /buckets, GET /connections, POST /reset, POST /faults?latency_ms=100\n";
        }
        in_.clear();
        render(out, false, false, read_clock().wall, in_);
        expire_after(transfer_timeout);
        asio::async_write(socket_, asio::buffer(in_),
                          [self = shared_from_this()](error_code, std::size_t) { self->finish(); });
    }

    // A request body that nobody read would turn the close into a reset, and that may overtake the answer.
    void finish() {
        error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
        expire_after(shutdown_timeout);
        drain();
    }
    void drain() {
        socket_.async_read_some(asio::buffer(scratch_), [self = shared_from_this()](error_code ec, std::size_t) {
            if (!ec) self->drain();
        });
    }

    void append_buckets(std::string& out) const {
        auto const& sites = host_.application.world().sites();
        out = "[";
        for (bucket_stats const& b : host_.application.buckets()) {
            fmt::format_to(
                std::back_inserter(out),
                R"({}{{"site":"{}","route":"{}","rate":{},"admitted":{},"refused":{},"span_s":{},"permitted":{}}})",
                out.size() > 1 ? ",\n" : "", sites[b.site].host, b.route, b.rate, b.admitted, b.refused,
                std::chrono::duration<double>(b.span).count(), b.permitted);
        }
        out += "]\n";
    }

    void append_connections(std::string& out) const {
        auto const& infos = host_.application.world().connections();
        stats const s = host_.application.snapshot();
        out = "[";
        for (std::size_t i = 0; i < infos.size(); ++i) {
            connection_stats const& c = s.connections[i];
            fmt::format_to(std::back_inserter(out),
                           R"({}{{"id":"{}","requests":{},"limited":{},"refreshes":{},"exchanges":{},"in_flight":{},)"
                           R"("max_in_flight":{}}})",
                           out.size() > 1 ? ",\n" : "", infos[i].id, c.requests, c.limited, c.refreshes, c.exchanges,
                           c.in_flight, c.max_in_flight);
        }
        out += "]\n";
    }

    void change_faults(std::string_view query, reply& out) {
        faults f = host_.application.settings().get_faults();
        bool ok = true;
        auto const number = [&](std::string_view name) -> std::optional<double> {
            auto const text = form_field(query, name);
            if (!text) return std::nullopt;
            char* end = nullptr;
            double const value = std::strtod(text->c_str(), &end);
            // A wait that overflows milliseconds is as wrong as a word; NaN fails the comparison too.
            ok = ok && !text->empty() && *end == '\0' && value >= 0 && value <= 1e9;
            return ok ? std::optional(value) : std::nullopt;
        };
        auto const wait = [&](std::string_view name, milliseconds& to) {
            if (auto const n = number(name)) to = milliseconds{static_cast<milliseconds::rep>(*n)};
        };
        auto const rate = [&](std::string_view name, double& to) {
            if (auto const n = number(name)) to = *n;
        };
        wait("latency_ms", f.latency);
        wait("latency_jitter_ms", f.latency_jitter);
        wait("token_latency_ms", f.token_latency);
        rate("error_rate", f.error_rate);
        rate("token_error_rate", f.token_error_rate);
        rate("close_rate", f.close_rate);
        char const* const problem = ok ? why_invalid(f) : "not a number";
        if (problem) {
            out.status = 400;
            out.content_type = "text/plain";
            out.body = fmt::format("{}\n", problem);
            return;
        }
        host_.application.settings().set_faults(f);
        out.status = 204;
    }

    tcp::socket socket_;
    std::string in_;
    std::array<char, 1024> scratch_;
};

int choose_alpn(SSL*, unsigned char const** out, unsigned char* out_size, unsigned char const* in, unsigned in_size,
                void*) {
    static constexpr unsigned char ours[] = "\x08http/1.1";
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

void set_up_tls(asio::ssl::context& tls, certificates const& certs) {
    tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                    asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    tls.use_certificate(asio::buffer(certs.leaf), asio::ssl::context::pem);
    tls.use_private_key(asio::buffer(certs.private_key), asio::ssl::context::pem);
    SSL_CTX* const native = tls.native_handle();
    static constexpr unsigned char session_context[] = "jirapool-mock";
    SSL_CTX_set_session_id_context(native, session_context, sizeof session_context - 1);
    // Tickets carry the session: nothing to remember here.
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(native, choose_alpn, nullptr);
}

params checked(params p) {
    if (char const* const problem = why_invalid(p)) throw std::invalid_argument(problem);
    return p;
}

}  // namespace

class server::impl {
public:
    explicit impl(params p)
        : application(checked(std::move(p))),
          certs(make_certificates(read_clock().wall)),
          tls(asio::ssl::context::tls_server),
          port(application.params().port),
          admin_port(application.params().admin_port) {
        set_up_tls(tls, certs);
    }
    ~impl() { stop(); }

    void start() {
        if (!workers.empty()) return;
        std::vector<std::unique_ptr<worker>> made;
        for (unsigned i = 0; i < application.params().threads; ++i) {
            made.push_back(std::make_unique<worker>(application, tls));
        }
        acceptor.emplace(made.front()->io);
        admin_acceptor.emplace(made.front()->io);
        retry.emplace(made.front()->io);
        try {
            open(*acceptor, application.params().address, port);
            open(*admin_acceptor, "127.0.0.1", admin_port);
        } catch (...) {
            drop_acceptors();
            throw;
        }
        bound_port = acceptor->local_endpoint().port();
        bound_admin_port = admin_acceptor->local_endpoint().port();
        port = bound_port;
        admin_port = bound_admin_port;
        workers = std::move(made);
        {
            std::lock_guard const lock(reachable_mutex);
            for (auto const& w : workers) reachable.push_back(w.get());
        }
        accept();
        accept_admin();
        for (auto const& w : workers) {
            w->sweep();
            w->thread = std::thread([io = &w->io] { io->run(); });
        }
    }

    void stop() {
        if (workers.empty()) return;
        {
            std::lock_guard const lock(reachable_mutex);
            reachable.clear();
        }
        for (auto const& w : workers) {
            bool const has_acceptors = w == workers.front();
            asio::post(w->io, [this, host = w.get(), has_acceptors] {
                host->is_stopping = true;
                host->sweeper.cancel();
                if (has_acceptors) {
                    error_code ignored;
                    acceptor->close(ignored);
                    admin_acceptor->close(ignored);
                    retry->cancel();
                }
                for (guest* const g : host->guests) g->abort(false);
                host->guard.reset();
            });
        }
        for (auto const& w : workers) w->thread.join();
        drop_acceptors();
        // Sockets that one worker had accepted for another when that had ended go with their io_context.
        workers.clear();
    }

    void close_connections(bool reset) {
        std::lock_guard const lock(reachable_mutex);
        for (worker* const w : reachable) {
            asio::post(w->io, [host = w, reset] {
                for (guest* const g : host->guests) g->abort(reset);
            });
        }
    }

    app application;
    certificates certs;
    asio::ssl::context tls;
    std::atomic<unsigned short> bound_port{0};
    std::atomic<unsigned short> bound_admin_port{0};

private:
    static void open(tcp::acceptor& a, std::string const& address, unsigned short wanted) {
        error_code ec;
        auto const ip = asio::ip::make_address(address, ec);
        tcp::endpoint const endpoint(ip, wanted);
        if (!ec) a.open(endpoint.protocol(), ec);
        if (!ec) a.set_option(tcp::acceptor::reuse_address(true), ec);
        if (!ec) a.bind(endpoint, ec);
        if (!ec) a.listen(4096, ec);
        if (ec) throw std::runtime_error(fmt::format("cannot listen on {}:{}: {}", address, wanted, ec.message()));
    }

    void drop_acceptors() {
        acceptor.reset();
        admin_acceptor.reset();
        retry.reset();
    }

    void accept() {
        worker& host = *workers[next++ % workers.size()];
        acceptor->async_accept(host.io, [this, &host](error_code ec, tcp::socket socket) {
            if (workers.front()->is_stopping) return;
            if (ec) {
                // Out of descriptors, mostly: at once again would spin until some are back.
                retry->expires_after(milliseconds{50});
                retry->async_wait([this](error_code e) {
                    if (!e && !workers.front()->is_stopping) accept();
                });
                return;
            }
            std::uint64_t const number = ++accepted;
            if (&host == workers.front().get()) {
                std::make_shared<session>(host, std::move(socket), number)->start();
            } else {
                asio::post(host.io, [&host, number, s = std::move(socket)]() mutable {
                    if (!host.is_stopping) std::make_shared<session>(host, std::move(s), number)->start();
                });
            }
            accept();
        });
    }

    void accept_admin() {
        admin_acceptor->async_accept([this](error_code ec, tcp::socket socket) {
            if (workers.front()->is_stopping || ec == asio::error::operation_aborted) return;
            if (!ec) std::make_shared<admin_session>(*workers.front(), std::move(socket))->start();
            accept_admin();
        });
    }

    unsigned short port;
    unsigned short admin_port;
    std::vector<std::unique_ptr<worker>> workers;
    // The workers that other threads may post to: a stop() takes them away before it ends them.
    std::mutex reachable_mutex;
    std::vector<worker*> reachable;
    // All of these run on the first worker.
    std::optional<tcp::acceptor> acceptor;
    std::optional<tcp::acceptor> admin_acceptor;
    std::optional<asio::steady_timer> retry;
    std::size_t next = 0;
    std::uint64_t accepted = 0;
};

server::server(params p) : impl_(std::make_unique<impl>(std::move(p))) {}
server::~server() = default;

void server::start() { impl_->start(); }
void server::stop() { impl_->stop(); }
unsigned short server::port() const noexcept { return impl_->bound_port; }
unsigned short server::admin_port() const noexcept { return impl_->bound_admin_port; }
std::string server::ca_pem() const { return impl_->certs.ca; }
mock::world const& server::world() const noexcept { return impl_->application.world(); }
stats server::snapshot() const { return impl_->application.snapshot(); }
std::vector<bucket_stats> server::buckets() const { return impl_->application.buckets(); }
void server::reset_stats() { impl_->application.reset_stats(); }
faults server::get_faults() const { return impl_->application.settings().get_faults(); }
void server::set_faults(faults f) {
    if (char const* const problem = why_invalid(f)) throw std::invalid_argument(problem);
    impl_->application.settings().set_faults(f);
}
void server::set_intercept(intercept_function f) { impl_->application.settings().set_intercept(std::move(f)); }
void server::revoke_tokens(std::size_t connection) {
    impl_->application.auth().revoke_tokens(connection, read_clock());
}
void server::replace_secret(std::size_t connection, std::string secret) {
    impl_->application.auth().replace_secret(connection, std::move(secret));
}
void server::close_connections(bool reset) { impl_->close_connections(reset); }
std::optional<std::string> server::issue_summary(std::size_t site, std::string_view key) const {
    auto const issue = impl_->application.site(site).issue(issue_number(key));
    if (!issue) return std::nullopt;
    return issue->summary;
}
std::size_t server::issue_count(std::size_t site) const { return impl_->application.site(site).issue_count(); }
std::size_t server::webhook_count(std::size_t site) const { return impl_->application.site(site).webhook_count(); }

}  // namespace jirapool::mock
