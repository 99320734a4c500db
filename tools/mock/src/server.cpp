// The listener: its ports and threads, and which thread gets a connection. What happens on one is session's and admin_session's.
#include <jirapool/mock/server.hpp>

#include "admin.hpp"
#include "admin_session.hpp"
#include "app.hpp"
#include "certificate.hpp"
#include "clock.hpp"
#include "courier.hpp"
#include "deliveries.hpp"
#include "http2_faults.hpp"
#include "session.hpp"
#include "tls.hpp"
#include "worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace jirapool::mock {
namespace {

params checked(params p) {
    if (char const* const problem = why_invalid(p)) throw std::invalid_argument(problem);
    return p;
}

error_code bind_to(tcp::acceptor& a, std::string const& address, unsigned short wanted) {
    error_code ec;
    auto const ip = asio::ip::make_address(address, ec);
    tcp::endpoint const endpoint(ip, wanted);
    if (!ec) a.open(endpoint.protocol(), ec);
    if (!ec) a.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) a.bind(endpoint, ec);
    return ec;
}

/// Empty, or why not. What is open is bound already.
std::string try_to_listen(tcp::acceptor& a, std::string const& address, unsigned short wanted) {
    error_code ec;
    if (!a.is_open()) ec = bind_to(a, address, wanted);
    if (!ec) a.listen(4096, ec);
    if (!ec) return {};
    return fmt::format("cannot listen on {}:{}: {}", address, wanted, ec.message());
}

void listen(tcp::acceptor& a, std::string const& address, unsigned short wanted) {
    std::string const problem = try_to_listen(a, address, wanted);
    if (!problem.empty()) throw std::runtime_error(problem);
}

}  // namespace

class server::impl final : public api_port, public outbox {
public:
    explicit impl(params p)
        : application(checked(std::move(p))),
          certs(make_certificates_from_file(application.params().ca_file, read_clock().wall)),
          tls(make_tls(certs, application.params().http)),
          port(application.params().port),
          admin_port(application.params().admin_port) {}
    ~impl() override { stop(); }

    void start() {
        if (!workers.empty()) return;
        std::vector<std::unique_ptr<worker>> made;
        for (unsigned i = 0; i < application.params().threads; ++i) {
            made.push_back(std::make_unique<worker>(application, tls));
        }
        worker& first = *made.front();
        acceptor.emplace(first.io);
        admin_acceptor.emplace(first.io);
        retry.emplace(first.io);
        try {
            listen(*acceptor, application.params().address, port);
            listen(*admin_acceptor, "127.0.0.1", admin_port);
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
        is_up = true;
        asio::co_spawn(first.io, accept(++openings), rethrow);
        asio::co_spawn(first.io, accept_admin(), rethrow);
        for (auto const& w : workers) {
            asio::co_spawn(w->io, w->sweep(), rethrow);
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
                host->abort_guests(false);
                host->guard.reset();
            });
        }
        for (auto const& w : workers) w->thread.join();
        drop_acceptors();
        // Sockets that one worker had accepted for another when that had ended go with their io_context.
        workers.clear();
    }

    void close_connections(bool reset) {
        on_workers([reset](worker& w) { w.abort_guests(reset); });
    }

    void down() {
        on_first_worker([this](done_mark const& mark) { close_api_port(mark); });
    }

    /// Empty, or why not.
    std::string up() {
        auto const problem = std::make_shared<std::string>();
        on_first_worker([this, problem](done_mark const&) { *problem = bring_up(); });
        return *problem;
    }

    void take_down() override { close_api_port(nullptr); }
    void play_now(http2_step const& s) override {
        on_workers([s](worker& w) { w.play_now(s); });
    }
    void set_http2(http2_settings s) override {
        application.settings().set_http2(s);
        on_workers([](worker& w) { w.tell_http2_settings(); });
    }

    std::string bring_up() override {
        if (is_up) return {};
        std::string problem = try_to_listen(*acceptor, application.params().address, port);
        if (!problem.empty()) return problem;
        is_up = true;
        asio::co_spawn(workers.front()->io, accept(++openings), rethrow);
        return {};
    }

    void send(delivery_round round) override {
        std::lock_guard const lock(reachable_mutex);
        if (reachable.empty()) return application.deliveries().on_dropped(round.left());
        worker* const host = reachable.front();
        asio::post(host->io, [this, host, r = std::move(round)]() mutable {
            asio::co_spawn(host->io, mock::deliver(host, &application.deliveries(), std::move(r)), rethrow);
        });
    }

    app application;
    certificates certs;
    asio::ssl::context tls;
    std::atomic<unsigned short> bound_port{0};
    std::atomic<unsigned short> bound_admin_port{0};

private:
    /// Lives as long as something is left to be done.
    using done_mark = std::shared_ptr<void>;

    /// Runs `f` on each worker's thread, soon.
    template <class F>
    void on_workers(F f) {
        std::lock_guard const lock(reachable_mutex);
        for (worker* const w : reachable) asio::post(w->io, [host = w, f] { f(*host); });
    }

    /// Runs `f` there, and returns when nobody holds its mark any more. Does nothing when not running.
    template <class F>
    void on_first_worker(F f) {
        auto const done = std::make_shared<std::promise<void>>();
        std::future<void> const over = done->get_future();
        {
            // Also when what holds it is destroyed without having run, as when the server is stopped meanwhile.
            done_mark const mark(nullptr, [done](void*) { done->set_value(); });
            std::lock_guard const lock(reachable_mutex);
            if (!reachable.empty()) asio::post(reachable.front()->io, [f, mark] { f(mark); });
        }
        over.wait();
    }

    void close_api_port(done_mark const& mark) {
        if (!is_up) return;
        is_up = false;
        error_code ignored;
        acceptor->close(ignored);
        retry->cancel();
        // Bound, but not listened on: connections are refused, and nobody gets the port who asks for any. If that fails, bring_up
        // tries again.
        if (bind_to(*acceptor, application.params().address, port)) acceptor->close(ignored);
        // Posted to each, so that it comes after the connections that were accepted for it.
        for (auto const& w : workers) {
            asio::post(w->io, [host = w.get(), mark] { host->abort_api_guests(false); });
        }
    }

    void drop_acceptors() {
        acceptor.reset();
        admin_acceptor.reset();
        retry.reset();
    }

    bool accepts(std::uint64_t opening) const noexcept {
        return !workers.front()->is_stopping && is_up && openings == opening;
    }

    /// Hands connections to the workers by turns, until the port is closed that was opened as the `opening`-th.
    asio::awaitable<void> accept(std::uint64_t opening) {
        while (true) {
            worker& host = *workers[next++ % workers.size()];
            error_code ec;
            tcp::socket socket = co_await acceptor->async_accept(host.io,
                                                                 asio::redirect_error(asio::use_awaitable, ec));
            if (!accepts(opening)) co_return;
            if (!ec) {
                // Spawned where it runs: Asio's co_spawn still reads the coroutine's cancellation state after it has
                // posted the coroutine to another thread.
                asio::post(host.io, [&host, number = ++accepted, s = std::move(socket)]() mutable {
                    asio::co_spawn(host.io, serve(&host, std::move(s), number), rethrow);
                });
                continue;
            }
            // Out of descriptors, mostly: at once again would spin until some are back.
            retry->expires_after(std::chrono::milliseconds{50});
            co_await retry->async_wait(asio::redirect_error(asio::use_awaitable, ec));
            if (!accepts(opening)) co_return;
        }
    }

    asio::awaitable<void> accept_admin() {
        worker& host = *workers.front();
        while (true) {
            error_code ec;
            tcp::socket socket = co_await admin_acceptor->async_accept(asio::redirect_error(asio::use_awaitable, ec));
            if (host.is_stopping || ec == asio::error::operation_aborted) co_return;
            if (!ec) asio::co_spawn(host.io, serve_admin(&host, this, this, std::move(socket)), rethrow);
        }
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
    bool is_up = false;
    /// How often the API port was opened: what accepted for an earlier opening ends.
    std::uint64_t openings = 0;
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
void server::play(scene_request const& r) {
    if (char const* const problem = impl_->application.stage().play(r)) throw std::invalid_argument(problem);
}
void server::play(http2_fault_request const& r) {
    if (char const* const problem = impl_->application.http2_script().play(r)) throw std::invalid_argument(problem);
}
void server::play_now(http2_step const& s) {
    if (char const* const problem = why_unplayable_now(s)) throw std::invalid_argument(problem);
    impl_->play_now(s);
}
void server::end_http2_faults() { impl_->application.http2_script().end_all(); }
http2_settings server::get_http2() const { return impl_->application.settings().get_http2(); }
void server::set_http2(http2_settings s) {
    if (char const* const problem = why_invalid(s)) throw std::invalid_argument(problem);
    impl_->set_http2(s);
}
std::uint64_t server::times_acted_on(std::string_view request_id) const {
    return impl_->application.tally().times_acted_on(request_id);
}
delivery_stats server::deliver(delivery_request const& r) {
    if (char const* const problem = why_invalid(r)) throw std::invalid_argument(problem);
    auto& a = impl_->application;
    if (r.site >= a.world().sites().size())
        throw std::invalid_argument("delivery_request::site must be an index into world::sites()");
    return a.deliveries().begin(r, a.world().sites()[r.site], a.site(r.site), *impl_, read_clock().wall);
}
delivery_stats server::deliveries() const { return impl_->application.deliveries().snapshot(); }
void server::end_scenes() { impl_->application.stage().end_all(); }
std::size_t server::playing_count() const { return impl_->application.stage().playing_count(); }
void server::set_limits(std::size_t site, site_limits l) {
    if (char const* const problem = why_invalid(l)) throw std::invalid_argument(problem);
    impl_->application.jira().set_limits(site, l, read_clock());
}
void server::revoke(std::size_t connection) { impl_->application.auth().revoke(connection, read_clock()); }
void server::revoke_tokens(std::size_t connection) {
    impl_->application.auth().revoke_tokens(connection, read_clock());
}
void server::add_secret(std::size_t connection, std::string secret) {
    impl_->application.auth().add_secret(connection, std::move(secret));
}

void server::replace_secret(std::size_t connection, std::string secret) {
    impl_->application.auth().replace_secret(connection, std::move(secret));
}
void server::down() { impl_->down(); }
void server::up() {
    std::string const problem = impl_->up();
    if (!problem.empty()) throw std::runtime_error(problem);
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
