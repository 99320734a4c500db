#include "http_peer.hpp"
#include "support/figure.hpp"
#include "wire_client.hpp"

#include <array>
#include <cstdio>
#include <deque>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

std::uint64_t channels_opened(connections const& jira) { return jira.totals().channels_opened; }

enum class cutting { close, close_notify, reset, stall };
constexpr std::array cuttings = {cutting::close, cutting::close_notify, cutting::reset, cutting::stall};
constexpr std::array fault_names = {"close", "close_notify", "reset", "stall"};

std::string with_length(std::string const& body, std::string const& more = {}) {
    return "HTTP/1.1 200 OK\r\n" + more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string const sized = with_length("done");
std::string const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndone\r\n0\r\n\r\n";

/// As it comes on the wire.
std::string rendered(std::string const& answer) { return over_http2() ? in_frames(answer, 1) : answer; }

/// One fault at one byte of one answer, and what the server saw of it.
struct cut {
    cutting what;
    bool post;
    bool reused;
    std::string const* answer;
    std::size_t at;
    std::atomic<int> seen{0};
    std::atomic<int> met{0};         ///< the fault took place
    std::atomic<int> seen_after{0};  ///< requests since

    cut(cutting w, bool p, bool r, std::string const* a, std::size_t n)
        : what(w), post(p), reused(r), answer(a), at(n) {}
};

std::deque<cut> all_cuts(cutting what) {
    std::deque<cut> all;
    for (bool const post : {false, true})
        for (bool const reused : {false, true})
            for (auto const* const answer : {&sized, &chunked})
                for (std::size_t at = 0; at < rendered(*answer).size(); ++at)
                    all.emplace_back(what, post, reused, answer, at);
    return all;
}

/// Serves cuts: each once, on a channel as it wants it; "again" until then, and "done" behind it.
tls_server::script serving(std::deque<cut>& cuts) {
    return [&cuts](tls_peer& p) {
        if (!p.handshake()) return;
        http_peer peer(p);
        for (int n = 1;; ++n) {
            auto const request = peer.read_request();
            if (!request) return;
            auto& c = cuts[std::stoul(request->substr(request->find("case=") + 5))];
            ++c.seen;
            if (c.met > 0) {
                ++c.seen_after;
                if (!peer.write(sized)) return;
                continue;
            }
            if ((n > 1) != c.reused) {
                // Not each time, or two cases, of which one wants a used channel and one a new one, could be in each other's way for ever.
                bool const closes = !c.reused && c.seen % 2 == 0;
                if (!peer.write(with_length("again", closes ? "Connection: close\r\n" : ""))) return;
                if (closes) return;
                continue;
            }
            ++c.met;
            p.write(peer.rendered(*c.answer).substr(0, c.at));
            switch (c.what) {
            case cutting::close: break;
            case cutting::close_notify: p.close_notify(); break;
            case cutting::reset: p.reset(); break;
            case cutting::stall: peer.stall(); break;
            }
            return;
        }
    };
}

/// Calls until the fault took place.
result<response> meet(connection const& c, cut const& of, std::size_t i) {
    auto const target = (of.post ? "/rest/api/3/issue?case=" : "/rest/api/3/myself?case=") + std::to_string(i);
    for (int attempt = 0;; ++attempt) {
        auto r = of.post ? call(c, request::post(target).json("{}")) : call(c, request::get(target));
        if (of.met > 0 || attempt == 1000) return r;
    }
}

}  // namespace

TEST_CASE("cut: at every byte of an answer, a read comes through or says why, and a write is sent once") {
    ca_file const ca(test_authority().pem());
    // Each fault has its channel, or takes those with it that share one. What stalls ends with whichever of these is given up first.
    std::vector<std::pair<cutting, std::uint32_t>> scenes;
    for (auto const what : cuttings) {
        scenes.emplace_back(what, 1);
        if (over_http2() && what != cutting::stall) scenes.emplace_back(what, 8);
    }
    for (auto const& [what, streams] : scenes) {
        auto const name = fault_names[static_cast<std::size_t>(what)];
        auto cuts = all_cuts(what);
        std::deque<std::optional<result<response>>> ends(cuts.size());
        tls_server server(gateway_identity(), serving(cuts), TLS1_2_VERSION, TLS1_3_VERSION,
                          choose_version_of_this_run);
        client_params params;
        params.wire.http = http_of_this_run();
        params.wire.max_streams = streams;
        // A read that shares its channel with seven others meets their faults too.
        if (streams > 1) params.retries.max_exchanges = 100;
        params.tls.ca_file = ca.path();
        params.connect_to.push_back({"", "127.0.0.1", server.port()});
        params.limits.mode = limiting::off;
        params.retries.backoff = 1ms;
        params.retries.backoff_max = 1ms;
        params.retries.budget_max = 1e6;
        if (what == cutting::stall) {
            // What is there before the stall must be read by then, on a busy machine too.
            params.wire.first_byte_timeout = 1s;
            params.wire.min_rate = 1000;
            params.wire.min_rate_window = 250ms;
        }
        // An answer begins with what says whose it is.
        std::size_t const first = over_http2() ? 9 : 1;
        auto const begun = std::chrono::steady_clock::now();
        std::uint64_t channels = 0;
        {
            runtime jira(2, params);
            auto const c =
                jira.add("one", service_api_token("11111111-2222-3333-4444-555555555555", secret("k"))).value();
            std::atomic<std::size_t> next{0};
            std::vector<std::thread> callers;
            for (int t = 0; t < 32; ++t)
                callers.emplace_back([&] {
                    for (auto i = next++; i < cuts.size(); i = next++) ends[i] = meet(c, cuts[i], i);
                });
            for (auto& t : callers) t.join();
            channels = channels_opened(jira);
        }
        int came_through = 0;
        int duplicates = 0;
        for (std::size_t i = 0; i < cuts.size(); ++i) {
            auto const& c = cuts[i];
            auto const& end = *ends[i];
            INFO(name << " with " << streams << " streams" << (c.post ? " of POST" : " of GET") << " on a "
                      << (c.reused ? "used" : "new") << " channel behind byte " << c.at << " of " << *c.answer);
            REQUIRE(c.met == 1);
            if (c.post) duplicates += c.seen_after;
            if (!c.post && what != cutting::stall) {
                // Reads are sent again.
                if (!end) INFO(end.error().describe());
                REQUIRE(end.has_value());
                CHECK(std::string_view(end->body()) == "done");
                // An answer may be lost behind another one's fault, and be asked for once more.
                if (streams > 1) CHECK(c.seen_after >= 1);
                else CHECK(c.seen_after == 1);
                ++came_through;
                continue;
            }
            REQUIRE_FALSE(end.has_value());
            CHECK(c.seen_after == 0);
            CHECK(end.error().maybe_processed() == c.post);
            CHECK_FALSE(end.error().rule().empty());
            CHECK(end.error().code() == (what == cutting::stall ? errc::timeout : errc::channel_lost));
            auto const stage_of_cut = c.at < first ? stage::first_byte : stage::body;
            // Others' requests that the server did not read make TCP reset the connection, and what was on its way is lost.
            CHECK((end.error().stage() == stage_of_cut || (streams > 1 && end.error().stage() == stage::first_byte)));
        }
        CHECK(duplicates == 0);
        support::figure("cut_faults", 1);
        support::figure("cut_cuts", static_cast<double>(cuts.size()));
        if (what != cutting::stall)
            support::figure("cut_reads_lost", static_cast<double>(cuts.size()) / 2 - static_cast<double>(came_through));
        support::figure("cut_writes_sent_twice", duplicates);
        std::printf(
            "cut %s, %u streams: %zu cuts, %d reads came through, %d writes sent twice, %llu channels, %.1f s\n", name,
            streams, cuts.size(), came_through, duplicates, static_cast<unsigned long long>(channels),
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    }
}
