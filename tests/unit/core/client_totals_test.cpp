#include "support/catch.hpp"

#include <jirapool/core/client_totals.hpp>
#include <jirapool/core/stats.hpp>

#include <memory>
#include <vector>

using namespace jirapool;

TEST_CASE("client_totals: a difference leaves out what was before, and waits for first tokens are apart") {
    auto const shard = std::make_shared<shard_stats>();
    std::vector<std::shared_ptr<shard_stats const>> const shards{shard, std::make_shared<shard_stats>()};
    shard->token_waits.add(5);
    shard->token_waits_at_start.add(5);
    auto const start = detail::total_of(shards);
    shard->sites.add(3);
    shard->token_waits.add(3);
    shard->token_waits_at_start.add(1);
    shard->answered_401.add();
    shard->limited[static_cast<std::size_t>(limit_reason::burst)].add(2);
    shard->answers[static_cast<std::size_t>(answer_class::limited)].add(2);
    shard->answers[static_cast<std::size_t>(answer_class::delivered)].add(6);
    auto const d = detail::total_of(shards) - start;
    CHECK(start.token_waits == 0);
    CHECK(start.token_waits_at_start == 5);
    CHECK(d.token_waits == 2);
    CHECK(d.token_waits_at_start == 1);
    CHECK(d.answered_401 == 1);
    CHECK(d.answered_429 == 2);
    CHECK(d.sites == 3);  // what there is has no difference
    CHECK(d.share_429() == 0.25);
}

TEST_CASE("client_totals: calls of each kind, class and shard are of one sum, and nothing there is below nothing") {
    auto const a = std::make_shared<shard_stats>();
    auto const b = std::make_shared<shard_stats>();
    constexpr auto success = static_cast<std::size_t>(outcome::success);
    for (auto& of_kind : a->calls)
        for (auto& of_class : of_kind) of_class[success].add();
    b->calls[0][0][success].add(5);
    b->calls_in_flight.add(-1);
    a->connections[0].add(2);
    b->connections[2].add(1);
    auto const t = detail::total_of({a, b});
    CHECK(t.calls[success] == connection_kind_count * route_class_count + 5);
    CHECK(t.calls[static_cast<std::size_t>(outcome::wire)] == 0);
    CHECK(t.calls_in_flight == 0);
    CHECK(t.connections == 3);
    CHECK(client_totals().share_429() == 0);
}
