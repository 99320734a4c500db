#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/limit_turn.hpp>
#include <jirapool/core/neighbours.hpp>
#include <jirapool/core/pacing.hpp>
#include <jirapool/core/pause.hpp>
#include <jirapool/core/quota.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/* The scopes of a site's limits: each says when a call may go (`earliest`), is told that one goes (`take`) and what was answered
   (`on_answer`), and says whether a permit still holds (`open`). `limit_scopes` are all of them together. */

namespace jirapool {

struct limit_params;

/// What a call with a permit may have to wait for before it is sent: its token, a channel to the site's own host, one to the gateway.
enum class held_for : std::uint8_t { token, host, gateway };
inline constexpr std::size_t held_for_count = 3;

class held_set {
public:
    constexpr held_set(std::initializer_list<held_for> all) noexcept {
        for (auto const h : all) bits_ |= bit(h);
    }
    constexpr bool has(held_for h) const noexcept { return (bits_ & bit(h)) != 0; }
    bool operator==(held_set const&) const = default;

private:
    static constexpr std::uint8_t bit(held_for h) noexcept {
        return static_cast<std::uint8_t>(1u << static_cast<unsigned>(h));
    }
    std::uint8_t bits_ = 0;
};

/// What a call needs a permit of.
struct limit_needs {
    limit_needs(route_match m, quota_scopes q, held_set w = {held_for::gateway}) noexcept;

    quota_scopes quotas;
    std::uint64_t issue;  ///< a hash of the issue that it writes to; 0: none
    route_id route;
    held_set waits_for;  ///< permits that are held for something else hold it up no more
};

/// What a scope is told of an answer.
struct limit_answer {
    int status;
    rate_headers const& said;
    steady_time now;
    wall_time server;  ///< Jira's clock
};

/// While a probe is out: may its answer be waited for, or is the scope closed until another one may try?
enum class probes : std::uint8_t { may_stay_unanswered, answered_soon };

/// One route of a site: its bucket and its pause.
class route_scope {
public:
    explicit route_scope(route_id r) noexcept;
    route_id id() const noexcept { return id_; }

    steady_time earliest(limit_params const& p, held_set w, steady_time now, probes of) const noexcept;
    /// So many permits wait for what this call would wait for that it gets none.
    bool held_back(limit_params const& p, held_set w) const noexcept;
    void take(limit_params const& p, steady_time now) noexcept;
    /// What it says of the rate, whatever else it says. True: its Remaining is of the route's bucket.
    bool on_answer(limit_params const& p, limit_answer const& a) noexcept;
    bool busy() const noexcept { return pacing_.busy(); }
    neighbour_estimate::bucket bucket() const noexcept { return pacing_.bucket(); }
    /// What part of the rate others take, 0 to 1.
    void make_way(double share) noexcept { pacing_.make_way(share); }
    double others() const noexcept { return pacing_.others(); }
    /// The bucket is full with so much left, and smaller than it was seen to be.
    void shrink(std::uint32_t remaining) noexcept { pacing_.shrink(remaining); }
    /// It closes nothing.
    void on_permitted(limit_params const& p, steady_time now) noexcept;
    bool open(steady_time now) const noexcept { return !pause_.holds(now); }

    /// A 429 of its own burst limit, or of what nobody else keeps. @return the first of its pauses in a row.
    bool close(steady_time until, bool too_fast) noexcept;
    /// A 503 that says when to come back. @return likewise.
    bool on_overload(steady_time until) noexcept;
    /// Its backend was told to be overloaded, and to be so until a moment ago at least.
    bool unwell(steady_time now) const noexcept;
    jirapool::pause const& pause() const noexcept { return pause_; }
    /// Between two calls of many to come.
    steady_duration interval(limit_params const& p) const noexcept { return pacing_.usual_interval(p); }

    /// Permits of it whose calls are not sent yet.
    void hold(held_for what) noexcept;
    void unhold(held_for what) noexcept;
    /// Those of the other one are held here.
    void take_held(route_scope& other) noexcept;

    /// The site was closed until now.
    void keep_no_burst(limit_params const& p, steady_time now) noexcept;
    void merge(route_scope const& other) noexcept;
    void reset() noexcept;

private:
    [[no_unique_address]] pacing pacing_;
    route_id id_;
    [[no_unique_address]] jirapool::pause pause_;
    bool unwell_ = false;  // it is a 503's
    std::array<std::uint16_t, held_for_count> held_{};
};
static_assert(sizeof(route_scope) <= 48);  // each site has one for each route that it is called by

/// Writes to issues of a site: 20 in 2 s and 100 in 30 s each, exactly (core/doc/jira-cloud.md, 3.1). By a hash of the issue.
class issue_scopes {
public:
    /// steady_time::min() for one that nothing is known of, and for 0.
    steady_time earliest(std::uint64_t issue) const noexcept;
    /// The same for one more call behind all that wait for it.
    steady_time earliest_behind_waiting(std::uint64_t issue, steady_time now) const;
    /// May throw bad_alloc.
    void take(std::uint64_t issue, steady_time now);
    /// May throw bad_alloc. @return not behind, or soon behind, another pause of the issue.
    bool close(std::string_view issue, steady_time until, steady_time now);
    bool open(std::uint64_t issue, steady_time now) const noexcept;

    /// A call waits that writes to it: it is not forgotten. May throw bad_alloc.
    void wait(std::uint64_t issue, steady_time now);
    void end_wait(std::uint64_t issue) noexcept;

    std::size_t paused(steady_time now) const noexcept;
    /// When the last of the pauses ends; steady_time::min() when none is left.
    steady_time paused_until(steady_time now) const noexcept;
    /// May throw bad_alloc. `pauses`: those count here too.
    void merge(issue_scopes const& other, bool pauses);
    void reset() noexcept;

private:
    struct one {
        steady_time paused_until = steady_time::min();
        std::vector<steady_time> writes;  // of the last 30 s
        std::uint32_t waiting = 0;        // calls that want to write to it
    };
    struct table {
        std::unordered_map<std::uint64_t, one> by_key;
        std::size_t forget_at = 16;  // so many, when next to look for those that need no more memory
    };
    static steady_time earliest(one const& i) noexcept;
    one const* find(std::uint64_t issue) const noexcept;
    one& at(std::uint64_t issue, steady_time now);

    std::unique_ptr<table> table_;  // most sites are only read
};

/// All scopes of one site; those of an app and of an account come with each call (`limit_needs::quotas`).
class limit_scopes {
public:
    explicit limit_scopes(limit_params const& p) noexcept : params_(&p) {}  ///< keeps a reference

    limit_turn earliest(limit_needs const& n, steady_time now, probes of = probes::may_stay_unanswered) const noexcept;
    bool held_back(limit_needs const& n) const noexcept;
    /// May throw bad_alloc.
    void take(limit_needs const& n, steady_time now);
    struct lesson {
        limit_reason pause = limit_reason::none;  ///< a pause began or goes on, for this reason
        steady_time until{};                      ///< and ends then
        limit_scope scope = limit_scope::none;    ///< what is paused
        bool begins = false;                      ///< it is the first of a row: a probe that is refused prolongs it
        bool near_limit = false;
        std::uint32_t others = 0;  ///< calls of others that used the route since it was told last
        std::uint32_t ours = 0;    ///< our own in that time
    };
    /// May throw bad_alloc.
    lesson on_answer(route_match m, quota_scopes q, limit_answer const& a, random_engine& random);
    bool open(limit_needs const& n, steady_time now) const noexcept;

    /// Calls of the route that go at once, whatever its scopes say, and are in flight then.
    void take_unasked(route_id r) noexcept;
    void on_held(route_id r, held_for what) noexcept;
    void on_sent(route_id r, held_for what) noexcept;
    void on_done(route_id r) noexcept;

    limit_params const& params() const noexcept { return *params_; }
    issue_scopes& issues() noexcept { return issues_; }
    issue_scopes const& issues() const noexcept { return issues_; }
    /// Between two calls of the route. May throw bad_alloc.
    steady_duration interval(route_id r);
    /// What part of the route's rate others take, 0 to 1.
    double others(route_id r) const noexcept;
    /// The same of the route where it is the most.
    double most_others() const noexcept;
    /// What there is to say to people of a scope that a call waits for; may be empty. May throw bad_alloc.
    std::string describe(limit_scope s, limit_needs const& n, steady_time now) const;

    std::size_t paused(steady_time now) const noexcept;
    /// When the last pause of the site and its routes ends; steady_time::min() when none is left.
    steady_time paused_until(steady_time now) const noexcept;
    /// May throw bad_alloc. `told`: what was said about the other one counts here too, and not only what was sent.
    void merge(limit_scopes const& other, bool told);
    /// What is in flight there is so here. Behind a merge.
    void absorb_in_flight(limit_scopes& other);
    void reset() noexcept;

private:
    /// Of a route that is busy enough to tell.
    struct shared_route {
        route_id route;
        neighbour_estimate others;
    };

    route_scope* find(route_id r) noexcept;
    route_scope const* find(route_id r) const noexcept;
    shared_route* find_shared(route_id r) const noexcept;
    route_scope& at(route_id r);
    steady_duration wait_after_429(limit_answer const& a, int pauses_in_a_row, bool quota, random_engine& random) const;
    lesson on_429(route_match m, quota_scopes q, limit_answer const& a, random_engine& random);
    /// @return see route_scope::on_overload.
    bool on_overload(route_scope& ill, steady_time until, steady_time now) noexcept;
    void look_at_neighbours(route_scope& s, limit_answer const& a, lesson& out);

    limit_params const* params_;
    std::vector<route_scope> routes_;
    issue_scopes issues_;
    std::unique_ptr<std::vector<shared_route>> shared_;  // most sites' routes are quiet
    [[no_unique_address]] jirapool::pause site_;
    std::uint16_t bulk_in_flight_ = 0;
};

}  // namespace jirapool
