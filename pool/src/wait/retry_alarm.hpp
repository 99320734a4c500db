#pragma once

#include "wait/handler_memory.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>
#include <memory>
#include <mutex>

namespace jirapool::detail {

/** Rings once, a moment after it was asked to: for what lacked memory, and is to be tried again. Unlike a shard's alarm it is no work
    for its executor before it is asked, and it outlives the shard's stop.

    @par Threads   `ask`: any. It is made and destroyed, and rings, where its executor runs. */
class retry_alarm {
public:
    /// Throws boost::system::system_error when no descriptor is left.
    retry_alarm(boost::asio::any_io_executor ex, std::function<void()> on_ring);
    ~retry_alarm();
    retry_alarm(retry_alarm const&) = delete;
    retry_alarm& operator=(retry_alarm const&) = delete;

    /// Needs no memory.
    void ask() noexcept;

private:
    struct timer;
    class ring;
    std::shared_ptr<timer> const timer_;
};

}  // namespace jirapool::detail
