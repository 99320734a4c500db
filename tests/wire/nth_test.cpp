// What the n-th step of a call may do to it: be cancelled there, lack memory, or lose the client. For every n there is.
#include "failing_allocator.hpp"
#include "http_peer.hpp"
#include "support/figure.hpp"
#include "wire_client.hpp"

#include <jirapool/pool/client.hpp>
#include <jirapool/pool/spans.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr char const* cloud = "11111111-2222-3333-4444-555555555555";
constexpr char const* created = R"({"id":"1","key":"PROJ-1"})";

/// Jira's gateway and the token endpoint, as far as a call needs them.
class gateway {
public:
    gateway()
        : identity_(make_certificate({.name = "leaf", .alt_names = "DNS:api.atlassian.com,DNS:auth.atlassian.com"},
                                     &test_authority())),
          server_(
              identity_, [this](tls_peer& peer) { serve(peer); }, TLS1_2_VERSION, TLS1_3_VERSION,
              choose_version_of_this_run) {}

    std::uint16_t port() const noexcept { return server_.port(); }
    int posts() const noexcept { return posts_; }

private:
    void serve(tls_peer& p) {
        if (!p.handshake()) return;
        http_peer peer(p);
        while (auto const request = peer.read_request()) {
            std::string body = created;
            if (request->starts_with("POST /oauth/token"))
                body = R"({"access_token":"the-token","expires_in":3600,"token_type":"Bearer"})";
            else if (request->starts_with("POST ")) ++posts_;
            // A limit to be learned: to settle an answer takes memory too.
            if (!peer.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-RateLimit-Limit: 100\r\n"
                            "X-RateLimit-Remaining: 99\r\nX-RateLimit-NearLimit: true\r\n"
                            "Content-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n" + body))
                return;
        }
    }

    identity identity_;
    std::atomic<int> posts_{0};
    tls_server server_;
};

/// A client on the test's own thread, which runs one handler after another. One channel: a lost lease would be noticed.
class stepped_client {
public:
    explicit stepped_client(std::uint16_t port, std::shared_ptr<span_listener> spans = nullptr)
        : ca_(test_authority().pem()), io_(std::make_unique<asio::io_context>(1)) {
        client_params p;
        p.tls.ca_file = ca_.path();
        p.connect_to.push_back({"", "127.0.0.1", port});
        p.wire.http = http_of_this_run();
        p.pool.max_channels = 1;
        p.pool.dial_backoff = 1ms;
        p.executor_is_serial = true;
        p.spans = std::move(spans);
        client_.emplace(*io_, p);
    }

    void add_service() { connection_ = client_->add("c", service_api_token(cloud, secret("key"))).value(); }
    void add_oauth() { connection_ = client_->add("c", service_oauth(cloud, "id", secret("secret"))).value(); }

    /// Begins a call; `outcome` has a value once it ended.
    void begin(asio::cancellation_slot slot = {}) {
        begin(request::post("/rest/api/3/issue").json("{}").timeout(5000ms), slot);
    }
    void begin(request r, asio::cancellation_slot slot = {}) {
        outcome.reset();
        connection_->async_call(std::move(r), asio::bind_cancellation_slot(slot, [this](result<response> o) {
                                    outcome = std::move(o);
                                }));
    }
    /// One handler, when there is one within the longest that a call may take.
    bool step() {
        return without_memory([&] { return io_->run_one_for(10s) == 1; });
    }
    void run_ready() {
        while (without_memory([&] { return io_->poll_one() == 1; })) {
        }
    }
    void step_soon() {
        io_->restart();
        without_memory([&] { return io_->run_one_for(10ms) == 1; });
    }
    /// How often bad_alloc left the context: never, unless Asio's own co_spawn lacked memory twice at its end.
    int escaped() const noexcept { return escaped_; }
    asio::io_context& context() { return *io_; }
    void finish() {
        while (!outcome && step()) {
        }
    }
    /// The client is stopped and destroyed; its context runs on.
    void destroy_client() { client_.reset(); }
    client& jira() { return *client_; }
    void use(connection c) { connection_ = std::move(c); }
    void run_to_end() { io_->run_for(10s); }
    /// And its context does not run on: what waits in it goes with it.
    void destroy_both() {
        client_.reset();
        io_.reset();
    }

    /// Nothing that the call held is left.
    void check_clean(int channels = 1) {
        auto const s = detail::stats_access::of(*client_).front();
        // A dial may still be under way for a call that did not wait for it, or a token.
        while (s->channels_dialing.value() + s->channels_active.value() > 0 && step()) {
        }
        CHECK(s->calls_in_flight.value() == 0);
        CHECK(s->channels_active.value() == 0);
        CHECK(s->queue_length.value() == 0);
        CHECK(s->limit_waiting.value() == 0);
        CHECK(s->channels_dialing.value() == 0);
        begin();
        finish();
        REQUIRE(outcome);
        CHECK(outcome->has_value());
        CHECK(s->channels_idle.value() == channels);
    }

    std::optional<result<response>> outcome;

private:
    template <class F>
    bool without_memory(F const& f) {
        try {
            return f();
        } catch (std::bad_alloc const&) {
            ++escaped_;
            return true;
        }
    }

    ca_file ca_;
    int escaped_ = 0;
    std::unique_ptr<asio::io_context> io_;
    std::optional<client> client_;
    std::optional<connection> connection_;
};

/// Counts the spans that are open. To begin one takes memory.
class counting_listener final : public span_listener {
public:
    std::unique_ptr<open_span> start(span_start const&) override {
        auto made = std::make_unique<counted_span>(*this);
        ++open;
        return made;
    }
    int open = 0;

private:
    class counted_span final : public open_span {
    public:
        explicit counted_span(counting_listener& l) : listener_(l) {}
        void end(std::span<span_attribute const>) override { --listener_.open; }

    private:
        counting_listener& listener_;
    };
};

void cancel_at_each_step(asio::cancellation_type type, bool warm) {
    gateway jira;
    int n = 0;
    int cancelled = 0;
    for (bool ended = false; !ended; ++n) {
        INFO("cancelled behind step " << n);
        stepped_client c(jira.port());
        c.add_service();
        if (warm) {
            c.begin();
            c.finish();
        }
        c.run_ready();
        int const before = jira.posts();
        asio::cancellation_signal signal;
        c.begin(signal.slot());
        for (int i = 0; i < n && !c.outcome; ++i) c.step();
        ended = c.outcome.has_value();
        signal.emit(type);
        c.finish();
        REQUIRE(c.outcome);
        if (c.outcome->has_value()) {
            CHECK((*c.outcome)->status() == 200);
        } else {
            ++cancelled;
            auto const& why = c.outcome->error();
            CHECK(why.code() == errc::cancelled);
            if (!why.maybe_processed()) CHECK(jira.posts() == before);
        }
        c.check_clean();
    }
    CHECK(n >= 3);
    // On an open channel the request is written in the first step, which total cancellation may not undo.
    if (type == asio::cancellation_type::terminal || !warm) CHECK(cancelled > 0);
    support::figure("nth_cancelled_calls", cancelled);
    std::printf("nth cancelled (%s, %s channel): %d steps, %d cancelled\n",
                type == asio::cancellation_type::total ? "total" : "terminal", warm ? "reused" : "new", n, cancelled);
}

void fail_each_allocation(bool warm, bool oauth, std::size_t in_a_row = 1, bool heard = false) {
    gateway jira;
    std::size_t n = 1;
    int failures = 0;
    int refused = 0;
    for (bool reached = true; reached; ++n) {
        INFO("allocation " << n << " failed, " << in_a_row << " in a row");
        auto const spans = std::make_shared<counting_listener>();
        stepped_client c(jira.port(), heard ? spans : nullptr);
        if (!oauth) c.add_service();
        if (warm) {
            c.begin();
            c.finish();
        }
        c.run_ready();
        if (oauth) {
            c.add_oauth();
            c.step();  // only adds it: the token is fetched behind
        }
        int const before = jira.posts();
        {
            failing_allocation const failing(n, false, in_a_row);
            bool begun = false;
            try {
                c.begin();
                begun = true;
            } catch (std::bad_alloc const&) {
                ++refused;
            }
            if (begun) c.finish();
            reached = failing.failed();
            if (begun && !c.outcome) FAIL("the call never ended");
        }
        if (c.outcome && !c.outcome->has_value()) {
            ++failures;
            auto const& why = c.outcome->error();
            INFO(why.describe());
            CHECK((why.code() == boost::system::errc::not_enough_memory ||
                   (oauth && why.code() == errc::token_unavailable)));
            if (!why.maybe_processed()) CHECK(jira.posts() == before);
        }
        if (in_a_row == 1) CHECK(c.escaped() == 0);
        c.check_clean(oauth ? 2 : 1);  // and one to the token endpoint
        CHECK(jira.posts() <= before + 2);
        CHECK(spans->open == 0);
    }
    CHECK(failures + refused > 0);
    support::figure("nth_failed_allocations", static_cast<double>(n - 2));
    std::printf("nth allocation (%s, %s channel): %zu allocations, %d calls failed, %d could not begin\n",
                oauth ? "oauth" : "service", warm ? "reused" : "new", n - 2, failures, refused);
}

connection_config service_config(char const* key) {
    return make_connection_config("c", service_api_token(cloud, secret(key))).value();
}
connection_config oauth(char const* key) {
    return make_connection_config("c", service_oauth(cloud, "id", secret(key))).value();
}

/// Something that a user does with a client that has the connection "c", or none.
struct registry_step {
    char const* name;
    bool has_connection;
    std::function<void(stepped_client&)> act;
    /// Whether the connection is there behind it, if it did not throw.
    bool leaves_connection;
};

std::vector<registry_step> registry_steps() {
    auto const drains = [](stepped_client& c) { c.jira().async_drain(1s, [](bool) {}); };
    return {
        {"add service", false, [](stepped_client& c) { c.jira().add(service_config("k")).value(); }, true},
        {"add oauth", false, [](stepped_client& c) { c.jira().add(oauth("k")).value(); }, true},
        {"replace service", true, [](stepped_client& c) { c.jira().replace(service_config("other")).value(); }, true},
        {"remove", true, [](stepped_client& c) { c.jira().remove("c"); }, false},
        {"find", true, [](stepped_client& c) { c.jira().find("c"); }, true},
        {"totals", true, [](stepped_client& c) { c.jira().totals(); }, true},
        {"drain", true, drains, true},
        {"stop", true, [](stepped_client& c) { c.jira().stop(); }, true}};
}

}  // namespace

TEST_CASE("border 5: what a user does with a client survives the failure of any allocation, whole or not at all") {
    auto const in_a_row = GENERATE(std::size_t(1), std::size_t(100));
    gateway jira;
    std::size_t failed = 0;
    for (auto const& step : registry_steps()) {
        INFO(step.name << ", " << in_a_row << " allocations in a row");
        std::size_t n = 1;
        std::size_t refused = 0;
        for (bool reached = true; reached; ++n) {
            INFO("allocation " << n << " failed");
            stepped_client c(jira.port());
            if (step.has_connection) c.use(c.jira().add(service_config("k")).value());
            c.run_ready();
            bool done = false;
            {
                failing_allocation const failing(n, false, in_a_row);
                try {
                    step.act(c);
                    done = true;
                } catch (std::bad_alloc const&) {
                    ++refused;
                }
                // What it posted must not throw out of the context either.
                c.run_ready();
                reached = failing.failed();
            }
            bool const there = done ? step.leaves_connection : step.has_connection;
            CHECK(c.jira().size() == (there ? 1 : 0));
            CHECK(c.jira().find("c").has_value() == there);
            bool const open = !done ||
                              (std::string_view(step.name) != "drain" && std::string_view(step.name) != "stop");
            if (!there && open) c.jira().add(service_config("k")).value();
            if (auto const found = c.jira().find("c")) c.use(*found);
            c.begin();
            c.finish();
            REQUIRE(c.outcome);
            if (open) CHECK(c.outcome->has_value());
            else CHECK(c.outcome->error().code() == errc::stopped);
            failed += reached ? 1 : 0;
        }
        support::figure("allocations_failed", static_cast<double>(n - 2));
        std::printf("nth registry (%s): %zu allocations, %zu times refused\n", step.name, n - 2, refused);
    }
    CHECK(failed > 30);
}

TEST_CASE(
    "nth: a call that is cancelled at any step ends, says whether Jira may know of it, and leaves nothing behind") {
    for (bool const warm : {false, true}) {
        cancel_at_each_step(asio::cancellation_type::terminal, warm);
        cancel_at_each_step(asio::cancellation_type::total, warm);
    }
}

TEST_CASE("nth: a call survives the failure of any allocation, or ends with it, and leaves nothing behind") {
    fail_each_allocation(false, false);
    fail_each_allocation(true, false);
    fail_each_allocation(false, true);
}

TEST_CASE("nth: with a listener to its spans, too, a call survives that, and each span that began ends") {
    for (std::size_t const in_a_row : {1u, 3u, 100u}) {
        fail_each_allocation(false, false, in_a_row, true);
        fail_each_allocation(true, false, in_a_row, true);
    }
}

TEST_CASE("nth: a call survives a time without memory that begins with any allocation, or ends with it") {
    for (std::size_t const in_a_row : {3u, 100u}) {
        fail_each_allocation(false, false, in_a_row);
        fail_each_allocation(true, false, in_a_row);
        fail_each_allocation(false, true, in_a_row);
    }
}

namespace {

/// Two of them: calls of a coroutine on the one, of a client on the other.
asio::awaitable<void> await_one(connection c, std::optional<error_code>* ended) {
    try {
        auto const r = co_await c.call(request::post("/rest/api/3/issue").json("{}").timeout(5000ms));
        *ended = r ? error_code() : r.error().code();
    } catch (std::bad_alloc const&) {
        *ended = make_error_code(boost::system::errc::not_enough_memory);  // the call did not begin
    }
}

}  // namespace

TEST_CASE("nth: a call that a coroutine awaits from another context ends, whatever allocation fails") {
    auto const in_a_row = GENERATE(std::size_t(1), std::size_t(2), std::size_t(100));
    gateway jira;
    std::size_t n = 1;
    int without = 0;
    for (bool reached = true; reached; ++n) {
        INFO("allocation " << n << " failed, " << in_a_row << " in a row");
        stepped_client c(jira.port());
        c.add_service();
        asio::io_context callers(1);
        std::optional<error_code> ended;
        asio::co_spawn(callers, await_one(c.jira().find("c").value(), &ended), asio::detached);
        {
            failing_allocation const failing(n, false, in_a_row);
            try {
                callers.poll();
            } catch (std::bad_alloc const&) {
                REQUIRE(ended);  // Asio's own co_spawn lacked it, behind the end of the coroutine
            }
            c.run_ready();
            reached = failing.failed();
        }
        for (int i = 0; i < 1000 && !ended; ++i) {
            c.step_soon();
            callers.restart();
            callers.poll();
        }
        REQUIRE(ended);
        if (in_a_row == 1) CHECK(c.escaped() == 0);
        if (*ended) {
            CHECK(*ended == boost::system::errc::not_enough_memory);
            ++without;
        }
        c.check_clean();
    }
    CHECK(without > 2);
}

TEST_CASE("nth: a client stops without memory, and each of its calls ends once, wherever its handler is") {
    auto const first = GENERATE(std::size_t(1), std::size_t(2), std::size_t(3), std::size_t(5), std::size_t(8));
    auto const in_a_row = GENERATE(std::size_t(1), std::size_t(10), std::size_t(100'000));
    gateway jira;
    asio::io_context callers(1);
    auto const work = asio::make_work_guard(callers);
    int here = 0, there = 0;
    std::optional<error_code> coroutine;
    {
        stepped_client c(jira.port());
        c.add_service();
        auto const to = c.jira().find("c").value();
        auto const ask = [] { return request::post("/rest/api/3/issue").json("{}").timeout(5000ms); };
        for (int i = 0; i < 3; ++i) {
            to.async_call(ask(), [&](result<response> r) { here += r ? 100 : 1; });
            to.async_call(ask(), asio::bind_executor(callers, [&](result<response> r) { there += r ? 100 : 1; }));
        }
        asio::co_spawn(callers, await_one(to, &coroutine), asio::detached);
        callers.poll();
        for (int i = 0; i < 4; ++i) c.step();
        {
            failing_allocation const failing(first, false, in_a_row);
            c.jira().stop();
            c.run_ready();
            for (int i = 0; i < 3; ++i) c.step_soon();
        }
        for (int i = 0; i < 30; ++i) c.step_soon();
        c.destroy_client();
        for (int i = 0; i < 30; ++i) c.step_soon();
        CHECK(here == 3);
    }
    callers.restart();
    callers.poll();
    CHECK(there == 3);
    REQUIRE(coroutine);
    CHECK((*coroutine == errc::stopped || *coroutine == boost::system::errc::not_enough_memory));
}

TEST_CASE("nth: calls that begin without memory beside a runtime's own threads end once, where their handlers are") {
    gateway jira;
    ca_file const ca(test_authority().pem());
    client_params p;
    p.tls.ca_file = ca.path();
    p.connect_to.push_back({"", "127.0.0.1", jira.port()});
    p.wire.http = http_of_this_run();
    runtime service(1, p);
    auto const c = service.add(service_config("key")).value();
    asio::io_context callers(1);
    int begun = 0, ended = 0;
    for (std::size_t n = 1; n <= 12; ++n)
        for (std::size_t const in_a_row : {1u, 2u, 3u, 100u})
            for (int again = 0; again < 5; ++again) {
                auto r = request::get("/rest/api/3/myself");
                failing_allocation const failing(n, false, in_a_row);
                try {
                    c.async_call(std::move(r), asio::bind_executor(callers, [&](result<response>) { ++ended; }));
                    ++begun;
                } catch (std::bad_alloc const&) {
                    continue;  // it could not begin
                }
            }
    callers.run_for(20s);
    CHECK(begun > 100);
    CHECK(ended == begun);
}

TEST_CASE("nth: a call that explains itself and is refused survives the failure of any allocation") {
    gateway jira;
    stepped_client c(jira.port());
    c.add_service();
    std::size_t n = 1;
    for (bool reached = true; reached; ++n) {
        INFO("allocation " << n << " failed");
        auto refused = request::get("no path").explain();
        failing_allocation const failing(n);
        bool begun = false;
        try {
            c.begin(std::move(refused));
            begun = true;
        } catch (std::bad_alloc const&) {
            begun = false;  // it could not begin
        }
        if (begun) c.finish();
        reached = failing.failed();
        if (!begun) continue;
        REQUIRE(c.outcome);
        CHECK_FALSE(c.outcome->has_value());
    }
    CHECK(n > 5);
    c.check_clean();
}

TEST_CASE("nth: a client is destroyed at any step of a call, and its context runs on or goes too") {
    gateway jira;
    for (bool const runs_on : {true, false}) {
        int n = 0;
        for (bool ended = false; !ended; ++n) {
            INFO("destroyed behind step " << n << (runs_on ? ", the context runs on" : ""));
            stepped_client c(jira.port());
            c.add_service();
            c.begin();
            for (int i = 0; i < n && !c.outcome; ++i) c.step();
            ended = c.outcome.has_value();
            if (runs_on) {
                c.destroy_client();
                c.run_to_end();
                REQUIRE(c.outcome);
                if (!c.outcome->has_value()) CHECK(c.outcome->error().code() == errc::stopped);
            } else {
                c.destroy_both();
            }
        }
        CHECK(n > 3);
        std::printf("nth destroyed (%s): %d steps\n", runs_on ? "the context runs on" : "its context too", n);
    }
}
