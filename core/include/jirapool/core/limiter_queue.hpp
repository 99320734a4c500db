#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/limit_scopes.hpp>
#include <jirapool/core/request.hpp>
#include <jirapool/core/route.hpp>
#include <jirapool/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace jirapool {

/// One call at the limiter: what it needs a permit for. Embedded in the call; must not wait when it is destroyed.
class limiter_waiter {
public:
    /// The quotas must outlive the waiter.
    limiter_waiter(route_match m, jirapool::priority p, quota_scopes q = {}, held_set w = {held_for::gateway}) noexcept
        : needs_(m, q, w), priority_(p) {}
    limiter_waiter(limiter_waiter const&) = delete;
    limiter_waiter& operator=(limiter_waiter const&) = delete;

    bool waiting() const noexcept { return group_ != nullptr; }
    limit_needs const& needs() const noexcept { return needs_; }
    route_id route() const noexcept { return needs_.route; }
    /// Who came before has the lower one, among those of one limiter.
    std::uint64_t arrival() const noexcept { return arrival_; }

private:
    friend class limiter_queue;
    struct group;
    limit_needs needs_;
    limiter_waiter* next_ = nullptr;
    limiter_waiter* previous_ = nullptr;
    group* group_ = nullptr;
    std::uint64_t arrival_ = 0;
    jirapool::priority priority_;
};

/** Who waits for permits of a site, and whose turn it is. One queue per route and app, in which interactive calls stand before
    background ones; calls that write to an issue which has had its writes stand apart, so that a paused route or a busy issue
    delays nobody else. Pure. */
class limiter_queue {
public:
    limiter_queue() noexcept;
    ~limiter_queue();
    limiter_queue(limiter_queue&&) noexcept;
    limiter_queue& operator=(limiter_queue&&) = delete;

    std::size_t size() const noexcept { return size_; }
    /// How many that wait for the same would go before this one.
    std::size_t ahead(limiter_waiter const& w, limit_scopes const& s) const noexcept;
    /// When a call that comes now will have its turn, behind all who wait for what it needs and go before it. May throw
    /// bad_alloc.
    limit_turn expected_turn(limiter_waiter const& w, limit_scopes& s, steady_time now) const;

    /// May throw bad_alloc; it does not wait then.
    void add(limiter_waiter& w, limit_scopes& s, steady_time now);
    /// No effect when it does not wait.
    void remove(limiter_waiter& w, limit_scopes& s) noexcept;
    /// Whose turn has come, and out of the queue: interactive calls before background ones, then whoever came first. Null: nobody's.
    limiter_waiter* take_next(limit_scopes& s, steady_time now);
    /// When take_next may have one; steady_time::max() when nobody waits.
    steady_time next_turn(limit_scopes const& s, steady_time now) const noexcept;

    /// Those that wait, in no order.
    std::vector<limiter_waiter*> all() const;

private:
    using group = limiter_waiter::group;

    group* find(limit_needs const& n, std::uint64_t issue) const noexcept;
    group& at(limit_needs const& n, std::uint64_t issue, steady_time now);
    double overtaken(route_id route, steady_duration each, steady_time now) const noexcept;
    static void push(limiter_waiter& w, group& g) noexcept;
    static void unlink(limiter_waiter& w) noexcept;
    void set_aside_busy_issues(std::size_t g, limit_scopes const& s, steady_time now);

    std::vector<std::unique_ptr<group>> groups_;  // only those in which somebody waits
    std::uint64_t arrivals_ = 0;
    std::size_t size_ = 0;
};

}  // namespace jirapool
