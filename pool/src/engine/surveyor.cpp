#include "engine/surveyor.hpp"

#include "engine/token_source.hpp"

#include <jirapool/core/urgency.hpp>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

namespace jirapool::detail {

using namespace std::chrono_literals;

namespace {

// A connection takes 200 ns, and some microseconds where none of it is in a cache: so a piece ends by the clock, and by number where
// time stands still, as in the simulator.
constexpr auto longest_piece = 50us;
constexpr std::size_t piece = 256;

// Who is followed stays so unless somebody else is in more trouble by this factor: what changes places all the time says nothing.
constexpr double loyalty = 1.25;

constexpr std::chrono::seconds days(int n) noexcept { return n * std::chrono::seconds(24h); }

wall_time on_wall(steady_time t, steady_time now, wall_time wall) noexcept {
    return wall + std::chrono::duration_cast<wall_time::duration>(t - now);
}

/// Keeps the `most` first by `before`, cheaply for many that do not come in.
template <class T, class Before>
void keep_first(std::vector<T>& kept, T candidate, std::size_t most, Before before) {
    if (most == 0) return;
    if (kept.size() == most) {
        if (!before(candidate, kept.front())) return;
        std::pop_heap(kept.begin(), kept.end(), before);
        kept.back() = std::move(candidate);
    } else {
        kept.push_back(std::move(candidate));
    }
    std::push_heap(kept.begin(), kept.end(), before);
}

}  // namespace

// The board

survey_board::ticket survey_board::ask(bool all, steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    all_ = all_ || all;
    wait_for_all_ += all ? 1 : 0;
    if (running_ && begun_ > done_) {  // under way: what it saw already may be of before
        again_ = true;
        return {begun_ + 1, false};
    }
    if (running_) return {begun_ + 1, false};
    running_ = true;
    asked_ = now;
    waits_ = true;
    return {begun_ + 1, true};
}

survey_board::ticket survey_board::ask_in_vain(bool all) noexcept {
    std::lock_guard const lock(mutex_);
    wait_for_all_ += all ? 1 : 0;
    return {done_, false};
}

void survey_board::give_up() noexcept {
    std::lock_guard const lock(mutex_);
    running_ = again_ = waits_ = false;
    done_ = begun_;
    news_.notify_all();
}

std::shared_ptr<survey const> survey_board::wait(ticket t, std::chrono::milliseconds patience) const {
    std::unique_lock lock(mutex_);
    if (thread_ == std::this_thread::get_id()) return last_;  // it would wait for itself
    news_.wait_for(lock, patience, [&] { return done_ >= t.number || !running_; });
    return last_;
}

std::shared_ptr<std::vector<site_snapshot> const> survey_board::wait_for_all(ticket t,
                                                                             std::chrono::milliseconds patience) {
    std::shared_ptr<std::vector<site_snapshot> const> all;
    std::unique_lock lock(mutex_);
    if (thread_ != std::this_thread::get_id())
        news_.wait_for(lock, patience, [&] { return done_ >= t.number || !running_; });
    all = all_sites_;
    if (--wait_for_all_ == 0) all_sites_.reset();
    return all;
}

overview::shard_pace survey_board::pace(steady_time now) const noexcept {
    std::lock_guard const lock(mutex_);
    overview::shard_pace p;
    p.lag = waits_ ? std::max(lag_, now - asked_) : lag_;
    if (last_) p.age = now - ended_;
    return p;
}

void survey_board::on_shards_thread() noexcept {
    std::lock_guard const lock(mutex_);
    thread_ = std::this_thread::get_id();
}

bool survey_board::begin(steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    ++begun_;
    thread_ = std::this_thread::get_id();
    if (std::exchange(waits_, false)) lag_ = now - asked_;
    return std::exchange(all_, false);
}

bool survey_board::end(std::shared_ptr<survey const> seen, std::shared_ptr<std::vector<site_snapshot> const> all,
                       steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    if (all && wait_for_all_ > 0) all_sites_ = std::move(all);
    if (seen) {
        last_ = std::move(seen);
        ended_ = now;
    }
    done_ = begun_;
    running_ = std::exchange(again_, false);
    if (running_) {
        asked_ = now;
        waits_ = true;
    }
    news_.notify_all();
    return running_;
}

// The surveyor

struct surveyor::seen_site {
    double rank = 0;
    bool troubled = false;
    bool listed = false;
    std::size_t row = 0;  // in round::all_sites
    std::shared_ptr<site_state> site;
    site_snapshot what;
};

struct surveyor::round {
    wall_time wall{};
    std::size_t next = 0;
    steady_time left{};  // the end of the last piece
    std::shared_ptr<survey> seen = std::make_shared<survey>();
    std::vector<seen_site> sites;                           // a heap: those in most trouble
    std::shared_ptr<std::vector<site_snapshot>> all_sites;  // where all are wanted
    std::size_t troubled_sites = 0;
    std::size_t troubled_connections = 0;

    struct bad {
        int badness;
        steady_time since;
        std::shared_ptr<connection_entry> who;
    };
    static bool worse(bad const& a, bad const& b) noexcept {
        return a.badness != b.badness ? a.badness > b.badness : a.since < b.since;
    }
    std::vector<bad> bad_ones;
    struct end_of {
        wall_time at;
        std::shared_ptr<connection_entry> who;
    };
    std::vector<end_of> ending_ones;
};

surveyor::surveyor(shard_context& c, connection_list& l)
    : context_(c),
      connections_(l),
      board_(std::make_shared<survey_board>()),
      listed_(c.params->overview.sites.begin(), c.params->overview.sites.end()) {}
surveyor::~surveyor() { board_->give_up(); }

bool surveyor::go_on() noexcept {
    auto const& all = connections_.all();
    auto const now = context_.clock.now();
    if (round_) {
        round_->seen->loop_time = std::max(round_->seen->loop_time, now - round_->left);
        if (round_->next >= all.size()) return end_round();  // a turn of its own
    }
    try {
        if (!round_) {
            auto next = std::make_unique<round>();
            next->wall = context_.clock.wall();
            bool const of_all = board_->begin(now);
            round_ = std::move(next);
            if (of_all) {
                round_->all_sites = std::make_shared<std::vector<site_snapshot>>();
                // To move them would take milliseconds.
                round_->all_sites->reserve(all.size());
            }
            if (++number_ == 0) ++number_;
        }
        auto at = now;
        for (std::size_t i = 0; i < piece && round_->next < all.size() && at - now < longest_piece; ++i) {
            look_at(all[round_->next++], at);
            at = context_.clock.now();
        }
        round_->left = at;
        return true;
    } catch (std::bad_alloc const&) {
        round_.reset();
        return board_->end(nullptr, nullptr, now);
    }
}

void surveyor::drop() noexcept {
    round_.reset();
    board_->give_up();
}

void surveyor::look_at(std::shared_ptr<connection_entry> const& e, steady_time now) {
    auto& r = *round_;
    if (e->token && e->token->fsm.expires() > now) {
        ++r.seen->tokens;
        if (e->token->fsm.stale(now)) ++r.seen->stale_tokens;
        auto const left = std::chrono::floor<std::chrono::seconds>(e->token->fsm.expires() - now);
        r.seen->soonest_expiry = std::min(r.seen->soonest_expiry.value_or(left), left);
        auto const age = std::chrono::floor<std::chrono::seconds>(now - e->token->fsm.issued());
        r.seen->oldest_token = std::max(r.seen->oldest_token.value_or(age), age);
    }
    auto const f = e->health.load();
    auto const bad = badness(f.condition());
    if (bad > 0) {
        ++r.troubled_connections;
        keep_first(r.bad_ones, round::bad{bad, f.since(), e}, most_connections(), round::worse);
    }
    look_at_end(e);
    if (e->state->site) look_at_site(e, e->state->site, now);
}

void surveyor::look_at_end(std::shared_ptr<connection_entry> const& e) {
    auto const end = e->expires.load(std::memory_order_relaxed);
    if (end == 0) return;
    wall_time const at{std::chrono::seconds{end}};
    auto const left = at - round_->wall;
    if (left > days(30)) return;
    auto const when = left <= 0s        ? ending::over
                      : left <= days(1) ? ending::within_a_day
                      : left <= days(7) ? ending::within_7_days
                                        : ending::within_30_days;
    ++round_->seen->endings[static_cast<std::size_t>(when)];
    keep_first(round_->ending_ones, round::end_of{at, e}, most_connections(),
               [](auto const& a, auto const& b) { return a.at < b.at; });
}

void surveyor::look_at_site(std::shared_ptr<connection_entry> const& e, std::shared_ptr<site_state> const& known,
                            steady_time now) {
    auto& r = *round_;
    auto& s = known->current();
    r.seen->retry_budget_left = std::min({r.seen->retry_budget_left, s.budget.left(context_.params->retries),
                                          e->state->origin->budget().left(context_.params->retries)});
    auto const* const quota = e->token ? e->token->quota_at_site.get() : s.quota.get();
    auto const points = quota ? quota->left(now) : std::nullopt;
    if (std::exchange(s.surveyed, number_) == number_) {
        if (points) note_less(s, *points);
        return;
    }
    site_snapshot what;
    what.trouble = s.trouble.value(now);
    what.waiting = s.limiter.waiting();
    what.others = s.limiter.most_others();
    what.quota = points;
    auto const paused = s.limiter.paused_until(now);
    if (paused > now) {
        ++r.seen->paused_sites;
        what.paused_until = on_wall(paused, now, r.wall);
    }
    double rank = urgency_of(what);
    bool const troubled = rank >= urgent_from;
    if (troubled) ++r.troubled_sites;
    bool const listed = listed_.contains(e->site_key());
    if (listed) rank = 1e18;
    else if (s.track != 0) rank *= loyalty;
    if (r.all_sites || rank >= urgent_from) what.site = e->site_key();
    if (r.all_sites) r.all_sites->push_back(what);
    if (rank < urgent_from) return;
    auto const row = r.all_sites ? r.all_sites->size() - 1 : 0;
    keep_first(r.sites, seen_site{rank, troubled, listed, row, known, std::move(what)}, context_.tracks.most(),
               [](auto const& a, auto const& b) { return a.rank > b.rank; });
}

void surveyor::note_less(site_state const& s, budget_left const& points) {
    for (auto& other : round_->sites) {
        auto& q = other.what.quota;
        if (&other.site->current() == &s && (!q || points.left < q->left)) q = points;
    }
}

std::size_t surveyor::most_connections() const noexcept {
    return (context_.params->overview.max_connections + context_.shards - 1) / context_.shards;
}

bool surveyor::end_round() noexcept {
    auto const now = context_.clock.now();
    auto const r = std::exchange(round_, nullptr);
    try {
        leave_room_for_others(*r);
        follow(*r);
        auto& seen = *r->seen;
        seen.at = r->wall;
        seen.calls_of_others = context_.tracks.calls(0);
        for (auto& s : r->sites) {
            if (r->all_sites) (*r->all_sites)[s.row].calls = s.what.calls;
            seen.sites.push_back(std::move(s.what));
        }
        std::sort(seen.sites.begin(), seen.sites.end(),
                  [](auto const& a, auto const& b) { return urgency_of(a) > urgency_of(b); });
        std::sort_heap(r->bad_ones.begin(), r->bad_ones.end(), round::worse);
        for (auto const& b : r->bad_ones) seen.in_trouble.push_back(b.who->snapshot(now, r->wall));
        std::sort_heap(r->ending_ones.begin(), r->ending_ones.end(),
                       [](auto const& a, auto const& b) { return a.at < b.at; });
        for (auto const& e : r->ending_ones) seen.expiring.push_back(e.who->snapshot(now, r->wall));
        seen.untold = r->troubled_connections - r->bad_ones.size();
        for (auto const n : seen.endings) seen.untold += n;
        seen.untold -= r->ending_ones.size();
        auto const told = static_cast<std::size_t>(std::count_if(r->sites.begin(), r->sites.end(),
                                                                 [](auto const& s) { return s.troubled; }));
        seen.untold += r->troubled_sites - told;
        return board_->end(std::move(r->seen), std::move(r->all_sites), now);
    } catch (std::bad_alloc const&) {
        return board_->end(nullptr, nullptr, now);
    }
}

// There is room for all that are listed, though most may be other shards': nobody else has it.
void surveyor::leave_room_for_others(round& r) {
    std::sort(r.sites.begin(), r.sites.end(), [](auto const& a, auto const& b) { return a.rank > b.rank; });
    auto const unlisted = std::find_if(r.sites.begin(), r.sites.end(), [](auto const& s) { return !s.listed; });
    auto const most = static_cast<std::ptrdiff_t>(context_.unlisted_tracks());
    if (r.sites.end() - unlisted > most) r.sites.erase(unlisted + most, r.sites.end());
}

void surveyor::follow(round& r) {
    auto const chosen = [&](site_state const& s) {
        return std::any_of(r.sites.begin(), r.sites.end(), [&](auto const& c) { return &c.site->current() == &s; });
    };
    std::vector<std::weak_ptr<site_state>> next;
    next.reserve(r.sites.size());
    for (auto const& weak : followed_) {
        auto const s = weak.lock();
        if (s && !chosen(*s)) context_.tracks.free(std::exchange(s->track, site_tracks::track{0}));
    }
    for (auto& c : r.sites) {
        auto& s = c.site->current();
        if (s.track == 0) s.track = context_.tracks.take();
        if (s.track != 0) c.what.calls = context_.tracks.calls(s.track);
        next.push_back(c.site);
    }
    followed_ = std::move(next);
}

}  // namespace jirapool::detail
