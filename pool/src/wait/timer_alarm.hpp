#pragma once

#include "wait/clock.hpp"

#include <boost/asio/any_io_executor.hpp>

namespace jirapool::detail {

/// The alarm of system_clock(): a timerfd, which also rings when the time passed in a suspend. Not Asio's timer, as that
/// needs memory each time that it is set. Throws boost::system::system_error when no descriptor is left.
std::unique_ptr<alarm> make_timer_alarm(boost::asio::any_io_executor ex);

}  // namespace jirapool::detail
