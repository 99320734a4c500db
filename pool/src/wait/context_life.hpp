#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <atomic>
#include <memory>
#include <mutex>

namespace jirapool::detail {

namespace asio = boost::asio;

/** Whether an execution context still is, for those who post to it without owning it: a shard of a context that its user may
    destroy at any time, and a call whose handler runs on a context of its caller's.

    Asio has no way to ask an executor whether its context is there. A service of the context knows: services are shut down
    in the reverse order of their making, and this one is made after those that hold posted work and waits.

    @par Threads   Any. */
class context_life {
public:
    /// Told when the context is destroyed, on the thread that destroys it.
    class member : public std::enable_shared_from_this<member> {
    public:
        member() = default;
        member(member const&) = delete;
        member& operator=(member const&) = delete;
        virtual ~member() = default;

    protected:
        virtual void on_context_gone() noexcept = 0;

    private:
        friend class context_life;
        member* previous_ = nullptr;
        member* next_ = nullptr;
        std::shared_ptr<member> next_kept_;
        bool listed_ = false;
        bool is_kept_ = false;
    };

    /// That of the context of `ex`, which must be alive.
    static std::shared_ptr<context_life> of(asio::any_io_executor const& ex);
    /// The same, for a shard whose alarm is on it: told before the reactor destroys what waits there.
    static std::shared_ptr<context_life> of_shard(asio::any_io_executor const& ex);

    /// False: the context is gone, and nobody will be told.
    bool enter(member& m);
    /// Before the member is destroyed. Nothing when it is not in.
    void leave(member& m) noexcept;

    /// Runs `f`, to post something and no more, while the context cannot be destroyed. False: it is gone.
    template <class F>
    bool while_alive(F&& f) {
        std::lock_guard const lock(mutex_);
        if (gone_) return false;
        f();
        return true;
    }
    /// The same for a member, which leaves with it. False: it is told, or has been; and if it still is to be told it is kept until
    /// then, or it might be destroyed on this thread, with an executor of the context in it, beside the context's own end.
    template <class F>
    bool leave_while_alive(member& m, F&& f) {
        std::lock_guard const lock(mutex_);
        if (gone_) {
            if (m.listed_) keep(m);
            return false;
        }
        f();
        take_out(m);
        return true;
    }
    bool gone() const noexcept { return gone_.load(std::memory_order_acquire); }

    /// It is a runtime's, and not one that a user destroys with everything that he bound to it.
    bool ours() const noexcept { return ours_; }
    void set_ours() noexcept { ours_ = true; }

private:
    class service;
    class early_service;
    void take_out(member& m) noexcept;
    void keep(member& m);
    void end() noexcept;

    // Recursive for one case: for want of memory what is posted may be destroyed in here, and then ends what it was to do.
    std::recursive_mutex mutex_;
    member* first_ = nullptr;
    std::shared_ptr<member> kept_;  // until the end's
    std::atomic<bool> gone_{false};
    std::atomic<bool> ours_{false};
};

}  // namespace jirapool::detail
