// Who goes first: a client with all that it does by itself, and its context.
#include "support/process_threads.hpp"
#include "wire/fixture.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>

#include <exception>
#include <future>
#include <memory>
#include <optional>

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

TEST_CASE("border 3: a shard that is let go of elsewhere is destroyed where its executor runs") {
    fixture f;
    asio::io_context io(1);
    auto const alive = std::make_shared<int>();
    f.params.executor_is_serial = GENERATE(true, false);
    f.params.on_event = [alive](event const&) {};
    auto jira = std::make_unique<client>(io, std::move(f.params));
    f.params = {};
    jira->stop();
    io.run();
    jira.reset();
    CHECK(alive.use_count() == 2);  // in the shard
    io.restart();
    io.run();
    CHECK(alive.use_count() == 1);
}

TEST_CASE("border 3: a call on a context with the address of the client's, which is gone, ends with stopped") {
    fixture f;
    f.params.executor_is_serial = GENERATE(true, false);
    std::optional<asio::io_context> io(std::in_place, 1);
    client jira(*io, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    io->poll();
    io.reset();
    io.emplace(1);
    std::optional<error_code> ended;
    asio::co_spawn(*io, c.call(request::get("/rest/api/3/myself")),
                   [&](std::exception_ptr const&, result<response> const& r) { ended = r.error().code(); });
    io->run_for(5s);
    CHECK(ended == errc::stopped);
}

TEST_CASE("border 3: a call that ends with its context says whether Jira may have acted on it") {
    auto world = small_world();
    world.faulty.latency = 5s;
    fixture f(world);
    enum class end { runtime_in_its_handler, context_first };
    auto const how = GENERATE(end::runtime_in_its_handler, end::context_first);
    auto const ended_with = [&](request r, bool on_the_wire) {
        asio::io_context elsewhere;
        std::optional<failure> ended;
        auto const handler = [&] {
            return asio::bind_executor(elsewhere.get_executor(), [&](result<response> const& got) {
                if (!got) ended = got.error();
            });
        };
        auto const sent = [&, before = f.jira.snapshot().requests] { return f.jira.snapshot().requests > before; };
        auto p = f.params;
        if (!on_the_wire) p.connect_to = {{"", "127.0.0.1", 1}};  // nobody is there
        if (how == end::context_first) {
            auto io = std::make_unique<asio::io_context>(1);
            client jira(*io, p);
            jira.add(f.config("service-0001")).value().async_call(std::move(r), handler());
            if (on_the_wire)
                while (!sent()) io->run_for(10ms);
            else io->run_for(100ms);
            io.reset();
            elsewhere.run();
        } else {
            auto const work = asio::make_work_guard(elsewhere);
            auto const before = support::process_threads();
            auto jira = std::make_unique<runtime>(2, p);
            auto const c = jira->add(f.config("service-0001")).value();
            c.async_call(std::move(r), handler());
            REQUIRE(eventually([&] { return on_the_wire ? sent() : c.id() != ""; }));
            std::promise<void> gone;
            c.async_call(request::get("not a target"), [&](result<response> const&) {
                jira.reset();
                gone.set_value();
            });
            gone.get_future().wait();
            while (!ended && elsewhere.run_one_for(20s) > 0) {
            }
            // The thread that destroyed it is nobody's to join.
            CHECK(eventually([&] { return support::process_threads() == before; }));
        }
        REQUIRE(ended);
        CHECK(ended->code() == errc::stopped);
        return ended->maybe_processed();
    };
    auto const post = [] { return request::post("/rest/api/3/issue").json(R"({"fields":{}})"); };
    CHECK(ended_with(post(), true));
    CHECK_FALSE(ended_with(request::get("/rest/api/3/myself"), true));
    CHECK_FALSE(ended_with(post(), false));
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
