#include "overview_families.hpp"

#include <jirapool/metrics/names.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace jirapool::metrics {

namespace {

/// The table's row of that name; a name that is not in the table does not compile.
consteval named_series const& named_row(std::string_view name) {
    for (named_series const& s : all_named_series)
        if (s.name == name) return s;
    throw std::invalid_argument("no such series");
}

double seconds_of(wall_time t) noexcept { return std::chrono::duration<double>(t.time_since_epoch()).count(); }
double seconds_of(std::chrono::nanoseconds d) noexcept { return std::chrono::duration<double>(d).count(); }

/// Adds families of the named table, in its order.
class named_families {
public:
    explicit named_families(std::vector<family>& to) noexcept : to_(to) {}

    void begin(named_series const& s) {
        row_ = &s;
        auto& f = to_.emplace_back();
        f.name = s.name;
        f.help = s.help;
        f.unit = s.unit;
        f.type = s.type;
    }
    /// `values`: one for each label of the family.
    void add(std::initializer_list<std::string_view> values, double number) {
        number_metric m;
        std::size_t label = 0;
        for (auto const value : values) m.labels.push_back({row_->labels[label++], std::string(value)});
        m.value = number;
        to_.back().numbers.push_back(std::move(m));
    }

private:
    std::vector<family>& to_;
    named_series const* row_ = nullptr;
};

/// Of sites that are followed, each once.
template <class F>
void each_site(surveys const& seen, F const& f) {
    for (auto const& s : seen)
        if (s)
            for (auto const& site : s->sites)
                if (site.calls) f(site);
}

void add_sites(named_families& to, surveys const& seen) {
    to.begin(named_row("jirapool_site_calls_total"));
    calls_by_fault others{};
    each_site(seen, [&](site_snapshot const& s) {
        for (std::size_t f = 0; f < fault_count; ++f)
            to.add({s.site, to_string(static_cast<call_fault>(f))}, static_cast<double>((*s.calls)[f]));
    });
    for (auto const& s : seen)
        for (std::size_t f = 0; s && f < fault_count; ++f) others[f] += s->calls_of_others[f];
    for (std::size_t f = 0; f < fault_count; ++f)
        to.add({"other", to_string(static_cast<call_fault>(f))}, static_cast<double>(others[f]));

    to.begin(named_row("jirapool_site_waiting_calls"));
    each_site(seen, [&](site_snapshot const& s) { to.add({s.site}, static_cast<double>(s.waiting)); });
    to.begin(named_row("jirapool_site_paused_until_timestamp_seconds"));
    each_site(seen,
              [&](site_snapshot const& s) { to.add({s.site}, s.paused_until ? seconds_of(*s.paused_until) : 0); });
    to.begin(named_row("jirapool_site_neighbour_share_ratio"));
    each_site(seen, [&](site_snapshot const& s) { to.add({s.site}, s.others); });
    to.begin(named_row("jirapool_site_quota_points"));
    each_site(seen, [&](site_snapshot const& s) {
        if (!s.quota) return;
        to.add({s.site, to_string(points_state::used)}, s.quota->of - s.quota->left);
        to.add({s.site, to_string(points_state::left)}, s.quota->left);
    });
}

void add_connections(named_families& to, surveys const& seen) {
    to.begin(named_row("jirapool_connection_trouble_since_timestamp_seconds"));
    for (auto const& s : seen) {
        if (!s) continue;
        for (auto const& c : s->in_trouble)
            to.add({c.id, c.site, to_string(c.kind), to_string(c.status.condition), to_string(c.status.cause)},
                   seconds_of(c.status.since));
    }
    to.begin(named_row("jirapool_connection_expires_timestamp_seconds"));
    for (auto const& s : seen) {
        if (!s) continue;
        for (auto const& c : s->expiring)
            if (c.expires) to.add({c.id}, seconds_of(*c.expires));
    }
}

}  // namespace

void add_named_families(std::vector<family>& to, overview const& o, surveys const& seen) {
    named_families out(to);
    out.begin(named_row("jirapool_shard_lag_seconds"));
    std::size_t shard = 0;
    for (auto const& p : o.paces()) out.add({std::to_string(shard++)}, seconds_of(p.lag));
    out.begin(named_row("jirapool_shard_loop_seconds"));
    for (std::size_t i = 0; i < seen.size(); ++i)
        if (seen[i]) out.add({std::to_string(i)}, seconds_of(seen[i]->loop_time));
    out.begin(named_row("jirapool_limit"));
    for (auto const& b : o.bounds()) out.add({b.name}, b.value);
    add_sites(out, seen);
    add_connections(out, seen);
}

overview_numbers numbers_of(overview const& o, surveys const& seen) {
    overview_numbers n;
    for (auto const& s : seen) {
        if (!s) continue;
        for (std::size_t i = 0; i < ending_count; ++i) n.endings[i] += static_cast<double>(s->endings[i]);
        n.retry_budget_left = std::min(n.retry_budget_left, s->retry_budget_left);
        n.paused_sites += static_cast<double>(s->paused_sites);
        n.tokens += static_cast<double>(s->tokens);
        n.stale_tokens += static_cast<double>(s->stale_tokens);
        if (s->soonest_expiry) n.soonest_expiry = std::min(n.soonest_expiry, seconds_of(*s->soonest_expiry));
        if (s->oldest_token) n.oldest_token = std::max(n.oldest_token, seconds_of(*s->oldest_token));
        n.dropped += static_cast<double>(s->untold);
    }
    if (auto const quota = o.app_quota()) {
        n.app_points[static_cast<std::size_t>(points_state::left)] = quota->left;
        n.app_points[static_cast<std::size_t>(points_state::used)] = quota->of - quota->left;
    }
    for (auto const& p : o.paces()) n.survey_age = std::max(n.survey_age, p.age ? seconds_of(*p.age) : 0);
    return n;
}

}  // namespace jirapool::metrics
