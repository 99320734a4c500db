#include "support/catch.hpp"

#include "engine/origin_pool.hpp"
#include "engine/site_state.hpp"
#include "wait/timer_alarm.hpp"

#include <boost/asio/io_context.hpp>

using namespace jirapool;
using namespace jirapool::detail;

TEST_CASE("site_state: a site stands in each origin's queue with a flow of its own") {
    boost::asio::io_context io;
    struct no_dialer final : dialer {
        boost::asio::awaitable<dial_result> dial(std::string) override { co_return dial_result(); }
    };
    shard_environment e;
    e.executor = io.get_executor();
    e.clock = &system_clock();
    e.alarm = make_timer_alarm(io.get_executor());
    e.make_dialer = [](boost::asio::any_io_executor, timers&) { return std::make_unique<no_dialer>(); };
    auto const shared = std::make_shared<shard_context>(std::move(e), std::make_shared<client_params const>());
    site_state site(shared);
    auto old_origin = std::make_shared<origin_pool>("old.atlassian.net", shared);
    auto const new_origin = std::make_shared<origin_pool>("new.atlassian.net", shared);
    auto* const old_name = &site.flow_at(old_origin);
    auto* const new_name = &site.flow_at(new_origin);
    CHECK(old_name != new_name);
    CHECK(&site.flow_at(old_origin) == old_name);
    CHECK(&site.flow_at(new_origin) == new_name);

    // A queue that comes later, perhaps where the old one was in memory, begins with a flow that knows nothing.
    new_name->set_weight(3);
    old_name->set_weight(7);
    old_origin = nullptr;
    old_origin = std::make_shared<origin_pool>("old.atlassian.net", shared);
    CHECK(site.flow_at(old_origin).weight() == 1);
    CHECK(site.flow_at(new_origin).weight() == 3);
}
