// A server's bytes over real TLS to the real HTTP/2 channel, beside exchanges that begin, are cancelled, read from sources and write to
// sinks, and time that passes. Each exchange ends once, says why, and holds no more than it may; a sink gets what its contract says.
// Input: flags, then one action after the other.
#include "fuzz.hpp"
#include "support/http2_frames.hpp"
#include "wire/certificates.hpp"
#include "wire/http2_peer.hpp"

#include "exchange/sink_stream.hpp"
#include "exchange/source_stream.hpp"
#include "wait/timers.hpp"
#include "wire/http2_channel.hpp"
#include "wire/poller.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstring>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::detail;
namespace h2 = jirapool::test::h2;

namespace {

constexpr char const* host = "site.atlassian.net";
constexpr std::size_t most_piece = 64u << 10;

/// Time passes when the input says so.
class manual_clock final : public engine_clock {
public:
    steady_time now() const noexcept override { return now_; }
    wall_time wall() const noexcept override {
        return wall_time(std::chrono::duration_cast<wall_time::duration>(now_.time_since_epoch()));
    }
    void pass(steady_duration d) noexcept { now_ += d; }

private:
    steady_time now_{std::chrono::hours(1)};
};
class manual_alarm final : public detail::alarm {
public:
    void arm(steady_time t) noexcept override { at = t; }
    void disarm() noexcept override { at = steady_time::max(); }
    steady_time at = steady_time::max();
};

/// Takes, fails or waits until it is let go, and watches over its contract.
class watchful_sink final : public body_sink {
public:
    enum class kind : std::uint8_t { takes, fails, waits };
    watchful_sink(asio::any_io_executor const& ex, kind k)
        : gate_(ex, asio::steady_timer::time_point::max()), kind_(k) {}

    error_code begin(response const& head) override {
        FUZZ_CHECK(head.status() >= 200 && head.status() < 300 && !over && !begun);
        begun = true;
        return {};
    }
    asio::awaitable<error_code> write(std::string_view piece) override {
        FUZZ_CHECK(begun && !over && !writing && !piece.empty() && piece.size() <= most_piece);
        writing = true;
        if (kind_ == kind::waits && !open_) co_await gate_.async_wait(asio::as_tuple(asio::use_awaitable));
        // Touched behind the wait: it must still be there.
        sum += static_cast<unsigned char>(piece.front()) + static_cast<unsigned char>(piece.back());
        writing = false;
        if (kind_ != kind::fails) co_return error_code();
        over = true;
        co_return make_error_code(boost::system::errc::no_space_on_device);
    }
    asio::awaitable<error_code> end() override {
        FUZZ_CHECK(begun && !over && !writing);
        over = ended = true;
        co_return error_code();
    }
    void let() {
        open_ = true;
        gate_.cancel();
    }

    bool begun = false;
    bool writing = false;
    bool over = false;
    bool ended = false;
    unsigned sum = 0;

private:
    asio::steady_timer gate_;
    kind kind_;
    bool open_ = false;
};

class some_source final : public body_source {
public:
    explicit some_source(std::size_t n) : size_(n), left_(n) {}
    std::uint64_t size() const noexcept override { return size_; }
    asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) override {
        auto const n = std::min({max, left_, std::size_t(10'000)});
        std::memset(to, 's', n);
        left_ -= n;
        co_return n;
    }
    bool rewind() noexcept override { return false; }

private:
    std::size_t size_;
    std::size_t left_;
};

struct flight {
    exchange_input in;
    std::string body;
    std::shared_ptr<watchful_sink> sink;
    std::optional<sink_stream> sink_side;
    std::optional<source_stream> source_side;
    response out;
    std::optional<exchange_report> report;
    asio::cancellation_signal cancel;
};

bool is_good(response const& head) noexcept { return head.status() >= 200 && head.status() < 300; }

/// As the engine awaits it: what is cancelled says so by its report.
asio::awaitable<exchange_report> without_throwing(asio::awaitable<exchange_report> exchange) {
    co_await asio::this_coro::throw_if_cancelled(false);
    auto report = co_await std::move(exchange);
    co_return report;
}

/// What is made once.
struct world {
    world()
        : authority(wire_test::make_certificate({.name = "fuzz CA", .authority = true})),
          leaf(wire_test::make_certificate({.name = "leaf", .alt_names = std::string("DNS:") + host}, &authority)),
          server(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
        std::signal(SIGPIPE, SIG_IGN);
        SSL_CTX_use_certificate(server.get(), leaf.certificate.get());
        SSL_CTX_use_PrivateKey(server.get(), leaf.key.get());
        SSL_CTX_set_num_tickets(server.get(), 0);
        wire_test::choose_http2(server.get());
        auto const path = "/tmp/jirapool-fuzz-ca-" + std::to_string(::getpid()) + ".pem";
        std::ofstream(path) << authority.pem();
        tls_params p;
        p.ca_file = path;
        client.emplace(p);
        ::unlink(path.c_str());
    }
    wire_test::identity authority;
    wire_test::identity leaf;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> server;
    std::optional<tls_context> client;
};

class conversation {
public:
    explicit conversation(std::uint8_t flags)
        : poller_(std::make_shared<poller>(io_.get_executor())),
          timers_(clock_, made(alarm_)),
          ssl_(nullptr, SSL_free) {
        static world once;
        constexpr unsigned small_windows = 1;
        constexpr unsigned deaf = 2;
        reads_ = (flags & deaf) == 0;
        wire_.max_head = 4096;
        wire_.max_headers = 32;
        wire_.max_body = 1u << 17;
        wire_.stream_window = (flags & small_windows) != 0 ? 65536 : 1u << 18;
        wire_.channel_window = wire_.stream_window;
        int both[2];
        FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) == 0);
        server_ = both[1];
        ssl_.reset(SSL_new(once.server.get()));
        SSL_set_fd(ssl_.get(), server_);
        error_code ec;
        auto socket = timed_socket::make(both[0], poller_, timers_, io_.get_executor(), ec);
        auto tls = std::make_unique<tls_stream>(*once.client, both[0], host, slot_, http_versions::http2);
        while (tls->handshake() != tls_status::done) SSL_accept(ssl_.get());
        while (SSL_accept(ssl_.get()) != 1) {
        }
        FUZZ_CHECK(tls->chose_http2());
        channel_ = std::make_unique<http2_channel>(std::move(socket), std::move(tls), timers_, io_.get_executor(),
                                                   wire_, scratch_, [this](http2_conduct) {
                                                       ++conducts_;
                                                       return false;
                                                   });
    }
    ~conversation() {
        ssl_.reset();
        if (server_ >= 0) ::close(server_);
    }

    void begin(std::uint8_t kind, std::uint8_t size) {
        constexpr std::size_t most = 16;
        if (!channel_ || all_.size() == most) return;
        auto const f = std::make_shared<flight>();
        auto const ex = io_.get_executor();
        constexpr method methods[] = {method::get, method::head, method::post, method::put};
        f->in.method = methods[kind % 4];
        f->in.target = "/rest/api/3/myself";
        f->in.host = host;
        f->in.authorization = "Basic c2VjcmV0OnNlY3JldA==";
        f->in.secret_answer = (kind & 0x80) != 0;
        f->in.deadline = timers_.now() + std::chrono::seconds(20);
        if (kind % 4 >= 2) {
            auto const bytes = std::size_t{size} * 1000;
            if ((kind & 4) != 0) {
                f->source_side.emplace(std::make_shared<some_source>(bytes), timers_, ex);
                f->in.source = &*f->source_side;
            } else {
                f->body.assign(bytes, 'b');
                f->in.body = f->body;
            }
        }
        if (auto const sink = kind >> 3 & 3; sink != 0) {
            f->sink = std::make_shared<watchful_sink>(ex, static_cast<watchful_sink::kind>(sink - 1));
            f->sink_side.emplace(f->sink, is_good, timers_, ex, wire_.max_ratio);
            f->in.sink = &*f->sink_side;
        }
        all_.push_back(f);
        asio::co_spawn(io_, without_throwing(channel_->exchange(&f->in, &f->out)),
                       asio::bind_cancellation_slot(f->cancel.slot(),
                                                    [f](std::exception_ptr const& e, exchange_report r) {
                                                        FUZZ_CHECK(!e && !f->report);
                                                        f->report.emplace(std::move(r));
                                                    }));
    }

    void give_up(std::uint8_t which, bool interrupt) {
        if (all_.empty()) return;
        auto& f = *all_[which % all_.size()];
        if (!interrupt) f.cancel.emit(asio::cancellation_type::terminal);
        else if (channel_) channel_->interrupt(f.out);
    }
    void let_go(std::uint8_t which) {
        if (all_.empty()) return;
        if (auto const& sink = all_[which % all_.size()]->sink) sink->let();
    }

    void say(std::string_view bytes) {
        std::size_t n = 0;
        // Where there is no room for all of it the server goes.
        if (ssl_ && !bytes.empty() && SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n) != 1) hang_up(false);
    }
    void hang_up(bool properly) {
        if (!ssl_) return;
        if (properly) SSL_shutdown(ssl_.get());
        ssl_.reset();
        ::close(std::exchange(server_, -1));
    }

    void pass(steady_duration d) {
        clock_.pass(d);
        for (int i = 0; alarm_->at <= clock_.now(); ++i) {
            FUZZ_CHECK(i < 10'000);
            alarm_->disarm();
            alarm_->on_ring();
            run();
        }
    }

    void run_one() {
        io_.restart();
        io_.poll_one();
    }
    void run() {
        int turns = 0;
        do {
            io_.restart();
            // What keeps the thread busy for ever is a loop.
            for (; io_.poll_one() == 1; ++turns) FUZZ_CHECK(turns < 100'000);
        } while (reads_ && drain());
    }
    void destroy() { channel_.reset(); }

    /// Whatever is under way ends.
    void finish() {
        run();
        check();
        destroy();
        run();
        // But for who waits for a sink: he has until the deadline.
        for (auto const& f : all_)
            if (!f->report) FUZZ_CHECK(f->sink && f->sink->writing);
        pass(std::chrono::hours(1));
        run();
        for (auto const& f : all_) {
            FUZZ_CHECK(f->report.has_value());
            if (f->sink) f->sink->let();
        }
        run();
        check();
    }

private:
    static std::unique_ptr<detail::alarm> made(manual_alarm*& kept) {
        auto a = std::make_unique<manual_alarm>();
        kept = a.get();
        return a;
    }

    bool drain() {
        char buffer[20'000];
        std::size_t n = 0;
        bool some = false;
        while (ssl_ && SSL_read_ex(ssl_.get(), buffer, sizeof buffer, &n) == 1) some = true;
        return some;
    }

    void check() const {
        for (auto const& f : all_) {
            FUZZ_CHECK(std::string_view(f->out.body()).size() <= wire_.max_body + wire_.stream_window + most_piece);
            FUZZ_CHECK(f->out.header_count() <= wire_.max_headers);
            if (!f->report) continue;
            auto const& r = *f->report;
            auto const& e = r.error;
            if (!e.code()) {
                FUZZ_CHECK(f->out.status() >= 200 && f->out.status() <= 599);
                FUZZ_CHECK(r.read && !r.unprocessed);
                FUZZ_CHECK(std::string_view(f->out.body()).size() <= wire_.max_body);
                if (f->sink) FUZZ_CHECK(f->sink->ended == (is_good(f->out) && f->sink->begun));
                continue;
            }
            // A call that is ended from outside may have been about to end well.
            if (f->sink && e.code() != errc::cancelled && e.code() != errc::timeout) FUZZ_CHECK(!f->sink->ended);
            FUZZ_CHECK(r.caller_failed || e.code() == errc::channel_lost || e.code() == errc::protocol_error ||
                       e.code() == errc::response_too_large || e.code() == errc::timeout ||
                       e.code() == errc::cancelled);
            if (e.code() == errc::channel_lost || e.code() == errc::protocol_error ||
                e.code() == errc::response_too_large)
                FUZZ_CHECK(!e.rule().empty());
            if (r.refused) FUZZ_CHECK(r.unprocessed);
        }
    }

    asio::io_context io_{1};
    std::shared_ptr<poller> poller_;
    manual_clock clock_;
    manual_alarm* alarm_ = nullptr;
    timers timers_;
    wire_params wire_;
    read_scratch scratch_{4096};
    session_slot slot_;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
    int server_ = -1;
    bool reads_ = true;
    int conducts_ = 0;
    std::vector<std::shared_ptr<flight>> all_;
    std::unique_ptr<http2_channel> channel_;
};

/// A frame that makes sense, more or less: chance finds few of them.
std::string some_frame(std::uint8_t what, std::uint8_t which, std::uint8_t size) {
    auto const stream = std::uint32_t{which % 16u} * 2 + 1;
    bool const last = (which & 0x80) != 0;
    switch (what % 16) {
    case 0: return h2::headers_frame(stream, {{":status", "200"}}, last);
    case 1: return h2::headers_frame(stream, {{":status", "404"}, {"content-length", std::to_string(size)}}, last);
    case 2: return h2::headers_frame(stream, {{":status", "103"}, {"link", "x"}});
    case 3: return h2::headers_frame(stream, {{"x", "y"}}, last);
    case 4: return h2::data_frame(stream, std::string(size, 'd'), last);
    case 5: return h2::data_frames(stream, std::string(std::size_t{size} * 300, 'd'), last);
    case 6: return h2::padded_data_frame(stream, std::string(size, 'd'), which, last);
    case 7: return h2::rst_frame(stream, size % 16);
    case 8: return h2::goaway_frame(last ? h2::last_stream_id : stream, size % 16);
    case 9: return h2::window_frame(last ? 0 : stream, std::uint32_t{size} << (which % 24));
    case 10: return h2::settings_frame({{h2::initial_window_size, std::uint32_t{size} << (which % 24)}});
    case 11: return h2::settings_frame({{h2::max_concurrent_streams, size}});
    case 12: return h2::ping_frame(last ? h2::ack : 0);
    case 13: return h2::answer(stream, std::string(size, 'a'));
    case 14: return h2::headers_frame(stream, {{":status", "200"}, {"content-encoding", "gzip"}}, last);
    default: return h2::settings_frame() + h2::settings_ack();
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input in(data, size);
    conversation c(in.byte());
    for (int actions = 0; !in.rest().empty() && actions < 300; ++actions) {
        auto const action = in.byte();
        switch (action % 8) {
        case 0: {
            auto const kind = in.byte();
            c.begin(kind, in.byte());
            break;
        }
        case 1:
        case 2: {
            auto const what = in.byte();
            auto const which = in.byte();
            c.say(some_frame(what, which, in.byte()));
            break;
        }
        case 3: {
            auto const size_of = std::size_t{in.byte()} + 256 * (action >> 3 & 7);
            c.say(in.take(size_of));
            break;
        }
        case 4: c.give_up(in.byte(), (action & 8) != 0); break;
        case 5: c.let_go(in.byte()); break;
        case 6: c.pass(std::chrono::milliseconds(1u << (in.byte() % 17))); break;
        default:
            if ((action >> 3) == 1) c.hang_up(true);
            else if ((action >> 3) == 2) c.hang_up(false);
            else if ((action >> 3) == 3) c.destroy();
            else c.run_one();
        }
        // Some follow one another at once.
        if (constexpr unsigned at_once = 0x40; (action & at_once) == 0 && action % 8 != 7) c.run();
    }
    c.finish();
    return 0;
}
