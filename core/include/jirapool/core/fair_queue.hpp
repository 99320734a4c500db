#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace jirapool {

class fair_flow;

/// One waiting call, embedded in what waits. Must be out of the queue before it is destroyed.
class fair_waiter {
public:
    fair_waiter() = default;
    fair_waiter(fair_waiter const&) = delete;
    fair_waiter& operator=(fair_waiter const&) = delete;
    bool queued() const noexcept { return flow_ != nullptr; }
    /// Where it waits, or nullptr.
    fair_flow* flow() const noexcept { return flow_; }

private:
    friend class fair_queue;
    friend class fair_flow;
    fair_waiter* next_ = nullptr;
    fair_waiter* previous_ = nullptr;
    fair_flow* flow_ = nullptr;
};

/// One site's place in one origin's queue. Must be empty, with all it held returned, before it is destroyed.
class fair_flow {
public:
    /// weight >= 1, here and in set_weight.
    explicit fair_flow(std::uint16_t weight = 1) noexcept : weight_(weight) {}
    fair_flow(fair_flow const&) = delete;
    fair_flow& operator=(fair_flow const&) = delete;
    std::size_t waiting() const noexcept { return waiting_; }
    std::size_t held() const noexcept { return held_; }
    unsigned weight() const noexcept { return weight_; }
    /// Holds from its next turn on.
    void set_weight(std::uint16_t weight) noexcept { weight_ = weight; }
    /// All that wait here, in their order. `f` takes none out.
    template <class F>
    void each_waiting(F f) const {
        for (auto* w = first_; w != nullptr; w = w->next_) f(*w);
    }
    /// It waits, and behind all flows that keep to their share.
    bool second_tier() const noexcept { return waiting_ != 0 && tier_ == tier::second; }

private:
    friend class fair_queue;
    /// Of the ring it waits in. In `full` it has all it may hold, and no turn.
    enum class tier : std::uint8_t { first, second, full };

    fair_waiter* first_ = nullptr;
    fair_waiter* last_ = nullptr;
    fair_flow* next_ = nullptr;  // in the ring of flows that wait
    fair_flow* previous_ = nullptr;
    std::uint32_t waiting_ = 0;
    std::uint32_t held_ = 0;
    std::uint16_t weight_;
    tier tier_ = tier::first;
    std::uint32_t turns_left_ = 0;
    std::uint32_t usage_ = 0;           // grants of late, in 1/256
    std::uint32_t epoch_ = 0;           // that usage_ is of; 0: never
    std::uint32_t active_ = 0;          // the last epoch in which it was active; 0: never
    std::uint32_t counted_weight_ = 0;  // as which it counts among the active ones
};

/** Who gets the next free channel: sites in turn, by weight, first come first served inside a site.

    Deficit round robin (Shreedhar, Varghese 1995) with every call costing one, in two tiers: sites that took more than
    their share of late have their turns only when nobody else waits. Round robin alone bounds what a hog costs the others
    by one turn a round, but near the capacity a round is long: then any site that asks first pays for the hog. With tiers a
    quiet site waits for other quiet sites only, as if the hog was not there, and the hog has all that they leave.

    *Use* of a flow: its grants, queued or not, halved every `epoch`. It is over its share when that exceeds `forgiven`
    grants and `tolerance` times what its weight gives it of the total, among the flows active (asking or granted) in this
    epoch or the last. That is looked at when it begins to wait and at the end of its turns; and each turn of anybody looks at
    one flow of the second tier too. Use decays, so nobody stays there for longer than log2(use / forgiven) epochs, and then
    waits for one round at most.

    A flow that holds `max_held` grants or more waits without a turn, and in nobody's way, until it returns one.

    All operations but set_max_held are O(1), and none allocates. `now` must not go back.

    @par Threads   One at a time. */
class fair_queue {
public:
    /// Long enough that a site's share is more than a handful, short enough that a burst is forgotten within a call's time.
    static constexpr steady_duration epoch = std::chrono::seconds(2);
    /// Grants (times weight) in the sum of about two epochs: a page with a few calls by a silent site is no offence.
    static constexpr std::uint32_t forgiven = 8;
    /// Sites that ask at random differ from their mean; nobody should be moved for chance.
    static constexpr std::uint32_t tolerance = 2;
    static constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();

    /// `max_held`: grants of one flow at a time, >= 1, here and in set_max_held.
    explicit fair_queue(std::uint32_t max_held = unlimited) noexcept : max_held_(max_held) {}
    fair_queue(fair_queue const&) = delete;
    fair_queue& operator=(fair_queue const&) = delete;

    void push(fair_flow& flow, fair_waiter& w, steady_time now) noexcept;
    /// The one whose turn it is, taken out, its flow granted one; nullptr when nobody may have one.
    fair_waiter* pop(steady_time now) noexcept;
    /// No effect when it does not wait.
    void remove(fair_waiter& w) noexcept;
    /// Anybody, taken out without a grant: to fail all. nullptr when nobody waits.
    fair_waiter* evict() noexcept;

    /// Whether the flow may hold one more.
    bool may_hold(fair_flow const& flow) const noexcept { return flow.held_ < max_held_; }
    /// Holds for all flows at once; one that holds more than that keeps it. The only operation that looks at each flow that waits.
    void set_max_held(std::uint32_t max_held) noexcept;
    /// One is granted without a wait. Only while may_hold and nobody is ready.
    void grant(fair_flow& flow, steady_time now) noexcept;
    /// A grant ended: of `pop` or `grant`.
    void give_back(fair_flow& flow) noexcept;

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// How many grants `pop` can make in a row: all that wait but those whose flows would hold more than they may.
    std::size_t ready() const noexcept { return ready_; }

private:
    using tier = fair_flow::tier;

    std::size_t ready_of(fair_flow const& flow) const noexcept;
    fair_flow*& ring(tier t) noexcept { return rings_[static_cast<std::size_t>(t)]; }
    void unlink(fair_waiter& w) noexcept;
    void enter_ring(fair_flow& flow, tier t) noexcept;
    void leave_ring(fair_flow& flow) noexcept;
    void move(fair_flow& flow, tier t) noexcept;
    void look_at_second_tier() noexcept;

    tier tier_of(fair_flow& flow) noexcept;
    void count(fair_flow& flow) noexcept;
    void begin_epoch(steady_time now) noexcept;
    void age(fair_flow& flow) const noexcept;
    void note_active(fair_flow& flow) noexcept;

    std::array<fair_flow*, 3> rings_{};  // by tier: whose turn it is
    fair_flow* look_ = nullptr;          // in the second tier: who is looked at next
    std::size_t size_ = 0;
    std::size_t ready_ = 0;
    std::uint32_t max_held_;
    std::uint32_t epoch_ = 1;
    std::uint64_t usage_ = 0;          // of all flows
    std::uint64_t active_now_ = 0;     // weights of the flows active in this epoch
    std::uint64_t active_before_ = 0;  // and of those active in the last, but not yet in this
};

}  // namespace jirapool
