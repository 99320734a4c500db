#pragma once

#include "engine/entry.hpp"
#include "engine/shard.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

namespace jirapool::detail {

/// A call on its way to its site's shard and back.
class call_entry final : public entry_of<result<response>> {
public:
    call_entry(handler h, handler_place place, std::shared_ptr<context_life> here, std::shared_ptr<connection_entry> e,
               request r, body_streams b)
        : entry_of(std::move(h), place, std::move(here)),
          connection_(std::move(e)),
          request_(std::move(r)),
          streams_(std::move(b)) {}

    call_entry(asio::any_io_executor ex, asio::cancellation_slot slot, std::shared_ptr<context_life> here,
               std::shared_ptr<connection_entry> e, request r, body_streams b)
        : entry_of(std::move(ex), slot, std::move(here)),
          connection_(std::move(e)),
          request_(std::move(r)),
          streams_(std::move(b)) {}

    static void start(std::shared_ptr<connection_entry> e, request r, body_streams b, handler h, handler_place place);
    /// The same in two steps, for a coroutine on `ex` with that slot. Null: there is no memory for a call. It is to be awaited then,
    /// `co_await call_entry::awaited(…)`, which cannot fail.
    static std::shared_ptr<call_entry> prepare(std::shared_ptr<connection_entry> e, request r, body_streams b,
                                               asio::any_io_executor ex, asio::cancellation_slot slot) noexcept;
    static auto awaited(std::shared_ptr<call_entry> prepared) noexcept {
        return asio::async_initiate<asio::deferred_t const, void(result<response>)>(beginning(std::move(prepared)),
                                                                                    asio::deferred);
    }

private:
    class carried;
    class ending;
    class beginning {
    public:
        explicit beginning(std::shared_ptr<call_entry> e) noexcept : entry_(std::move(e)) {}
        template <class Handler>
        void operator()(Handler&& h) const {
            entry_->keep(std::forward<Handler>(h));
            if (!begin_at_home(entry_)) entry_->finish_late_here();
        }

    private:
        std::shared_ptr<call_entry> entry_;
    };

    /// False: there is no such shard, and the result says so. True: it ends there, or has ended for want of memory.
    static bool begin_at_home(std::shared_ptr<call_entry> me) noexcept;

    /// False: there is no such shard any more.
    static bool post_to(std::shared_ptr<call_entry> me, std::shared_ptr<shard> const& s);
    static void arrive(carried c, std::shared_ptr<shard> const& s);
    void complete(result<response> r);
    void abandon() noexcept;
    void let_go() noexcept;

    void post_cancel(asio::cancellation_type type) override;
    bool finish_later() noexcept override;

    std::shared_ptr<connection_entry> const connection_;
    request request_;
    body_streams streams_;
    std::weak_ptr<shard> shard_;
    asio::cancellation_signal cancel_;          // the shard's
    std::atomic<bool> maybe_processed_{false};  // of the road so far, which may be destroyed at any step
};

}  // namespace jirapool::detail
