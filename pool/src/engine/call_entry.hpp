#pragma once

#include "engine/entry.hpp"
#include "engine/shard.hpp"

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

    static void start(std::shared_ptr<connection_entry> e, request r, body_streams b, handler h, handler_place place);

private:
    class carried;
    class ending;

    /// False: there is no such shard any more.
    static bool post_to(std::shared_ptr<call_entry> me, std::shared_ptr<shard> const& s);
    static void arrive(carried c, std::shared_ptr<shard> const& s);
    void complete(result<response> r);
    void abandon() noexcept;
    void let_go() noexcept;

    void post_cancel(asio::cancellation_type type) override;
    void finish_later() noexcept override;

    std::shared_ptr<connection_entry> const connection_;
    request request_;
    body_streams streams_;
    std::weak_ptr<shard> shard_;
    asio::cancellation_signal cancel_;          // the shard's
    std::atomic<bool> maybe_processed_{false};  // of the road so far, which may be destroyed at any step
};

}  // namespace jirapool::detail
