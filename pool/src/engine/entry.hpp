#pragma once

#include "wait/context_life.hpp"
#include "wait/kept_handler.hpp"

#include <jirapool/pool/client.hpp>

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace jirapool::detail {

/** One operation at the border between its caller and the shards: all that both sides share.

    Its handler is called exactly once: on the handler's own executor if it has one, else where the operation ends. Only if
    that executor's context is destroyed before is the handler destroyed uncalled, as those of Asio's own operations are. The
    operation needs neither the client nor the caller's cancellation signal to outlive it, and they do not need it.

    @par Threads   `cancel`: any. The rest as said there. */
class entry : public context_life::member {
public:
    /// `here`: the life of the context that carries the operation out; null when none does any more.
    entry(handler_place place, std::shared_ptr<context_life> here);
    entry(asio::any_io_executor own, std::shared_ptr<context_life> here);
    ~entry() override;

    /// Asks for its end; comes to nothing when it has ended.
    void cancel(asio::cancellation_type type) noexcept;
    /// There is a result: to the caller with it. A shard's thread, or one that destroys what carried the operation.
    void finish();

    /// The same, where nothing may be thrown.
    void finish_quietly() noexcept;

    std::shared_ptr<entry> next;  ///< of those that lacked the memory to finish

protected:
    std::shared_ptr<entry> self() { return std::static_pointer_cast<entry>(shared_from_this()); }
    /// The caller's thread, before it begins: from here on it can be cancelled, and its handler's context may go.
    void listen();
    /// It runs from here on, and who cancels it must be told. False: it was cancelled before. May be asked once more.
    bool begin() noexcept;
    bool ended() const noexcept { return (state_.load(std::memory_order_acquire) & is_ended) != 0; }
    /// As `finish`, in the thread of the caller who begins it, because no shard will.
    void finish_late();
    /// The same for a coroutine, whose thread is its executor's. Throws what its end throws.
    void finish_late_here();
    /// While there is one on a thread, those that finish quietly there finish later, on their shard's: what is posted under a lock may
    /// be destroyed there for want of memory, and a caller's handler must run neither under it nor before the caller has begun.
    class holding_back {
    public:
        holding_back() noexcept : outer_(std::exchange(current_, this)) {}
        ~holding_back();
        holding_back(holding_back const&) = delete;
        holding_back& operator=(holding_back const&) = delete;

    private:
        friend class entry;
        static inline thread_local holding_back* current_ = nullptr;
        holding_back* outer_;
        std::shared_ptr<entry> first_;
    };

private:
    class canceller;
    class delivery;
    class late_ones;

    /// Has begun: to the thread where it runs with it. From any thread.
    virtual void post_cancel(asio::cancellation_type type) = 0;
    /// There was no memory to post the delivery: `finish` again later. False: no shard is left that would.
    virtual bool finish_later() noexcept = 0;
    virtual asio::cancellation_slot slot() const noexcept = 0;
    virtual asio::any_completion_executor own_executor() const = 0;
    /// Takes the handler out and calls it with the result.
    virtual void call_handler() = 0;
    virtual void destroy_handler() noexcept = 0;

    void on_context_gone() noexcept override;
    void post_delivery();
    void deliver();
    void drop() noexcept;

    static constexpr unsigned types = 7;  // of asio::cancellation_type
    static constexpr unsigned has_begun = 8;
    static constexpr unsigned is_ended = 16;

    bool const own_;  // the handler has an executor of its own
    bool const of_future_;
    bool const anywhere_;             // the system's, as of use_future: any thread will do, and it is never gone
    asio::any_io_executor executor_;  // that one; from `listen` on kept from running out of work
    bool listens_ = false;            // to the caller's slot
    std::atomic<bool> posted_{false};
    bool delivered_ = false;
    std::atomic<bool> slot_lost_{false};  // by our handler in it: the signal is gone, or somebody else's in its place
    std::atomic<unsigned> state_{0};
    std::shared_ptr<context_life> const here_;
    std::shared_ptr<context_life> there_;  // of the handler's own executor, when that is another one
    asio::any_completion_executor other_;  // its own, if that is of no context that can be told
};

/// The entry of an operation with the signature void(Result).
template <class Result>
class entry_of : public entry {
public:
    using handler = asio::any_completion_handler<void(Result)>;

    entry_of(handler h, handler_place place, std::shared_ptr<context_life> here) : entry(place, std::move(here)) {
        // Not assigned: that recurses for ever in Boost 1.81.
        handler_.emplace(std::move(h));
    }
    /// Of a coroutine on that executor, with its slot: all that needs memory is done before it is suspended.
    entry_of(asio::any_io_executor ex, asio::cancellation_slot slot, std::shared_ptr<context_life> here)
        : entry(std::move(ex), std::move(here)), slot_(slot) {}
    /// What resumes it.
    template <class Handler>
    void keep(Handler&& h) noexcept {
        resumption_.emplace(std::forward<Handler>(h));
    }

protected:
    void set_result(Result r) { result_.emplace(std::move(r)); }

private:
    asio::cancellation_slot slot() const noexcept final { return handler_ ? handler_->get_cancellation_slot() : slot_; }
    asio::any_completion_executor own_executor() const final { return asio::get_associated_executor(*handler_); }
    void call_handler() final {
        Result r(std::move(*result_));
        result_.reset();
        if (resumption_) {
            resumption_.call(std::move(r));
            return;
        }
        handler h(std::move(*handler_));
        handler_.reset();
        std::move(h)(std::move(r));
    }
    void destroy_handler() noexcept final {
        handler_.reset();
        resumption_.destroy();
    }

    std::optional<handler> handler_;
    kept_handler<Result> resumption_;  // in place of the handler, of a coroutine of our own
    asio::cancellation_slot slot_;     // that one's
    std::optional<Result> result_;
};

}  // namespace jirapool::detail
