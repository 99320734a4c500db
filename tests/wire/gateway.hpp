#pragma once

#include "http_peer.hpp"
#include "wire_client.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::wire_test {

inline constexpr std::size_t most_piece = 64u << 10;

/// What no coding makes small, so that nothing lost or moved goes unseen.
inline std::string noise(std::size_t size) {
    std::mt19937_64 random(size);
    std::string all(size, '\0');
    for (auto& c : all) c = static_cast<char>(random());
    return all;
}

inline std::string with_head(std::string const& body, std::string const& headers, int status = 200) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + headers + "\r\n" + body;
}
inline std::string ok_head(std::size_t length) {
    return with_head({}, "Content-Length: " + std::to_string(length) + "\r\n");
}
inline std::string sized(std::string const& body, std::string const& headers = {}, int status = 200) {
    return with_head(body, headers + "Content-Length: " + std::to_string(body.size()) + "\r\n", status);
}
inline std::string chunked(std::string const& body, std::size_t each, std::string const& headers = {}) {
    std::string all;
    for (std::size_t i = 0; i < body.size(); i += each) {
        char size[32];
        std::snprintf(size, sizeof size, "%zx\r\n", std::min(each, body.size() - i));
        all += size + body.substr(i, each) + "\r\n";
    }
    return with_head(all + "0\r\n\r\n", headers + "Transfer-Encoding: chunked\r\n");
}

/// What the server does with a request, in words that mean the same over both versions of HTTP. @return whether the channel lives on.
using act = std::function<bool(http_peer&, std::string const& request)>;

inline act says(std::string bytes) {
    return [=](http_peer& peer, std::string const&) { return peer.write(bytes); };
}
inline act says_and_goes(std::string bytes) {
    return [=](http_peer& peer, std::string const&) { return peer.write(bytes) && false; };
}
inline act says_and_ends(std::string bytes) {
    return [=](http_peer& peer, std::string const&) { return peer.write(bytes) && peer.end_answer(); };
}
inline act says_and_stalls(std::string bytes) {
    return [=](http_peer& peer, std::string const&) { return peer.write(bytes) && peer.stall(); };
}

/// Does one act after the other, whichever channel they are asked for on, behind the handshake of one of them.
inline void do_acts(tls_peer& p, std::vector<act> const& acts, std::atomic<std::size_t>& next) {
    http_peer peer(p);
    for (;;) {
        auto const request = peer.read_request();
        if (request && request->find("tenant_info") != request->npos) {
            if (!peer.write(sized("{}", {}, 404))) return;
            continue;
        }
        auto const n = request ? next++ : acts.size();
        if (n >= acts.size() || (!acts[n](peer, *request) && !peer.given_up())) return;
    }
}

/// A gateway that does one act after the other, whichever channel they are asked for on, and a client's params to reach it. Or a
/// site, as `who`: then the question for its cloud ID is no act, and is answered with 404.
class gateway {
public:
    explicit gateway(std::vector<act> acts, identity const& who = gateway_identity())
        : acts_(std::move(acts)),
          ca_(test_authority().pem()),
          server_(
              who,
              [this](tls_peer& p) {
                  if (p.handshake()) do_acts(p, acts_, next_);
              },
              TLS1_2_VERSION, TLS1_3_VERSION, choose_version_of_this_run) {
        params.tls.ca_file = ca_.path();
        params.wire.http = http_of_this_run();
        params.connect_to.push_back({"", "127.0.0.1", server_.port()});
        params.limits.mode = limiting::off;
        params.retries.backoff = 1ms;
        params.retries.backoff_max = 1ms;
    }

    static connection of(connections& jira) {
        return jira.add("one", service_api_token("11111111-2222-3333-4444-555555555555", secret("k"))).value();
    }
    std::size_t requests() const noexcept { return next_; }

    client_params params;

private:
    std::vector<act> acts_;
    std::atomic<std::size_t> next_{0};
    ca_file ca_;
    tls_server server_;
};

inline result<response> call(connection const& c, request r, body_streams b) {
    return c.async_call(std::move(r), std::move(b), asio::use_future).get();
}

/// What Jira takes a POST of twice for: the caller must say so.
inline request upload() {
    return request::post("/rest/api/3/issue/A-1/attachments").body({}, "multipart/form-data; boundary=b");
}

/// Keeps the body, and says what the other act says.
inline act keeps(std::vector<std::string>& bodies, act then) {
    return [&bodies, then](http_peer& peer, std::string const& request) {
        bodies.push_back(request.substr(request.find("\r\n\r\n") + 4));
        return then(peer, request);
    };
}

inline request download() { return request::get("/rest/api/3/attachment/content/1"); }

inline std::uint64_t closed(connections const& c, close_reason why) {
    std::uint64_t n = 0;
    for (auto const& s : detail::stats_access::of(c)) n += s->channels_closed[static_cast<std::size_t>(why)].value();
    return n;
}

/// How many channels an exchange takes with it that is given up in the middle: over HTTP/2 it is a stream among others.
inline std::uint64_t channels_given_up() { return over_http2() ? 0 : 1; }

}  // namespace jirapool::wire_test
