#pragma once

#include <jirapool/core/error.hpp>

#include <boost/asio/awaitable.hpp>

#include <functional>

namespace jirapool::detail {

namespace asio = boost::asio;

/** Does `work`, which may block, on a thread that nobody has to wait for.

    Completes when it is done, or with an error: that of a cancellation, while the work goes on, so it must own what it uses;
    or the system's, when no thread or descriptor is left and nothing was done. `work` must not throw. */
asio::awaitable<error_code> on_disk(std::function<void()> work);

}  // namespace jirapool::detail
