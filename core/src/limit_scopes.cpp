#include <jirapool/core/limit_scopes.hpp>

#include <jirapool/core/account_scope.hpp>
#include <jirapool/core/limiter.hpp>

#include "unescaped.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// core/doc/jira-cloud.md, 3.1. Windows are a little longer than Jira's, for the jitter between our sending and its counting.
struct window {
    std::size_t writes;
    steady_duration length;
};
constexpr window issue_windows[] = {{20, 2050ms}, {100, 30'300ms}};
constexpr steady_duration issue_memory = 30'300ms;

// Of calls that write to one issue and wait: more than this have no chance within any deadline.
constexpr std::size_t longest_issue_queue = 4'000;

// No pause of our own knowledge is so good that it need not be tried for longer: Jira's longest ends with the hour.
constexpr steady_duration longest_pause = 1h;

// So many routes that answer 503 with a time to come back, the others' told within this time: then it is the site.
constexpr int unwell_routes_of_site = 3;
constexpr steady_duration unwell_memory = 10s;

// The one call that goes first after a pause may take long to be answered: then another one tries.
constexpr steady_duration probe_patience = 2s;

// Of an issue's id or key, as Jira reads it: in any case, and with any of its characters escaped.
std::uint64_t hash_of(std::string_view text) noexcept {
    std::uint64_t h = 14695981039346656037ull;  // FNV-1a
    while (!text.empty()) {
        char c = detail::next_unescaped(text);
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
        h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    }
    return h | 1;  // 0 means "no issue"
}

steady_time if_later(steady_time t, steady_time now) noexcept { return t > now ? t : steady_time::min(); }

/// Of a quota that keeps it.
limit_scope scope_of(limit_reason r) noexcept {
    if (r == limit_reason::tenant_quota) return limit_scope::site_quota;
    return r == limit_reason::global_quota ? limit_scope::app_quota : limit_scope::account;
}

}  // namespace

char const* to_string(limit_scope s) noexcept {
    switch (s) {
    case limit_scope::none: return "none";
    case limit_scope::route: return "route";
    case limit_scope::issue: return "issue";
    case limit_scope::bulk: return "bulk";
    case limit_scope::site: return "site";
    case limit_scope::site_quota: return "site_quota";
    case limit_scope::app_quota: return "app_quota";
    case limit_scope::account: return "account";
    }
    return "unknown";
}

limit_needs::limit_needs(route_match m, quota_scopes q, held_set w) noexcept
    : quotas(q),
      issue(jirapool::route(m.route).writes_issue && !m.issue.empty() ? hash_of(m.issue) : 0),
      route(m.route),
      waits_for(w) {}

// One route

route_scope::route_scope(route_id r) noexcept : pacing_(route(r).default_rate), id_(r) {}

// What waits for a credential's token or for a channel to a host that cannot be reached holds up only who would wait for that as well: the
// site's other connections go on.
bool route_scope::held_back(limit_params const& p, held_set w) const noexcept {
    int held = 0;
    for (std::size_t i = 0; i < held_.size(); ++i)
        if (w.has(static_cast<held_for>(i))) held += held_[i];
    return held > 0 && held >= pacing_.burst(p);
}

steady_time route_scope::earliest(limit_params const& p, held_set w, steady_time now, probes of) const noexcept {
    bool const soon = of == probes::answered_soon;
    auto at = pause_.open() ? pacing_.earliest(p) : soon && pause_.probing() ? steady_time::min() : pause_.earliest();
    // When those are sent nobody knows, but they lead to another look.
    if (!soon && held_back(p, w)) at = std::max(at, now + 1s);
    return at;
}

void route_scope::take(limit_params const& p, steady_time now) noexcept {
    // In shadow mode calls go anyway: no answer is that of a probe.
    if (!pause_.open() && p.mode == limiting::shadow) {
        pause_.lift();
        unwell_ = false;
        pacing_.restart(p, now);
    }
    if (pause_.open()) pacing_.take(p, now);
    else pause_.probe(now + probe_patience);
}

bool route_scope::on_answer(limit_params const& p, limit_answer const& a) noexcept {
    return pacing_.on_answer(p, a.status, a.said, a.now);
}

void route_scope::on_permitted(limit_params const& p, steady_time now) noexcept {
    if (!pause_.on_permitted()) return;
    unwell_ = false;
    pacing_.restart(p, now);
}

bool route_scope::close(steady_time until, bool too_fast) noexcept {
    bool const another = pause_.begin(until);
    if (another && too_fast) pacing_.on_overrun();
    unwell_ = false;
    return another && pause_.in_a_row() == 1;
}

bool route_scope::on_overload(steady_time until) noexcept {
    bool const begins = close(until, false);
    unwell_ = true;
    return begins;
}

bool route_scope::unwell(steady_time now) const noexcept {
    return !pause_.open() && unwell_ && pause_.earliest() + unwell_memory > now;
}

void route_scope::hold(held_for what) noexcept {
    auto& held = held_[static_cast<std::size_t>(what)];
    if (held < std::numeric_limits<std::uint16_t>::max()) ++held;
}

void route_scope::unhold(held_for what) noexcept {
    auto& held = held_[static_cast<std::size_t>(what)];
    if (held > 0) --held;
}

void route_scope::take_held(route_scope& other) noexcept {
    for (std::size_t i = 0; i < held_.size(); ++i)
        held_[i] = static_cast<std::uint16_t>(held_[i] + std::exchange(other.held_[i], std::uint16_t{0}));
}

void route_scope::keep_no_burst(limit_params const& p, steady_time now) noexcept {
    if (pause_.open()) pacing_.keep_no_burst(p, now);
}

void route_scope::merge(route_scope const& other) noexcept {
    pacing_.merge(other.pacing_);
    // A probe that is out is the other one's: here it is a route that has just been called.
    if (other.pause_.paused()) pause_.merge(other.pause_);
    else if (pause_.open()) pacing_.not_before(other.pause_.probing() ? other.pause_.earliest() : other.pacing_.next());
}

void route_scope::reset() noexcept {
    pause_.end_now();
    pacing_.forget_overruns();
}

// Writes to issues

issue_scopes::one const* issue_scopes::find(std::uint64_t issue) const noexcept {
    if (!table_ || issue == 0) return nullptr;
    auto const found = table_->by_key.find(issue);
    return found == table_->by_key.end() ? nullptr : &found->second;
}

issue_scopes::one& issue_scopes::at(std::uint64_t issue, steady_time now) {
    if (!table_) table_ = std::make_unique<table>();
    auto& known = table_->by_key;
    // Only issues that somebody waits for or wrote to in the last 30 s are remembered, so that a site's state stays small.
    if (known.size() >= table_->forget_at) {
        std::erase_if(known, [&](auto const& i) {
            one const& s = i.second;
            return i.first != issue && s.waiting == 0 && s.paused_until <= now &&
                   (s.writes.empty() || s.writes.back() + issue_memory <= now);
        });
        table_->forget_at = 2 * known.size() + 16;
    }
    return known[issue];
}

steady_time issue_scopes::earliest(one const& i) noexcept {
    auto at = i.paused_until;
    for (auto const& w : issue_windows)
        if (i.writes.size() >= w.writes) at = std::max(at, i.writes[i.writes.size() - w.writes] + w.length);
    return at;
}

steady_time issue_scopes::earliest(std::uint64_t issue) const noexcept {
    auto const* const i = find(issue);
    return i ? earliest(*i) : steady_time::min();
}

steady_time issue_scopes::earliest_behind_waiting(std::uint64_t issue, steady_time now) const {
    auto const* const i = find(issue);
    if (i == nullptr || i->waiting == 0) return steady_time::min();
    if (i->waiting > longest_issue_queue) return steady_time::max();
    // The windows slide over the writes of those ahead: followed one by one.
    one ahead = *i;
    for (std::uint32_t n = 0; n < i->waiting; ++n) ahead.writes.push_back(std::max(now, earliest(ahead)));
    return earliest(ahead);
}

void issue_scopes::take(std::uint64_t issue, steady_time now) {
    auto& writes = at(issue, now).writes;
    auto const old = std::find_if(writes.begin(), writes.end(),
                                  [now](steady_time t) { return t + issue_memory > now; });
    writes.erase(writes.begin(), old);
    writes.insert(std::upper_bound(writes.begin(), writes.end(), now), now);
}

bool issue_scopes::close(std::string_view issue, steady_time until, steady_time now) {
    auto& i = at(hash_of(issue), now);
    bool const begins = i.paused_until + issue_memory <= now;
    i.paused_until = std::max(i.paused_until, until);
    return begins;
}

bool issue_scopes::open(std::uint64_t issue, steady_time now) const noexcept {
    auto const* const i = find(issue);
    return i == nullptr || i->paused_until <= now;
}

void issue_scopes::wait(std::uint64_t issue, steady_time now) { ++at(issue, now).waiting; }

void issue_scopes::end_wait(std::uint64_t issue) noexcept { --table_->by_key.find(issue)->second.waiting; }

std::size_t issue_scopes::paused(steady_time now) const noexcept {
    if (!table_) return 0;
    return static_cast<std::size_t>(std::count_if(table_->by_key.begin(), table_->by_key.end(),
                                                  [now](auto const& i) { return i.second.paused_until > now; }));
}

steady_time issue_scopes::paused_until(steady_time now) const noexcept {
    auto last = steady_time::min();
    if (table_)
        for (auto const& [key, i] : table_->by_key) last = std::max(last, i.paused_until);
    return if_later(last, now);
}

void issue_scopes::merge(issue_scopes const& other, bool pauses) {
    if (!other.table_) return;
    if (!table_) table_ = std::make_unique<table>();
    for (auto const& [key, theirs] : other.table_->by_key) {
        auto& ours = table_->by_key[key];
        if (pauses) ours.paused_until = std::max(ours.paused_until, theirs.paused_until);
        std::vector<steady_time> all;
        std::set_union(ours.writes.begin(), ours.writes.end(), theirs.writes.begin(), theirs.writes.end(),
                       std::back_inserter(all));
        ours.writes = std::move(all);
    }
}

void issue_scopes::reset() noexcept {
    if (table_)
        for (auto& i : table_->by_key) i.second.paused_until = steady_time::min();
}

// All of a site

route_scope const* limit_scopes::find(route_id r) const noexcept {
    for (auto const& s : routes_)
        if (s.id() == r) return &s;
    return nullptr;
}

route_scope* limit_scopes::find(route_id r) noexcept { return const_cast<route_scope*>(std::as_const(*this).find(r)); }

route_scope& limit_scopes::at(route_id r) {
    auto* const known = find(r);
    return known ? *known : routes_.emplace_back(r);
}

steady_duration limit_scopes::interval(route_id r) { return at(r).interval(*params_); }

limit_turn limit_scopes::earliest(limit_needs const& n, steady_time now, probes of) const noexcept {
    limit_turn t;
    if (auto const* const s = find(n.route))
        t.not_before(s->earliest(*params_, n.waits_for, now, of), limit_scope::route);
    if (!(of == probes::answered_soon && site_.probing())) t.not_before(site_.earliest(), limit_scope::site);
    t.not_before(issues_.earliest(n.issue), limit_scope::issue);
    // A running bulk operation ends with an answer, and answers lead to another look: no time to name.
    if (route(n.route).bulk && bulk_in_flight_ >= params_->max_bulk) t.not_before(now + 1s, limit_scope::bulk);
    n.quotas.delay(t, now);
    return t;
}

double limit_scopes::others(route_id r) const noexcept {
    auto const* const s = find(r);
    return s ? s->others() : 0;
}

double limit_scopes::most_others() const noexcept {
    double most = 0;
    for (auto const& r : routes_) most = std::max(most, r.others());
    return most;
}

std::string limit_scopes::describe(limit_scope s, limit_needs const& n, steady_time now) const {
    if (s == limit_scope::account && n.quotas.of_account != nullptr) return n.quotas.of_account->describe(now);
    auto const percent = std::lround(100 * others(n.route));
    if (s != limit_scope::route || percent == 0) return {};
    return "others take " + std::to_string(percent) + " % of its rate";
}

bool limit_scopes::held_back(limit_needs const& n) const noexcept {
    auto const* const s = find(n.route);
    return s != nullptr && s->held_back(*params_, n.waits_for);
}

void limit_scopes::take(limit_needs const& n, steady_time now) {
    at(n.route).take(*params_, now);
    if (!site_.open()) {
        site_.probe(now + probe_patience);
        if (params_->mode == limiting::shadow) site_.lift();
    }
    if (n.issue != 0) issues_.take(n.issue, now);
    n.quotas.take(now);
    take_unasked(n.route);
}

void limit_scopes::take_unasked(route_id r) noexcept {
    if (route(r).bulk) ++bulk_in_flight_;
}

bool limit_scopes::open(limit_needs const& n, steady_time now) const noexcept {
    auto const* const s = find(n.route);
    return !site_.holds(now) && (s == nullptr || s->open(now)) && n.quotas.open(now) && issues_.open(n.issue, now);
}

limit_scopes::lesson limit_scopes::on_answer(route_match m, quota_scopes q, limit_answer const& a,
                                             random_engine& random) {
    auto& s = at(m.route);
    bool const tells_of_bucket = s.on_answer(*params_, a);
    q.on_answer(a.said, a.now, a.server);
    if (a.status == 429) return on_429(m, q, a, random);
    q.on_permitted(m.route, a.now, a.server);

    lesson result;
    result.near_limit = a.said.near_limit;
    if (a.status == 503 && a.said.retry_after && *a.said.retry_after > 0s) {
        result.pause = limit_reason::unknown;
        result.until = a.now + std::min<steady_duration>(*a.said.retry_after, longest_pause);
        result.scope = limit_scope::route;
        result.begins = on_overload(s, result.until, a.now);
        return result;
    }
    s.on_permitted(*params_, a.now);
    if (site_.on_permitted())
        for (auto& r : routes_) r.keep_no_burst(*params_, a.now);
    if (tells_of_bucket) look_at_neighbours(s, a, result);
    else if (a.status < 500)
        if (auto* const known = find_shared(s.id())) known->others.on_silent_answer();
    return result;
}

limit_scopes::shared_route* limit_scopes::find_shared(route_id r) const noexcept {
    if (!shared_) return nullptr;
    auto const known = std::find_if(shared_->begin(), shared_->end(), [r](auto const& s) { return s.route == r; });
    return known == shared_->end() ? nullptr : &*known;
}

void limit_scopes::look_at_neighbours(route_scope& s, limit_answer const& a, lesson& out) {
    auto* known = find_shared(s.id());
    if (known == nullptr) {
        if (!s.busy()) return;
        if (!shared_) shared_ = std::make_unique<std::vector<shared_route>>();
        std::erase_if(*shared_, [&](auto const& r) { return !r.others.used(a.now); });
        known = &shared_->emplace_back(shared_route{s.id(), {}});
    }
    auto const told = known->others.on_answer(s.bucket(), *a.said.remaining, a.now);
    if (told.smaller) s.shrink(*a.said.remaining);
    if (told.ended) s.make_way(known->others.share());
    out.others = told.calls;
    out.ours = told.ours;
}

// Something overloaded says when to come back. Jira names no scope for a 503: one route's backend may be ill while all others
// are well, so it is the route's, and the site's once several say so. Then the site is tried again when the first of them may.
bool limit_scopes::on_overload(route_scope& ill, steady_time until, steady_time now) noexcept {
    bool const begins = ill.on_overload(until);
    int unwell = 0;
    auto first = until;
    for (auto const& r : routes_) {
        if (!r.unwell(now)) continue;
        ++unwell;
        auto const next = r.pause().earliest();
        if (next > now) first = std::min(first, next);
    }
    if (unwell >= unwell_routes_of_site) site_.begin(first);
    return begins;
}

steady_duration limit_scopes::wait_after_429(limit_answer const& a, int pauses_in_a_row, bool quota,
                                             random_engine& random) const {
    auto const& h = a.said;
    // The server's word is a floor. Without one (absent, 0, or malformed): our own, doubled while it goes on.
    steady_duration wait = std::min<std::chrono::milliseconds>(params_->pause_max,
                                                               params_->pause * (1 << std::min(pauses_in_a_row, 16)));
    if (h.retry_after && *h.retry_after > 0s) {
        wait = *h.retry_after;
    } else if (h.reset && *h.reset > a.server) {
        wait = std::min<steady_duration>(*h.reset - a.server, 1h);
    } else if (h.reason == limit_reason::tenant_quota || h.reason == limit_reason::global_quota ||
               h.reason == limit_reason::account_cost) {
        wait = top_of_hour(a.now, a.server) - a.now;
    }
    // A quota knows itself when it is to be tried.
    if (!quota) wait = std::min(wait, longest_pause);
    // Positive jitter only, so that many sites of one app do not come back in the same instant.
    auto const jittered = std::chrono::duration<double>(std::min<steady_duration>(wait, 10s));
    return wait + std::chrono::duration_cast<steady_duration>(uniform(random) * 0.1 * jittered);
}

limit_scopes::lesson limit_scopes::on_429(route_match m, quota_scopes q, limit_answer const& a, random_engine& random) {
    auto& s = at(m.route);
    auto const reason = a.said.reason;
    bool const of_issue = reason == limit_reason::issue_write && !m.issue.empty();
    bool const of_account = reason == limit_reason::account_cost || reason == limit_reason::account_calls;
    bool const of_quota = q.keep(reason);
    // An account that nobody keeps and another product's limit pause what was refused, and nothing of anybody else's.
    bool const of_route = reason == limit_reason::burst || reason == limit_reason::other_product ||
                          (of_account && !of_quota);
    int const in_a_row = of_route ? s.pause().in_a_row() : of_issue ? 0 : site_.in_a_row();

    lesson result;
    result.pause = reason == limit_reason::none ? limit_reason::unknown : reason;
    result.until = a.now + wait_after_429(a, in_a_row, of_quota, random);
    result.near_limit = a.said.near_limit;
    if (of_issue) {
        result.scope = limit_scope::issue;
        result.begins = issues_.close(m.issue, result.until, a.now);
    } else if (of_route) {
        result.scope = limit_scope::route;
        result.begins = s.close(result.until, reason == limit_reason::burst);
    } else if (of_quota) {
        result.scope = scope_of(reason);
        result.begins = q.close(reason, result.until, a.now);
    } else {
        result.scope = limit_scope::site;
        result.begins = site_.begin(result.until) && site_.in_a_row() == 1;
    }
    return result;
}

void limit_scopes::on_held(route_id r, held_for what) noexcept {
    if (auto* const s = find(r)) s->hold(what);
}

void limit_scopes::on_sent(route_id r, held_for what) noexcept {
    if (auto* const s = find(r)) s->unhold(what);
}

void limit_scopes::on_done(route_id r) noexcept {
    if (route(r).bulk && bulk_in_flight_ > 0) --bulk_in_flight_;
}

std::size_t limit_scopes::paused(steady_time now) const noexcept {
    auto const routes = std::count_if(routes_.begin(), routes_.end(), [now](auto const& s) { return !s.open(now); });
    return static_cast<std::size_t>(routes) + issues_.paused(now) + (site_.holds(now) ? 1 : 0);
}

steady_time limit_scopes::paused_until(steady_time now) const noexcept {
    auto last = site_.earliest();
    for (auto const& s : routes_)
        if (s.pause().paused()) last = std::max(last, s.pause().earliest());
    return if_later(last, now);
}

void limit_scopes::merge(limit_scopes const& other, bool told) {
    if (told) {
        for (auto const& theirs : other.routes_) at(theirs.id()).merge(theirs);
        if (!other.site_.open()) site_.begin(other.site_.earliest());
    }
    issues_.merge(other.issues_, told);
}

void limit_scopes::absorb_in_flight(limit_scopes& other) {
    for (auto& theirs : other.routes_) at(theirs.id()).take_held(theirs);
    bulk_in_flight_ = static_cast<std::uint16_t>(bulk_in_flight_ +
                                                 std::exchange(other.bulk_in_flight_, std::uint16_t{0}));
}

void limit_scopes::reset() noexcept {
    for (auto& s : routes_) s.reset();
    issues_.reset();
    site_.end_now();
}

}  // namespace jirapool
