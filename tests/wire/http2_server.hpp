#pragma once

#include "support/http2_frames.hpp"
#include "wire_client.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::wire_test {

namespace h2 = test::h2;

/// The server's end of one HTTP/2 connection, frame by frame.
class h2_peer {
public:
    explicit h2_peer(tls_peer& p) : peer_(p) {}

    /// Reads the client's preface, and says our settings.
    bool begin(std::string const& settings) {
        while (rest_.size() < h2::preface.size())
            if (!read_record()) return false;
        if (!rest_.starts_with(h2::preface)) return false;
        rest_.erase(0, h2::preface.size());
        return write(settings);
    }
    tls_peer& tls() noexcept { return peer_; }
    bool write(std::string_view bytes) { return peer_.write(bytes); }

    /// The next frame of any kind; nullopt when the client closes, or says nothing for 10 s. Settings and pings are answered.
    std::optional<h2::seen_frame> read() {
        for (;;) {
            if (auto f = h2::next_frame(rest_)) {
                if (f->type == h2::settings && (f->flags & h2::ack) == 0) write(h2::settings_ack());
                if (f->type == h2::ping && (f->flags & h2::ack) == 0 && answers_pings)
                    write(h2::frame(h2::ping, h2::ack, 0, f->payload));
                return f;
            }
            if (!read_record()) return std::nullopt;
        }
    }
    std::optional<h2::seen_frame> read(std::uint8_t type) {
        for (;;) {
            auto f = read();
            if (!f || f->type == type) return f;
        }
    }
    /// Reads up to the end of the next request. @return its stream; 0 when there is none.
    std::uint32_t read_request() {
        for (;;) {
            auto const f = read();
            if (!f) return 0;
            if (f->ends_stream()) return f->stream;
        }
    }
    /// Until the client goes.
    void stall() {
        while (read()) {
        }
    }
    /// Records of TLS that came.
    std::size_t records() const noexcept { return records_; }

    bool answers_pings = true;

private:
    bool read_record() {
        char buffer[20'000];
        std::size_t n = 0;
        if (SSL_read_ex(peer_.ssl(), buffer, sizeof buffer, &n) != 1) return false;
        rest_.append(buffer, n);
        ++records_;
        return true;
    }

    tls_peer& peer_;
    std::string rest_;
    std::size_t records_ = 0;
};

/// For tls_server: HTTP/2 is chosen when it is offered, else nothing.
inline void choose_http2(SSL_CTX* c) {
    SSL_CTX_set_alpn_select_cb(
        c,
        [](SSL*, unsigned char const** out, unsigned char* size, unsigned char const* in, unsigned in_size, void*) {
            static unsigned char const ours[] = "\x02h2";
            unsigned char* chosen = nullptr;
            if (SSL_select_next_proto(&chosen, size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_NOACK;
            *out = chosen;
            return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
}

/// Does to each connection what a script says, behind its first SETTINGS.
class h2_server : public tls_server {
public:
    using frames_script = std::function<void(h2_peer&)>;
    explicit h2_server(frames_script s, std::string settings = h2::settings_frame())
        : tls_server(
              test_identity(),
              [s = std::move(s), settings = std::move(settings)](tls_peer& p) {
                  h2_peer peer(p);
                  if (p.handshake() && peer.begin(settings)) s(peer);
              },
              TLS1_2_VERSION, TLS1_3_VERSION, choose_http2) {}
};

/// Answers all requests with 200 and a body.
inline h2_server::frames_script answering_http2(std::string body) {
    return [body = std::move(body)](h2_peer& peer) {
        while (auto const id = peer.read_request())
            if (!peer.write(h2::answer(id, body))) return;
    };
}

/// One exchange under way.
struct flight {
    explicit flight(jirapool::method m = method::get, std::string b = {}) : body(std::move(b)) {
        in.method = m;
        in.target = "/rest/api/3/myself";
        in.host = test_host;
        in.user_agent = "jirapool-tests/1";
        in.body = body;
    }
    std::string body;
    detail::exchange_input in;
    response out;
    std::optional<detail::exchange_report> report;
    std::exception_ptr thrown;
    asio::cancellation_signal cancel;
    bool ended() const { return report || thrown; }
    errc code() const {
        return report && report->error.code() ? static_cast<errc>(report->error.code().value()) : errc{};
    }
    std::string rule() const { return report ? report->error.rule() : std::string(); }
    std::string_view text() const { return out.body(); }
};
using flights = std::vector<std::shared_ptr<flight>>;

/// Several exchanges at once, on the test's own thread.
class h2_client : public wire_client {
public:
    explicit h2_client(std::uint16_t port) : wire_client(port) { params.wire.http = http_versions::http2; }

    std::unique_ptr<detail::channel> open() {
        auto dialed = dial();
        INFO(dialed.error.describe());
        REQUIRE(dialed.channel);
        return std::move(dialed.channel);
    }
    std::shared_ptr<flight> begin(detail::channel& c, std::shared_ptr<flight> f = std::make_shared<flight>(),
                                  std::chrono::milliseconds limit = std::chrono::seconds(20)) {
        f->in.deadline = timers_->now() + limit;
        asio::co_spawn(io_, c.exchange(&f->in, &f->out),
                       asio::bind_cancellation_slot(f->cancel.slot(),
                                                    [f](std::exception_ptr e, detail::exchange_report r) {
                                                        if (e) f->thrown = std::move(e);
                                                        else f->report.emplace(std::move(r));
                                                    }));
        return f;
    }
    /// One handler; false: none came in 10 s.
    bool step() {
        io_.restart();
        return io_.run_one_for(std::chrono::seconds(10)) == 1;
    }
    bool run_ready() {
        io_.restart();
        return io_.poll_one() == 1;
    }
    template <class Condition>
    bool run_until(Condition const& done) {
        auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
        while (!done()) {
            io_.restart();
            io_.run_one_for(std::chrono::milliseconds(20));
            if (std::chrono::steady_clock::now() > end) return false;
        }
        return true;
    }
    void finish(flight& f) {
        REQUIRE(run_until([&] { return f.ended(); }));
    }
    void finish(flights const& all) {
        REQUIRE(run_until([&] {
            return std::all_of(all.begin(), all.end(), [](auto const& f) { return f->ended(); });
        }));
    }
    asio::io_context& context() noexcept { return io_; }
    detail::timers& clock() {
        start();
        return *timers_;
    }
};

}  // namespace jirapool::wire_test
