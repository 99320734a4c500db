#pragma once

#include "http2_peer.hpp"
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

/// Does to each connection what a script says, behind its first SETTINGS.
class h2_server : public tls_server {
public:
    using frames_script = std::function<void(h2_peer&)>;
    explicit h2_server(frames_script s, std::string settings = h2::settings_frame(),
                       identity const& who = test_identity())
        : tls_server(
              who,
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

    std::unique_ptr<detail::channel> open(std::string const& host = test_host) {
        auto dialed = dial(host);
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
