#include "tally.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::mock {

void exchange_mark::end() noexcept {
    if (tally* const owner = std::exchange(owner_, nullptr)) owner->exchange_ended(connection_);
}

namespace {

/// What a test marks a request with, to see how often it was acted on.
constexpr std::string_view request_id_header = "x-mock-request-id";
/// A client that marks without end must not take the memory.
constexpr std::size_t max_request_ids = 1'000'000;

}  // namespace

tally::tally(world const& w) : world_(w), connections_(w.connections().size()) {}

void tally::count(visit const& v, int status, bool was_intercepted) {
    std::string const id(v.r.header(request_id_header));
    std::lock_guard const lock(mutex_);
    stats& t = totals_;
    ++t.requests;
    if (!id.empty() && (by_request_id_.size() < max_request_ids || by_request_id_.contains(id))) {
        if (++by_request_id_[id] == 1) ++t.ids_acted_on;
        else ++t.ids_acted_on_again;
    }
    switch (v.where.kind) {
    case host_kind::site: ++t.site_requests; break;
    case host_kind::gateway: ++t.gateway_requests; break;
    case host_kind::auth: ++t.auth_requests; break;
    case host_kind::unknown: ++t.unknown_host_requests; break;
    }
    ++by_route_[static_cast<std::size_t>(v.match.id)];
    ++by_status_[status >= 0 && status < 600 ? static_cast<std::size_t>(status) : 0];
    if (was_intercepted) ++t.intercepted;
    if (v.is_played) ++t.scenes;
    if (v.is_violation) ++t.isolation_violations;
    if (v.r.sni != v.r.host) ++t.sni_mismatches;
    if (v.is_injected) ++t.injected_errors;
    if (v.is_anonymous && status == 200 && v.shown.how != scheme::none) ++t.anonymous_answers;
    if (is_webhook(v.match.id)) {
        // By the credential shown, good or not: what matters is who tried.
        auto const kind = v.shown.connection ? std::optional(world_.connections()[*v.shown.connection].kind)
                                             : std::nullopt;
        if (kind == connection_kind::personal) ++t.webhook_requests_personal;
        else if (kind == connection_kind::service) ++t.webhook_requests_service;
        else if (kind == connection_kind::oauth) ++t.webhook_requests_oauth;
        else ++t.webhook_requests_unknown;
        if (v.is_webhook_refused) ++t.webhook_requests_refused;
    }
    if (!v.limited_by.empty()) ++t.limited[std::string(v.limited_by)];
    if (v.caller) {
        connection_stats& c = connections_[*v.caller];
        ++c.requests;
        if (!v.limited_by.empty()) ++c.limited;
        if (v.match.id == route::token_exchange && status == 200) ++c.refreshes;
    }
}

void tally::unreadable_request() {
    std::lock_guard const lock(mutex_);
    ++totals_.bad_requests;
}

exchange_mark tally::exchange_began(std::size_t connection) {
    std::lock_guard const lock(mutex_);
    connection_stats& c = connections_[connection];
    ++c.exchanges;
    c.max_in_flight = std::max(c.max_in_flight, ++c.in_flight);
    return exchange_mark(*this, connection);
}

void tally::exchange_ended(std::size_t connection) noexcept {
    std::lock_guard const lock(mutex_);
    --connections_[connection].in_flight;
}

void tally::connection_opened() {
    std::lock_guard const lock(mutex_);
    ++totals_.connections_accepted;
    totals_.connections_max_open = std::max(totals_.connections_max_open, ++totals_.connections_open);
}

void tally::connection_closed() {
    std::lock_guard const lock(mutex_);
    --totals_.connections_open;
}

void tally::handshake_done(bool resumed, bool is_http2) {
    std::lock_guard const lock(mutex_);
    ++(is_http2 ? totals_.connections_http2 : totals_.connections_http1);
    ++totals_.handshakes;
    if (resumed) ++totals_.handshakes_resumed;
}

void tally::handshake_failed() {
    std::lock_guard const lock(mutex_);
    ++totals_.handshakes_failed;
}

void tally::injected_close() {
    std::lock_guard const lock(mutex_);
    ++totals_.injected_closes;
}

void tally::stream_opened(std::size_t open) {
    std::lock_guard const lock(mutex_);
    ++totals_.streams;
    totals_.streams_max_open = std::max<std::uint64_t>(totals_.streams_max_open, open);
}

void tally::stream_untouched() {
    std::lock_guard const lock(mutex_);
    ++totals_.streams_untouched;
}

void tally::goaway_sent() {
    std::lock_guard const lock(mutex_);
    ++totals_.goaways;
}

void tally::reset_sent() {
    std::lock_guard const lock(mutex_);
    ++totals_.resets_sent;
}

void tally::reset_received() {
    std::lock_guard const lock(mutex_);
    ++totals_.resets_received;
}

void tally::http2_fault_met(http2_fault f) {
    std::lock_guard const lock(mutex_);
    ++by_http2_fault_[static_cast<std::size_t>(f)];
}

std::uint64_t tally::times_acted_on(std::string_view request_id) const {
    std::lock_guard const lock(mutex_);
    auto const it = by_request_id_.find(std::string(request_id));
    return it == by_request_id_.end() ? 0 : it->second;
}

stats tally::snapshot() const {
    stats s;
    std::array<std::uint64_t, http2_fault_count> by_http2_fault{};
    std::array<std::uint64_t, 600> by_status{};
    std::array<std::uint64_t, route_count> by_route{};
    {
        std::lock_guard const lock(mutex_);
        s = totals_;
        by_status = by_status_;
        by_route = by_route_;
        by_http2_fault = by_http2_fault_;
        s.connections = connections_;
    }
    for (std::size_t i = 0; i < by_status.size(); ++i) {
        if (by_status[i] != 0) s.by_status[static_cast<int>(i)] = by_status[i];
    }
    for (std::size_t i = 0; i < by_route.size(); ++i) {
        if (by_route[i] != 0) s.by_route[std::string(route_name(static_cast<route>(i)))] = by_route[i];
    }
    for (std::size_t i = 0; i < by_http2_fault.size(); ++i) {
        if (by_http2_fault[i] != 0)
            s.http2_faults[std::string(to_string(static_cast<http2_fault>(i)))] = by_http2_fault[i];
    }
    s.unauthorized = by_status[401];
    for (auto const& [reason, n] : s.limited) s.limited_total += n;

    bool is_first = true;
    for (std::size_t i = 0; i < s.connections.size(); ++i) {
        if (world_.connections()[i].kind != connection_kind::oauth) continue;
        connection_stats const& c = s.connections[i];
        s.refreshes += c.refreshes;
        s.token_exchanges += c.exchanges;
        s.min_refreshes_per_credential = is_first ? c.refreshes : std::min(s.min_refreshes_per_credential, c.refreshes);
        s.max_refreshes_per_credential = std::max(s.max_refreshes_per_credential, c.refreshes);
        s.max_in_flight_per_credential = std::max(s.max_in_flight_per_credential, c.max_in_flight);
        is_first = false;
    }
    return s;
}

void tally::reset() {
    std::lock_guard const lock(mutex_);
    std::uint64_t const open = totals_.connections_open;
    totals_ = stats();
    totals_.connections_open = totals_.connections_max_open = open;
    by_status_.fill(0);
    by_route_.fill(0);
    by_http2_fault_.fill(0);
    by_request_id_.clear();
    for (connection_stats& c : connections_) {
        std::uint32_t const in_flight = c.in_flight;
        c = connection_stats();
        c.in_flight = c.max_in_flight = in_flight;
    }
}

void add_buckets(stats& s, std::vector<bucket_stats> const& all) {
    for (bucket_stats const& b : all) {
        ++s.buckets_touched;
        s.bucket_admitted += b.admitted;
        s.bucket_refused += b.refused;
        s.bucket_permitted += b.permitted;
        bool const is_busy = b.span >= std::chrono::seconds{1} &&
                             static_cast<double>(b.admitted + b.refused) * 2 >= b.permitted;
        if (!is_busy) continue;
        ++s.busy_buckets;
        s.busy_admitted += b.admitted;
        s.busy_refused += b.refused;
        s.busy_permitted += b.permitted;
    }
    if (s.busy_permitted > 0) s.busy_used = static_cast<double>(s.busy_admitted) / s.busy_permitted;
}

}  // namespace jirapool::mock
