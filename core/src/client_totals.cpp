#include <jirapool/core/client_totals.hpp>

#include <jirapool/core/overview.hpp>
#include <jirapool/core/stats.hpp>

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace jirapool {

namespace {

template <std::size_t N>
void add(client_totals::by<N>& to, std::array<counter, N> const& from) noexcept {
    for (std::size_t i = 0; i < N; ++i) to[i] += from[i].value();
}

void subtract(std::uint64_t& from, std::uint64_t what) noexcept { from -= what; }

template <std::size_t N>
void subtract(client_totals::by<N>& from, client_totals::by<N> const& what) noexcept {
    for (std::size_t i = 0; i < N; ++i) from[i] -= what[i];
}

/// One that is read between two changes may be below zero for a moment.
std::uint64_t there(std::int64_t n) noexcept { return static_cast<std::uint64_t>(std::max<std::int64_t>(n, 0)); }

void add(client_totals& t, shard_stats const& s) noexcept {
    for (auto const& of_kind : s.calls)
        for (auto const& of_class : of_kind) add(t.calls, of_class);
    t.answers += total(s.answers);
    t.answered_401 += s.answered_401.value();
    t.answered_429 += total(s.limited);
    add(t.limited, s.limited);
    add(t.resends, s.resends);
    t.resends_over_budget += s.resends_over_budget.value();
    t.limit_waits += s.limit_waits.value();
    t.limit_queue_full += s.limit_queue_full.value();
    t.limited_past_deadline += s.limited_past_deadline.value();
    add(t.token_refreshes, s.token_refreshes);
    // In this order: what is counted first is read last, so the difference never falls below 0.
    auto const waits_at_start = s.token_waits_at_start.value();
    t.token_waits += s.token_waits.value() - waits_at_start;
    t.token_waits_at_start += waits_at_start;
    t.token_late_rejections += s.token_late_rejections.value();
    t.channels_opened += total(s.channels_opened);
    t.channels_resumed += s.channels_resumed.value();
    add(t.channels_closed, s.channels_closed);
    t.dial_failures += total(s.dial_failures);
    t.queue_full += s.queue_full.value();
    t.bytes_sent += s.bytes_sent.value();
    t.bytes_received += s.bytes_received.value();
    t.calls_in_flight += there(s.calls_in_flight.value());
    t.waiting_for_permits += there(s.limit_waiting.value());
    t.waiting_for_channels += there(s.queue_length.value());
    t.channels_idle += there(s.channels_idle.value());
    t.channels_active += there(s.channels_active.value());
    t.channels_dialing += there(s.channels_dialing.value());
    t.sites += there(s.sites.value());
    t.connections += there(total(s.connections));
    t.credentials_refused += there(total(s.credentials_refused));
}

}  // namespace

double client_totals::share_429() const noexcept {
    return answers == 0 ? 0 : static_cast<double>(answered_429) / static_cast<double>(answers);
}

client_totals operator-(client_totals later, client_totals const& earlier) noexcept {
    constexpr auto counted = std::tuple(
        &client_totals::calls, &client_totals::answers, &client_totals::answered_401, &client_totals::answered_429,
        &client_totals::limited, &client_totals::resends, &client_totals::resends_over_budget,
        &client_totals::limit_waits, &client_totals::limit_queue_full, &client_totals::limited_past_deadline,
        &client_totals::token_refreshes, &client_totals::token_waits, &client_totals::token_waits_at_start,
        &client_totals::token_late_rejections, &client_totals::channels_opened, &client_totals::channels_resumed,
        &client_totals::channels_closed, &client_totals::dial_failures, &client_totals::queue_full,
        &client_totals::bytes_sent, &client_totals::bytes_received);
    std::apply([&](auto... m) { (subtract(later.*m, earlier.*m), ...); }, counted);
    return later;
}

client_totals detail::total_of(std::vector<std::shared_ptr<shard_stats const>> const& shards) noexcept {
    client_totals t;
    for (auto const& s : shards) add(t, *s);
    return t;
}

client_totals overview::totals() const { return detail::total_of(stats()); }

}  // namespace jirapool
