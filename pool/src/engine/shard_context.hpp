#pragma once

#include "engine/outage_book.hpp"
#include "engine/site_tracks.hpp"
#include "exchange/channel.hpp"
#include "wait/timers.hpp"

#include <jirapool/core/pace.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/stats.hpp>
#include <jirapool/pool/params.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace jirapool::detail {

class shared_budgets;

/// What a shard stands on: real, or simulated.
class shard_environment {
public:
    asio::any_io_executor executor;
    engine_clock const* clock = nullptr;
    std::unique_ptr<jirapool::detail::alarm> alarm;
    std::function<std::unique_ptr<dialer>(asio::any_io_executor, timers&)> make_dialer;
    std::uint64_t seed = 0;
    std::size_t shards = 1;  ///< of the engine
    std::shared_ptr<shared_budgets> budgets;
    std::shared_ptr<outage_book> outages = std::make_shared<outage_book>();
    bool retries = false;  ///< of what lacked memory: by a timer of the system's
};

/** What the parts of one shard share: its executor, its time, its chance, its way out. Whoever touches any of it when
    destroyed (a site, an origin's pool) holds it, so that no order of destruction matters. It holds none of them.

    @par Threads   Its shard's. */
class shard_context : public std::enable_shared_from_this<shard_context> {
public:
    shard_context(shard_environment e, std::shared_ptr<client_params const> p)
        : executor(std::move(e.executor)),
          params(std::move(p)),
          stats(std::make_shared<shard_stats>()),
          shards(e.shards),
          budgets(std::move(e.budgets)),
          outages(std::move(e.outages)),
          retries(e.retries),
          tracks(params->overview.sites.size() + unlisted_tracks()),
          dials(params->pool.background_dials_per_second, e.shards),
          random(e.seed),
          clock(*e.clock, std::move(e.alarm)),
          dial(e.make_dialer(executor, clock)) {
        dial->on_http1_instead = [this](std::string const& host) { report_http1(host); };
    }
    shard_context(shard_context const&) = delete;
    shard_context& operator=(shard_context const&) = delete;

    /// How many sites it follows that are in no list; those that are may all be here.
    std::size_t unlisted_tracks() const noexcept {
        auto const& p = params->overview;
        auto const unlisted = p.max_sites - p.sites.size();
        return std::max(unlisted / shards, std::min<std::size_t>(unlisted, 1));
    }
    /// True, some times a second: a call may be shown as an example. To find its trace id costs as much as all the counting.
    bool take_exemplar_turn(steady_time now) noexcept {
        if (now < next_exemplar_) return false;
        next_exemplar_ = now + std::chrono::milliseconds(100);
        return true;
    }
    /// Says when it is.
    void report(event e) const noexcept;
    /// The host is spoken to in HTTP/1.1 for a while. May throw bad_alloc.
    void report_http1(std::string const& host) const;
    /// Tells client_params::on_token_scopes.
    void tell_scopes(std::string_view connection, std::string_view scopes) const noexcept;

    asio::any_io_executor const executor;
    std::shared_ptr<client_params const> const params;
    std::shared_ptr<shard_stats> const stats;
    std::size_t const shards;  ///< of the engine
    std::shared_ptr<shared_budgets> const budgets;
    std::shared_ptr<outage_book> const outages;
    bool const retries;
    site_tracks tracks;
    pace dials;  ///< of those that no call waits for
    random_engine random;
    timers clock;
    std::unique_ptr<dialer> const dial;

private:
    steady_time next_exemplar_ = steady_time::min();
};

}  // namespace jirapool::detail
