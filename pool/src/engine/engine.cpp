#include "engine/engine.hpp"

#include "wait/clock.hpp"
#include "wait/timer_alarm.hpp"
#include "wire/dialer.hpp"

#include <new>
#include <random>
#include <stdexcept>

namespace jirapool {

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
        e.retries = true;
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
    auto const outages = std::make_shared<outage_book>();
    for (auto& e : environments) {
        shards_->clock = e.clock;
        auto const index = shards_->shards.size();
        e.shards = environments.size();
        e.budgets = budgets_;
        e.outages = outages;
        e.seed = params_->seed ? *params_->seed + index : std::uint64_t{device()} << 32 | device();
        shards_->shards.push_back(shard::make(std::move(e), params_, index, shards_));
    }
}

result<connection> engine::add(connection_config c) {
    std::string_view const id = c.id();
    if (id.empty()) return failure(errc::invalid_argument, "the configuration was moved from").with_field("id");
    std::lock_guard const lock(mutex_);
    if (closing_) return failure(errc::stopped).with_connection(std::string(id));
    if (registry_.contains(id))
        return failure(errc::duplicate_id, "another connection already has this id")
            .with_field("id")
            .with_connection(std::string(id));
    auto const entry = std::make_shared<connection_entry>(c, shards_);
    entry->state = std::make_shared<connection_state>(c);
    auto const home = shards_->home_of(entry->site_key());
    entry->home = static_cast<std::uint16_t>(home);
    auto const place = registry_.insert(entry).first;
    bool posted = false;
    try {
        posted = shards_->shards[home]->post([s = shards_->shards[home], entry] { s->add(entry); });
    } catch (std::bad_alloc const&) {
        registry_.erase(place);
        throw;
    }
    if (posted) return connection(entry);
    registry_.erase(place);
    return failure(errc::stopped).with_connection(std::string(id));
}

namespace {

/// Does something on the connection's home, wherever that is by the time it gets there. Nothing when that is gone.
template <class Action>
void at_home(std::shared_ptr<shard_set> const& all, std::shared_ptr<connection_entry> const& entry, Action action) {
    auto const home = entry->home.load(std::memory_order_acquire);
    auto const s = all->shards[home];
    s->post([all, s, home, entry, action = std::move(action)]() mutable {
        if (entry->home.load(std::memory_order_acquire) != home) at_home(all, entry, std::move(action));
        else action(*s);
    });
}

}  // namespace

result<connection> engine::replace(connection_config c, connection const* only) {
    if (c.id().empty()) return failure(errc::invalid_argument, "the configuration was moved from").with_field("id");
    std::lock_guard const lock(mutex_);
    if (closing_) return failure(errc::stopped).with_connection(c.id());
    auto const found = registry_.find(std::string_view(c.id()));
    if (found == registry_.end() || (only != nullptr && only->entry_ != *found))
        return failure(errc::invalid_argument, "no connection has this id").with_field("id").with_connection(c.id());
    auto const& entry = *found;
    if (entry->kind != c.kind() || entry->host() != c.host() || entry->base_path() != c.base_path())
        return failure(errc::invalid_argument,
                       "a replacement must be of the same kind and site: remove and add instead")
            .with_field("kind or site")
            .with_connection(c.id());
    at_home(shards_, entry, [e = entry, state = std::make_shared<connection_state>(c), o = c.options()](shard& s) {
        e->set_end(o);
        s.replace(e, state);
    });
    return connection(entry);
}

bool engine::remove(std::string_view id, connection const* only) {
    std::lock_guard const lock(mutex_);
    auto const found = registry_.find(id);
    if (found == registry_.end() || (only != nullptr && only->entry_ != *found)) return false;
    auto const& entry = *found;
    entry->removed = true;
    try {
        at_home(shards_, entry, [e = entry](shard& s) { s.remove(e); });
    } catch (std::bad_alloc const&) {
        entry->removed = false;
        throw;
    }
    registry_.erase(found);
    return true;
}

bool engine::reset_limits(std::string_view id) {
    std::lock_guard const lock(mutex_);
    auto const found = registry_.find(id);
    if (found == registry_.end()) return false;
    at_home(shards_, *found, [e = *found](shard& s) { s.reset_limits(*e); });
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

std::vector<connection> engine::list() const {
    std::lock_guard const lock(mutex_);
    std::vector<connection> all;
    all.reserve(registry_.size());
    for (auto const& e : registry_) all.push_back(connection(e));
    return all;
}

std::vector<std::shared_ptr<connection_entry const>> engine::entries() const {
    std::lock_guard const lock(mutex_);
    return {registry_.begin(), registry_.end()};
}

std::vector<std::shared_ptr<shard_stats const>> engine::stats() const {
    std::vector<std::shared_ptr<shard_stats const>> all;
    for (auto const& s : shards_->shards) all.push_back(s->stats());
    return all;
}

void engine::report(connection const& c, event e) noexcept {
    try {
        auto const all = c.entry_->shards.lock();
        if (!all) return;
        e.connection = c.id();
        auto const s = all->shards[c.entry_->home.load(std::memory_order_acquire)];
        s->post([s, e = std::move(e)]() mutable {
            if (s->context()) s->context()->report(std::move(e));
        });
    } catch (std::bad_alloc const&) {
        return;  // whoever asked is told by the result
    }
}

void engine::close() {
    std::lock_guard const lock(mutex_);
    closing_ = true;
}

void engine::stop() noexcept {
    {
        std::lock_guard const lock(mutex_);
        closing_ = true;
        if (shards_->ended.exchange(true)) return;
    }
    for (auto const& s : shards_->shards) s->request_stop();
}

}  // namespace detail

}  // namespace jirapool
