#include <jirapool/core/limiter_queue.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace jirapool {

struct limiter_waiter::group {
    limit_needs needs;  // of all in it; its issue is 0 but for those that were set aside
    struct list {
        limiter_waiter* first = nullptr;
        limiter_waiter* last = nullptr;
    };
    std::array<list, 2> lists;  // by priority
    std::array<std::size_t, 2> counts{};
    // Interactive calls that came to wait, since when: background ones behind them will see more of them come.
    steady_time since;
    std::uint64_t urgent = 0;

    group(limit_needs const& n, std::uint64_t issue, steady_time now) noexcept : needs(n), since(now) {
        needs.issue = issue;
    }
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

limiter_queue::limiter_queue() noexcept = default;
limiter_queue::~limiter_queue() = default;
limiter_queue::limiter_queue(limiter_queue&&) noexcept = default;

limiter_queue::group* limiter_queue::find(limit_needs const& n, std::uint64_t issue) const noexcept {
    for (auto const& g : groups_)
        if (g->needs.route == n.route && g->needs.issue == issue && g->needs.waits_for == n.waits_for &&
            g->needs.quotas == n.quotas)
            return g.get();
    return nullptr;
}

limiter_queue::group& limiter_queue::at(limit_needs const& n, std::uint64_t issue, steady_time now) {
    if (auto* const known = find(n, issue)) return *known;
    return *groups_.emplace_back(std::make_unique<group>(n, issue, now));
}

namespace {

// They wait for more than a turn, and this call does not.
bool overtakes(limit_needs const& own, limit_needs const& theirs, limit_scopes const& s) noexcept {
    return own.waits_for != theirs.waits_for && s.held_back(theirs) && !s.held_back(own);
}

}  // namespace

// Whoever waits for the same has the turn before this call, unless that one is less urgent.
std::size_t limiter_queue::ahead(limiter_waiter const& w, limit_scopes const& s) const noexcept {
    std::size_t n = 0;
    for (auto const& g : groups_) {
        auto const& theirs = g->needs;
        if (overtakes(w.needs_, theirs, s)) continue;
        bool const same = theirs.route == w.needs_.route && theirs.quotas == w.needs_.quotas;
        if (same && (theirs.issue == 0 || theirs.issue == w.needs_.issue)) n += g->before(w.priority_);
    }
    return n;
}

// What part of the route's turns goes to interactive calls that come later than a background one.
double limiter_queue::overtaken(route_id id, steady_duration each, steady_time now) const noexcept {
    constexpr std::uint64_t enough_to_tell = 20;
    double part = 0;
    for (auto const& g : groups_) {
        if (g->needs.route != id || g->urgent < enough_to_tell || now <= g->since) continue;
        part += static_cast<double>(g->urgent) * std::chrono::duration<double>(each) / (now - g->since);
    }
    return std::min(part, 0.9999);
}

limit_turn limiter_queue::expected_turn(limiter_waiter const& w, limit_scopes& s, steady_time now) const {
    // When an open probe will be answered is not known, but sooner than another one may go.
    auto const& own = w.needs_;
    auto t = s.earliest(own, now, probes::answered_soon);
    auto const begin = std::max(t.at, now);
    std::size_t on_route = 0;
    std::size_t on_quotas = 0;
    for (auto const& g : groups_) {
        auto const& theirs = g->needs;
        if (overtakes(own, theirs, s)) continue;
        if (theirs.quotas == own.quotas) on_quotas += g->before(w.priority_);
        // A busy issue's calls take no turn of the route before their own time.
        bool const aside = theirs.issue != 0 && theirs.issue != own.issue && s.issues().earliest(theirs.issue) > begin;
        if (theirs.route == own.route && !aside) on_route += g->before(w.priority_);
    }
    if (on_route > 0) {
        auto const each = s.interval(own.route);
        auto wait = std::chrono::duration<double>(each * static_cast<std::int64_t>(on_route));
        if (w.priority_ == priority::background) wait /= 1 - overtaken(own.route, each, now);
        bool const never = wait > std::chrono::hours(1);  // longer than any call lasts
        t.not_before(never ? steady_time::max() : begin + std::chrono::duration_cast<steady_duration>(wait),
                     limit_scope::route);
    }
    own.quotas.delay_behind(t, on_quotas, now);
    t.not_before(s.issues().earliest_behind_waiting(own.issue, now), limit_scope::issue);
    return t;
}

void limiter_queue::push(limiter_waiter& w, group& g) noexcept {
    auto const p = static_cast<std::size_t>(w.priority_);
    auto& list = g.lists[p];
    w.group_ = &g;
    w.next_ = nullptr;
    w.previous_ = list.last;
    (list.last ? list.last->next_ : list.first) = &w;
    list.last = &w;
    ++g.counts[p];
}

void limiter_queue::unlink(limiter_waiter& w) noexcept {
    auto const p = static_cast<std::size_t>(w.priority_);
    auto& list = w.group_->lists[p];
    (w.previous_ ? w.previous_->next_ : list.first) = w.next_;
    (w.next_ ? w.next_->previous_ : list.last) = w.previous_;
    w.next_ = w.previous_ = nullptr;
    --w.group_->counts[p];
    w.group_ = nullptr;
}

void limiter_queue::add(limiter_waiter& w, limit_scopes& s, steady_time now) {
    auto const issue = w.needs_.issue;
    bool const aside = issue != 0 && (s.issues().earliest(issue) > now || find(w.needs_, issue));
    // What may throw comes first.
    auto& own = at(w.needs_, aside ? issue : 0, now);
    if (issue != 0) s.issues().wait(issue, now);
    push(w, own);
    if (w.priority_ == priority::interactive) own.count_urgent(now);
    w.arrival_ = arrivals_++;
    ++size_;
}

void limiter_queue::remove(limiter_waiter& w, limit_scopes& s) noexcept {
    auto* const g = w.group_;
    if (g == nullptr) return;
    unlink(w);
    --size_;
    if (w.needs_.issue != 0) s.issues().end_wait(w.needs_.issue);
    if (!g->head()) std::erase_if(groups_, [g](auto const& other) { return other.get() == g; });
}

// The first of a route's queue may want an issue that has had its writes: whoever is behind must not wait for that.
void limiter_queue::set_aside_busy_issues(std::size_t i, limit_scopes const& s, steady_time now) {
    for (std::size_t p = 0; p < 2; ++p) {
        for (;;) {
            auto* const w = groups_[i]->lists[p].first;
            if (w == nullptr || s.issues().earliest(w->needs_.issue) <= now) break;
            auto& own = at(w->needs_, w->needs_.issue, now);
            unlink(*w);
            push(*w, own);
        }
    }
}

limiter_waiter* limiter_queue::take_next(limit_scopes& s, steady_time now) {
    for (std::size_t i = 0; i < groups_.size(); ++i)
        if (groups_[i]->needs.issue == 0 && s.earliest(groups_[i]->needs, now).at <= now)
            set_aside_busy_issues(i, s, now);
    std::erase_if(groups_, [](auto const& g) { return !g->head(); });

    limiter_waiter* best = nullptr;
    for (auto const& g : groups_) {
        auto* const head = g->head();
        bool const better = best == nullptr || head->priority_ < best->priority_ ||
                            (head->priority_ == best->priority_ && head->arrival_ < best->arrival_);
        if (better && s.earliest(g->needs, now).at <= now) best = head;
    }
    if (best != nullptr) remove(*best, s);
    return best;
}

steady_time limiter_queue::next_turn(limit_scopes const& s, steady_time now) const noexcept {
    auto at = steady_time::max();
    for (auto const& g : groups_) at = std::min(at, s.earliest(g->needs, now).at);
    return at;
}

std::vector<limiter_waiter*> limiter_queue::all() const {
    std::vector<limiter_waiter*> all;
    for (auto const& g : groups_)
        for (auto const& list : g->lists)
            for (auto* w = list.first; w != nullptr; w = w->next_) all.push_back(w);
    return all;
}

}  // namespace jirapool
