#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/budget_left.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/core/time.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

namespace jirapool {

/// What a budget gives ahead to one of those who share it: so many permits until a time.
struct budget_grant {
    static constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();

    std::uint32_t permits = 0;  ///< calls that may go without asking again
    /// When the first of them may go; without any permit, when a call may go all the same.
    steady_time from = steady_time::min();
    steady_duration every{};  ///< between one of them and the next
    /// The holder that looks at it later gives back what is left, and asks again.
    steady_time until = steady_time::max();
    bool closed = false;        ///< a 429 closed the budget: also calls that have had their permit do not go
    std::uint64_t version = 0;  ///< budget_source::version when it was given
};

/** A budget of calls that several holders share: shards of one process, or processes. Each is given permits ahead by what it
    asks for, uses them without asking, and gives back what it does not need when it looks at them next, or ends: who waits for a
    permit never waits for the budget's own home. An implementation over a network answers at once with what it knows, and moves
    `version` when it hears more: holders see that with their next look, which is each call's and each answer's, and nobody is woken.

    @par Threads   Any. */
class budget_source {
public:
    budget_source() = default;
    budget_source(budget_source const&) = delete;
    budget_source& operator=(budget_source const&) = delete;
    virtual ~budget_source() = default;

    /// Grants of another version are void: the source takes nothing of them back, and is to be asked again.
    std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }

    /// Permits for at most `demand` calls, and at least for one if the budget has it; none while it is closed or used up.
    virtual budget_grant ask(std::uint32_t demand, steady_time now) noexcept = 0;
    /// What is left of a grant is not needed. Nothing for one of another version.
    virtual void give_back(budget_grant const& g) noexcept = 0;
    /// A call goes: on a permit of this grant, which has one less then; of a grant without any, when its `from` has come.
    virtual void spend(budget_grant& g, steady_time now) noexcept = 0;
    /// When a call may go that has so many before it, once all that were given are gone. An estimate.
    virtual steady_time turn(std::size_t ahead, steady_time now) const noexcept = 0;

    /// What an answer says of it. `server` is Jira's clock: its Date, else ours.
    virtual void on_answer(quota_item const& said, steady_time now, wall_time server) noexcept = 0;
    /// A 429 named it: no holder's call before `until`, but one each hour to see whether that is still so.
    /// @return it was not closed since it last let a call through.
    virtual bool close(steady_time until, steady_time now) noexcept = 0;
    /// An answer that is no 429. Where a call tries whether the budget is still closed it may be that one's, and opens it.
    virtual void on_permitted() noexcept = 0;
    /// Forgets what closed it.
    virtual void reset() noexcept = 0;
    /// What there is to show of it; nothing where that is not known.
    virtual std::optional<budget_left> left(steady_time) const noexcept { return std::nullopt; }

protected:
    void move_version() noexcept { version_.fetch_add(1, std::memory_order_acq_rel); }

private:
    std::atomic<std::uint64_t> version_{0};
};

/** One holder's share of a budget: what it has in hand, and when to ask for more. It asks for twice as much when it has used up
    what it was given in time, and for half when it has not.

    @par Threads   One at a time: it belongs to its shard. */
class budget_share {
public:
    explicit budget_share(std::shared_ptr<budget_source> source) noexcept : source_(std::move(source)) {}
    budget_share(budget_share const&) = delete;
    budget_share& operator=(budget_share const&) = delete;
    ~budget_share() { give_back(); }

    /// When the next call may go; steady_time::min() when nothing holds it. Asks the source if nothing is in hand.
    steady_time earliest(steady_time now) noexcept;
    /// When a call may go that has so many before it.
    steady_time turn(std::size_t ahead, steady_time now) noexcept;
    /// A call goes.
    void take(steady_time now) noexcept;
    /// A 429 closed it, on whatever shard, and it is not to be tried yet.
    bool closed(steady_time now) noexcept;

    void on_answer(quota_item const& said, steady_time now, wall_time server) noexcept {
        source_->on_answer(said, now, server);
    }
    bool close(steady_time until, steady_time now) noexcept { return source_->close(until, now); }
    void on_permitted() noexcept {
        if (grant_.permits == 0) source_->on_permitted();
    }
    void reset() noexcept { source_->reset(); }

private:
    void renew(steady_time now) noexcept;
    void give_back() noexcept;

    std::shared_ptr<budget_source> const source_;
    budget_grant grant_;
    std::uint32_t granted_ = 0;  // with it; 0: nothing
    std::uint32_t demand_ = 1;
};

}  // namespace jirapool
