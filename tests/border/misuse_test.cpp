// What an attacker with the public headers found: each is refused with its name, or does what the header says.
#include "support/process_threads.hpp"
#include "wire/fixture.hpp"

#include <jirapool/pool/files.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_future.hpp>

#include <sys/stat.h>
#include <unistd.h>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;

TEST_CASE("border: what a drain's handler throws leaves the executor's run") {
    fixture f;
    asio::io_context io;
    f.params.executor_is_serial = GENERATE(true, false);
    client jira(io, f.params);
    int thrown = 0;
    jira.async_drain(1s, [](bool) { throw 7; });
    for (int i = 0; i < 2; ++i) {
        try {
            io.run_for(5s);
        } catch (int) {
            ++thrown;
        }
    }
    CHECK(thrown == 1);
}

TEST_CASE("border: a configuration that was moved from is refused") {
    fixture f;
    runtime jira(1, f.params);
    auto config = f.config("service-0001");
    auto const kept = std::move(config);
    auto const added = jira.add(std::move(config));  // NOLINT(bugprone-use-after-move): this is the mistake
    REQUIRE_FALSE(added.has_value());
    CHECK(added.error().code() == errc::invalid_argument);
    CHECK(jira.size() == 0);
}

TEST_CASE("border: a priority that is none is refused, waiting or not") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    for (int i = 0; i < 10; ++i) {
        auto const r = call(c, request::get("/rest/api/3/myself").priority(static_cast<priority>(9)));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::invalid_argument);
    }
}

TEST_CASE("border: a method that is none is refused") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    for (int const m : {6, 77, 255}) {
        auto const r = call(c, request(static_cast<method>(m), "/rest/api/3/myself"));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::invalid_argument);
        CHECK(r.error().rule().find("method") != std::string::npos);
    }
}

TEST_CASE("border: a limiting mode that is none is refused") {
    for (int const m : {3, 255}) {
        client_params p;
        p.user_agent = "x/1 (+a@b)";
        p.limits.mode = static_cast<limiting>(m);
        CHECK_THROWS_AS(runtime(1, p), std::invalid_argument);
    }
}

TEST_CASE("border: a path that is no regular file, or ends at a NUL, is refused at once") {
    std::string const pipe = "/tmp/jirapool-test-pipe-" + std::to_string(::getpid());
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    fixture f;
    auto const good = f.params.tls.ca_file;
    for (auto const& path : {pipe, std::string("/dev/zero"), std::string("/tmp"), good + std::string("\0.evil", 6)}) {
        f.params.tls.ca_file = path;
        CHECK_THROWS_AS(runtime(1, f.params), std::invalid_argument);
        auto const source = file_source::open(path);
        REQUIRE_FALSE(source.has_value());
        CHECK(source.error().code() == errc::invalid_argument);
    }
    f.params.tls.ca_file = good;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("service-0001")).value();
    auto const sink = std::make_shared<file_sink>(pipe + std::string("\0x", 2));
    auto const r = c.async_call(request::get("/rest/api/3/myself"), sink, asio::use_future).get();
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::invalid_argument);
    ::unlink(pipe.c_str());
}

TEST_CASE("border: a handler with an executor of its own, and a future, start no thread") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("personal-0001")).value();
    auto const before = support::process_threads();
    asio::io_context io(1);
    bool answered = false;
    c.async_call(request::get("/rest/api/3/myself"),
                 asio::bind_executor(io, [&](result<response> r) { answered = r.has_value(); }));
    io.run_for(10s);
    CHECK(answered);
    CHECK(c.async_call(request::get("/rest/api/3/myself"), asio::use_future).get().has_value());
    asio::any_io_executor const systems = asio::system_executor();
    std::promise<bool> done;
    c.async_call(request::get("/rest/api/3/myself"),
                 asio::bind_executor(systems, [&](result<response> r) { done.set_value(r.has_value()); }));
    CHECK(done.get_future().get());
    CHECK(support::process_threads() == before);
}

TEST_CASE("border: an empty executor and too many threads are refused") {
    CHECK_THROWS_AS(client(asio::any_io_executor()), std::invalid_argument);
    for (unsigned const n : {0u, 1025u, ~0u}) CHECK_THROWS_AS(runtime(n), std::invalid_argument);
}

TEST_CASE("border: the longest durations are never, and not at once") {
    for (auto const d : {std::chrono::milliseconds::max(), std::chrono::milliseconds::max() - 1ms}) {
        fixture f;
        auto& w = f.params.wire;
        w.connect_timeout = w.attempt_delay = w.tls_timeout = w.write_timeout = w.first_byte_timeout = w.body_timeout =
            w.min_rate_window = w.resolve_timeout = d;
        f.params.pool.idle_timeout = f.params.pool.max_lifetime = f.params.pool.dial_backoff_max = d;
        REQUIRE(why_invalid(f.params) == nullptr);
        auto jira = std::make_unique<runtime>(1, f.params);
        auto const c = jira->add(f.config("service-0001")).value();
        for (int i = 0; i < 3; ++i)
            CHECK(call(c, request::post("/rest/api/3/search/jql").json("{}").timeout(d)).has_value());
        CHECK(f.jira.snapshot().handshakes <= 2);
        CHECK(jira->async_drain(d, asio::use_future).get());
    }
}
