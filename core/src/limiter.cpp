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

// jira-cloud.md 3.1. Windows are a little longer than Jira's, for the jitter between our sending and its counting.
struct window {
    std::size_t writes;
    steady_duration length;
};
constexpr window issue_windows[] = {{20, 2050ms}, {100, 30'300ms}};
constexpr steady_duration issue_memory = 30'300ms;

// Advertised figures above this are of another limit than requests per second (360000 was seen at the gateway).
constexpr std::uint32_t highest_burst_rate = 5'000;

// Below this part of the bucket others are using it too: slow down in proportion.
constexpr double low_remaining = 0.2;
constexpr double low_remaining_calls = 3;  // … or below this, when the bucket is small
constexpr double lowest_pace = 0.2;
constexpr std::uint8_t full_pace = 255;
constexpr std::uint8_t pace_step = 16;
// A 429 shows that all that is known of a route does not tell how fast it is, the way's jitter for one: for a minute or so it
// is used a little less.
constexpr std::uint8_t most_pace_step = 1;

// Until a route has answered: the lower one of the two figures that Jira documents for a GET (jira-cloud.md 3.2).
constexpr double rate_unanswered = 10;

// How a bucket is refilled is told by what Remaining does within less than the second that the longest step takes: there is
// one refill in it at the most, so that of n calls half or more find the bucket lower each time.
constexpr std::uint32_t course_ms = 900;
constexpr std::uint16_t enough_for_steady = 4;
constexpr double fall_of_steady = 0.3;  // for each call behind the first; with a step among them it is 0.33 at least
constexpr std::uint16_t enough_for_stepped = 4;
constexpr double fall_of_stepped = 0.7;
constexpr std::uint32_t shortest_stepped_ms = 300;

// A bucket that is refilled once in a second must not get one call more within it, whatever the way does to their distances.
constexpr double use_of_stepped = 0.92;

constexpr std::uint16_t one_call = 16;  // route_scope::credit

// No pause of our own knowledge is so good that it need not be tried for longer: Jira's longest ends with the hour.
constexpr steady_duration longest_pause = 1h;

// So many routes that answer 503 with a time to come back, the others' told within this time: then it is the site.
constexpr int unwell_routes_of_site = 3;
constexpr steady_duration unwell_memory = 10s;

// The one call that goes first after a pause may take long to be answered: then another one tries.
constexpr steady_duration probe_patience = 2s;

// Of calls that write to one issue and wait: more than this have no chance within any deadline.
constexpr std::size_t longest_issue_queue = 4'000;

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

steady_duration seconds_as_duration(double seconds) noexcept {
    return std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

struct limiter_waiter::group {
    std::uint64_t issue;
    quota_scopes quotas;
    route_id route;
    struct list {
        limiter_waiter* first = nullptr;
        limiter_waiter* last = nullptr;
    };
    std::array<list, 2> lists;  // by priority
    std::array<std::size_t, 2> counts{};
    // Interactive calls that came to wait, since when: background ones behind them will see more of them come.
    steady_time since;
    std::uint64_t urgent = 0;

    void count_urgent(steady_time now) noexcept {
        ++urgent;
        if (now - since < std::chrono::seconds(20)) return;
        // Only the recent past tells.
        since = now - (now - since) / 2;
        urgent /= 2;
    }

    limiter_waiter* head() const noexcept { return lists[0].first ? lists[0].first : lists[1].first; }
    /// Who would go before a call of this priority that comes now.
    std::size_t before(jirapool::priority p) const noexcept {
        return p == priority::background ? counts[0] + counts[1] : counts[0];
    }
};

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

char const* why_invalid(limit_params const& p) noexcept {
    if (p.mode != limiting::off && p.mode != limiting::shadow && p.mode != limiting::enforce)
        return "limit_params::mode must be one of its enumerators";
    if (!(p.use_of_rate > 0 && p.use_of_rate <= 1)) return "limit_params::use_of_rate must be in (0, 1]";
    if (!(p.burst_of_bucket > 0 && p.burst_of_bucket <= 1)) return "limit_params::burst_of_bucket must be in (0, 1]";
    if (p.burst_unlearned < 1) return "limit_params::burst_unlearned must be at least 1";
    if (p.pause <= 0ms) return "limit_params::pause must be greater than 0";
    if (p.pause_max < p.pause) return "limit_params::pause_max must be at least pause";
    // No limit of Jira's holds for longer than to the end of the hour; and beyond it the arithmetic would overflow.
    if (p.pause_max > 24h) return "limit_params::pause_max must be at most 24 h";
    if (p.max_bulk < 1) return "limit_params::max_bulk must be at least 1";
    return nullptr;
}

site_limiter::site_limiter(limit_params const& p) noexcept : params_(&p) {}
site_limiter::~site_limiter() = default;
site_limiter::site_limiter(site_limiter&&) noexcept = default;

site_limiter::route_scope const* site_limiter::find_scope(route_id id) const noexcept {
    for (auto const& s : routes_)
        if (s.route == id) return &s;
    return nullptr;
}

site_limiter::route_scope& site_limiter::scope_of(route_id id) {
    for (auto& s : routes_)
        if (s.route == id) return s;
    auto& s = routes_.emplace_back(route_scope{});
    s.next = steady_time::min();
    s.rate = static_cast<float>(jirapool::route(id).default_rate);
    s.route = id;
    s.pace = full_pace;
    s.most_pace = full_pace;
    return s;
}

site_limiter::issue_scope const* site_limiter::find_issue(std::uint64_t key) const noexcept {
    if (!issues_) return nullptr;
    auto const found = issues_->by_key.find(key);
    return found == issues_->by_key.end() ? nullptr : &found->second;
}

site_limiter::issue_scope& site_limiter::issue_of(std::uint64_t key, steady_time now) {
    if (!issues_) issues_ = std::make_unique<issue_table>();
    auto& known = issues_->by_key;
    // Only issues that somebody waits for or wrote to in the last 30 s are remembered, so that a site's state stays small.
    if (known.size() >= issues_->forget_at) {
        std::erase_if(known, [&](auto const& i) {
            issue_scope const& s = i.second;
            return i.first != key && s.waiting == 0 && s.paused_until <= now &&
                   (s.writes.empty() || s.writes.back() + issue_memory <= now);
        });
        issues_->forget_at = 2 * known.size() + 16;
    }
    return known[key];
}

steady_time site_limiter::earliest(issue_scope const& s) noexcept {
    auto at = s.paused_until;
    for (auto const& w : issue_windows)
        if (s.writes.size() >= w.writes) at = std::max(at, s.writes[s.writes.size() - w.writes] + w.length);
    return at;
}

steady_time site_limiter::issue_open(std::uint64_t key) const noexcept {
    auto const* const s = key != 0 ? find_issue(key) : nullptr;
    return s ? earliest(*s) : steady_time::min();
}

std::uint64_t site_limiter::issue_key(route_id id, std::string_view issue) noexcept {
    return route(id).writes_issue && !issue.empty() ? hash_of(issue) : 0;
}

steady_duration site_limiter::interval(route_scope const& s) const noexcept {
    auto rate = static_cast<double>(s.rate);
    if (!s.answered) rate = std::min(rate, rate_unanswered);
    // Perhaps it is filled up once in a second: then that is all that it gives.
    if (!s.steady && s.bucket > 0) rate = std::min(rate, static_cast<double>(s.bucket));
    double const use = s.stepped ? std::min(params_->use_of_rate, use_of_stepped) : params_->use_of_rate;
    return seconds_as_duration(1 / std::max(rate * use * s.pace / full_pace, 0.01));
}

// How many calls may leave at once after quiet.
double site_limiter::burst(route_scope const& s) const noexcept {
    if (s.bucket == 0) return static_cast<double>(params_->burst_unlearned);
    return std::max(1.0, std::floor(s.bucket * params_->burst_of_bucket));
}

// Of a steady route's GCRA.
steady_duration site_limiter::tolerance(route_scope const& s) const noexcept {
    // Without the pace: a slowed route keeps its spacing, not a longer memory of quiet.
    double const rate = static_cast<double>(s.rate) * params_->use_of_rate;
    return seconds_as_duration((burst(s) - 1) / std::max(rate, 0.01));
}

steady_time site_limiter::earliest(route_scope const& s) const noexcept {
    if (s.next == steady_time::min() || s.paused) return s.next;
    if (s.steady) return s.next - tolerance(s);
    return s.credit >= one_call ? steady_time::min() : s.next;
}

/* A call of the route goes.

   A bucket that is refilled all the time takes a burst and the full rate behind it: GCRA. One that is refilled once a second,
   and any of which we do not know that it is not, holds no more than its size for a burst and the rest of the second together.
   So of such a route a call that goes before its time uses up a credit, and all that follow go that much later; quiet gives
   credit back, calls at more than half of the rate take it away. Then no second has more calls than the bucket holds. */
void site_limiter::spend(route_scope& s, steady_time now) noexcept {
    auto const each = interval(s);
    if (!s.steady) {
        double const most = (burst(s) - 1) * one_call;
        double credit = most;
        if (s.next != steady_time::min()) {
            auto const quiet = std::max(now - s.next, steady_duration::zero());
            credit = s.credit + one_call * (std::chrono::duration<double>(quiet) / each - 1);
        }
        s.credit = static_cast<std::uint16_t>(std::clamp(credit, 0.0, most));
    }
    s.next = std::max(s.next, now) + each;
}

// What quiet saved up is gone: one call may go now.
void site_limiter::keep_no_burst(route_scope& s, steady_time now) const noexcept {
    s.credit = 0;
    s.next = std::max(s.next, s.steady ? now + tolerance(s) : now);
}

site_limiter::turn site_limiter::earliest(route_id id, std::uint64_t issue, quota_scopes q, steady_time now,
                                          probes p) const noexcept {
    turn t;
    bool const soon = p == probes::answered_soon;
    if (auto const* const s = find_scope(id); s && !(soon && s->paused && s->probing))
        t.not_before(earliest(*s), limit_scope::route);
    // When those are sent nobody knows, but they lead to release.
    if (auto const* const s = find_scope(id); s && !soon && s->held >= std::max(1.0, burst(*s)))
        t.not_before(now + 1s, limit_scope::route);
    if (site_paused_ && !(soon && site_probing_)) t.not_before(site_paused_until_, limit_scope::site);
    t.not_before(issue_open(issue), limit_scope::issue);
    // A running bulk operation ends with an answer, and answers lead to release: no time to name.
    if (route(id).bulk && bulk_in_flight_ >= params_->max_bulk) t.not_before(now + 1s, limit_scope::bulk);
    if (q.at_site) t.not_before(q.at_site->earliest(now), limit_scope::site_quota);
    if (q.over_sites) t.not_before(q.over_sites->earliest(now), limit_scope::app_quota);
    if (q.of_account) t.not_before(q.of_account->earliest(now), limit_scope::account);
    return t;
}

// What part of the route's turns goes to interactive calls that come later than a background one.
double site_limiter::overtaken(route_id id, steady_duration each, steady_time now) const noexcept {
    constexpr std::uint64_t enough_to_tell = 20;
    double part = 0;
    for (auto const& g : groups_) {
        if (g->route != id || g->urgent < enough_to_tell || now <= g->since) continue;
        part += static_cast<double>(g->urgent) * std::chrono::duration<double>(each) / (now - g->since);
    }
    return std::min(part, 0.9999);
}

// When a call that comes now will have its turn, behind all who wait for what it needs and go before it.
site_limiter::turn site_limiter::expected_turn(limiter_waiter const& w, steady_time now) {
    // When an open probe will be answered is not known, but sooner than another one may go.
    auto t = earliest(w.route_, w.key_, w.quotas_, now, probes::answered_soon);
    auto const begin = std::max(t.at, now);
    std::size_t on_route = 0;
    std::size_t on_quotas = 0;
    for (auto const& g : groups_) {
        if (g->quotas == w.quotas_) on_quotas += g->before(w.priority_);
        // A busy issue's calls take no turn of the route before their own time.
        bool const aside = g->issue != 0 && g->issue != w.key_ && issue_open(g->issue) > begin;
        if (g->route == w.route_ && !aside) on_route += g->before(w.priority_);
    }
    if (on_route > 0) {
        auto const each = interval(scope_of(w.route_));
        auto wait = std::chrono::duration<double>(each * static_cast<std::int64_t>(on_route));
        if (w.priority_ == priority::background) wait /= 1 - overtaken(w.route_, each, now);
        bool const never = wait > std::chrono::hours(1);  // longer than any call lasts
        t.not_before(never ? steady_time::max() : begin + std::chrono::duration_cast<steady_duration>(wait),
                     limit_scope::route);
    }
    if (w.quotas_.at_site) t.not_before(w.quotas_.at_site->turn(on_quotas, now), limit_scope::site_quota);
    if (w.quotas_.over_sites) t.not_before(w.quotas_.over_sites->turn(on_quotas, now), limit_scope::app_quota);
    if (w.quotas_.of_account) t.not_before(w.quotas_.of_account->turn(on_quotas, now), limit_scope::account);

    auto const* const issue = w.key_ != 0 ? find_issue(w.key_) : nullptr;
    if (issue == nullptr || issue->waiting == 0) return t;
    if (issue->waiting > longest_issue_queue) {
        t.not_before(steady_time::max(), limit_scope::issue);
        return t;
    }
    // The windows slide over the writes of those ahead: followed one by one.
    issue_scope ahead = *issue;
    for (std::uint32_t i = 0; i < issue->waiting; ++i) ahead.writes.push_back(std::max(now, earliest(ahead)));
    t.not_before(earliest(ahead), limit_scope::issue);
    return t;
}

void site_limiter::take(route_id id, std::uint64_t issue, quota_scopes q, steady_time now) {
    auto& s = scope_of(id);
    bool const shadow = params_->mode == limiting::shadow;  // calls go anyway: no answer is that of a probe
    if (s.paused && shadow) end_probe(s, now);
    if (s.paused) {
        s.probing = 1;
        s.next = now + probe_patience;
    } else {
        spend(s, now);
    }
    if (site_paused_) {
        site_probing_ = true;
        site_paused_until_ = now + probe_patience;
        if (shadow) site_paused_ = site_probing_ = false;
    }
    if (issue != 0) {
        auto& i = issue_of(issue, now);
        auto const old = std::find_if(i.writes.begin(), i.writes.end(),
                                      [now](steady_time t) { return t + issue_memory > now; });
        i.writes.erase(i.writes.begin(), old);
        i.writes.insert(std::upper_bound(i.writes.begin(), i.writes.end(), now), now);
    }
    if (q.at_site) q.at_site->take(now);
    if (q.over_sites) q.over_sites->take(now);
    if (q.of_account) q.of_account->take(now);
    if (route(id).bulk) ++bulk_in_flight_;
}

void site_limiter::end_probe(route_scope& s, steady_time now) noexcept {
    s.paused = 0;
    s.probing = 0;
    s.unwell = 0;
    s.next = now;
    keep_no_burst(s, now);
}

admission site_limiter::admit(limiter_waiter& w, steady_time now, steady_time deadline) {
    using kind = admission::kind;
    admission word;
    word.at = now;
    if (params_->mode == limiting::off) {
        if (route(w.route_).bulk) ++bulk_in_flight_;  // on_done will count it down
        return word;
    }
    w.key_ = issue_key(w.route_, w.issue_);
    // Whoever waits for the same has the turn before this call, unless that one is less urgent.
    std::size_t ahead = 0;
    for (auto const& g : groups_)
        if (g->route == w.route_ && g->quotas == w.quotas_ && (g->issue == 0 || g->issue == w.key_))
            ahead += g->before(w.priority_);
    auto const first = earliest(w.route_, w.key_, w.quotas_, now);
    if (first.at <= now && ahead == 0) {
        take(w.route_, w.key_, w.quotas_, now);
        return word;
    }
    auto const expected = expected_turn(w, now);
    bool const too_late = expected.at > deadline;
    word.at = std::max(now, expected.at);
    word.scope = expected.at > now ? expected.scope : first.scope;
    if (params_->mode == limiting::shadow) {
        word.shadow = too_late ? kind::refused : kind::wait;
        if (!too_late) take(w.route_, w.key_, w.quotas_, word.at);
        else if (route(w.route_).bulk) ++bulk_in_flight_;
        return word;
    }
    word.what = too_late ? kind::refused : waiting_ >= params_->max_waiting ? kind::full : kind::wait;
    if (word.what != kind::wait) return word;

    bool const aside = w.key_ != 0 && (issue_open(w.key_) > now || find_group(w.route_, w.key_, w.quotas_));
    // What may throw comes first.
    auto* const issue = w.key_ != 0 ? &issue_of(w.key_, now) : nullptr;
    auto& own = group_of(w, aside ? w.key_ : 0, now);
    push(w, own);
    if (w.priority_ == priority::interactive) own.count_urgent(now);
    if (issue) ++issue->waiting;
    w.arrival_ = arrivals_++;
    ++waiting_;
    return word;
}

site_limiter::group* site_limiter::find_group(route_id id, std::uint64_t issue, quota_scopes q) const noexcept {
    for (auto const& g : groups_)
        if (g->route == id && g->issue == issue && g->quotas == q) return g.get();
    return nullptr;
}

// The queue that has this call's route and, for those set aside, this issue.
site_limiter::group& site_limiter::group_of(limiter_waiter const& w, std::uint64_t issue, steady_time now) {
    if (auto* const known = find_group(w.route_, issue, w.quotas_)) return *known;
    auto& g = *groups_.emplace_back(std::make_unique<group>());
    g.route = w.route_;
    g.issue = issue;
    g.quotas = w.quotas_;
    g.since = now;
    return g;
}

void site_limiter::push(limiter_waiter& w, group& g) noexcept {
    auto const p = static_cast<std::size_t>(w.priority_);
    auto& list = g.lists[p];
    w.group_ = &g;
    w.next_ = nullptr;
    w.previous_ = list.last;
    (list.last ? list.last->next_ : list.first) = &w;
    list.last = &w;
    ++g.counts[p];
}

void site_limiter::unlink(limiter_waiter& w) noexcept {
    auto const p = static_cast<std::size_t>(w.priority_);
    auto& list = w.group_->lists[p];
    (w.previous_ ? w.previous_->next_ : list.first) = w.next_;
    (w.next_ ? w.next_->previous_ : list.last) = w.previous_;
    w.next_ = w.previous_ = nullptr;
    --w.group_->counts[p];
    w.group_ = nullptr;
}

void site_limiter::remove(limiter_waiter& w) noexcept {
    auto* const g = w.group_;
    if (g == nullptr) return;
    unlink(w);
    --waiting_;
    if (w.key_ != 0) --issues_->by_key.find(w.key_)->second.waiting;
    if (!g->head()) std::erase_if(groups_, [g](auto const& other) { return other.get() == g; });
}

// The first of a route's queue may want an issue that has had its writes: whoever is behind must not wait for that.
void site_limiter::set_aside_busy_issues(std::size_t i, steady_time now) {
    for (std::size_t p = 0; p < 2; ++p) {
        for (;;) {
            auto* const w = groups_[i]->lists[p].first;
            if (w == nullptr || issue_open(w->key_) <= now) break;
            auto& own = group_of(*w, w->key_, now);
            unlink(*w);
            push(*w, own);
        }
    }
}

limiter_waiter* site_limiter::release(steady_time now) {
    for (std::size_t i = 0; i < groups_.size(); ++i)
        if (groups_[i]->issue == 0 && earliest(groups_[i]->route, 0, groups_[i]->quotas, now).at <= now)
            set_aside_busy_issues(i, now);
    std::erase_if(groups_, [](auto const& g) { return !g->head(); });

    limiter_waiter* best = nullptr;
    for (auto const& g : groups_) {
        auto* const head = g->head();
        bool const better = best == nullptr || head->priority_ < best->priority_ ||
                            (head->priority_ == best->priority_ && head->arrival_ < best->arrival_);
        if (better && earliest(g->route, g->issue, g->quotas, now).at <= now) best = head;
    }
    if (best == nullptr) return nullptr;
    remove(*best);
    take(best->route_, best->key_, best->quotas_, now);
    return best;
}

steady_time site_limiter::next_release(steady_time now) const noexcept {
    auto at = steady_time::max();
    for (auto const& g : groups_) at = std::min(at, earliest(g->route, g->issue, g->quotas, now).at);
    return at;
}

std::vector<limiter_waiter*> site_limiter::waiting_calls() const {
    std::vector<limiter_waiter*> all;
    for (auto const& g : groups_)
        for (auto const& list : g->lists)
            for (auto* w = list.first; w != nullptr; w = w->next_) all.push_back(w);
    return all;
}

void site_limiter::learn_rate(route_scope& s, int status, rate_headers const& h, steady_time now) noexcept {
    auto const before = interval(s);
    bool const of_route = h.limit && *h.limit > 0 && *h.limit <= highest_burst_rate &&
                          (status != 429 || h.reason == limit_reason::burst);  // else it is of the limit that was hit
    bool const told = of_route && h.remaining && status != 429;
    if (of_route) {
        s.rate = static_cast<float>(*h.limit);
        s.learned = 1;
    }
    if (told) look_at_course(s, *h.remaining, now);
    if (!s.answered) {
        // Those that went before it was known what they may are paid for at the true rate.
        s.answered = 1;
        if (!s.paused && s.next > now) s.next = now + ((s.next - now - 1ns) / before + 1) * interval(s);
    }
    if (told) adapt_pace(s, *h.remaining);
}

/* How large the bucket is and how it is refilled.

   Its greatest Remaining is a floor of its size. While nothing was told of its refill it may be filled up once in a second;
   the advertised rate is then an upper bound of what it gives, and its size another one. */
void site_limiter::look_at_course(route_scope& s, std::uint32_t remaining, steady_time now) noexcept {
    auto const left = static_cast<std::uint16_t>(std::min<std::uint32_t>(remaining, 60'000));
    s.bucket = std::max(s.bucket, static_cast<std::uint16_t>(left + 1));
    auto const ms = static_cast<std::uint32_t>(now.time_since_epoch() / 1ms);
    auto const elapsed = ms - s.window;
    if (s.answers == 0 || elapsed > course_ms) {
        // Remaining that does not move while less is used than comes in is a full bucket's.
        bool const full = s.highest - s.lowest <= 1 && s.lowest > 0;
        double const given = static_cast<double>(s.rate) * course_ms / 1000;
        if (s.answers >= enough_for_steady && full && s.answers < 0.8 * given && left <= s.highest)
            s.bucket = static_cast<std::uint16_t>(s.highest + 1);
        end_window(s);
        s.window = ms;
        s.answers = 1;
        s.lowest = s.highest = left;
        return;
    }
    if (s.answers < 60'000) ++s.answers;
    s.lowest = std::min(s.lowest, left);
    s.highest = std::max(s.highest, left);
    if (s.steady) return;
    int const fall = s.highest - s.lowest;
    if (s.answers >= enough_for_steady && fall <= fall_of_steady * (s.answers - 1)) {
        s.steady = 1;
        s.stepped = 0;
    } else if (s.answers >= enough_for_stepped && elapsed >= shortest_stepped_ms &&
               fall >= fall_of_stepped * s.answers) {
        // At more than its rate a bucket that is refilled all the time falls as well.
        if (s.answers <= 1.2 * static_cast<double>(s.rate) * elapsed / 1000) s.stepped = 1;
    }
}

// Some 0.9 s are over.
void site_limiter::end_window(route_scope& s) noexcept {
    if (s.answers == 0) return;
    s.most_pace = static_cast<std::uint8_t>(std::min<int>(full_pace, s.most_pace + most_pace_step));
    if (s.steady) return;
    // It may run low at the end of each second by our own calls. But when more is gone than they took others take as well.
    int const fall = s.highest - s.lowest;
    bool const others = s.lowest < low_remaining * s.bucket && fall > 1.5 * s.answers + 2;
    slow_down(s, others ? 0.75 * s.pace / full_pace : 1);
    if (!others) speed_up(s);
}

void site_limiter::adapt_pace(route_scope& s, std::uint32_t remaining) noexcept {
    if (!s.steady) return;
    // Jira rounds down: a Remaining of 0 is half a request on average, which is much of a small bucket.
    double const low = std::max(low_remaining * s.bucket, std::min(low_remaining_calls, 0.6 * s.bucket));
    double const left = (static_cast<double>(remaining) + 0.5) / low;
    if (left < 1) slow_down(s, 0.5 + 0.5 * left);
    else speed_up(s);
}

void site_limiter::slow_down(route_scope& s, double pace) noexcept {
    s.pace = std::min(s.pace, static_cast<std::uint8_t>(full_pace * std::max(lowest_pace, pace)));
}

void site_limiter::speed_up(route_scope& s) noexcept {
    s.pace = std::max(s.pace, static_cast<std::uint8_t>(std::min<int>(s.most_pace, s.pace + pace_step)));
}

site_limiter::lesson site_limiter::on_answer(route_match m, quota_scopes q, int status, rate_headers const& h,
                                             steady_time now, wall_time wall, random_engine& random) {
    if (params_->mode == limiting::off) return {};
    auto& s = scope_of(m.route);
    learn_rate(s, status, h, now);
    auto const server = h.date.value_or(wall);
    if (q.at_site) q.at_site->on_answer(h.tenant_quota ? &*h.tenant_quota : nullptr, h.near_limit, now, server);
    if (q.over_sites) q.over_sites->on_answer(h.global_quota ? &*h.global_quota : nullptr, false, now, server);
    if (status == 429) return pause_for(m, q, h, now, wall, random);
    for (auto* const quota : {q.at_site, q.over_sites, q.of_account})
        if (quota) quota->on_permitted();

    lesson result;
    result.near_limit = h.near_limit;
    if (status == 503 && h.retry_after && *h.retry_after > 0s) {
        result.pause = limit_reason::unknown;
        result.until = now + std::min<steady_duration>(*h.retry_after, longest_pause);
        on_overload(s, result.until, now);
        return result;
    }
    if (s.paused && s.probing) end_probe(s, now);
    if (!s.paused) s.pauses = 0;
    if (site_paused_ && site_probing_) {
        site_paused_ = site_probing_ = false;
        for (auto& r : routes_)
            if (!r.paused) keep_no_burst(r, now);
    }
    if (!site_paused_) site_pauses_ = 0;
    return result;
}

// Something overloaded says when to come back. Jira names no scope for a 503: one route's backend may be ill while all others
// are well, so it is the route's, and the site's once several say so. Then the site is tried again when the first of them may.
void site_limiter::on_overload(route_scope& s, steady_time until, steady_time now) noexcept {
    pause_route(s, until, false);
    s.unwell = 1;
    int unwell = 0;
    auto first = until;
    for (auto const& r : routes_) {
        if (!r.paused || !r.unwell || r.next + unwell_memory <= now) continue;
        ++unwell;
        if (r.next > now) first = std::min(first, r.next);
    }
    if (unwell >= unwell_routes_of_site) pause_site(first);
}

void site_limiter::pause_site(steady_time until) noexcept {
    // Answers that were on the wire together tell of one overrun.
    bool const running = site_paused_ && !site_probing_;
    if (!running && site_pauses_ < 63) ++site_pauses_;
    site_paused_until_ = running ? std::max(site_paused_until_, until) : until;
    site_paused_ = true;
    site_probing_ = false;
}

void site_limiter::pause_route(route_scope& s, steady_time until, bool too_fast) noexcept {
    bool const running = s.paused && !s.probing;
    if (!running && s.pauses < 63) ++s.pauses;
    if (!running && too_fast) {
        constexpr int lowest = static_cast<int>(full_pace * lowest_pace);
        s.pace = static_cast<std::uint8_t>(std::max(lowest, s.pace * 3 / 4));
        s.most_pace = static_cast<std::uint8_t>(std::max(lowest, s.most_pace - s.most_pace / 8));
        s.answers = 0;
        s.steady = 0;  // what was learned of its refill may be why
    }
    s.next = running ? std::max(s.next, until) : until;
    s.paused = 1;
    s.probing = 0;
    s.unwell = 0;
}

site_limiter::lesson site_limiter::pause_for(route_match m, quota_scopes q, rate_headers const& h, steady_time now,
                                             wall_time wall, random_engine& random) {
    auto& s = scope_of(m.route);
    bool const of_issue = h.reason == limit_reason::issue_write && !m.issue.empty();
    bool const of_account = h.reason == limit_reason::account_cost || h.reason == limit_reason::account_calls;
    auto* const quota = h.reason == limit_reason::tenant_quota   ? q.at_site
                        : h.reason == limit_reason::global_quota ? q.over_sites
                        : of_account                             ? q.of_account
                                                                 : nullptr;
    // An account that nobody keeps and another product's limit pause what was refused, and nothing of anybody else's.
    bool const of_route = h.reason == limit_reason::burst || h.reason == limit_reason::other_product ||
                          (of_account && quota == nullptr);
    auto const in_a_row = of_route ? s.pauses : of_issue ? std::uint8_t{0} : site_pauses_;
    auto const server = h.date.value_or(wall);

    // The server's word is a floor. Without one (absent, 0, or malformed): our own, doubled while it goes on.
    steady_duration wait = std::min<std::chrono::milliseconds>(params_->pause_max,
                                                               params_->pause * (1 << std::min<int>(in_a_row, 16)));
    if (h.retry_after && *h.retry_after > 0s) {
        wait = *h.retry_after;
    } else if (h.reset && *h.reset > server) {
        wait = std::min<steady_duration>(*h.reset - server, 1h);
    } else if (h.reason == limit_reason::tenant_quota || h.reason == limit_reason::global_quota ||
               h.reason == limit_reason::account_cost) {
        wait = top_of_hour(now, server) - now;
    }
    // A quota knows itself when it is to be tried.
    if (quota == nullptr) wait = std::min(wait, longest_pause);
    // Positive jitter only, so that many sites of one app do not come back in the same instant.
    wait += seconds_as_duration(uniform(random) * 0.1 *
                                std::chrono::duration<double>(std::min<steady_duration>(wait, 10s)).count());

    lesson result;
    result.pause = h.reason == limit_reason::none ? limit_reason::unknown : h.reason;
    result.until = now + wait;
    result.near_limit = h.near_limit;
    if (of_issue) {
        auto& i = issue_of(hash_of(m.issue), now);
        i.paused_until = std::max(i.paused_until, result.until);
    } else if (of_route) {
        pause_route(s, result.until, h.reason == limit_reason::burst);
    } else if (quota) {
        quota->close(result.until, now);
    } else {
        pause_site(result.until);
    }
    return result;
}

bool site_limiter::open(route_match m, quota_scopes q, steady_time now) const noexcept {
    if (params_->mode != limiting::enforce) return true;
    if (site_paused_ && !site_probing_ && site_paused_until_ > now) return false;
    if (auto const* const s = find_scope(m.route); s && s->paused && !s->probing && s->next > now) return false;
    for (auto const* const quota : {q.at_site, q.over_sites, q.of_account})
        if (quota && quota->closed(now)) return false;
    auto const key = issue_key(m.route, m.issue);
    auto const* const issue = key != 0 ? find_issue(key) : nullptr;
    return issue == nullptr || issue->paused_until <= now;
}

void site_limiter::on_held(route_id id) noexcept {
    if (params_->mode != limiting::enforce) return;
    for (auto& s : routes_)
        if (s.route == id && s.held < std::numeric_limits<std::uint16_t>::max()) ++s.held;
}

void site_limiter::on_sent(route_id id) noexcept {
    for (auto& s : routes_)
        if (s.route == id && s.held > 0) --s.held;
}

void site_limiter::on_done(route_id id) noexcept {
    if (route(id).bulk && bulk_in_flight_ > 0) --bulk_in_flight_;
}

std::size_t site_limiter::paused_scopes(steady_time now) const noexcept {
    auto const routes = std::count_if(routes_.begin(), routes_.end(),
                                      [now](route_scope const& s) { return s.paused && !s.probing && s.next > now; });
    std::ptrdiff_t issues = 0;
    if (issues_)
        issues = std::count_if(issues_->by_key.begin(), issues_->by_key.end(),
                               [now](auto const& i) { return i.second.paused_until > now; });
    bool const site = site_paused_ && !site_probing_ && site_paused_until_ > now;
    return static_cast<std::size_t>(routes + issues) + (site ? 1 : 0);
}

steady_time site_limiter::paused_until(steady_time now) const noexcept {
    auto last = site_paused_ ? site_paused_until_ : steady_time::min();
    for (auto const& s : routes_)
        if (s.paused && !s.probing) last = std::max(last, s.next);
    return last > now ? last : steady_time::min();
}

steady_time site_limiter::issues_paused_until(steady_time now) const noexcept {
    auto last = steady_time::min();
    if (issues_)
        for (auto const& [key, i] : issues_->by_key) last = std::max(last, i.paused_until);
    return last > now ? last : steady_time::min();
}

void site_limiter::merge(site_limiter const& other, word w) {
    if (w == word::told) merge_told(other);
    if (!other.issues_) return;
    if (!issues_) issues_ = std::make_unique<issue_table>();
    for (auto const& [key, theirs] : other.issues_->by_key) {
        auto& ours = issues_->by_key[key];
        if (w == word::told) ours.paused_until = std::max(ours.paused_until, theirs.paused_until);
        std::vector<steady_time> all;
        std::set_union(ours.writes.begin(), ours.writes.end(), theirs.writes.begin(), theirs.writes.end(),
                       std::back_inserter(all));
        ours.writes = std::move(all);
    }
}

void site_limiter::merge_told(site_limiter const& other) {
    for (auto const& theirs : other.routes_) {
        auto& ours = scope_of(theirs.route);
        if (theirs.learned) ours.rate = ours.learned ? std::min(ours.rate, theirs.rate) : theirs.rate;
        ours.learned |= theirs.learned;
        if (theirs.bucket > 0) ours.bucket = ours.bucket > 0 ? std::min(ours.bucket, theirs.bucket) : theirs.bucket;
        ours.steady = ours.answered && theirs.answered ? ours.steady & theirs.steady : ours.steady | theirs.steady;
        ours.stepped |= theirs.stepped;
        ours.answered |= theirs.answered;
        ours.credit = std::min(ours.credit, theirs.credit);
        ours.pace = std::min(ours.pace, theirs.pace);
        if (!theirs.paused || theirs.probing) {
            if (!ours.paused) ours.next = std::max(ours.next, theirs.next);
        } else {
            ours.next = ours.paused && !ours.probing ? std::max(ours.next, theirs.next) : theirs.next;
            ours.paused = 1;
            ours.probing = 0;
        }
    }
    if (other.site_paused_) pause_site(other.site_paused_until_);
}

void site_limiter::absorb(site_limiter& other, word w) {
    merge(other, w);
    for (auto& theirs : other.routes_) {
        auto& ours = scope_of(theirs.route);
        ours.held = static_cast<std::uint16_t>(ours.held + std::exchange(theirs.held, std::uint16_t{0}));
    }
    bulk_in_flight_ = static_cast<std::uint16_t>(bulk_in_flight_ +
                                                 std::exchange(other.bulk_in_flight_, std::uint16_t{0}));
}

void site_limiter::reset() noexcept {
    for (auto& s : routes_) {
        if (s.paused) s.next = steady_time::min();
        s.probing = 0;
        s.pauses = 0;
        s.pace = s.most_pace = full_pace;
    }
    if (issues_)
        for (auto& i : issues_->by_key) i.second.paused_until = steady_time::min();
    if (site_paused_) site_paused_until_ = steady_time::min();
    site_probing_ = false;
    site_pauses_ = 0;
}

}  // namespace jirapool
