#pragma once

#include "exchange_mark.hpp"
#include "route.hpp"
#include "visit.hpp"

#include <jirapool/mock/http2.hpp>
#include <jirapool/mock/stats.hpp>
#include <jirapool/mock/world.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jirapool::mock {

/** Counts what came and what became of it. It decides nothing: whether something is an isolation violation, say, auth has
    written into the visit before. What buckets admitted is counted where they are, in site_state.

    @par Threads   Any. */
class tally {
public:
    explicit tally(world const& w);

    /// A request and the status of its answer.
    void count(visit const& v, int status, bool was_intercepted);
    void unreadable_request();
    /// In flight until the mark ends.
    exchange_mark exchange_began(std::size_t connection);
    void exchange_ended(std::size_t connection) noexcept;

    void connection_opened();
    void connection_closed();
    void handshake_done(bool resumed, bool is_http2);
    void handshake_failed();
    void injected_close();

    /// `open`: how many the connection has now.
    void stream_opened(std::size_t open);
    void stream_untouched();
    void goaway_sent();
    void reset_sent();
    void reset_received();
    void http2_fault_met(http2_fault f);

    std::uint64_t times_acted_on(std::string_view request_id) const;

    /// All but the buckets' part.
    stats snapshot() const;
    /// What is in flight or open now stays counted.
    void reset();

private:
    world const& world_;
    mutable std::mutex mutex_;
    // Plain numbers; the maps and sums of stats are made of them when somebody asks.
    stats totals_;
    std::array<std::uint64_t, 600> by_status_{};
    std::array<std::uint64_t, route_count> by_route_{};
    std::array<std::uint64_t, http2_fault_count> by_http2_fault_{};
    std::unordered_map<std::string, std::uint64_t> by_request_id_;
    std::vector<connection_stats> connections_;
};

/// The sums over buckets, into `s`.
void add_buckets(stats& s, std::vector<bucket_stats> const& all);

}  // namespace jirapool::mock
