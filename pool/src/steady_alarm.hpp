#pragma once

#include "clock.hpp"

#include <boost/asio/any_io_executor.hpp>

namespace jirapool::detail {

/// The alarm over a real Asio timer.
std::unique_ptr<alarm> make_steady_alarm(boost::asio::any_io_executor ex, engine_clock const& clock);

}  // namespace jirapool::detail
