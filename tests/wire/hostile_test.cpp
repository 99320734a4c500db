#include "support/compressed.hpp"
#include "support/figure.hpp"
#include "support/peak_memory.hpp"
#include "wire_client.hpp"

#include <cstdio>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

std::string const ok = "HTTP/1.1 200 OK\r\n";
std::string const endless = ok + "Transfer-Encoding: chunked\r\n\r\n";

/// Says the beginning once and the rest for ever, until the client has enough.
tls_server::script saying(std::string begin, std::string again, std::atomic<std::uint64_t>& said,
                          unsigned pause_us = 0) {
    return [=, &said](tls_peer& peer) {
        if (!peer.handshake() || !peer.read_request()) return;
        if (!begin.empty() && !peer.write(begin)) return;
        said += begin.size();
        while (!again.empty() && peer.write(again)) {
            said += again.size();
            if (pause_us > 0) ::usleep(pause_us);
        }
        if (again.empty()) peer.stall();
    };
}

std::string chunk(std::string const& bytes) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    return size + bytes + "\r\n";
}

struct attack {
    char const* what;
    std::string begin;
    std::string again;
    errc code;
    char const* says;
    std::uint64_t most_read;  ///< bytes that may be read before it ends
    unsigned pause_us = 0;
};

std::vector<attack> attacks() {
    auto const gzip = test::gzip_bomb();
    auto const brotli = test::brotli_bomb();
    auto const times = [](std::string const& what, std::size_t n) {
        std::string all;
        for (std::size_t i = 0; i < n; ++i) all += what;
        return all;
    };
    constexpr std::uint64_t kib = 1024;
    constexpr std::uint64_t mib = kib * kib;
    return {
        {"a flood of headers", ok, times("X: y\r\n", 1000), errc::response_too_large,
         "the headers are more than wire_params::max_headers", 64 * kib},
        // Boost 1.81 looks at the headers when it has them all: then it is max_head.
        {"a flood of headers, one by one", ok, "X: y\r\n", errc::response_too_large, "wire_params::max_head", 65 * kib},
        {"a flood of large headers", ok, "X: " + std::string(4000, 'x') + "\r\n", errc::response_too_large,
         "the head is over wire_params::max_head", 128 * kib},
        {"one endless header", ok + "X: ", std::string(16000, 'x'), errc::response_too_large,
         "the head is over wire_params::max_head", 128 * kib},
        {"an endless status line", "HTTP/1.1 200 ", std::string(16000, 'x'), errc::response_too_large,
         "the head is over wire_params::max_head", 128 * kib},
        {"endless interim answers", "", times("HTTP/1.1 103 Early Hints\r\n\r\n", 100), errc::protocol_error,
         "more than 8 interim answers", 64 * kib},
        {"endless interim answers, one by one", "", "HTTP/1.1 103 Early Hints\r\n\r\n", errc::protocol_error,
         "more than 8 interim answers", 64 * kib},
        {"endless trailers", endless + "0\r\n", times("X: y\r\n", 1000), errc::response_too_large,
         "wire_params::max_head", 128 * kib},
        {"one endless trailer", endless + "0\r\nX: ", std::string(16000, 'x'), errc::response_too_large,
         "wire_params::max_head", 128 * kib},
        {"an endless chunk extension", endless + "1;x=", std::string(16000, 'x'), errc::response_too_large,
         "wire_params::max_head", 128 * kib},
        {"a chunk extension with each byte", endless, times("1;x=" + std::string(100, 'x') + "\r\nh\r\n", 100),
         errc::response_too_large, "the chunks' extensions are over wire_params::max_head", mib},
        {"a length beyond all", ok + "Content-Length: 10000000000\r\n\r\n", std::string(16000, 'x'),
         errc::response_too_large, "the body is over wire_params::max_body", 64 * kib},
        {"endless chunks", endless, chunk(std::string(16000, 'x')), errc::response_too_large,
         "the body is over wire_params::max_body", 65 * mib},
        {"an endless body", ok + "\r\n", std::string(16000, 'x'), errc::response_too_large,
         "the body is over wire_params::max_body", 65 * mib},
        {"a gzip bomb", ok + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(gzip.begin),
         chunk(times(gzip.again, 16)), errc::response_too_large,
         "the body decodes to more than wire_params::max_ratio times its size", mib},
        {"a brotli bomb", ok + "Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(brotli.begin),
         chunk(times(brotli.again, 16)), errc::response_too_large,
         "the body decodes to more than wire_params::max_ratio times its size", mib},
        {"a drip", endless, "1\r\nx\r\n", errc::timeout, "the answer comes slower than wire_params::min_rate", 64 * kib,
         5000},
        {"a drip of a header", ok + "X: ", "x", errc::timeout, "the answer comes slower than wire_params::min_rate",
         64 * kib, 5000},
        {"a body shorter than said", ok + "Content-Length: 10\r\n\r\nshort", "", errc::timeout,
         "the answer comes slower than wire_params::min_rate", 64 * kib},
    };
}

}  // namespace

TEST_CASE("hostile: whatever a server sends, it ends early, in little memory, by a limit that is named") {
    // Even a body of max_body is 64 MiB, in a buffer that doubles; the server's own buffers are in this process too.
    constexpr double most_memory = 300;
    for (auto const& a : attacks()) {
        INFO(a.what);
        std::atomic<std::uint64_t> said{0};
        tls_server server(test_identity(), saying(a.begin, a.again, said, a.pause_us));
        wire_client client(server.port());
        // Only where it is the limit that is meant: a busy machine must not end the others.
        if (a.code == errc::timeout) {
            client.params.wire.min_rate = 5000;
            client.params.wire.min_rate_window = 150ms;
        }
        auto dialed = client.dial();
        REQUIRE(dialed.channel);
        test::forget_peak();
        auto const before = test::peak_mib();
        auto const begun = std::chrono::steady_clock::now();
        response out;
        auto const report = client.exchange(*dialed.channel, out);
        auto const took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        auto const memory = test::peak_mib() - before;
        CHECK(report.error.code() == a.code);
        CHECK(report.error.rule().find(a.says) != std::string::npos);
        CHECK_FALSE(report.reusable);
        CHECK(report.received <= a.most_read);
        CHECK(memory < most_memory);
        CHECK(took < 10);
        support::figure("hostile_answers", 1);
        support::figure("hostile_peak_mib", memory);
        if (std::string_view(a.what).ends_with("bomb")) support::figure("hostile_bomb_peak_mib", memory);
        std::printf("hostile %s: %.3f MiB read, %.1f MiB more memory, %.2f s, %s\n", a.what,
                    static_cast<double>(report.received) / (1 << 20), memory, took, report.error.rule().c_str());
    }
}

TEST_CASE("hostile: the bombs are ten gigabytes, in a few megabytes of gzip and in less than one of brotli") {
    constexpr std::size_t ten_gigabytes = 10'000'000'000;
    for (auto const& [b, limit] :
         {std::pair(test::gzip_bomb(), 11'000'000u), std::pair(test::brotli_bomb(), 1'000'000u)}) {
        auto const size = b.begin.size() + b.again.size() * (ten_gigabytes / b.zeros_each);
        CHECK(size < limit);
        support::figure("hostile_bomb_bytes_for_10_gb", static_cast<double>(size));
        std::printf("hostile bomb: 10 GB from %zu bytes\n", size);
    }
}
