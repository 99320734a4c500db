#pragma once

/// @file @internal A part of the engine's, not for users: it may change with any version.

#include <jirapool/core/random.hpp>
#include <jirapool/core/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>

namespace jirapool {

/// A message for a receiver.
struct delivery {
    std::string id;  ///< the same over all tries
    std::string body;
    std::uint32_t failed = 0;  ///< tries
};

/** Messages that are sent to one receiver in their order, one at a time, each until it is taken: decides what is sent when. Nothing is
    given up but for want of room: then the oldest goes. Pure.

    @par Threads   One at a time. */
class delivery_queue {
public:
    /// `most`: so many wait at the most, without the one that is being sent. At least 1. Behind a failed try there is none for half to
    /// all of `backoff`, doubled with each one in a row up to `backoff_max`.
    delivery_queue(std::size_t most, std::chrono::milliseconds backoff, std::chrono::milliseconds backoff_max) noexcept
        : most_(most), backoff_(backoff), backoff_max_(backoff_max) {}

    /// One more, the newest. May throw std::bad_alloc, and has changed nothing then.
    void push(delivery d);

    /// The one to send now, which stays until on_delivered or on_failed. Null: one is being sent, none waits, or it is not yet time.
    delivery const* begin(steady_time now) noexcept;
    /// When to ask `begin`; steady_time::max(): not before something else happens.
    steady_time due() const noexcept;

    /// The receiver took the one that was sent.
    void on_delivered() noexcept;
    /// It did not. `retry_after`: the receiver's own word on when to come back counts up to `backoff_max`.
    void on_failed(steady_time now, std::optional<std::chrono::seconds> retry_after, random_engine& random) noexcept;
    /// Nothing more is sent: all that wait are dropped, and the one that is being sent if it fails.
    void close() noexcept;

    bool sending() const noexcept { return !sent_.empty(); }
    /// With the one that is being sent.
    std::size_t size() const noexcept { return waiting_.size() + sent_.size(); }
    std::uint64_t delivered() const noexcept { return delivered_; }
    std::uint64_t failed_tries() const noexcept { return failed_tries_; }
    std::uint64_t dropped() const noexcept { return dropped_; }

private:
    void drop_oldest() noexcept;

    std::size_t most_;
    std::chrono::milliseconds backoff_;
    std::chrono::milliseconds backoff_max_;
    std::list<delivery> waiting_;  // the oldest first; lists, as those that move between them need no memory
    std::list<delivery> sent_;     // one, or none
    steady_time due_ = steady_time::min();
    std::uint32_t in_a_row_ = 0;  // failed tries
    std::uint64_t delivered_ = 0;
    std::uint64_t failed_tries_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace jirapool
