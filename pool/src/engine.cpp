#include "engine.hpp"

#include "clock.hpp"
#include "dialer.hpp"
#include "timer_alarm.hpp"

#include <jirapool/pool/runtime.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <random>
#include <stdexcept>
#include <thread>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

bool header_safe(std::string_view text) noexcept {
    for (char const c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
    return true;
}

char const* why_invalid(pool_params const& p) noexcept {
    if (p.max_channels < 1) return "pool_params::max_channels must be at least 1";
    if (p.max_dialing < 1) return "pool_params::max_dialing must be at least 1";
    if (p.max_queue < 1) return "pool_params::max_queue must be at least 1: who waits for a dial stands in it";
    if (!(p.max_share_of_site > 0 && p.max_share_of_site <= 1))
        return "pool_params::max_share_of_site must be above 0 and at most 1";
    if (p.min_idle > p.max_channels) return "pool_params::min_idle must be at most max_channels";
    if (p.dial_backoff <= 0ms) return "pool_params::dial_backoff must be greater than 0";
    if (p.dial_backoff_max < p.dial_backoff) return "pool_params::dial_backoff_max must be at least dial_backoff";
    if (p.idle_timeout <= 0ms) return "pool_params::idle_timeout must be greater than 0";
    if (p.max_lifetime <= 0ms) return "pool_params::max_lifetime must be greater than 0";
    return nullptr;
}

char const* why_invalid(wire_params const& p) noexcept {
    if (p.resolve_timeout <= 0ms) return "wire_params::resolve_timeout must be greater than 0";
    if (p.stale_addresses < 0ms) return "wire_params::stale_addresses must be at least 0";
    if (p.connect_timeout <= 0ms) return "wire_params::connect_timeout must be greater than 0";
    if (p.attempt_delay < 10ms) return "wire_params::attempt_delay must be at least 10 ms (RFC 8305, section 5)";
    if (p.tcp_keep_alive_idle < 0s || p.tcp_keep_alive_idle > 32'767s)
        return "wire_params::tcp_keep_alive_idle must be 0 to 32767 s";
    if (p.tcp_keep_alive_interval < 1s || p.tcp_keep_alive_interval > 32'767s)
        return "wire_params::tcp_keep_alive_interval must be 1 to 32767 s";
    if (p.tcp_keep_alive_probes < 1 || p.tcp_keep_alive_probes > 127)
        return "wire_params::tcp_keep_alive_probes must be 1 to 127";
    if (p.tls_timeout <= 0ms) return "wire_params::tls_timeout must be greater than 0";
    if (p.write_timeout <= 0ms) return "wire_params::write_timeout must be greater than 0";
    if (p.first_byte_timeout <= 0ms) return "wire_params::first_byte_timeout must be greater than 0";
    if (p.body_timeout <= 0ms) return "wire_params::body_timeout must be greater than 0";
    if (p.min_rate_window <= 0ms) return "wire_params::min_rate_window must be greater than 0";
    if (p.max_head < 1024 || p.max_head > 1u << 20) return "wire_params::max_head must be 1024 to 1048576";
    if (p.max_headers < 1) return "wire_params::max_headers must be at least 1";
    if (p.max_body < 1024) return "wire_params::max_body must be at least 1024";
    if (p.max_ratio < 1) return "wire_params::max_ratio must be at least 1";
    return nullptr;
}

char const* why_invalid(std::vector<address_override> const& overrides) noexcept {
    for (auto const& o : overrides) {
        error_code ec;
        asio::ip::make_address(o.address, ec);
        if (ec) return "address_override::address must be an IP address";
        if (o.port == 0) return "address_override::port must not be 0";
    }
    return nullptr;
}

}  // namespace

char const* why_invalid(client_params const& p) noexcept {
    if (p.user_agent.empty()) return "client_params::user_agent must not be empty";
    if (!header_safe(p.user_agent)) return "client_params::user_agent must not hold control characters";
    if (p.user_agent.find("Mozilla/") != std::string::npos)
        return "client_params::user_agent must not look like a browser's: Jira refuses writes from those (XSRF)";
    if (auto const* const rule = why_invalid(p.pool)) return rule;
    if (auto const* const rule = why_invalid(p.wire)) return rule;
    if (auto const* const rule = why_invalid(p.connect_to)) return rule;
    if (auto const* const rule = why_invalid(p.limits)) return rule;
    if (auto const* const rule = why_invalid(p.tokens)) return rule;
    return why_invalid(p.retries);
}

namespace detail {

namespace {

client_params checked(client_params p) {
    if (auto const* const rule = jirapool::why_invalid(p)) throw std::invalid_argument(rule);
    return p;
}

}  // namespace

engine::engine(std::vector<asio::any_io_executor> executors, client_params p)
    : params_(std::make_shared<client_params const>(checked(std::move(p)))) {
    auto const tls = std::make_shared<tls_context const>(params_->tls);
    std::vector<shard_environment> environments;
    for (auto& ex : executors) {
        shard_environment e;
        e.executor = ex;
        e.clock = &system_clock();
        e.alarm = make_timer_alarm(ex);
        e.make_dialer = [tls, params = params_](asio::any_io_executor on, timers& t) -> std::unique_ptr<dialer> {
            return std::make_unique<tls_dialer>(std::move(on), t, tls, params);
        };
        environments.push_back(std::move(e));
    }
    make_shards(std::move(environments));
}

engine::engine(std::vector<shard_environment> environments, client_params p)
    : params_(std::make_shared<client_params const>(std::move(p))) {
    make_shards(std::move(environments));
}

void engine::make_shards(std::vector<shard_environment> environments) {
    shards_ = std::make_shared<shard_set>();
    std::random_device device;
    for (auto& e : environments) {
        auto const index = shards_->shards.size();
        e.seed = params_->seed ? *params_->seed + index : std::uint64_t{device()} << 32 | device();
        shards_->shards.push_back(std::make_shared<shard>(std::move(e), params_, index));
    }
    for (auto const& s : shards_->shards) s->begin(shards_);
}

result<connection> engine::add(connection_config c) {
    std::string_view const id = c.id();
    std::lock_guard const lock(mutex_);
    if (closing_) return failure(errc::stopped).with_connection(std::string(id));
    if (registry_.contains(id))
        return failure(errc::duplicate_id, "another connection already has this id")
            .with_field("id")
            .with_connection(std::string(id));
    auto const entry = std::make_shared<connection_entry>(c, shards_);
    auto const state = std::make_shared<connection_state>(c);
    auto const home = shards_->home_of(entry->site_key());
    entry->home = static_cast<std::uint32_t>(home);
    registry_.insert(entry);
    auto const& s = shards_->shards[home];
    asio::post(s->executor(), [s, entry, state] { s->add(entry, state); });
    return connection(entry);
}

namespace {

/// Does something on the connection's home, wherever that is by the time it gets there.
template <class Action>
void at_home(std::shared_ptr<shard_set> const& all, std::shared_ptr<connection_entry> const& entry, Action action) {
    auto const home = entry->home.load(std::memory_order_acquire);
    auto const s = all->shards[home];
    asio::post(s->executor(), [all, s, home, entry, action = std::move(action)]() mutable {
        if (entry->home.load(std::memory_order_acquire) != home) at_home(all, entry, std::move(action));
        else action(*s);
    });
}

}  // namespace

result<connection> engine::replace(connection_config c) {
    std::lock_guard const lock(mutex_);
    if (closing_) return failure(errc::stopped).with_connection(c.id());
    auto const found = registry_.find(std::string_view(c.id()));
    if (found == registry_.end())
        return failure(errc::invalid_argument, "no connection has this id").with_field("id").with_connection(c.id());
    auto const& entry = *found;
    if (entry->kind != c.kind() || entry->host() != c.host() || entry->base_path() != c.base_path())
        return failure(errc::invalid_argument,
                       "a replacement must be of the same kind and site: remove and add instead")
            .with_field("kind or site")
            .with_connection(c.id());
    at_home(shards_, entry,
            [e = entry, state = std::make_shared<connection_state>(c)](shard& s) { s.replace(e, state); });
    return connection(entry);
}

bool engine::remove(std::string_view id) {
    std::lock_guard const lock(mutex_);
    auto const found = registry_.find(id);
    if (found == registry_.end()) return false;
    auto const taken_out = registry_.extract(found);
    auto const& entry = taken_out.value();
    entry->removed = true;
    at_home(shards_, entry, [e = entry](shard& s) { s.remove(e); });
    return true;
}

std::optional<connection> engine::find(std::string_view id) const {
    std::lock_guard const lock(mutex_);
    auto const found = registry_.find(id);
    if (found == registry_.end()) return std::nullopt;
    return connection(*found);
}

std::size_t engine::size() const {
    std::lock_guard const lock(mutex_);
    return registry_.size();
}

std::vector<std::shared_ptr<shard_stats const>> engine::stats() const {
    std::vector<std::shared_ptr<shard_stats const>> all;
    for (auto const& s : shards_->shards) all.push_back(s->stats());
    return all;
}

void engine::stop() {
    {
        std::lock_guard const lock(mutex_);
        closing_ = true;
        if (std::exchange(stopping_, true)) return;
    }
    for (auto const& s : shards_->shards) asio::post(s->executor(), [s] { s->stop(); });
}

asio::awaitable<bool> engine::drain(std::shared_ptr<engine> self, std::chrono::milliseconds patience) {
    co_await asio::this_coro::throw_if_cancelled(false);
    {
        std::lock_guard const lock(self->mutex_);
        self->closing_ = true;
    }
    auto const& shards = self->shards_->shards;
    for (auto const& s : shards) asio::post(s->executor(), [s] { s->refuse_calls(); });
    auto const deadline = shards.front()->clock().now() + patience;
    bool all = true;
    for (auto const& s : shards) {
        bool const done = co_await asio::co_spawn(s->executor(), shard::drain(s, deadline), asio::use_awaitable);
        all = all && done;
    }
    self->stop();
    co_return all;
}

}  // namespace detail

std::string const& connection::id() const noexcept { return entry_->id; }
connection_kind connection::kind() const noexcept { return entry_->kind; }

void connection::start_call(connection self, request r, body_streams b,
                            asio::any_completion_handler<void(result<response>)> handler) {
    auto entry = std::move(self.entry_);
    auto const all = entry->shards.lock();
    if (!all) {
        // The client is gone, and with it the only executor that we know to be one.
        asio::post(asio::system_executor(), [h = std::move(handler), id = entry->id]() mutable {
            auto const ex = asio::get_associated_executor(h);
            asio::dispatch(ex, [h2 = std::move(h), id]() mutable {
                std::move(h2)(failure(errc::stopped).with_connection(id));
            });
        });
        return;
    }
    auto const& home = all->shards[entry->home.load(std::memory_order_acquire)];
    auto const on = asio::get_associated_executor(handler, home->executor());
    auto const slot = asio::get_associated_cancellation_slot(handler);
    auto finish = [h = std::move(handler), id = entry->id](std::exception_ptr e, result<response> r2) mutable {
        // Only allocation failure can bring one: every step of a call reports by value.
        if (e) {
            r2 = failure(make_error_code(boost::system::errc::not_enough_memory))
                     .with_connection(id)
                     .with_maybe_processed(true);
        }
        std::move(h)(std::move(r2));
    };
    asio::co_spawn(home->executor(), detail::shard::call(home, std::move(entry), std::move(r), std::move(b)),
                   asio::bind_cancellation_slot(slot, asio::bind_executor(on, std::move(finish))));
}

asio::awaitable<result<response>> connection::call(request r) const {
    return async_call(std::move(r), asio::use_awaitable);
}

asio::awaitable<result<response>> connection::call(request r, body_streams b) const {
    return async_call(std::move(r), std::move(b), asio::use_awaitable);
}

result<connection> connections::add(std::string id, credential c, connection_options o) {
    auto config = make_connection_config(std::move(id), std::move(c), o);
    if (!config) return std::move(config).error();
    return engine_->add(std::move(*config));
}
result<connection> connections::add(connection_config c) { return engine_->add(std::move(c)); }
result<connection> connections::replace(connection_config c) { return engine_->replace(std::move(c)); }
bool connections::remove(std::string_view id) { return engine_->remove(id); }
std::optional<connection> connections::find(std::string_view id) const { return engine_->find(id); }
std::size_t connections::size() const { return engine_->size(); }
std::vector<std::shared_ptr<shard_stats const>> connections::stats() const { return engine_->stats(); }
void connections::stop() { engine_->stop(); }

void connections::start_drain(std::shared_ptr<detail::engine> e, std::chrono::milliseconds patience,
                              asio::any_completion_handler<void(bool)> handler) {
    auto const home = e->shards().shards.front()->executor();
    auto const on = asio::get_associated_executor(handler, home);
    auto const slot = asio::get_associated_cancellation_slot(handler);
    auto finish = [h = std::move(handler)](std::exception_ptr e2, bool drained) mutable {
        std::move(h)(!e2 && drained);
    };
    asio::co_spawn(home, detail::engine::drain(std::move(e), patience),
                   asio::bind_cancellation_slot(slot, asio::bind_executor(on, std::move(finish))));
}

asio::awaitable<bool> connections::drain(std::chrono::milliseconds patience) {
    return async_drain(patience, asio::use_awaitable);
}

namespace {

std::shared_ptr<detail::engine> engine_on(asio::any_io_executor ex, client_params p) {
    if (!p.executor_is_serial) ex = asio::make_strand(ex);
    return std::make_shared<detail::engine>(std::vector<asio::any_io_executor>{std::move(ex)}, std::move(p));
}

}  // namespace

client::client(asio::any_io_executor executor, client_params p)
    : connections(engine_on(std::move(executor), std::move(p))) {}

client::~client() { stop(); }

class runtime::threads {
public:
    explicit threads(unsigned n) {
        if (n < 1) throw std::invalid_argument("runtime: threads must be at least 1");
        for (unsigned i = 0; i < n; ++i) {
            contexts_.push_back(std::make_unique<asio::io_context>(1));
            work_.push_back(asio::make_work_guard(*contexts_.back()));
        }
    }
    ~threads() { join(); }

    std::vector<asio::any_io_executor> executors() const {
        std::vector<asio::any_io_executor> all;
        for (auto const& c : contexts_) all.emplace_back(c->get_executor());
        return all;
    }
    void start() {
        for (auto const& c : contexts_) threads_.emplace_back([context = c.get()] { context->run(); });
    }
    /// Ends when each shard has nothing left to do.
    void join() {
        work_.clear();
        for (auto& t : threads_) t.join();
        threads_.clear();
    }

private:
    std::vector<std::unique_ptr<asio::io_context>> contexts_;
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    std::vector<std::thread> threads_;
};

runtime::runtime(unsigned n, client_params p) : connections(nullptr), threads_(std::make_unique<threads>(n)) {
    engine_ = std::make_shared<detail::engine>(threads_->executors(), std::move(p));
    threads_->start();
}

runtime::~runtime() {
    stop();
    threads_->join();
    engine_.reset();
}

}  // namespace jirapool
