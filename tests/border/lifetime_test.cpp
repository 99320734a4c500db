// Who goes first: a client with all that it does by itself, and its context.
#include "wire/fixture.hpp"

#include <boost/asio/thread_pool.hpp>

#include <memory>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

mock::params slow_world() {
    auto p = small_world();
    p.faulty.latency = 20ms;
    p.faulty.token_latency = 20ms;
    return p;
}

/// Dials to the gateway, to the token endpoint and to a site's own host, a refresh, and the question which site that is.
void add_all(client& jira, fixture const& f) {
    for (auto const* id : {"oauth-0001", "personal-0001", "service-0001"}) {
        auto const c = jira.add(f.config(id)).value();
        c.async_call(request::get("/rest/api/3/myself"), [](result<response>) {});
    }
}

}  // namespace

TEST_CASE("border 3: a client is destroyed with dials, refreshes and calls under way, at any step of theirs") {
    fixture f(slow_world());
    f.params.executor_is_serial = GENERATE(true, false);
    bool const runs_on = GENERATE(true, false);
    for (int steps = 0; steps < 60; steps += 1 + steps / 8) {
        INFO(steps << " steps");
        auto io = std::make_unique<asio::io_context>(1);
        auto jira = std::make_unique<client>(*io, f.params);
        add_all(*jira, f);
        for (int i = 0; i < steps; ++i) io->run_one_for(100ms);
        jira.reset();
        if (runs_on) io->run_for(10s);
        CHECK(io->stopped() == runs_on);
        io.reset();
    }
}

TEST_CASE("border 3: a client on a thread_pool is destroyed from elsewhere with all that under way") {
    fixture f(slow_world());
    for (int i = 0; i < 30; ++i) {
        asio::thread_pool pool(2);
        auto jira = std::make_unique<client>(pool.get_executor(), f.params);
        add_all(*jira, f);
        auto const begun = f.jira.snapshot().requests;
        // So that each round meets another moment.
        for (int k = 0; k < i && f.jira.snapshot().requests < begun + 1; ++k) std::this_thread::yield();
        jira.reset();
        pool.join();
    }
}
