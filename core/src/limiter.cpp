#include <jirapool/core/limiter.hpp>

#include <algorithm>
#include <cmath>

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

// Below this part of the bucket others are using it too, or it is smaller than we think: slow down in proportion.
constexpr double low_remaining = 0.2;
constexpr double lowest_pace = 0.2;
constexpr std::uint8_t full_pace = 255;
constexpr std::uint8_t pace_step = 16;

std::uint64_t hash_of(std::string_view text) noexcept {
    std::uint64_t h = 14695981039346656037ull;  // FNV-1a
    for (char const c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    return h | 1;  // 0 means "no issue"
}

steady_duration seconds_as_duration(double seconds) noexcept {
    return std::chrono::duration_cast<steady_duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

struct limiter_waiter::group {
    std::uint64_t issue;
    route_id route;
    struct list {
        limiter_waiter* first = nullptr;
        limiter_waiter* last = nullptr;
    };
    std::array<list, 2> lists;  // by priority
    std::size_t count = 0;

    limiter_waiter* head() const noexcept { return lists[0].first ? lists[0].first : lists[1].first; }
};

char const* why_invalid(limit_params const& p) noexcept {
    if (!(p.use_of_rate > 0 && p.use_of_rate <= 1)) return "limit_params::use_of_rate must be in (0, 1]";
    if (!(p.burst_seconds >= 0)) return "limit_params::burst_seconds must not be negative";
    if (p.burst_unlearned < 1) return "limit_params::burst_unlearned must be at least 1";
    if (p.pause <= 0ms) return "limit_params::pause must be greater than 0";
    if (p.pause_max < p.pause) return "limit_params::pause_max must be at least pause";
    if (p.max_bulk < 1) return "limit_params::max_bulk must be at least 1";
    return nullptr;
}

site_limiter::site_limiter(limit_params const& p) noexcept : params_(&p) {}
site_limiter::~site_limiter() = default;
site_limiter::site_limiter(site_limiter&&) noexcept = default;

site_limiter::route_scope& site_limiter::scope_of(route_id id) {
    for (auto& s : routes_)
        if (s.route == id) return s;
    return routes_.emplace_back(route_scope{.next = steady_time::min(),
                                            .rate = static_cast<float>(jirapool::route(id).default_rate),
                                            .route = id,
                                            .pace = full_pace,
                                            .learned = 0,
                                            .paused = 0,
                                            .pauses = 0});
}

site_limiter::issue_scope const* site_limiter::find_issue(std::uint64_t key) const noexcept {
    for (auto const& s : issues_)
        if (s.key == key) return &s;
    return nullptr;
}

site_limiter::issue_scope& site_limiter::issue_of(std::uint64_t key, steady_time now) {
    for (auto& s : issues_)
        if (s.key == key) return s;
    // Only issues written to in the last 30 s are remembered, so that a site's state stays small.
    std::erase_if(issues_, [now](issue_scope const& s) {
        return s.paused_until <= now && (s.writes.empty() || s.writes.back() + issue_memory <= now);
    });
    return issues_.emplace_back(issue_scope{key, steady_time::min(), {}});
}

std::uint64_t site_limiter::issue_key(route_id id, std::string_view issue) noexcept {
    return route(id).writes_issue && !issue.empty() ? hash_of(issue) : 0;
}

steady_duration site_limiter::interval(route_scope const& s) const noexcept {
    double const rate = static_cast<double>(s.rate) * params_->use_of_rate * s.pace / full_pace;
    return seconds_as_duration(1 / std::max(rate, 0.01));
}

steady_duration site_limiter::tolerance(route_scope const& s) const noexcept {
    double const burst = s.learned ? std::floor(static_cast<double>(s.rate) * params_->burst_seconds)
                                   : static_cast<double>(params_->burst_unlearned);
    // Without the pace: a slowed route keeps its spacing, not a longer memory of quiet.
    double const rate = static_cast<double>(s.rate) * params_->use_of_rate;
    return seconds_as_duration(std::max(0.0, burst - 1) / std::max(rate, 0.01));
}

steady_time site_limiter::earliest(route_scope const& s) const noexcept {
    if (s.next == steady_time::min()) return s.next;
    return s.paused ? s.next : s.next - tolerance(s);
}

steady_time site_limiter::earliest(route_id id, std::uint64_t issue, steady_time now) {
    auto at = std::max(earliest(scope_of(id)), site_paused_until_);
    if (issue != 0) {
        if (auto const* const s = find_issue(issue)) {
            at = std::max(at, s->paused_until);
            for (auto const& w : issue_windows)
                if (s->writes.size() >= w.writes) at = std::max(at, s->writes[s->writes.size() - w.writes] + w.length);
        }
    }
    // A running bulk operation ends with an answer, and answers lead to release: no time to name.
    if (route(id).bulk && bulk_in_flight_ >= params_->max_bulk) at = std::max(at, now + 1s);
    return at;
}

void site_limiter::take(route_id id, std::uint64_t issue, steady_time now) {
    auto& s = scope_of(id);
    if (s.paused) {
        // The first one after a pause goes alone: the next is one interval behind it, with no burst saved up.
        s.paused = 0;
        s.next = now + tolerance(s);
    }
    s.next = std::max(s.next, now) + interval(s);
    if (issue != 0) {
        auto& i = issue_of(issue, now);
        auto const old = std::find_if(i.writes.begin(), i.writes.end(),
                                      [now](steady_time t) { return t + issue_memory > now; });
        i.writes.erase(i.writes.begin(), old);
        i.writes.push_back(now);
    }
    if (route(id).bulk) ++bulk_in_flight_;
}

admission site_limiter::admit(limiter_waiter& w, steady_time now, steady_time deadline) {
    auto const issue = issue_key(w.route_, w.issue_);
    if (!params_->enabled) {
        if (route(w.route_).bulk) ++bulk_in_flight_;  // on_done will count it down
        return {admission::kind::now, now};
    }
    auto const at = earliest(w.route_, issue, now);

    limiter_waiter::group* own = nullptr;
    std::size_t ahead = 0;  // waiting for the same route and not behind this call
    for (auto const& g : groups_) {
        if (g->route != w.route_) continue;
        if (g->issue == issue) own = g.get();
        ahead += g->count;
    }
    if (own == nullptr && at <= now && ahead == 0) {
        take(w.route_, issue, now);
        return {admission::kind::now, now};
    }

    auto const expected = std::max(at, now) +
                          interval(scope_of(w.route_)) * static_cast<int>(std::min<std::size_t>(ahead, 1u << 30));
    if (expected > deadline) return {admission::kind::refused, expected};
    if (waiting_ >= params_->max_waiting) return {admission::kind::full, expected};

    if (own == nullptr) {
        own = groups_.emplace_back(std::make_unique<limiter_waiter::group>()).get();
        own->route = w.route_;
        own->issue = issue;
    }
    auto& list = own->lists[static_cast<std::size_t>(w.priority_)];
    w.group_ = own;
    w.arrival_ = arrivals_++;
    w.next_ = nullptr;
    w.previous_ = list.last;
    (list.last ? list.last->next_ : list.first) = &w;
    list.last = &w;
    ++own->count;
    ++waiting_;
    return {admission::kind::wait, expected};
}

void site_limiter::remove(limiter_waiter& w) noexcept {
    auto* const g = w.group_;
    if (g == nullptr) return;
    auto& list = g->lists[static_cast<std::size_t>(w.priority_)];
    (w.previous_ ? w.previous_->next_ : list.first) = w.next_;
    (w.next_ ? w.next_->previous_ : list.last) = w.previous_;
    w.next_ = w.previous_ = nullptr;
    w.group_ = nullptr;
    --waiting_;
    if (--g->count == 0) std::erase_if(groups_, [g](auto const& p) { return p.get() == g; });
}

limiter_waiter* site_limiter::release(steady_time now) {
    limiter_waiter* best = nullptr;
    for (auto const& g : groups_) {
        auto* const head = g->head();
        bool const better = best == nullptr || head->priority_ < best->priority_ ||
                            (head->priority_ == best->priority_ && head->arrival_ < best->arrival_);
        if (better && earliest(g->route, g->issue, now) <= now) best = head;
    }
    if (best == nullptr) return nullptr;
    auto const issue = best->group_->issue;
    remove(*best);
    take(best->route_, issue, now);
    return best;
}

steady_time site_limiter::next_release(steady_time now) noexcept {
    auto at = steady_time::max();
    for (auto const& g : groups_) at = std::min(at, earliest(g->route, g->issue, now));
    return at;
}

void site_limiter::learn_rate(route_scope& s, int status, rate_headers const& h) noexcept {
    if (!h.limit || *h.limit == 0 || *h.limit > highest_burst_rate) return;
    if (status == 429 && h.reason != limit_reason::burst) return;  // the figure is of the limit that was hit
    s.rate = static_cast<float>(*h.limit);
    s.learned = 1;
    if (status == 429 || !h.remaining) return;
    // Jira rounds down: a Remaining of 0 is half a request on average, which is much of a small bucket.
    double const left = (static_cast<double>(*h.remaining) + 0.5) / (low_remaining * static_cast<double>(*h.limit));
    if (left < 1) {
        auto const pace = static_cast<std::uint8_t>(full_pace * std::max(lowest_pace, 0.5 + 0.5 * left));
        s.pace = std::min(s.pace, pace);
    } else {
        s.pace = static_cast<std::uint8_t>(std::min<int>(full_pace, s.pace + pace_step));
    }
}

site_limiter::lesson site_limiter::on_answer(route_match m, int status, rate_headers const& h, steady_time now,
                                             wall_time wall, random_engine& random) {
    if (!params_->enabled) return {};
    auto& s = scope_of(m.route);
    learn_rate(s, status, h);
    if (status == 429) return pause_for(m, h, now, wall, random);
    lesson result;
    result.near_limit = h.near_limit;
    if (now >= site_paused_until_) site_pauses_ = 0;
    if (!s.paused) s.pauses = 0;
    if (status == 503 && h.retry_after && *h.retry_after > 0s) {
        // An overloaded site says when to come back, like a 429 without a reason.
        site_paused_until_ = std::max(site_paused_until_, now + std::min<steady_duration>(*h.retry_after, 1h));
        result.pause = limit_reason::unknown;
        result.until = site_paused_until_;
    }
    return result;
}

site_limiter::lesson site_limiter::pause_for(route_match m, rate_headers const& h, steady_time now, wall_time wall,
                                             random_engine& random) {
    auto& s = scope_of(m.route);
    bool const of_route = h.reason == limit_reason::burst;
    bool const of_issue = h.reason == limit_reason::issue_write && !m.issue.empty();
    auto const in_a_row = of_route ? s.pauses : of_issue ? std::uint8_t{0} : site_pauses_;

    // The server's word is a floor. Without one (absent, 0, or malformed): our own, doubled while it goes on.
    steady_duration wait = std::min<std::chrono::milliseconds>(params_->pause_max,
                                                               params_->pause * (1 << std::min<int>(in_a_row, 16)));
    if (h.retry_after && *h.retry_after > 0s) {
        wait = *h.retry_after;
    } else if (h.reset && *h.reset > wall) {
        wait = std::min<steady_duration>(*h.reset - wall, 1h);
    }
    // Positive jitter only, so that many sites of one app do not come back in the same instant.
    wait += seconds_as_duration(uniform(random) * 0.1 *
                                std::chrono::duration<double>(std::min<steady_duration>(wait, 10s)).count());
    auto const until = now + wait;

    lesson result;
    result.pause = h.reason == limit_reason::none ? limit_reason::unknown : h.reason;
    result.until = until;
    result.near_limit = h.near_limit;
    if (of_issue) {
        auto& i = issue_of(hash_of(m.issue), now);
        i.paused_until = std::max(i.paused_until, until);
    } else if (of_route) {
        // Answers that were on the wire together tell of one overrun: only the first one lowers the pace.
        if (!s.paused) {
            s.pace = static_cast<std::uint8_t>(std::max<int>(static_cast<int>(full_pace * lowest_pace),
                                                             s.pace * 3 / 4));
            if (s.pauses < 63) ++s.pauses;
        }
        s.next = s.paused ? std::max(s.next, until) : until;
        s.paused = 1;
    } else {
        if (now >= site_paused_until_ && site_pauses_ < 63) ++site_pauses_;
        site_paused_until_ = std::max(site_paused_until_, until);
    }
    return result;
}

bool site_limiter::open(route_match m, steady_time now) const noexcept {
    if (!params_->enabled) return true;
    if (site_paused_until_ > now) return false;
    for (auto const& s : routes_)
        if (s.route == m.route && s.paused && s.next > now) return false;
    auto const key = issue_key(m.route, m.issue);
    auto const* const issue = key != 0 ? find_issue(key) : nullptr;
    return issue == nullptr || issue->paused_until <= now;
}

void site_limiter::on_done(route_id id) noexcept {
    if (route(id).bulk && bulk_in_flight_ > 0) --bulk_in_flight_;
}

void site_limiter::pause_site(steady_time until) noexcept { site_paused_until_ = std::max(site_paused_until_, until); }

std::size_t site_limiter::paused_scopes(steady_time now) const noexcept {
    auto const routes = std::count_if(routes_.begin(), routes_.end(),
                                      [now](route_scope const& s) { return s.paused && s.next > now; });
    auto const issues = std::count_if(issues_.begin(), issues_.end(),
                                      [now](issue_scope const& s) { return s.paused_until > now; });
    return static_cast<std::size_t>(routes + issues) + (site_paused_until_ > now ? 1 : 0);
}

void site_limiter::merge(site_limiter const& other) {
    for (auto const& theirs : other.routes_) {
        auto& ours = scope_of(theirs.route);
        if (theirs.learned) ours.rate = ours.learned ? std::min(ours.rate, theirs.rate) : theirs.rate;
        ours.learned |= theirs.learned;
        ours.pace = std::min(ours.pace, theirs.pace);
        if (ours.paused == theirs.paused) {
            ours.next = std::max(ours.next, theirs.next);
        } else if (theirs.paused) {
            ours.next = std::max(theirs.next, ours.next);
            ours.paused = 1;
        }
    }
    site_paused_until_ = std::max(site_paused_until_, other.site_paused_until_);
}

}  // namespace jirapool
