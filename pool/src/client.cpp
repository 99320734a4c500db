#include <jirapool/core/stats.hpp>
#include <jirapool/pool/client.hpp>

#include "engine/call_entry.hpp"
#include "engine/drain_entry.hpp"
#include "engine/engine.hpp"
#include "wait/clock.hpp"

#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <stdexcept>

namespace jirapool {

namespace detail {

void start_call(std::shared_ptr<connection_entry> e, request r, body_streams b,
                asio::any_completion_handler<void(result<response>)> handler, handler_place place) {
    call_entry::start(std::move(e), std::move(r), std::move(b), std::move(handler), std::move(place));
}

void start_drain(std::shared_ptr<engine> e, std::chrono::milliseconds patience,
                 asio::any_completion_handler<void(bool)> handler, handler_place place) {
    drain_entry::start(std::move(e), patience, std::move(handler), std::move(place));
}

void report(connection const& c, event e) noexcept { engine::report(c, std::move(e)); }

namespace {

asio::any_io_executor executor_of(shard const& s) {
    asio::any_io_executor ex = asio::system_executor();
    s.life()->while_alive([&] { ex = s.executor(); });
    return ex;
}

}  // namespace

asio::any_io_executor executor_of(connection_entry const& e) {
    auto const all = e.shards.lock();
    if (!all) return asio::system_executor();
    return executor_of(*all->shards[e.home.load(std::memory_order_acquire)]);
}

asio::any_io_executor executor_of(engine const& e) { return executor_of(*e.shards()->shards.front()); }

}  // namespace detail

std::string const& connection::id() const noexcept { return entry_->id; }
connection_kind connection::kind() const noexcept { return entry_->kind; }
std::string_view connection::host() const noexcept { return entry_->host(); }
std::string_view connection::site() const noexcept { return entry_->site_key(); }

connection_status connection::status() const noexcept {
    auto const all = entry_->shards.lock();
    auto const& clock = all ? *all->clock : detail::system_clock();
    return entry_->status(clock.now(), clock.wall());
}

asio::awaitable<result<connection_status>> connection::verify() const { return await_verify(*this); }

asio::awaitable<result<connection_status>> connection::await_verify(connection self) {
    auto answer = co_await self.call(request::check());
    // Both are Jira's word, or the token endpoint's: they are in the state.
    bool const failed = !answer && answer.error().code() != errc::anonymous_answer &&
                        answer.error().code() != errc::credential_refused;
    if (failed) co_return std::move(answer).error();
    co_return self.status();
}

asio::awaitable<result<response>> connection::call(request r) const {
    return await_call(*this, std::move(r), body_streams());
}

asio::awaitable<result<response>> connection::call(request r, body_streams b) const {
    return await_call(*this, std::move(r), std::move(b));
}

result<connection> connections::add(std::string id, credential c, connection_options o) {
    auto config = make_connection_config(std::move(id), std::move(c), o);
    if (!config) return std::move(config).error();
    return engine_->add(std::move(*config));
}
result<connection> connections::add(connection_config c) { return engine_->add(std::move(c)); }
result<connection> connections::replace(connection_config c) { return engine_->replace(std::move(c)); }
bool connections::remove(std::string_view id) { return engine_->remove(id); }
bool connections::reset_limits(std::string_view id) { return engine_->reset_limits(id); }
std::optional<connection> connections::find(std::string_view id) const { return engine_->find(id); }
std::size_t connections::size() const { return engine_->size(); }
std::vector<connection> connections::list() const { return engine_->list(); }
client_totals connections::totals() const { return detail::total_of(engine_->stats()); }

std::vector<std::shared_ptr<shard_stats const>> connections::stats() const { return engine_->stats(); }
std::shared_ptr<overview const> connections::overview() const { return detail::make_overview(engine_); }
void connections::stop() noexcept { engine_->stop(); }

asio::awaitable<bool> connections::drain(std::chrono::milliseconds patience) { return await_drain(engine_, patience); }

asio::awaitable<bool> connections::await_drain(std::shared_ptr<detail::engine> e, std::chrono::milliseconds patience) {
    auto const ex = co_await asio::this_coro::executor;
    auto const state = co_await asio::this_coro::cancellation_state;
    auto drain = detail::drain_entry::prepare(e, ex, state.slot());
    if (!drain) {
        // Nothing that would end by itself can be waited for.
        e->stop();
        co_return false;
    }
    e.reset();
    co_return co_await detail::drain_entry::awaited(std::move(drain), patience);
}

namespace {

std::shared_ptr<detail::engine> engine_on(asio::any_io_executor ex, client_params p) {
    if (!ex) throw std::invalid_argument("client: the executor must not be empty");
    if (!p.executor_is_serial) ex = asio::make_strand(ex);
    return std::make_shared<detail::engine>(std::vector<asio::any_io_executor>{std::move(ex)}, std::move(p));
}

}  // namespace

client::client(asio::any_io_executor executor, client_params p)
    : connections(engine_on(std::move(executor), std::move(p))) {}

client::~client() { stop(); }

}  // namespace jirapool
