#pragma once

#include "engine/call_spans.hpp"
#include "engine/origin_pool.hpp"
#include "engine/shard_context.hpp"
#include "engine/token_source.hpp"
#include "exchange/channel.hpp"
#include "wait/wait_point.hpp"

#include <jirapool/core/request.hpp>
#include <jirapool/core/route.hpp>

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace jirapool::detail {

class connection_state;
class shard;
struct connection_entry;

/** The second exchange of a read whose first lacks its answer's first byte for far longer than its site usually takes. It has a
    channel that is dialled for it, as what swallowed the first may have swallowed the idle ones too. Whichever is whole first
    is the call's answer.

    Holds all that it needs: the call may end before it. */
class hedge : public std::enable_shared_from_this<hedge> {
public:
    hedge(std::weak_ptr<shard> home, std::shared_ptr<shard_context> c, std::shared_ptr<connection_entry> e,
          std::shared_ptr<connection_state> s, request const& r, steady_time deadline, channel& first,
          response const& first_answer, std::shared_ptr<call_spans const> spans, unsigned resends);

    /// May throw bad_alloc, and has not begun then.
    void begin();
    /// The call needs it no more.
    void abandon() noexcept;

    /// Its request went out: else there was no permit, or no dial before the answer to the first one.
    bool sent() const noexcept { return sent_; }
    /// It has come to its end, with an answer that is one or without.
    bool ended() const noexcept { return ended_; }
    bool answered() const noexcept { return answered_; }
    /// Until it has ended.
    asio::awaitable<wake> wait(steady_time deadline, asio::cancellation_type heeds);
    /// Precondition: answered().
    lease take_lease() noexcept { return std::move(lease_); }
    response take_answer() noexcept { return std::move(answer_); }
    std::shared_ptr<bearer const> const& token() const noexcept { return token_; }
    exchange_report const& report() const noexcept { return report_; }

private:
    static asio::awaitable<void> run(std::shared_ptr<hedge> self);
    asio::awaitable<void> ask();
    /// It costs what any exchange does, and waits for nothing.
    bool permitted();

    std::weak_ptr<shard> const home_;
    std::shared_ptr<shard_context> const context_;  // first: what is below uses it to its end
    std::shared_ptr<connection_entry> const entry_;
    std::shared_ptr<connection_state> const state_;
    request const request_;
    route_match const match_;
    std::shared_ptr<bearer const> token_;
    steady_time const deadline_;
    std::shared_ptr<call_spans const> const spans_;  // null where nobody listens
    unsigned const resends_;                         // that this is: the number of exchanges before it
    exchange_span span_;
    channel* first_;  // null once the call has abandoned this
    response const* first_answer_;
    wait_point* waiter_ = nullptr;
    lease lease_;
    response answer_;
    exchange_report report_;
    bool sent_ = false;
    bool exchanging_ = false;
    bool ended_ = false;
    bool answered_ = false;
};

}  // namespace jirapool::detail
