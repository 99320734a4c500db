#include "http2_server.hpp"
#include "support/compressed.hpp"

#include "exchange/sink_stream.hpp"
#include "exchange/source_stream.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <future>
#include <set>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

using clock = std::chrono::steady_clock;

/// Counts what it is told.
class counting_watch final : public detail::channel_watch {
public:
    void on_change(detail::channel& c) noexcept override {
        ++changes;
        capacity = c.capacity();
        alive = c.alive();
    }
    int changes = 0;
    std::size_t capacity = 0;
    bool alive = true;
};

bool takes_all(response const&) noexcept { return true; }

/// A sink that takes when it is let.
class gated_sink final : public body_sink {
public:
    explicit gated_sink(asio::any_io_executor ex) : timer_(std::move(ex)) {
        timer_.expires_at(clock::time_point::max());
    }
    asio::awaitable<error_code> write(std::string_view piece) override {
        writing = true;
        ++writes;
        largest = std::max(largest, piece.size());
        while (!open) co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
        got += piece.size();
        co_return fails;
    }
    asio::awaitable<error_code> end() override {
        ++ended;
        co_return error_code();
    }
    void let() {
        open = true;
        timer_.cancel();
    }
    bool open = false;
    bool writing = false;
    error_code fails;
    int writes = 0;
    int ended = 0;
    std::size_t largest = 0;
    std::size_t got = 0;

private:
    asio::steady_timer timer_;
};

class text_source final : public body_source {
public:
    explicit text_source(std::string t, std::size_t piece = 10'000) : text_(std::move(t)), piece_(piece) {}
    std::uint64_t size() const noexcept override { return text_.size(); }
    asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) override {
        auto const n = std::min({max, piece_, text_.size() - at_});
        std::copy_n(text_.data() + at_, n, to);
        at_ += n;
        ++reads;
        co_return n;
    }
    bool rewind() noexcept override {
        at_ = 0;
        return true;
    }
    int reads = 0;

private:
    std::string text_;
    std::size_t piece_;
    std::size_t at_ = 0;
};

std::string with_status(std::uint32_t id, std::string const& status) { return h2::answer(id, "why", {}, status); }

}  // namespace

TEST_CASE(
    "http2_channel: many exchanges run on one channel, their requests go out together, and answers come in any order") {
    constexpr std::size_t count = 60;
    std::promise<std::size_t> records;
    h2_server server([&](h2_peer& peer) {
        // All of them, however they come.
        std::vector<std::uint32_t> ids;
        while (ids.size() < count) {
            auto const id = peer.read_request();
            if (id == 0) return;
            ids.push_back(id);
        }
        records.set_value(peer.records());
        std::string all;
        for (auto id = ids.rbegin(); id != ids.rend(); ++id) all += h2::answer(*id, "answer " + std::to_string(*id));
        peer.write(all);
        peer.stall();
    });
    h2_client client(server.port());
    auto channel = client.open();
    flights all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(client.begin(*channel));
    client.finish(all);
    std::set<std::string> bodies;
    for (auto const& f : all) {
        REQUIRE(f->report);
        INFO(f->report->error.describe());
        CHECK_FALSE(f->report->error.code());
        CHECK(f->report->reusable);
        CHECK_FALSE(f->report->unprocessed);
        CHECK_FALSE(f->report->announced);
        CHECK(f->report->read);
        CHECK(f->report->sent > 20);
        CHECK(f->report->received > 10);
        CHECK(f->report->first_byte >= f->report->written);
        CHECK(f->out.status() == 200);
        bodies.emplace(f->text());
    }
    CHECK(bodies.size() == count);
    CHECK(channel->exchanges == count);
    // The preface and one record or two; the client's word on our SETTINGS may be another.
    CHECK(records.get_future().get() <= 4);
}

TEST_CASE("http2_channel: requests say what they say over HTTP/1.1, and HEAD, 204 and bodies are as there") {
    h2_server server([](h2_peer& peer) {
        for (int i = 0;; ++i) {
            auto const id = peer.read_request();
            if (id == 0) return;
            if (i == 0) peer.write(h2::headers_frame(id, {{":status", "200"}, {"content-length", "1000"}}, true));
            if (i == 1) peer.write(h2::headers_frame(id, {{":status", "204"}}, true));
            if (i == 2) peer.write(h2::answer(id, "created", {{"content-length", "7"}}, "201"));
            if (i == 3) peer.write(h2::answer(id, "", {}, "304"));
        }
    });
    h2_client client(server.port());
    auto channel = client.open();
    struct {
        method m;
        int status;
        std::string_view body;
    } const cases[] = {
        {method::head, 200, ""}, {method::delete_, 204, ""}, {method::post, 201, "created"}, {method::get, 304, ""}};
    for (auto const& c : cases) {
        auto const f = client.begin(*channel, std::make_shared<flight>(c.m, c.m == method::post ? "{}" : ""));
        client.finish(*f);
        INFO(f->rule());
        CHECK_FALSE(f->report->error.code());
        CHECK(f->out.status() == c.status);
        CHECK(f->text() == c.body);
    }
}

TEST_CASE("http2_channel: GOAWAY lets go on what began, and what the server did not act on is provably unprocessed") {
    std::promise<void> all_there;
    std::promise<void> let;
    h2_server server([&](h2_peer& peer) {
        auto const first = peer.read_request();
        auto const second = peer.read_request();
        if (second == 0) return;
        // Graceful: a warning, then the last that was begun.
        peer.write(h2::goaway_frame(h2::last_stream_id, h2::no_error) + h2::headers_frame(first, {{":status", "200"}}));
        all_there.set_value();
        let.get_future().wait();
        peer.write(h2::goaway_frame(first, h2::no_error) + h2::data_frame(first, "whole", true));
        peer.stall();
    });
    h2_client client(server.port());
    auto channel = client.open();
    counting_watch watch;
    channel->watch = &watch;
    auto const first = client.begin(*channel);
    auto const second = client.begin(*channel, std::make_shared<flight>(method::post, "{}"));
    REQUIRE(client.run_until([&] { return !channel->alive(); }));
    CHECK(watch.changes > 0);
    CHECK_FALSE(watch.alive);
    // Behind the warning nothing begins here, and what runs goes on.
    auto const late = client.begin(*channel, std::make_shared<flight>(method::post, "{}"));
    client.finish(*late);
    CHECK(late->code() == errc::channel_lost);
    CHECK(late->report->unprocessed);
    CHECK(late->report->turned_away);
    CHECK(late->rule().find("GOAWAY: NO_ERROR") != std::string::npos);
    CHECK_FALSE(first->ended());
    CHECK_FALSE(second->ended());
    let.set_value();
    client.finish({first, second});
    CHECK_FALSE(first->report->error.code());
    CHECK(first->text() == "whole");
    CHECK(first->report->announced);
    CHECK_FALSE(first->report->reusable);
    CHECK_FALSE(first->report->turned_away);
    CHECK(second->code() == errc::channel_lost);
    CHECK(second->report->unprocessed);
    CHECK(second->report->turned_away);
    channel->watch = nullptr;
}

TEST_CASE("http2_channel: a server that acts on nothing, or ends with an error, turns nobody away in good order") {
    for (bool const errs : {false, true}) {
        INFO(errs);
        h2_server server([errs](h2_peer& peer) {
            auto const id = peer.read_request();
            if (id == 0) return;
            peer.write(errs ? h2::answer(id, "fine") + h2::goaway_frame(id, h2::enhance_your_calm)
                            : h2::goaway_frame(0, h2::no_error));
            peer.stall();
        });
        h2_client client(server.port());
        auto channel = client.open();
        flights const both = {client.begin(*channel), client.begin(*channel)};
        client.finish(both);
        CHECK(both[1]->report->refused);
        CHECK_FALSE(both[1]->report->turned_away);
    }
}

TEST_CASE("http2: where a channel carries two requests, no call is lost however little may be sent again") {
    constexpr std::size_t calls = 12;
    h2_server server([&](h2_peer& peer) {
        auto const first = peer.read_request();
        if (first == 0 || !peer.write(h2::answer(first, "fine"))) return;
        auto const last = peer.read_request();
        // As nginx: of what came later nothing is read any more.
        if (last != 0) peer.write(h2::goaway_frame(last, h2::no_error) + h2::answer(last, "fine"));
        peer.stall();
    });
    ca_file const ca(test_authority().pem());
    client_params params;
    params.tls.ca_file = ca.path();
    params.connect_to.push_back({"", "127.0.0.1", server.port()});
    params.wire.http = http_versions::http2;
    params.limits.mode = limiting::off;
    params.retries.max_exchanges = 1;
    params.retries.budget_max = params.retries.budget_ratio = 0;
    runtime client(1, params);
    auto const site = client.add("one",
                                 personal_api_token("https://" + std::string(test_host), "a@example.com", secret("k")));
    REQUIRE(site.has_value());
    std::vector<std::future<result<response>>> all;
    for (std::size_t i = 0; i < calls; ++i)
        all.push_back(site->async_call(request::post("/rest/api/3/issue").json("{}").timeout(20s), asio::use_future));
    for (auto& one : all) {
        auto const r = one.get();
        INFO((r ? std::string() : r.error().describe()));
        REQUIRE(r.has_value());
        CHECK(r->status() == 200);
    }
    CHECK(client.totals().resends[static_cast<std::size_t>(resend_reason::channel_lost)] > 0);
}

TEST_CASE("http2_channel: an end of the connection ends each exchange, and says what the server may have") {
    enum class end { close_notify, reset, goaway_error, fin };
    for (auto const how : {end::close_notify, end::reset, end::goaway_error, end::fin}) {
        INFO(static_cast<int>(how));
        h2_server server([&](h2_peer& peer) {
            auto const id = peer.read_request();
            if (id == 0) return;
            peer.write(h2::headers_frame(id, {{":status", "200"}}) + h2::data_frame(id, "half"));
            if (how == end::goaway_error) peer.write(h2::goaway_frame(id, h2::internal_error, "oops"));
            if (how == end::close_notify) peer.tls().close_notify();
            if (how == end::reset) peer.tls().reset();
        });
        h2_client client(server.port());
        auto channel = client.open();
        auto const f = client.begin(*channel, std::make_shared<flight>(method::post, "{}"));
        client.finish(*f);
        INFO(f->rule());
        CHECK(f->code() == errc::channel_lost);
        CHECK(f->report->error.stage() == (f->report->read ? stage::body : stage::first_byte));
        CHECK_FALSE(f->report->unprocessed);
        CHECK_FALSE(f->report->reusable);
        CHECK(f->rule().find("before the answer was whole") != std::string::npos);
        if (how == end::goaway_error) CHECK(f->rule().find("GOAWAY: INTERNAL_ERROR") != std::string::npos);
        CHECK_FALSE(channel->alive());
    }
}

TEST_CASE("http2_channel: a reset of each code ends its exchange with the code's name, and leaves the channel usable") {
    h2_server server([](h2_peer& peer) {
        for (std::uint32_t code = 0; code <= 0xd; ++code) {
            auto const id = peer.read_request();
            if (id == 0 || !peer.write(h2::rst_frame(id, code))) return;
        }
        while (auto const id = peer.read_request()) peer.write(h2::answer(id, "fine"));
    });
    h2_client client(server.port());
    auto channel = client.open();
    for (std::uint32_t code = 0; code <= 0xd; ++code) {
        auto const f = client.begin(*channel, std::make_shared<flight>(method::post, "{}"));
        client.finish(*f);
        INFO(f->rule());
        CHECK(f->code() == errc::channel_lost);
        CHECK(f->report->unprocessed == (code == h2::refused_stream));
        CHECK(f->report->reusable);
        CHECK(f->rule().find('(') != std::string::npos);
    }
    auto const last = client.begin(*channel);
    client.finish(*last);
    CHECK(last->text() == "fine");
}

TEST_CASE("http2_channel: an answer that came whole before the request's end counts, whatever follows") {
    for (bool const from_source : {false, true}) {
        INFO(from_source);
        h2_server server(
            [](h2_peer& peer) {
                auto const head = peer.read(h2::headers);
                if (!head) return;
                peer.write(with_status(head->stream, "413") + h2::rst_frame(head->stream, h2::no_error));
                while (auto const id = peer.read_request()) peer.write(h2::answer(id, "fine"));
            },
            h2::settings_frame({{h2::initial_window_size, 1000}}));
        h2_client client(server.port());
        auto channel = client.open();
        auto const f = std::make_shared<flight>(method::post, from_source ? "" : std::string(1u << 20, 'x'));
        std::unique_ptr<detail::source_stream> source;
        if (from_source) {
            source = std::make_unique<detail::source_stream>(std::make_shared<text_source>(std::string(1u << 20, 'x')),
                                                             client.clock(), client.context().get_executor());
            f->in.source = source.get();
        }
        client.begin(*channel, f);
        client.finish(*f);
        INFO(f->rule());
        CHECK_FALSE(f->report->error.code());
        CHECK(f->out.status() == 413);
        CHECK_FALSE(f->report->unprocessed);
        CHECK(f->report->reusable);
        auto const next = client.begin(*channel);
        client.finish(*next);
        CHECK(next->text() == "fine");
    }
}

TEST_CASE(
    "http2_channel: each stage has a limit, says which it was, resets the stream, and leaves the channel usable") {
    std::promise<std::uint32_t> reset;
    std::string answered;
    std::string settings = h2::settings_frame();
    auto const script = [&](h2_peer& peer) {
        auto const head = peer.read(h2::headers);
        if (!head) return;
        if (!answered.empty()) peer.write(h2::headers_frame(head->stream, {{":status", "200"}}) + answered);
        auto const r = peer.read(h2::rst_stream);
        reset.set_value(r ? r->word_at(0) : 99);
        while (auto const id = peer.read_request()) peer.write(h2::answer(id, "fine"));
    };
    auto const f = std::make_shared<flight>();
    std::string expected;
    auto where = stage::write;
    auto code = errc::timeout;
    auto deadline = std::chrono::milliseconds(20'000);
    std::function<void(client_params&)> configure;
    SECTION("the server takes no body") {
        settings = h2::settings_frame({{h2::initial_window_size, 0}});
        f->in.method = method::post;
        f->in.body = f->body = std::string(100'000, 'x');
        configure = [](client_params& p) { p.wire.write_timeout = 200ms; };
        expected =
            "the request was not taken within wire_params::write_timeout, as the server gives it no room (flow "
            "control)";
    }
    SECTION("no answer begins") {
        configure = [](client_params& p) { p.wire.first_byte_timeout = 100ms; };
        expected = "no answer began within wire_params::first_byte_timeout";
        where = stage::first_byte;
    }
    SECTION("the answer has no end") {
        answered = h2::data_frame(1, "a bit");
        configure = [](client_params& p) { p.wire.body_timeout = 100ms; };
        expected = "the answer was not whole within wire_params::body_timeout";
        where = stage::body;
    }
    SECTION("the answer drips") {
        answered = h2::data_frame(1, "a bit");
        configure = [](client_params& p) {
            p.wire.min_rate = 10'000;
            p.wire.min_rate_window = 100ms;
        };
        expected = "the answer comes slower than wire_params::min_rate";
        where = stage::body;
    }
    SECTION("the call has no time left") {
        deadline = 100ms;
        configure = [](client_params&) {};
        where = stage::first_byte;
    }
    SECTION("the call is cancelled") {
        configure = [](client_params&) {};
        where = stage::first_byte;
        code = errc::cancelled;
    }
    SECTION("the exchange is interrupted") {
        configure = [](client_params&) {};
        where = stage::first_byte;
        code = errc::cancelled;
        expected = {};
        deadline = 19'000ms;
    }
    h2_server server(script, settings);
    h2_client client(server.port());
    configure(client.params);
    auto channel = client.open();
    client.begin(*channel, f, deadline);
    if (code == errc::cancelled) {
        while (client.run_ready()) {
        }
        if (deadline == 19'000ms) channel->interrupt(f->out);
        else f->cancel.emit(asio::cancellation_type::terminal);
    }
    client.finish(*f);
    CHECK(f->code() == code);
    CHECK(f->rule() == expected);
    CHECK(f->report->error.stage() == where);
    CHECK(f->report->reusable);
    CHECK_FALSE(f->report->unprocessed);
    CHECK(channel->alive());
    auto const next = client.begin(*channel);
    client.finish(*next);
    CHECK(reset.get_future().get() == h2::cancel);
    CHECK(next->text() == "fine");
}

TEST_CASE("http2_channel: a slow sink stalls no other exchange, and holds as much as its window") {
    constexpr std::uint32_t window = 1u << 16;
    std::atomic<std::size_t> written{0};
    h2_server server([&](h2_peer& peer) {
        auto const slow = peer.read_request();
        if (slow == 0) return;
        peer.write(h2::headers_frame(slow, {{":status", "200"}}));
        std::size_t room = 65535;
        // The client's settings came before the request.
        std::size_t left = 300'000;
        while (left > 0) {
            if (room == 0) {
                auto const f = peer.read();
                if (!f) return;
                if (f->type == h2::window_update && f->stream == slow) room += f->word_at(0);
                if (f->type == h2::headers) peer.write(h2::answer(f->stream, "quick"));
                continue;
            }
            auto const n = std::min({room, left, std::size_t{16384}});
            room -= n;
            left -= n;
            written += n;
            peer.write(h2::data_frame(slow, std::string(n, 'x'), left == 0));
        }
        while (auto const id = peer.read_request()) peer.write(h2::answer(id, "quick"));
    });
    h2_client client(server.port());
    client.params.wire.stream_window = window;
    client.params.wire.channel_window = window;
    auto channel = client.open();
    auto const sink = std::make_shared<gated_sink>(client.context().get_executor());
    detail::sink_stream stream(sink, takes_all, client.clock(), client.context().get_executor(), 250);
    auto const slow = std::make_shared<flight>();
    slow->in.sink = &stream;
    client.begin(*channel, slow);
    REQUIRE(client.run_until([&] { return sink->writing; }));
    for (int i = 0; i < 5; ++i) {
        auto const quick = client.begin(*channel);
        client.finish(*quick);
        CHECK(quick->text() == "quick");
    }
    CHECK_FALSE(slow->ended());
    CHECK(written <= window);
    CHECK(slow->out.body().size() <= window);
    sink->let();
    client.finish(*slow);
    INFO(slow->rule());
    CHECK_FALSE(slow->report->error.code());
    CHECK(sink->got == 300'000);
    CHECK(sink->largest <= 64u << 10);
    CHECK(sink->ended == 1);
    CHECK(slow->out.body().size() == 0);
}

TEST_CASE("http2_channel: a sink's room comes back as it takes, so that no server fills it all at once") {
    std::string text(3'000'000, 'x');
    std::uint32_t random = 1;
    for (auto& c : text) c = static_cast<char>((random = random * 1664525 + 1013904223) >> 24);
    auto const gzip = GENERATE(false, true);
    auto const body = gzip ? test::gzipped(text) : text;
    std::vector<std::uint32_t> rooms;
    h2_server server([&](h2_peer& peer) {
        auto const id = peer.read_request();
        if (id == 0) return;
        peer.write(h2::headers_frame(id, gzip ? h2::fields{{":status", "200"}, {"content-encoding", "gzip"}}
                                              : h2::fields{{":status", "200"}}));
        std::size_t room = 1u << 20;
        for (std::size_t at = 0; at < body.size();) {
            while (room == 0) {
                auto const f = peer.read();
                if (!f) return;
                if (f->type != h2::window_update || f->stream != id) continue;
                rooms.push_back(f->word_at(0));
                room += rooms.back();
            }
            auto const n = std::min({room, body.size() - at, std::size_t{16384}});
            peer.write(h2::data_frame(id, body.substr(at, n), at + n == body.size()));
            room -= n;
            at += n;
        }
    });
    h2_client client(server.port());
    auto channel = client.open();
    auto const sink = std::make_shared<gated_sink>(client.context().get_executor());
    sink->let();
    detail::sink_stream stream(sink, takes_all, client.clock(), client.context().get_executor(), 250);
    auto const f = std::make_shared<flight>();
    f->in.sink = &stream;
    client.begin(*channel, f);
    client.finish(*f);
    INFO(f->rule());
    CHECK_FALSE(f->report->error.code());
    CHECK(sink->got == text.size());
    REQUIRE_FALSE(rooms.empty());
    CHECK(*std::max_element(rooms.begin(), rooms.end()) <= 128u << 10);
    CHECK(*std::min_element(rooms.begin(), rooms.end()) >= 32u << 10);
}

TEST_CASE("http2_channel: what came while a sink was busy is given to it in pieces of 64 KiB at most") {
    std::string const body(600'000, 'x');
    h2_server server(answering_http2(body));
    h2_client client(server.port());
    auto channel = client.open();
    auto const sink = std::make_shared<gated_sink>(client.context().get_executor());
    detail::sink_stream stream(sink, takes_all, client.clock(), client.context().get_executor(), 250);
    auto const f = std::make_shared<flight>();
    f->in.sink = &stream;
    client.begin(*channel, f);
    REQUIRE(client.run_until([&] { return sink->writing && f->out.body().size() > 200'000; }));
    sink->let();
    client.finish(*f);
    INFO(f->rule());
    CHECK_FALSE(f->report->error.code());
    CHECK(sink->got == body.size());
    CHECK(sink->largest <= std::size_t{64} << 10);
}

TEST_CASE("http2_channel: a new one goes by what the server allowed the last one, until it is told otherwise") {
    std::atomic<int> channels{0};
    std::promise<void> let;
    auto const may = let.get_future().share();
    h2_server server(
        [&](h2_peer& peer) {
            if (++channels == 2) {
                may.wait();
                peer.write(h2::settings_frame({{h2::max_concurrent_streams, 30}}));
            }
            peer.stall();
        },
        h2::settings_frame({{h2::max_concurrent_streams, 2}}));
    h2_client client(server.port());
    auto first = client.open();
    CHECK(first->capacity() == 100);
    REQUIRE(client.run_until([&] { return first->capacity() == 2; }));
    auto second = client.open();
    CHECK(second->capacity() == 2);
    let.set_value();
    REQUIRE(client.run_until([&] { return second->capacity() == 30; }));
    auto third = client.open();
    CHECK(third->capacity() == 30);
}

TEST_CASE("http2_channel: a body from a source is sent whole, and its bytes are counted") {
    std::string const text(300'000, 'y');
    std::promise<std::string> came;
    h2_server server([&](h2_peer& peer) {
        std::string body;
        for (;;) {
            auto const f = peer.read();
            if (!f) return;
            if (f->type != h2::data) continue;
            body += f->payload;
            peer.write(h2::window_frame(0, 20'000) + h2::window_frame(f->stream, 20'000));
            if (!f->ends_stream()) continue;
            came.set_value(std::move(body));
            peer.write(h2::answer(f->stream, "thanks"));
            break;
        }
        peer.stall();
    });
    h2_client client(server.port());
    auto channel = client.open();
    auto const source = std::make_shared<text_source>(text);
    detail::source_stream stream(source, client.clock(), client.context().get_executor());
    auto const f = std::make_shared<flight>(method::put);
    f->in.source = &stream;
    client.begin(*channel, f);
    client.finish(*f);
    INFO(f->rule());
    CHECK_FALSE(f->report->error.code());
    CHECK(f->text() == "thanks");
    CHECK(came.get_future().get() == text);
    CHECK(f->report->sent > text.size());
    CHECK(f->report->sent < text.size() + 5'000);
    CHECK(source->reads == 30);
}

TEST_CASE("http2_channel: a source or a sink that fails ends its exchange alone") {
    class bad_source final : public body_source {
    public:
        std::uint64_t size() const noexcept override { return 100'000; }
        asio::awaitable<result<std::size_t>> read(char* to, std::size_t) override {
            if (std::exchange(read_, true)) co_return failure(errc::source_failed, "the disk is gone");
            *to = 'x';
            co_return std::size_t{1};
        }
        bool rewind() noexcept override { return true; }

    private:
        bool read_ = false;
    };
    class bad_sink final : public body_sink {
    public:
        asio::awaitable<error_code> write(std::string_view) override {
            co_return make_error_code(boost::system::errc::no_space_on_device);
        }
    };
    h2_server server([](h2_peer& peer) {
        for (;;) {
            auto const f = peer.read();
            if (!f) return;
            if (f->type == h2::headers && (f->flags & h2::end_stream) != 0) peer.write(h2::answer(f->stream, "fine"));
        }
    });
    h2_client client(server.port());
    auto channel = client.open();
    detail::source_stream source(std::make_shared<bad_source>(), client.clock(), client.context().get_executor());
    auto const upload = std::make_shared<flight>(method::put);
    upload->in.source = &source;
    detail::sink_stream sink(std::make_shared<bad_sink>(), takes_all, client.clock(), client.context().get_executor(),
                             250);
    auto const download = std::make_shared<flight>();
    download->in.sink = &sink;
    client.begin(*channel, upload);
    client.begin(*channel, download);
    client.finish({upload, download});
    CHECK(upload->code() == errc::source_failed);
    CHECK(upload->report->caller_failed);
    CHECK(download->report->error.code() == boost::system::errc::no_space_on_device);
    CHECK(download->report->caller_failed);
    auto const next = client.begin(*channel);
    client.finish(*next);
    CHECK(next->text() == "fine");
    CHECK(next->report->reusable);
}

TEST_CASE("http2_channel: a sink that fails is not written to again, nor told of an end that came meanwhile") {
    std::promise<void> let;
    h2_server server([&](h2_peer& peer) {
        auto const id = peer.read_request();
        peer.write(h2::headers_frame(id, {{":status", "200"}}) + h2::data_frame(id, std::string(1000, 'x')));
        let.get_future().wait();
        peer.write(h2::data_frame(id, std::string(500, 'x'), true));
        peer.stall();
    });
    h2_client client(server.port());
    auto channel = client.open();
    auto const sink = std::make_shared<gated_sink>(client.context().get_executor());
    detail::sink_stream stream(sink, takes_all, client.clock(), client.context().get_executor(), 250);
    auto const f = std::make_shared<flight>();
    f->in.sink = &stream;
    client.begin(*channel, f);
    REQUIRE(client.run_until([&] { return sink->writing; }));
    let.set_value();
    REQUIRE(client.run_until([&] { return f->out.body().size() == 500; }));
    SECTION("it says so") {
        sink->fails = make_error_code(boost::system::errc::no_space_on_device);
        sink->let();
        client.finish(*f);
        CHECK(f->report->error.code() == boost::system::errc::no_space_on_device);
        CHECK(f->report->caller_failed);
    }
    SECTION("its call is cancelled") {
        f->cancel.emit(asio::cancellation_type::terminal);
        client.finish(*f);
        CHECK(f->code() == errc::cancelled);
        sink->let();
        while (client.run_ready()) {
        }
    }
    CHECK(sink->writes == 1);
    CHECK(sink->ended == 0);
    CHECK(channel->alive());
}

TEST_CASE("http2_channel: a server that sends a slow sink more than its window loses that exchange alone") {
    constexpr std::uint32_t window = 1u << 16;
    h2_server server([&](h2_peer& peer) {
        auto const id = peer.read_request();
        peer.write(h2::headers_frame(id, {{":status", "200"}}));
        for (std::size_t sent = 0; sent < 2 * window; sent += 16384)
            peer.write(h2::data_frame(id, std::string(16384, 'x')));
        while (auto const next = peer.read_request()) peer.write(h2::answer(next, "fine"));
    });
    h2_client client(server.port());
    client.params.wire.stream_window = window;
    auto channel = client.open();
    auto const sink = std::make_shared<gated_sink>(client.context().get_executor());
    detail::sink_stream stream(sink, takes_all, client.clock(), client.context().get_executor(), 250);
    auto const f = std::make_shared<flight>();
    f->in.sink = &stream;
    client.begin(*channel, f);
    auto const next = client.begin(*channel);
    client.finish(*next);
    CHECK(next->text() == "fine");
    CHECK(f->out.body().size() <= window);
    sink->let();
    client.finish(*f);
    CHECK(f->code() == errc::protocol_error);
    CHECK(f->rule() == "the answer broke HTTP/2 (FLOW_CONTROL_ERROR)");
    CHECK(sink->ended == 0);
    CHECK(channel->alive());
}

TEST_CASE("http2_channel: who is told of the capacity hears of each change, and requests over it wait for room") {
    std::promise<void> more;
    h2_server server(
        [&](h2_peer& peer) {
            auto const first = peer.read_request();
            more.get_future().wait();
            // The second comes when the first is answered.
            peer.write(h2::answer(first, "1"));
            auto const second = peer.read_request();
            peer.write(h2::settings_frame({{h2::max_concurrent_streams, 7}}) + h2::answer(second, "2"));
            peer.stall();
        },
        h2::settings_frame({{h2::max_concurrent_streams, 1}}));
    h2_client client(server.port());
    auto channel = client.open();
    counting_watch watch;
    channel->watch = &watch;
    CHECK(channel->capacity() == 100);
    REQUIRE(client.run_until([&] { return channel->capacity() == 1; }));
    CHECK(watch.changes == 1);
    CHECK(watch.capacity == 1);
    auto const first = client.begin(*channel);
    auto const second = client.begin(*channel);
    while (client.run_ready()) {
    }
    more.set_value();
    client.finish({first, second});
    CHECK(first->text() == "1");
    CHECK(second->text() == "2");
    REQUIRE(client.run_until([&] { return channel->capacity() == 7; }));
    CHECK(watch.changes == 2);
    CHECK(watch.alive);
    channel->watch = nullptr;
}

TEST_CASE("http2_channel: where nothing comes for long a PING asks, and an end that does not answer is lost") {
    for (bool const answers : {false, true}) {
        INFO(answers);
        h2_server server([&](h2_peer& peer) {
            peer.answers_pings = answers;
            auto const id = peer.read_request();
            if (id == 0 || !peer.read(h2::ping)) return;
            if (answers) peer.write(h2::answer(id, "slow"));
            peer.stall();
        });
        h2_client client(server.port());
        client.params.wire.tcp_keep_alive_idle = 1s;
        client.params.wire.tcp_user_timeout = 300ms;
        auto channel = client.open();
        auto const begun = clock::now();
        auto const a = client.begin(*channel);
        client.finish(*a);
        CHECK(clock::now() - begun >= 1s);
        if (answers) {
            CHECK(a->text() == "slow");
            CHECK(a->report->reusable);
            continue;
        }
        CHECK(a->code() == errc::channel_lost);
        CHECK(a->rule() == "the server answered no PING within wire_params::tcp_user_timeout");
        CHECK_FALSE(a->report->unprocessed);
        CHECK_FALSE(channel->alive());
    }
}

TEST_CASE("http2_channel: floods and other breaches end it with words that name them") {
    std::string pings;
    for (int i = 0; i < 5'000; ++i) pings += h2::ping_frame();
    struct {
        std::string bytes;
        char const* says;
        errc of_first = errc::channel_lost;
    } const cases[] = {
        {pings, "the server sends more PING frames than any has use for"},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "the server broke HTTP/2: "},
        // To the first one's request.
        {h2::frame(h2::push_promise, h2::end_headers, 1, h2::word(2)), "the server pushes, though it was told not to",
         errc::protocol_error},
        {h2::frame(h2::headers, 0, 1, std::string(200'000, 'x')), "the head is over wire_params::max_head",
         errc::response_too_large},
    };
    for (auto const& c : cases) {
        INFO(c.says);
        std::promise<bool> told;
        h2_server server([&](h2_peer& peer) {
            if (peer.read_request() == 0) return;
            peer.write(c.bytes);
            told.set_value(peer.read(h2::goaway).has_value());
            peer.stall();
        });
        h2_server good(answering_http2("fine"));
        h2_client client(server.port());
        h2_client other(good.port());
        auto channel = client.open();
        auto untouched = other.open();
        auto const f = client.begin(*channel);
        auto const g = client.begin(*channel);
        client.finish({f, g});
        // Only who got it has an answer that is wrong. The others lost their channel, and may be sent again.
        CHECK(f->code() == c.of_first);
        CHECK(g->code() == errc::channel_lost);
        for (auto const& one : {f, g}) {
            CHECK(one->rule().find(c.says) != std::string::npos);
            CHECK_FALSE(one->report->reusable);
        }
        CHECK(told.get_future().get());
        CHECK_FALSE(channel->alive());
        auto const h = other.begin(*untouched);
        other.finish(*h);
        CHECK(h->text() == "fine");
    }
}

TEST_CASE("http2_channel: a token's answer is read as any other") {
    h2_server server(answering_http2(R"({"access_token":"the-token"})"));
    h2_client client(server.port());
    auto channel = client.open();
    for (int i = 0; i < 3; ++i) {
        auto const f = std::make_shared<flight>(method::post, "grant_type=client_credentials");
        f->in.secret_answer = true;
        client.begin(*channel, f);
        client.finish(*f);
        CHECK(f->text() == R"({"access_token":"the-token"})");
    }
}

TEST_CASE("http2_channel: it may go at any moment, and what runs on it ends") {
    h2_server server(answering_http2(std::string(100'000, 'x')));
    bool all_whole = false;
    for (int n = 0; !all_whole; ++n) {
        INFO(n);
        REQUIRE(n < 1000);
        h2_client client(server.port());
        auto channel = client.open();
        flights all;
        // Together less than the server's window for all of them, of which it gives nothing back.
        for (int i = 0; i < 3; ++i)
            all.push_back(client.begin(*channel, std::make_shared<flight>(method::post, std::string(20'000, 'y'))));
        int steps = 0;
        while (steps < n && !std::all_of(all.begin(), all.end(), [](auto const& f) { return f->ended(); })) {
            client.step();
            ++steps;
        }
        all_whole = std::all_of(all.begin(), all.end(), [](auto const& f) { return f->ended(); });
        channel.reset();
        client.finish(all);
        for (auto const& f : all) {
            REQUIRE(f->report);
            if (f->report->error.code()) CHECK(f->code() == errc::channel_lost);
            else CHECK(f->text().size() == 100'000);
        }
    }
}

TEST_CASE("http2_channel: it may go in the completion of one of its exchanges") {
    h2_server server(answering_http2("fine"));
    h2_client client(server.port());
    auto channel = client.open();
    auto const second = std::make_shared<flight>();
    auto const f = std::make_shared<flight>();
    f->in.deadline = client.clock().now() + 20s;
    bool ended = false;
    asio::co_spawn(client.context(), channel->exchange(&f->in, &f->out),
                   [&](std::exception_ptr, detail::exchange_report r) {
                       CHECK_FALSE(r.error.code());
                       channel.reset();
                       ended = true;
                   });
    client.begin(*channel, second);
    REQUIRE(client.run_until([&] { return ended; }));
    client.finish(*second);
    CHECK((second->code() == errc::channel_lost || second->text() == "fine"));
}

TEST_CASE("http2_channel: each of its moments may bring a cancellation, and the others and the channel go on") {
    h2_server server(answering_http2(std::string(40'000, 'x')));
    h2_client client(server.port());
    auto channel = client.open();
    bool whole = false;
    flights kept;  // a cancellation may still be on its way
    for (int n = 0; !whole; ++n) {
        INFO(n);
        REQUIRE(n < 1000);
        auto const f = client.begin(*channel, std::make_shared<flight>(method::post, std::string(3'000, 'y')));
        auto const other = client.begin(*channel);
        for (int i = 0; i < n && !f->ended(); ++i) client.step();
        kept.push_back(f);
        whole = f->ended();
        if (!whole) f->cancel.emit(asio::cancellation_type::terminal);
        client.finish({f, other});
        if (f->thrown) {
            // Cancelled before it began: Asio of Boost 1.88 begins no such coroutine, that of 1.81 does.
            CHECK(n <= 2);
            CHECK(other->text().size() == 40'000);
            continue;
        }
        INFO(f->rule());
        INFO(other->rule());
        CHECK_FALSE(other->report->error.code());
        CHECK(other->text().size() == 40'000);
        CHECK(f->report->reusable);
        if (f->report->error.code()) CHECK(f->code() == errc::cancelled);
    }
    CHECK(channel->alive());
    CHECK(server.accepted() == 1);
}
