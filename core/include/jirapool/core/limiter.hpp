#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/limit_scopes.hpp>
#include <jirapool/core/limit_turn.hpp>
#include <jirapool/core/limiter_queue.hpp>
#include <jirapool/core/params.hpp>
#include <jirapool/core/quota.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace jirapool {

/// The limiter's word on a call that arrives.
struct admission {
    enum class kind : std::uint8_t {
        now,      ///< go; the permit is taken
        wait,     ///< queued; `at` is when its turn is expected
        refused,  ///< its turn would come at `at`, after the deadline
        full,     ///< max_waiting calls wait already
    };
    kind what = kind::now;
    /// What it waits for, or what refused it.
    limit_scope scope = limit_scope::none;
    /// With limiting::shadow: what `enforce` would have said, `at` being when it would have let the call go.
    kind shadow = kind::now;
    steady_time at{};
};

/** All limits of one site: who may go now, who waits, what Jira's answers teach. Pure: no I/O, no clock.

    Three storeys: what a scope is made of (`pause`, `pacing`, `points_quota`); the scopes, of which a call needs all to let it
    (`limit_scopes`); the queue of those who wait (`limiter_queue`). The limiter says, by its mode, what an arriving call gets.

    Scopes (core/doc/jira-cloud.md, 3.1): route (burst: a bucket of tokens, its rate learned from X-RateLimit-Limit, its size and how it
    is refilled from the course of X-RateLimit-Remaining), issue (writes: 20 in 2 s and 100 in 30 s, exactly), bulk operations
    in flight, the whole site (unknown reasons), and what the connection's app and account may.

    After a pause of a route or the site one call goes alone; its answer opens the scope for the others, or closes it
    again. So a pause that was too short costs one 429. No pause lasts for more than an hour without such a probe.

    The caller asks `release` for permitted calls whenever `next_release` has come and after each on_answer.

    @par Threads   One at a time: it belongs to its site's shard. */
class site_limiter {
public:
    explicit site_limiter(limit_params const& p) noexcept : scopes_(p) {}  ///< keeps a reference

    /// A call arrives. On `wait` it is queued until `release` or `remove`; `deadline` is its last useful moment to go. Throws
    /// std::bad_alloc; the call does not wait then.
    admission admit(limiter_waiter& w, steady_time now, steady_time deadline);

    /// A waiting call whose turn has come, out of the queue and with its permit taken; nullptr when there is none now.
    limiter_waiter* release(steady_time now);
    /// When release may have one; steady_time::max() when nobody waits.
    steady_time next_release(steady_time now) const noexcept;
    /// The call gave up waiting. No effect when it does not wait.
    void remove(limiter_waiter& w) noexcept;

    using lesson = limit_scopes::lesson;
    /// What an answer teaches. Call it for every answer, whatever its status; `m` and `q` as in the call's waiter.
    lesson on_answer(route_match m, quota_scopes q, int status, rate_headers const& h, steady_time now, wall_time wall,
                     random_engine& random);
    /** False: a scope of the request was paused after its permit was given, while it waited for a token or a channel. The
        permit is void then: ask `admit` again. */
    bool open(route_match m, quota_scopes q, steady_time now) const noexcept;

    /** A permitted call waits for a token or a channel before it can be sent; `on_sent` when it waits no more. A permit is a
        moment in time: so many that are not used yet as may leave at once are held, and no more, or all would go together when
        the wait ends. Those held for what a call does not need do not count for it. Ask `release` behind on_sent. */
    void on_held(route_id route, held_for what) noexcept;
    void on_sent(route_id route, held_for what) noexcept { scopes_.on_sent(route, what); }
    /// A permitted call ended, with or without an answer.
    void on_done(route_id route) noexcept { scopes_.on_done(route); }

    /// Those that wait, in no order: for whoever must end some of them.
    std::vector<limiter_waiter*> waiting_calls() const;
    std::size_t waiting() const noexcept { return queue_ ? queue_->size() : 0; }

    /// What there is to say to people of a scope that a call waits for: who else uses it, or what used it up. May be empty; may throw
    /// bad_alloc.
    std::string describe(limit_scope s, limit_needs const& n, steady_time now) const {
        return scopes_.describe(s, n, now);
    }
    /// What part of the route's rate others take, 0 to 1: other accounts, apps and programs.
    double others(route_id r) const noexcept { return scopes_.others(r); }
    /// The same of the route where it is the most.
    double most_others() const noexcept { return scopes_.most_others(); }

    /// Scopes paused at `now`, by counting: for snapshots, not for the hot path.
    std::size_t paused_scopes(steady_time now) const noexcept { return scopes_.paused(now); }
    /// Whose word there is for what another object knows of the same site.
    enum class word : std::uint8_t {
        told,     ///< the site's own: its rates and pauses
        counted,  ///< ours alone: what was sent, not what was said about it
    };
    /// Takes over what another object learned of the same site: the lower rates, the later pauses, the writes to issues. May
    /// be done twice. Throws std::bad_alloc.
    void merge(site_limiter const& other, word w = word::told);
    /// The same, and what is in flight there is from now on done here. Nobody may wait at `other` any more.
    void absorb(site_limiter& other, word w = word::told);
    /// When the last of the pauses of the site and its routes ends; steady_time::min() when none is left.
    steady_time paused_until(steady_time now) const noexcept { return scopes_.paused_until(now); }
    /// The same of what it keeps of issues.
    steady_time issues_paused_until(steady_time now) const noexcept { return scopes_.issues().paused_until(now); }
    /** Ends every pause of the site, its routes and issues now, as if its time had come: one call goes alone, and its answer
        opens the scope. For an operator who knows that Jira is well. Ask `release` behind it. Quotas are their owner's. */
    void reset() noexcept { scopes_.reset(); }

private:
    limit_scopes scopes_;
    std::unique_ptr<limiter_queue> queue_;  // since somebody waited: most sites' calls never do
};

}  // namespace jirapool
