#pragma once

#include <cstddef>
#include <cstdint>

namespace jirapool {

class fair_flow;

/// One waiting call, embedded in what waits. Must be out of the queue before it is destroyed.
class fair_waiter {
public:
    fair_waiter() = default;
    fair_waiter(fair_waiter const&) = delete;
    fair_waiter& operator=(fair_waiter const&) = delete;
    bool queued() const noexcept { return flow_ != nullptr; }

private:
    friend class fair_queue;
    fair_waiter* next_ = nullptr;
    fair_waiter* previous_ = nullptr;
    fair_flow* flow_ = nullptr;
};

/// One site's place in one origin's queue. Must be empty before it is destroyed.
class fair_flow {
public:
    explicit fair_flow(unsigned weight = 1) noexcept : weight_(weight) {}
    fair_flow(fair_flow const&) = delete;
    fair_flow& operator=(fair_flow const&) = delete;
    std::size_t waiting() const noexcept { return waiting_; }
    void set_weight(unsigned weight) noexcept { weight_ = weight; }

private:
    friend class fair_queue;
    fair_waiter* first_ = nullptr;
    fair_waiter* last_ = nullptr;
    fair_flow* next_ = nullptr;  // in the ring of flows that wait
    fair_flow* previous_ = nullptr;
    std::uint32_t waiting_ = 0;
    std::uint32_t weight_;
    std::uint32_t turns_left_ = 0;
};

/** Who gets the next free channel: sites in turn, by weight, first come first served inside a site.

    Deficit round robin (Shreedhar, Varghese 1995) with every call costing one: a site with ten thousand waiting calls
    delays another site's only call by one round at most. All operations are O(1) and never allocate.

    @par Threads   One at a time. */
class fair_queue {
public:
    fair_queue() = default;
    fair_queue(fair_queue const&) = delete;
    fair_queue& operator=(fair_queue const&) = delete;

    void push(fair_flow& flow, fair_waiter& w) noexcept;
    /// The one whose turn it is, taken out; nullptr when nobody waits.
    fair_waiter* pop() noexcept;
    /// No effect when it does not wait.
    void remove(fair_waiter& w) noexcept;

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

private:
    void unlink(fair_waiter& w) noexcept;
    void enter_ring(fair_flow& flow) noexcept;
    void leave_ring(fair_flow& flow) noexcept;

    fair_flow* current_ = nullptr;  // whose turn it is
    std::size_t size_ = 0;
};

}  // namespace jirapool
