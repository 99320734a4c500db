#include "support/compressed.hpp"
#include "support/peak_memory.hpp"

#include "gateway.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <future>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

/// Keeps what it gets, and fails where it is told to.
class keeper : public body_sink {
public:
    error_code begin(response const& head) override {
        ++begun;
        status = head.status();
        length = head.header("content-length");
        body_at_begin = head.body().size();
        whole.clear();
        if (throws) throw std::runtime_error("the sink's own words");
        return fails_at_begin;
    }
    asio::awaitable<error_code> write(std::string_view piece) override {
        largest = std::max(largest, piece.size());
        whole += piece;
        ++pieces;
        co_return fails_at_write;
    }
    asio::awaitable<error_code> end() override {
        ++ended;
        co_return fails_at_end;
    }
    bool can_restart() const noexcept override { return restarts; }

    bool throws = false;
    bool restarts = false;
    error_code fails_at_begin;
    error_code fails_at_write;
    error_code fails_at_end;

    int begun = 0;
    int ended = 0;
    std::atomic<int> pieces{0};
    int status = 0;
    std::string length;
    std::size_t body_at_begin = 0;
    std::size_t largest = 0;
    std::string whole;
};

/// Forgets what it gets.
class counter_sink final : public body_sink {
public:
    asio::awaitable<error_code> write(std::string_view piece) override {
        crc = ::crc32(crc, reinterpret_cast<Bytef const*>(piece.data()), static_cast<uInt>(piece.size()));
        size += piece.size();
        largest = std::max(largest, piece.size());
        ++pieces;
        co_return error_code();
    }
    uLong crc = 0;
    std::uint64_t size = 0;
    std::uint64_t pieces = 0;
    std::size_t largest = 0;
};

/// Gives a text, as much at a time as it is told to, and fails where it is told to.
class text_source : public body_source {
public:
    /// `less`: bytes that it says to have and has not.
    explicit text_source(std::string text, std::size_t less = 0) : text_(std::move(text)), size_(text_.size() + less) {}
    std::uint64_t size() const noexcept override { return size_; }
    asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) override {
        largest = std::max(largest, max);
        ++reads;
        if (reads == pauses_at) {
            auto const ex = co_await asio::this_coro::executor;
            asio::steady_timer timer(ex, pause);
            if (on_pause) on_pause();
            co_await timer.async_wait(asio::use_awaitable);
        }
        if (reads == throws_at) throw std::runtime_error("the source's own words");
        if (reads == fails_at) co_return fails_with;
        if (reads == lies_at) co_return max + 1;
        auto const n = std::min({each, max, text_.size() - at_});
        std::copy_n(text_.data() + at_, n, to);
        at_ += n;
        co_return n;
    }
    bool rewind() noexcept override {
        ++rewinds;
        at_ = 0;
        return can_rewind;
    }

    std::size_t each = most_piece;
    int throws_at = 0;
    int fails_at = 0;
    int lies_at = 0;
    int pauses_at = 0;
    std::chrono::milliseconds pause = 24h;
    std::function<void()> on_pause;
    failure fails_with;
    bool can_rewind = true;

    std::size_t largest = 0;
    int reads = 0;
    int rewinds = 0;

private:
    std::string text_;
    std::uint64_t size_;
    std::size_t at_ = 0;
};

/// Waits in its first piece until it is let go. `deaf`: no cancellation ends that.
class gate final : public body_sink {
public:
    explicit gate(bool deaf = false) : deaf_(deaf) {}
    asio::awaitable<error_code> write(std::string_view piece) override {
        if (size == 0) {
            auto const ex = co_await asio::this_coro::executor;
            auto const timer = std::make_shared<asio::steady_timer>(ex, asio::steady_timer::time_point::max());
            timer_ = timer;
            if (deaf_) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            if (on_enter) on_enter();
            entered.set_value();
            co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
            if (deaf_) co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
        }
        // Touched behind the wait: the piece must still be there.
        crc = ::crc32(crc, reinterpret_cast<Bytef const*>(piece.data()), static_cast<uInt>(piece.size()));
        size += piece.size();
        co_return error_code();
    }
    void let_go() {
        auto const timer = timer_.lock();
        asio::post(timer->get_executor(), [timer] { timer->cancel(); });
    }

    std::promise<void> entered;
    std::function<void()> on_enter;
    uLong crc = 0;
    std::uint64_t size = 0;

private:
    bool deaf_;
    std::weak_ptr<asio::steady_timer> timer_;  // it must not outlive its executor, as we may
};

}  // namespace

TEST_CASE("streaming: a sink gets exactly the body, however it is framed and coded, in pieces of 64 KiB at most") {
    std::string const large = noise(3'000'000);
    std::string text;
    for (int i = 0; text.size() < 4'000'000; ++i)
        text += R"({"id":")" + std::to_string(i) + R"(","self":"https://x"},)";
    struct framed {
        char const* what;
        std::string const& body;
        act answer;
        bool coded = false;
    };
    std::string const none;
    std::string const one = "x";
    std::string const gzip = "Content-Encoding: gzip\r\n";
    std::string const brotli = "Content-Encoding: br\r\n";
    framed const all[] = {
        {"with a length", large, says(sized(large))},
        {"in large chunks", large, says(chunked(large, 100'000))},
        {"in small chunks", one, says(chunked(one, 1))},
        {"in chunks of a few bytes", text, says(chunked(text, 777))},
        {"until the end", large, says_and_ends(with_head(large, {}))},
        {"of one byte", one, says(sized(one))},
        {"of none", none, says(sized(none))},
        {"of none, in chunks", none, says(chunked(none, 1))},
        {"of none, coded", none, says(sized(none, gzip)), true},
        {"gzip", text, says(sized(test::gzipped(text), gzip)), true},
        {"gzip of noise, in chunks", large, says(chunked(test::gzipped(large), 10'000, gzip)), true},
        {"gzip until the end", text, says_and_ends(with_head(test::gzipped(text), gzip)), true},
        {"brotli", text, says(sized(test::brotlied(text), brotli)), true},
        {"brotli in chunks of one byte", text, says(chunked(test::brotlied(text), 1, brotli)), true},
    };
    for (auto const& f : all) {
        INFO(f.what);
        gateway jira({f.answer});
        // Far below what comes: a sink's body is the sink's to bound.
        jira.params.wire.max_body = 1024;
        runtime client(1, jira.params);
        auto const sink = std::make_shared<keeper>();
        auto const r = call(gateway::of(client), download(), sink);
        if (!r) INFO(r.error().describe());
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
        CHECK(r->body().empty());
        CHECK(r->header("content-encoding").empty());
        CHECK(sink->begun == 1);
        CHECK(sink->ended == 1);
        CHECK(sink->status == 200);
        CHECK(sink->body_at_begin == 0);
        CHECK(sink->length == r->header("content-length"));
        if (f.coded) CHECK(sink->length.empty());
        CHECK(sink->largest <= most_piece);
        CHECK(sink->whole.size() == f.body.size());
        CHECK((sink->whole == f.body));  // not printed
    }
}

TEST_CASE("streaming: the body of any other answer is in the response, for who classifies it and for the caller") {
    std::string const anybody = "X-Seraph-LoginReason: AUTHENTICATED_FAILED\r\n";
    SECTION("an error is delivered") {
        gateway jira({says(sized(R"({"errorMessages":["none"]})", {}, 404))});
        runtime client(1, jira.params);
        auto const sink = std::make_shared<keeper>();
        auto const r = call(gateway::of(client), download(), sink);
        REQUIRE(r.has_value());
        CHECK(std::string_view(r->body()) == R"({"errorMessages":["none"]})");
        CHECK(sink->begun == 0);
    }
    SECTION("one that may pass is asked for again") {
        gateway jira({says(sized("later", {}, 503)), says(sized("now"))});
        runtime client(1, jira.params);
        auto const sink = std::make_shared<keeper>();
        auto const r = call(gateway::of(client), download(), sink);
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
        CHECK(sink->begun == 1);
        CHECK(sink->whole == "now");
    }
    SECTION("what Jira tells anybody is not what was asked for") {
        gateway jira({says(sized("public data", anybody))});
        runtime client(1, jira.params);
        auto const sink = std::make_shared<keeper>();
        auto const r = call(gateway::of(client), download(), sink);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::anonymous_answer);
        CHECK(sink->begun == 0);
    }
    SECTION("max_body holds for it, said or not") {
        std::string const large(5000, 'x');
        for (auto const& answer : {sized(large, {}, 404), sized(large, anybody), chunked(large, 100, anybody),
                                   with_head(large, anybody), with_head(large, {}, 500)}) {
            gateway jira({says(answer)});
            jira.params.wire.max_body = 4000;
            runtime client(1, jira.params);
            auto const sink = std::make_shared<keeper>();
            auto const r = call(gateway::of(client), download(), sink);
            REQUIRE_FALSE(r.has_value());
            CHECK(r.error().code() == errc::response_too_large);
            CHECK(r.error().rule() == "the body is over wire_params::max_body");
            CHECK(sink->begun == 0);
        }
    }
}

TEST_CASE("streaming: a bomb ends the call, in pieces of 64 KiB at most until then") {
    for (auto const& [b, coding] : {std::pair(test::gzip_bomb(), "gzip"), std::pair(test::brotli_bomb(), "br")}) {
        INFO(coding);
        std::string bytes = b.begin;
        for (int i = 0; i < 1000; ++i) bytes += b.again;
        gateway jira({says(sized(bytes, "Content-Encoding: " + std::string(coding) + "\r\n"))});
        runtime client(1, jira.params);
        auto const sink = std::make_shared<keeper>();
        auto const r = call(gateway::of(client), download(), sink);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::response_too_large);
        CHECK(r.error().rule() == "the body decodes to more than wire_params::max_ratio times its size");
        CHECK(sink->largest <= most_piece);
        CHECK(sink->whole.size() < 100'000'000);
        CHECK(sink->ended == 0);
    }
}

TEST_CASE("streaming: a body that is corrupt or ends too early is not whole for its sink") {
    std::string const gzip = "Content-Encoding: gzip\r\n";
    auto bytes = test::gzipped(noise(200'000));
    SECTION("corrupt") {
        bytes[bytes.size() / 2] ^= 1;
        bytes[bytes.size() - 5] ^= 1;
    }
    SECTION("cut") { bytes.resize(bytes.size() - 1); }
    SECTION("too long") { bytes += "x"; }
    gateway jira({says(sized(bytes, gzip))});
    runtime client(1, jira.params);
    auto const sink = std::make_shared<keeper>();
    auto const r = call(gateway::of(client), download(), sink);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::protocol_error);
    CHECK(r.error().stage() == stage::body);
    CHECK(sink->begun == 1);
    CHECK(sink->ended == 0);
}

TEST_CASE("streaming: what the sink says against the body is the call's error, closes the channel, and is final") {
    // Even a code that would be sent again if the wire had said it.
    error_code const no_space = make_error_code(boost::system::errc::no_space_on_device);
    for (auto const& code : {no_space, make_error_code(errc::channel_lost)}) {
        for (int where = 0; where < 3; ++where) {
            INFO(where);
            gateway jira({says(sized("body")), says(sized("body"))});
            runtime client(1, jira.params);
            auto const sink = std::make_shared<keeper>();
            sink->restarts = true;
            (where == 0 ? sink->fails_at_begin : where == 1 ? sink->fails_at_write : sink->fails_at_end) = code;
            auto const r = call(gateway::of(client), download(), sink);
            REQUIRE_FALSE(r.has_value());
            CHECK(r.error().code() == code);
            CHECK(r.error().stage() == stage::body);
            CHECK(r.error().rule() == "the call's sink did not take the body");
            CHECK(r.error().connection() == "one");
            CHECK(sink->pieces == (where == 0 ? 0 : 1));
            CHECK(sink->ended == (where == 2 ? 1 : 0));
            CHECK(jira.requests() == 1);
            CHECK(closed(client, close_reason::abandoned) == channels_given_up());
        }
    }
    gateway jira({says(sized("body"))});
    runtime client(1, jira.params);
    auto const sink = std::make_shared<keeper>();
    sink->throws = true;
    auto const r = call(gateway::of(client), download(), sink);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::sink_failed);
    CHECK(r.error().rule() == "the sink's own words");
}

TEST_CASE("streaming: a channel lost in the middle is replaced when the sink can start again") {
    auto const body = noise(300'000);
    auto const half = sized(body).substr(0, 200'000);
    auto const sink = std::make_shared<keeper>();
    // What the sink has not begun to take when the channel is lost is as if it had not come.
    act const halfway = [&](http_peer& peer, std::string const&) {
        peer.write(half);
        eventually([&] { return sink->pieces > 0; });
        return false;
    };
    SECTION("it can") {
        gateway jira({halfway, says(sized(body))});
        runtime client(1, jira.params);
        sink->restarts = true;
        auto const r = call(gateway::of(client), download(), sink);
        REQUIRE(r.has_value());
        CHECK(sink->begun == 2);
        CHECK(sink->ended == 1);
        CHECK((sink->whole == body));
    }
    SECTION("it cannot") {
        gateway jira({halfway, says(sized(body))});
        runtime client(1, jira.params);
        auto const r = call(gateway::of(client), download(), sink);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::channel_lost);
        CHECK(r.error().stage() == stage::body);
        CHECK(sink->begun == 1);
        CHECK(sink->ended == 0);
        CHECK(jira.requests() == 1);
    }
    SECTION("it cannot, but has got nothing yet") {
        gateway jira({says_and_goes(half.substr(0, half.find("\r\n\r\n") + 4)), says(sized(body))});
        runtime client(1, jira.params);
        auto const r = call(gateway::of(client), download(), sink);
        REQUIRE(r.has_value());
        CHECK(sink->begun == 1);
        CHECK((sink->whole == body));
    }
    SECTION("it can, but the request must not be sent twice") {
        gateway jira({halfway, says(sized(body))});
        runtime client(1, jira.params);
        sink->restarts = true;
        auto const r = call(gateway::of(client), request::post("/rest/api/3/issue").json("{}"), sink);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::channel_lost);
        CHECK(jira.requests() == 1);
    }
}

TEST_CASE("streaming: a slow sink slows the server down, and the server is not blamed for it") {
    constexpr std::size_t slices = 1024;
    auto const slice = noise(most_piece);
    std::atomic<std::size_t> said{0};
    gateway jira({[&](http_peer& peer, std::string const&) {
        peer.write(ok_head(slices * slice.size()));
        while (said < slices && peer.write(slice)) ++said;
        return true;
    }});
    jira.params.wire.min_rate = 100'000;
    jira.params.wire.min_rate_window = 2s;
    jira.params.wire.body_timeout = 2s;
    runtime client(1, jira.params);
    auto const sink = std::make_shared<gate>();
    auto pending = gateway::of(client).async_call(download(), body_streams(sink), asio::use_future);
    sink->entered.get_future().wait();
    // Until it has said no more for longer than any of the limits.
    auto last = said.load();
    auto since = std::chrono::steady_clock::now();
    REQUIRE(eventually(
        [&] {
            auto const now = std::chrono::steady_clock::now();
            if (std::exchange(last, said.load()) != said) since = now;
            return now - since > 2500ms;
        },
        30s));
    CHECK(said < slices);
    sink->let_go();
    auto const r = pending.get();
    if (!r) INFO(r.error().describe());
    REQUIRE(r.has_value());
    CHECK(sink->size == slices * slice.size());
}

TEST_CASE("streaming: the call's deadline and the client's end hold in the sink, whether it heeds them or not") {
    for (bool const deaf : {false, true}) {
        INFO(deaf);
        for (bool const stops : {false, true}) {
            INFO(stops);
            gateway jira({says_and_stalls(sized(noise(100'000)))});
            std::weak_ptr<gate> left;
            {
                runtime client(1, jira.params);
                auto const sink = std::make_shared<gate>(deaf);
                left = sink;
                auto r = download();
                if (!stops) r = std::move(r).timeout(200ms);
                auto pending = gateway::of(client).async_call(std::move(r), body_streams(sink), asio::use_future);
                sink->entered.get_future().wait();
                if (stops) client.stop();
                auto const got = pending.get();
                REQUIRE_FALSE(got.has_value());
                INFO(got.error().describe());
                CHECK(got.error().code() == (stops ? errc::stopped : errc::timeout));
                CHECK(got.error().stage() == stage::body);
                CHECK(closed(client, close_reason::abandoned) == channels_given_up());
                if (deaf) sink->let_go();
            }
            CHECK(left.expired());
        }
    }
}

TEST_CASE("streaming: cancelling the call in the sink ends it and closes its channel") {
    gateway jira({says_and_stalls(sized(noise(100'000)))});
    asio::io_context io;
    jirapool::client client(io, jira.params);
    asio::cancellation_signal cancel;
    std::optional<result<response>> got;
    auto const sink = std::make_shared<gate>();
    sink->on_enter = [&] { asio::post(io, [&] { cancel.emit(asio::cancellation_type::terminal); }); };
    gateway::of(client).async_call(download(), body_streams(sink),
                                   asio::bind_cancellation_slot(cancel.slot(), [&](result<response> r) {
                                       got.emplace(std::move(r));
                                       client.stop();
                                   }));
    io.run();
    REQUIRE(got);
    REQUIRE_FALSE(got->has_value());
    CHECK(got->error().code() == errc::cancelled);
    CHECK(got->error().stage() == stage::body);
    CHECK(sink.use_count() == 1);
    CHECK(closed(client, close_reason::abandoned) == channels_given_up());
}

TEST_CASE("streaming: an executor that is destroyed with a sink in the middle leaves nothing behind") {
    gateway jira({says_and_stalls(sized(noise(100'000)))});
    auto io = std::make_unique<asio::io_context>();
    auto client = std::make_unique<jirapool::client>(*io, jira.params);
    auto const sink = std::make_shared<gate>();
    bool entered = false;
    bool completed = false;
    sink->on_enter = [&] { entered = true; };
    gateway::of(*client).async_call(download(), body_streams(sink), [&](result<response>) { completed = true; });
    while (!entered) io->run_one();
    client.reset();
    io.reset();
    CHECK_FALSE(completed);
    CHECK(sink.use_count() == 1);
}

TEST_CASE("streaming: 200 MB pass through a sink in little memory") {
    constexpr std::size_t slices = 3200;
    auto const slice = noise(most_piece);
    auto const of_all = [&] {
        uLong crc = 0;
        for (std::size_t i = 0; i < slices; ++i)
            crc = ::crc32(crc, reinterpret_cast<Bytef const*>(slice.data()), static_cast<uInt>(slice.size()));
        return crc;
    }();
    auto const answer = [&](std::size_t n) {
        return [&slice, n](http_peer& peer, std::string const&) {
            peer.write(ok_head(n * slice.size()));
            for (std::size_t i = 0; i < n && peer.write(slice); ++i) {
            }
            return true;
        };
    };
    gateway jira({answer(10), answer(slices)});
    runtime client(1, jira.params);
    auto const c = gateway::of(client);
    // Whatever is made once is made now.
    REQUIRE(call(c, download(), std::make_shared<counter_sink>()).has_value());
    test::forget_peak();
    auto const before = test::peak_mib();
    auto const begun = std::chrono::steady_clock::now();
    auto const sink = std::make_shared<counter_sink>();
    auto const r = call(c, download().timeout(120s), sink);
    auto const memory = test::peak_mib() - before;
    if (!r) INFO(r.error().describe());
    REQUIRE(r.has_value());
    CHECK(sink->size == slices * slice.size());
    CHECK(sink->crc == of_all);
    CHECK(sink->largest <= most_piece);
    if (test::peak_means_something) CHECK(memory < 2);
    std::printf("streaming download: %.0f MiB, pieces of %.1f KiB, %.2f MiB more memory, %.2f s\n",
                static_cast<double>(sink->size) / (1 << 20),
                static_cast<double>(sink->size) / 1024 / static_cast<double>(sink->pieces), memory,
                std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

TEST_CASE("streaming: a source's body is sent to the byte, in pieces of 64 KiB at most") {
    for (std::size_t const size :
         {std::size_t(0), std::size_t(1), most_piece, most_piece + 1, std::size_t(3'000'000)}) {
        for (std::size_t const each : {most_piece, std::size_t(10'007)}) {
            INFO(size << " in reads of " << each);
            auto const body = noise(size);
            std::string head;
            std::vector<std::string> bodies;
            gateway jira({keeps(bodies, [&](http_peer& peer, std::string const& r) {
                head = r.substr(0, r.find("\r\n\r\n"));
                return peer.write(sized("done", {}, 201));
            })});
            runtime client(1, jira.params);
            auto const source = std::make_shared<text_source>(body);
            source->each = each;
            auto const r = call(gateway::of(client), upload(), source);
            if (!r) INFO(r.error().describe());
            REQUIRE(r.has_value());
            CHECK(r->status() == 201);
            CHECK(std::string_view(r->body()) == "done");
            REQUIRE(bodies.size() == 1);
            CHECK((bodies.front() == body));
            CHECK(head.find("Content-Length: " + std::to_string(size)) != head.npos);
            CHECK(head.find("Content-Type: multipart/form-data; boundary=b") != head.npos);
            CHECK(source->largest <= most_piece);
            CHECK(source->rewinds == 0);
        }
    }
}

TEST_CASE("streaming: a source that fails before anything was sent leaves nothing on the wire") {
    std::vector<std::string> bodies;
    gateway jira({keeps(bodies, says(sized("done")))});
    runtime client(1, jira.params);
    auto const source = std::make_shared<text_source>(noise(200'000));
    error_code code = errc::source_failed;
    SECTION("with a code") {
        code = make_error_code(boost::system::errc::io_error);
        source->fails_at = 1;
        source->fails_with = failure(code).with_rule("the disk");
    }
    SECTION("with a failure that says nothing") { source->fails_at = 1; }
    SECTION("by throwing") { source->throws_at = 1; }
    SECTION("with more than it was asked for") { source->lies_at = 1; }
    auto const r = call(gateway::of(client), upload(), source);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == code);
    CHECK(r.error().stage() == stage::write);
    CHECK_FALSE(r.error().maybe_processed());
    CHECK(sum(client, &shard_stats::bytes_sent) == 0);
    CHECK(jira.requests() == 0);
}

TEST_CASE("streaming: a source that fails in the middle ends the call, for good, and its channel") {
    std::vector<std::string> bodies;
    gateway jira({keeps(bodies, says(sized("done")))});
    runtime client(1, jira.params);
    auto source = std::make_shared<text_source>(noise(200'000));
    error_code code = errc::source_failed;
    std::string rule = "the call's source ended before its size";
    SECTION("with a code, even one that would be sent again if the wire had said it") {
        code = errc::channel_lost;
        rule = "the disk";
        source->fails_at = 3;
        source->fails_with = failure(code).with_rule(rule);
    }
    SECTION("by ending too early") { source = std::make_shared<text_source>(noise(200'000), 1); }
    SECTION("by throwing") {
        rule = "the source's own words";
        source->throws_at = 3;
    }
    auto const r = call(gateway::of(client), upload().resendable(true), source);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == code);
    CHECK(r.error().rule() == rule);
    CHECK(r.error().stage() == stage::write);
    CHECK(r.error().maybe_processed());
    CHECK(closed(client, close_reason::abandoned) == channels_given_up());
    CHECK(source->rewinds == 0);
    CHECK(jira.requests() == 0);
}

TEST_CASE("streaming: an upload is sent again, from its start, where that is allowed and its source can") {
    auto const body = noise(150'000);
    std::vector<std::string> bodies;
    auto const source = std::make_shared<text_source>(body);
    std::size_t times = 2;
    auto r = upload();
    act first = says(sized("later", {}, 503));
    SECTION("after a 503") { r = upload().resendable(true); }
    SECTION("after a 503, but nobody said that it may") { times = 1; }
    SECTION("after a 503, but its source cannot") {
        r = upload().resendable(true);
        source->can_rewind = false;
        times = 1;
    }
    SECTION("after a 429, which was not processed") { first = says(sized("slower", {}, 429)); }
    SECTION("after a lost channel") {
        r = upload().resendable(true);
        first = says_and_goes({});
    }
    SECTION("of a PUT") { r = request::put("/rest/api/3/issue/A-1/properties/p").body({}, "application/json"); }
    SECTION("of a PUT whose body would say whether it may, if we read it") {
        r = request::put("/rest/api/3/issue/A-1").body({}, "application/json");
        times = 1;
    }
    gateway jira({keeps(bodies, first), keeps(bodies, says(sized("done")))});
    runtime client(1, jira.params);
    auto const got = call(gateway::of(client), std::move(r), source);
    if (!got) INFO(got.error().describe());
    REQUIRE(got.has_value());
    CHECK(got->status() == (times == 2 ? 200 : 503));
    REQUIRE(bodies.size() == times);
    for (auto const& b : bodies) CHECK((b == body));
    if (times == 2) CHECK(source->rewinds == 1);
}

TEST_CASE("streaming: an upload whose channel is lost may have been processed") {
    std::vector<std::string> bodies;
    gateway jira({keeps(bodies, says_and_goes({})), keeps(bodies, says(sized("done")))});
    runtime client(1, jira.params);
    auto const r = call(gateway::of(client), upload(), std::make_shared<text_source>(noise(150'000)));
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::channel_lost);
    CHECK(r.error().maybe_processed());
    CHECK(jira.requests() == 1);
}

TEST_CASE("streaming: a body beside a source, and a source where no body may be, are refused") {
    gateway jira({});
    runtime client(1, jira.params);
    auto const c = gateway::of(client);
    auto const source = std::make_shared<text_source>("x");
    auto const both = call(c, request::post("/rest/api/3/issue").json("{}"), source);
    REQUIRE_FALSE(both.has_value());
    CHECK(both.error().code() == errc::invalid_argument);
    auto const get = call(c, download(), source);
    REQUIRE_FALSE(get.has_value());
    CHECK(get.error().code() == errc::body_not_allowed);
    CHECK(source->reads == 0);
}

TEST_CASE("streaming: the time in a slow source is not the server's, but the call's") {
    std::vector<std::string> bodies;
    gateway jira({keeps(bodies, says(sized("done")))});
    auto const source = std::make_shared<text_source>(noise(200'000));
    source->pauses_at = 3;
    SECTION("not the server's") {
        source->pause = 1500ms;
        jira.params.wire.write_timeout = 1s;
        runtime client(1, jira.params);
        auto const r = call(gateway::of(client), upload(), source);
        if (!r) INFO(r.error().describe());
        REQUIRE(r.has_value());
    }
    SECTION("the call's") {
        runtime client(1, jira.params);
        auto const r = call(gateway::of(client), upload().timeout(200ms), source);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::timeout);
        CHECK(r.error().stage() == stage::write);
        CHECK(r.error().maybe_processed());
        CHECK(detail::stats_access::of(client).front()->timeouts[static_cast<std::size_t>(stage::write)].value() == 1);
    }
    SECTION("and it ends with the client") {
        runtime client(1, jira.params);
        std::promise<void> paused;
        source->on_pause = [&] { paused.set_value(); };
        auto pending = gateway::of(client).async_call(upload(), body_streams(source), asio::use_future);
        paused.get_future().wait();
        client.stop();
        auto const r = pending.get();
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::stopped);
    }
}

TEST_CASE("streaming: a call may have a source and a sink") {
    auto const body = noise(500'000);
    std::vector<std::string> bodies;
    gateway jira({keeps(bodies,
                        [&](http_peer& peer, std::string const&) { return peer.write(sized(bodies.back())); })});
    runtime client(1, jira.params);
    auto const sink = std::make_shared<keeper>();
    auto const r = call(gateway::of(client), upload(), body_streams(std::make_shared<text_source>(body), sink));
    REQUIRE(r.has_value());
    CHECK((sink->whole == body));
}

TEST_CASE("streaming: 200 MB leave a source in little memory") {
    class repeating final : public body_source {
    public:
        explicit repeating(std::uint64_t n) : left_(n), size_(n) {}
        std::uint64_t size() const noexcept override { return size_; }
        asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) override {
            auto const n = std::min({max, slice_.size(), static_cast<std::size_t>(left_)});
            std::copy_n(slice_.data(), n, to);
            crc = ::crc32(crc, reinterpret_cast<Bytef const*>(to), static_cast<uInt>(n));
            left_ -= n;
            co_return n;
        }
        bool rewind() noexcept override { return false; }
        uLong crc = 0;

    private:
        std::string slice_ = noise(50'000);
        std::uint64_t left_;
        std::uint64_t size_;
    };
    constexpr std::uint64_t size = 200u << 20;
    uLong crc = 0;
    std::uint64_t got = 0;
    // Not by read_request, which keeps it.
    tls_server server(
        gateway_identity(),
        [&](tls_peer& p) {
            if (!p.handshake()) return;
            http_peer peer(p);
            for (auto const n : {std::uint64_t(1u << 20), size}) {
                if (!peer.read_head()) return;
                crc = 0;
                for (got = 0; got < n;) {
                    auto const some = peer.read_some();
                    if (some.empty()) return;
                    crc = ::crc32(crc, reinterpret_cast<Bytef const*>(some.data()), static_cast<uInt>(some.size()));
                    got += some.size();
                }
                if (!peer.write(sized("done"))) return;
            }
            peer.stall();
        },
        TLS1_2_VERSION, TLS1_3_VERSION, choose_version_of_this_run);
    ca_file const ca(test_authority().pem());
    client_params params;
    params.tls.ca_file = ca.path();
    params.wire.http = http_of_this_run();
    params.connect_to.push_back({"", "127.0.0.1", server.port()});
    runtime client(1, params);
    auto const c = gateway::of(client);
    REQUIRE(call(c, upload(), std::make_shared<repeating>(1u << 20)).has_value());
    test::forget_peak();
    auto const before = test::peak_mib();
    auto const begun = std::chrono::steady_clock::now();
    auto const source = std::make_shared<repeating>(size);
    auto const r = call(c, upload().timeout(120s), source);
    auto const memory = test::peak_mib() - before;
    if (!r) INFO(r.error().describe());
    REQUIRE(r.has_value());
    CHECK(got == size);
    CHECK(crc == source->crc);
    if (test::peak_means_something) CHECK(memory < 2);
    std::printf("streaming upload: %.0f MiB, %.2f MiB more memory, %.2f s\n", static_cast<double>(size) / (1 << 20),
                memory, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

TEST_CASE("streaming: an answer that comes before the whole body is read, also when nothing more is taken") {
    auto const body = noise(20'000'000);
    auto const refusal = sized("too large", "Connection: close\r\n", 413);
    bool const stalls = GENERATE(false, true);
    bool const streams = GENERATE(false, true);
    INFO(stalls << streams);
    std::atomic<int> requests{0};
    // What is sent meets a reset, as by a server that closes with much unread.
    tls_server server(
        gateway_identity(),
        [&](tls_peer& p) {
            if (!p.handshake()) return;
            http_peer peer(p);
            if (!peer.read_head()) return;
            ++requests;
            peer.write(refusal);
            std::promise<void> never;
            if (stalls) never.get_future().wait_for(1s);
        },
        TLS1_2_VERSION, TLS1_3_VERSION, choose_version_of_this_run);
    ca_file const ca(test_authority().pem());
    client_params params;
    params.tls.ca_file = ca.path();
    params.wire.http = http_of_this_run();
    params.connect_to.push_back({"", "127.0.0.1", server.port()});
    if (stalls) params.wire.write_timeout = 300ms;
    runtime client(1, params);
    auto const c = gateway::of(client);
    auto const r = streams ? call(c, upload(), std::make_shared<text_source>(body))
                           : wire_test::call(c, request::post("/rest/api/3/issue").json(body));
    if (!r) INFO(r.error().describe());
    REQUIRE(r.has_value());
    CHECK(r->status() == 413);
    CHECK(std::string_view(r->body()) == "too large");
    CHECK(closed(client, close_reason::announced) == 1);
    CHECK(requests == 1);
}
