#include "client_counters.hpp"

#include <cstddef>

namespace jirapool::load {
namespace {

template <std::size_t N>
void add(std::array<std::uint64_t, N>& to, std::array<counter, N> const& from) noexcept {
    for (std::size_t i = 0; i < N; ++i) to[i] += from[i].value();
}

template <std::size_t N>
std::array<std::uint64_t, N> difference(std::array<std::uint64_t, N> a,
                                        std::array<std::uint64_t, N> const& b) noexcept {
    for (std::size_t i = 0; i < N; ++i) a[i] -= b[i];
    return a;
}

}  // namespace

double client_counters::share_429() const noexcept {
    return answers == 0 ? 0 : static_cast<double>(answered_429) / static_cast<double>(answers);
}

client_counters read_counters(std::vector<std::shared_ptr<shard_stats const>> const& shards) noexcept {
    client_counters c;
    for (auto const& s : shards) {
        add(c.token_refreshes, s->token_refreshes);
        // In this order: what is counted first is read last, so the difference never falls below 0.
        auto const waits_at_start = s->token_waits_at_start.value();
        c.token_waits += s->token_waits.value() - waits_at_start;
        c.token_waits_at_start += waits_at_start;
        c.token_late_rejections += s->token_late_rejections.value();
        c.answers += total(s->answers);
        c.answered_401 += s->answered_401.value();
        c.answered_429 += total(s->limited);
        add(c.limited, s->limited);
        add(c.resends, s->resends);
        c.resends_over_budget += s->resends_over_budget.value();
        c.limit_waits += s->limit_waits.value();
        c.limit_queue_full += s->limit_queue_full.value();
        c.limited_past_deadline += s->limited_past_deadline.value();
        c.channels_opened += total(s->channels_opened);
        c.channels_resumed += s->channels_resumed.value();
        add(c.channels_closed, s->channels_closed);
        c.dial_failures += total(s->dial_failures);
        c.queue_full += s->queue_full.value();
        c.bytes_sent += s->bytes_sent.value();
        c.bytes_received += s->bytes_received.value();
    }
    return c;
}

client_counters operator-(client_counters const& later, client_counters const& earlier) noexcept {
    client_counters d;
    d.token_refreshes = difference(later.token_refreshes, earlier.token_refreshes);
    d.token_waits = later.token_waits - earlier.token_waits;
    d.token_waits_at_start = later.token_waits_at_start - earlier.token_waits_at_start;
    d.token_late_rejections = later.token_late_rejections - earlier.token_late_rejections;
    d.answers = later.answers - earlier.answers;
    d.answered_401 = later.answered_401 - earlier.answered_401;
    d.answered_429 = later.answered_429 - earlier.answered_429;
    d.limited = difference(later.limited, earlier.limited);
    d.resends = difference(later.resends, earlier.resends);
    d.resends_over_budget = later.resends_over_budget - earlier.resends_over_budget;
    d.limit_waits = later.limit_waits - earlier.limit_waits;
    d.limit_queue_full = later.limit_queue_full - earlier.limit_queue_full;
    d.limited_past_deadline = later.limited_past_deadline - earlier.limited_past_deadline;
    d.channels_opened = later.channels_opened - earlier.channels_opened;
    d.channels_resumed = later.channels_resumed - earlier.channels_resumed;
    d.channels_closed = difference(later.channels_closed, earlier.channels_closed);
    d.dial_failures = later.dial_failures - earlier.dial_failures;
    d.queue_full = later.queue_full - earlier.queue_full;
    d.bytes_sent = later.bytes_sent - earlier.bytes_sent;
    d.bytes_received = later.bytes_received - earlier.bytes_received;
    return d;
}

}  // namespace jirapool::load
