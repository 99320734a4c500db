#include "engine.hpp"

#include "clock.hpp"
#include "dialer.hpp"
#include "timer_alarm.hpp"

#include <boost/asio/ip/address.hpp>

#include <new>
#include <random>
#include <stdexcept>

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
    if (!(p.background_dials_per_second > 0)) return "pool_params::background_dials_per_second must be greater than 0";
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
    if (p.tcp_user_timeout < 0ms || p.tcp_user_timeout > 2'147'483'647ms)
        return "wire_params::tcp_user_timeout must be 0 to 2147483647 ms";
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

char const* to_string(event::kind k) noexcept {
    switch (k) {
    case event::kind::token_refresh_failed: return "token_refresh_failed";
    case event::kind::credential_refused: return "credential_refused";
    case event::kind::credential_anonymous: return "credential_anonymous";
    case event::kind::limit_pause: return "limit_pause";
    case event::kind::dial_failed: return "dial_failed";
    case event::kind::site_unresolved: return "site_unresolved";
    case event::kind::handler_threw: return "handler_threw";
    }
    return "unknown";
}

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
        e.shards = environments.size();
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
    entry->home = static_cast<std::uint32_t>(home);
    auto const place = registry_.insert(entry).first;
    bool posted = false;
    try {
        posted = shards_->shards[home]->post([s = shards_->shards[home], entry] { s->begin_with(entry); });
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

result<connection> engine::replace(connection_config c) {
    if (c.id().empty()) return failure(errc::invalid_argument, "the configuration was moved from").with_field("id");
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

std::vector<std::shared_ptr<shard_stats const>> engine::stats() const {
    std::vector<std::shared_ptr<shard_stats const>> all;
    for (auto const& s : shards_->shards) all.push_back(s->stats());
    return all;
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
