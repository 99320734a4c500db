#include "support/catch.hpp"

#include "site_state.hpp"
#include "steady_alarm.hpp"

#include <boost/asio/io_context.hpp>

using namespace jirapool;
using namespace jirapool::detail;

TEST_CASE("site_state: a site stands in each origin's queue with a flow of its own") {
    boost::asio::io_context io;
    timers t(system_clock(), make_steady_alarm(io.get_executor(), system_clock()));
    client_params const params;
    shard_stats stats;
    site_state site("cloud-id", t, params, stats);
    auto* const old_name = &site.flow_at("old.atlassian.net");
    auto* const new_name = &site.flow_at("new.atlassian.net");
    CHECK(old_name != new_name);
    CHECK(&site.flow_at("old.atlassian.net") == old_name);
    CHECK(&site.flow_at("new.atlassian.net") == new_name);
}
