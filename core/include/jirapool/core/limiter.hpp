#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/labels.hpp>
#include <jirapool/core/params.hpp>
#include <jirapool/core/quota.hpp>
#include <jirapool/core/random.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jirapool {

class site_limiter;

/// One call at the limiter: what it needs a permit for. Embedded in the call; must not wait when it is destroyed.
class limiter_waiter {
public:
    /// `m.issue` and the quotas must outlive the waiter.
    limiter_waiter(route_match m, jirapool::priority p, quota_scopes q = {}) noexcept
        : issue_(m.issue), quotas_(q), route_(m.route), priority_(p) {}
    limiter_waiter(limiter_waiter const&) = delete;
    limiter_waiter& operator=(limiter_waiter const&) = delete;

    bool waiting() const noexcept { return group_ != nullptr; }
    route_id route() const noexcept { return route_; }
    /// Who came before has the lower one, among those of one limiter.
    std::uint64_t arrival() const noexcept { return arrival_; }

private:
    friend class site_limiter;
    struct group;
    std::string_view issue_;
    quota_scopes quotas_;
    limiter_waiter* next_ = nullptr;
    limiter_waiter* previous_ = nullptr;
    group* group_ = nullptr;
    std::uint64_t arrival_ = 0;
    std::uint64_t key_ = 0;  // of the issue, 0 when the call writes to none
    route_id route_;
    jirapool::priority priority_;
};

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

    Scopes (jira-cloud.md 3.1): route (burst: a bucket of tokens, in 40 bytes each, its rate learned from X-RateLimit-Limit,
    its size and how it is refilled from the course of X-RateLimit-Remaining), issue (writes: 20 in 2 s and 100 in 30 s,
    exactly), bulk operations in flight, the whole site (unknown reasons), and what the connection's app and account may. A
    call goes when all of its scopes let it.

    Waiting calls stand in one queue per route and app, those that write to an issue which has had its writes apart: a
    paused route or a busy issue delays nobody else. Interactive calls go before background ones, then whoever came first.

    After a pause of a route or the site one call goes alone; its answer opens the scope for the others, or closes it
    again. So a pause that was too short costs one 429. No pause lasts for more than an hour without such a probe.

    The caller asks `release` for permitted calls whenever `next_release` has come and after each on_answer.

    @par Threads   One at a time: it belongs to its site's shard. */
class site_limiter {
public:
    explicit site_limiter(limit_params const& p) noexcept;  ///< keeps a reference
    ~site_limiter();
    site_limiter(site_limiter&&) noexcept;
    site_limiter& operator=(site_limiter&&) = delete;

    /// A call arrives. On `wait` it is queued until `release` or `remove`; `deadline` is its last useful moment to go. Throws
    /// std::bad_alloc; the call does not wait then.
    admission admit(limiter_waiter& w, steady_time now, steady_time deadline);

    /// A waiting call whose turn has come, out of the queue and with its permit taken; nullptr when there is none now.
    limiter_waiter* release(steady_time now);
    /// When release may have one; steady_time::max() when nobody waits.
    steady_time next_release(steady_time now) const noexcept;
    /// The call gave up waiting. No effect when it does not wait.
    void remove(limiter_waiter& w) noexcept;

    struct lesson {
        limit_reason pause = limit_reason::none;  ///< a pause began, for this reason
        steady_time until{};                      ///< and ends then
        bool near_limit = false;
    };
    /** What an answer teaches. Call it for every answer, whatever its status; `m` and `q` as in the call's waiter. A pause
        for limit_reason::global_quota holds for the app's other sites on other shards too: the caller tells them. */
    lesson on_answer(route_match m, quota_scopes q, int status, rate_headers const& h, steady_time now, wall_time wall,
                     random_engine& random);
    /** False: a scope of the request was paused after its permit was given, while it waited for a token or a channel. The
        permit is void then: ask `admit` again. */
    bool open(route_match m, quota_scopes q, steady_time now) const noexcept;

    /** A permitted call waits for a token or a channel before it can be sent; `on_sent` when it waits no more. A permit is a
        moment in time: so many that are not used yet as may leave at once are held, and no more, or all would go together when
        the wait ends. Ask `release` behind on_sent. */
    void on_held(route_id route) noexcept;
    void on_sent(route_id route) noexcept;
    /// A permitted call ended, with or without an answer.
    void on_done(route_id route) noexcept;

    /// Those that wait, in no order: for whoever must end some of them.
    std::vector<limiter_waiter*> waiting_calls() const;

    std::size_t waiting() const noexcept { return waiting_; }
    /// Scopes paused at `now`, by counting: for snapshots, not for the hot path.
    std::size_t paused_scopes(steady_time now) const noexcept;
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
    steady_time paused_until(steady_time now) const noexcept;
    /// The same of what it keeps of issues.
    steady_time issues_paused_until(steady_time now) const noexcept;
    /** Ends every pause of the site, its routes and issues now, as if its time had come: one call goes alone, and its answer
        opens the scope. For an operator who knows that Jira is well. Ask `release` behind it. Quotas are their owner's. */
    void reset() noexcept;

private:
    struct route_scope {
        steady_time next;       // GCRA's theoretical arrival time; while `paused`, the end of the pause
        float rate;             // requests per second, as advertised or documented
        std::uint32_t window;   // since when the next three are counted: milliseconds, modulo 2^32
        std::uint16_t answers;  // that told a Remaining
        std::uint16_t lowest;   // of what they told
        std::uint16_t highest;  // …
        std::uint16_t bucket;   // the tokens it was seen to hold; 0: not known
        std::uint16_t credit;   // 1/16 calls that may go before their time; of a route that is not `steady`
        std::uint16_t held;     // permits whose calls are not sent yet
        route_id route;
        std::uint8_t pace;          // of 255: what part of the rate to use, lowered by 429 and a low Remaining
        std::uint8_t most_pace;     // what `pace` may come up to, lowered by 429 for longer
        std::uint8_t pauses;        // in a row
        std::uint8_t answered : 1;  // at least once
        std::uint8_t learned : 1;   // its rate
        std::uint8_t paused : 1;
        std::uint8_t probing : 1;  // one call went after the pause and has no answer; `next` is when another one may
        std::uint8_t steady : 1;   // it was seen to be refilled all the time
        std::uint8_t stepped : 1;  // it was seen not to be
        std::uint8_t unwell : 1;   // the pause is a 503's
    };
    static_assert(sizeof(route_scope) == 40);

    struct issue_scope {
        steady_time paused_until = steady_time::min();
        std::vector<steady_time> writes;  // of the last 30 s
        std::uint32_t waiting = 0;        // calls that want to write to it
    };

    using group = limiter_waiter::group;
    struct turn {
        steady_time at = steady_time::min();
        limit_scope scope = limit_scope::none;
        void not_before(steady_time t, limit_scope s) noexcept {
            if (t <= at) return;
            at = t;
            scope = s;
        }
    };

    route_scope& scope_of(route_id route);
    route_scope const* find_scope(route_id route) const noexcept;
    issue_scope const* find_issue(std::uint64_t key) const noexcept;
    issue_scope& issue_of(std::uint64_t key, steady_time now);
    static steady_time earliest(issue_scope const& s) noexcept;
    steady_time issue_open(std::uint64_t key) const noexcept;
    group* find_group(route_id route, std::uint64_t issue, quota_scopes q) const noexcept;
    double overtaken(route_id route, steady_duration each, steady_time now) const noexcept;
    group& group_of(limiter_waiter const& w, std::uint64_t issue, steady_time now);
    static void push(limiter_waiter& w, group& g) noexcept;
    void unlink(limiter_waiter& w) noexcept;
    void set_aside_busy_issues(std::size_t g, steady_time now);
    steady_duration interval(route_scope const& s) const noexcept;
    double burst(route_scope const& s) const noexcept;
    steady_duration tolerance(route_scope const& s) const noexcept;
    void spend(route_scope& s, steady_time now) noexcept;
    void keep_no_burst(route_scope& s, steady_time now) const noexcept;
    enum class probes : std::uint8_t { may_stay_unanswered, answered_soon };
    turn earliest(route_id route, std::uint64_t issue, quota_scopes q, steady_time now,
                  probes p = probes::may_stay_unanswered) const noexcept;
    steady_time earliest(route_scope const& s) const noexcept;
    turn expected_turn(limiter_waiter const& w, steady_time now);
    void take(route_id route, std::uint64_t issue, quota_scopes q, steady_time now);
    void end_probe(route_scope& s, steady_time now) noexcept;
    void pause_route(route_scope& s, steady_time until, bool too_fast) noexcept;
    void pause_site(steady_time until) noexcept;
    void merge_told(site_limiter const& other);
    void on_overload(route_scope& s, steady_time until, steady_time now) noexcept;
    void learn_rate(route_scope& s, int status, rate_headers const& h, steady_time now) noexcept;
    static void look_at_course(route_scope& s, std::uint32_t remaining, steady_time now) noexcept;
    static void adapt_pace(route_scope& s, std::uint32_t remaining) noexcept;
    static void end_window(route_scope& s) noexcept;
    static void slow_down(route_scope& s, double pace) noexcept;
    static void speed_up(route_scope& s) noexcept;
    lesson pause_for(route_match m, quota_scopes q, rate_headers const& h, steady_time now, wall_time wall,
                     random_engine& random);
    static std::uint64_t issue_key(route_id route, std::string_view issue) noexcept;

    limit_params const* params_;
    std::vector<route_scope> routes_;
    struct issue_table {
        std::unordered_map<std::uint64_t, issue_scope> by_key;  // a hash of the issue's id or key
        std::size_t forget_at = 16;  // so many, when next to look for those that need no more memory
    };
    std::unique_ptr<issue_table> issues_;         // most sites are only read
    std::vector<std::unique_ptr<group>> groups_;  // only those in which somebody waits
    steady_time site_paused_until_ = steady_time::min();
    std::uint64_t arrivals_ = 0;
    std::size_t waiting_ = 0;
    std::uint16_t bulk_in_flight_ = 0;
    std::uint8_t site_pauses_ = 0;  // in a row
    bool site_paused_ = false;      // until an answer after site_paused_until_ says otherwise
    bool site_probing_ = false;     // one call went since; site_paused_until_ is when the next one may try
};

}  // namespace jirapool
