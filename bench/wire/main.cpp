// CPU of one call over TLS 1.3 with keep-alive and 64 channels: the engine with everything on, a bare epoll and OpenSSL loop, and a
// textbook Beast coroutine, interleaved. The server has one core, the client the other.
// The engine twice: awaited on its own executor, and crossing the border between callers and shards.
//   wire_bench [ROUNDS [CALLS [ours|bare|beast|crossing [KIB]]]]     one alone is for a profiler
// A line per size: "wire SIZE ours_us bare_us beast_us ours/bare ours/beast crossing_us crossing-ours_us", medians; of ratios and
// differences those of each round, as the machine may be twice as fast in the next one.
#include "server_process.hpp"

#include "support/figure.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

using namespace jirapool::bench;

int main(int argc, char** argv) {
    std::size_t const rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 15;
    std::size_t const calls = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 20'000;

    std::string const only = argc > 3 ? argv[3] : "";
    std::size_t const only_kib = argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 0;

    server_process const server(0);
    struct contender {
        char const* name;
        double (*run)(task const&);
    };
    constexpr std::array<contender, 4> contenders = {
        {{"ours", run_ours}, {"bare", run_bare}, {"beast", run_beast}, {"crossing", run_ours_crossing}}};
    bool failed = false;
    for (std::size_t const kib : {1u, 8u, 100u}) {
        if (only_kib != 0 && kib != only_kib) continue;
        std::array<std::vector<double>, contenders.size()> took;
        task t;
        t.port = server.port();
        t.ca_file = server.ca_file();
        t.body = kib * 1024;
        t.calls = kib == 100 ? calls / 4 : calls;
        t.warm_up = 2000;
        for (std::size_t round = 0; round < rounds; ++round)
            for (std::size_t i = 0; i < contenders.size(); ++i) {
                // Who goes first changes, so that what the machine does meanwhile hits all alike.
                auto const which = (i + round) % contenders.size();
                if (!only.empty() && only != contenders[which].name) {
                    took[which].push_back(0);
                    continue;
                }
                auto const us = measure(contenders[which].run, t);
                failed = failed || us < 0;
                took[which].push_back(us);
            }
        auto const ours = median(took[0]);
        auto const bare = median(took[1]);
        auto const beast = median(took[2]);
        auto const crossing = median(took[3]);
        std::vector<double> of_bare, of_beast, saved;
        for (std::size_t i = 0; i < rounds; ++i) {
            of_bare.push_back(took[0][i] / took[1][i]);
            of_beast.push_back(took[0][i] / took[2][i]);
            saved.push_back(took[3][i] - took[0][i]);
        }
        auto const to_bare = median(std::move(of_bare));
        auto const to_beast = median(std::move(of_beast));
        auto const not_crossed = median(std::move(saved));
        std::printf("wire %zu %.1f %.1f %.1f %.2f %.2f %.1f %.2f\n", kib, ours, bare, beast, to_bare, to_beast,
                    crossing, not_crossed);
        auto const figure = [kib](char const* name, double value) {
            jirapool::support::figure("bench_" + std::to_string(kib) + "k_" + name, value);
        };
        figure("ours_us", ours);
        figure("bare_us", bare);
        figure("beast_us", beast);
        figure("ours_of_bare", to_bare);
        figure("ours_of_beast", to_beast);
        figure("saved_on_the_shard_us", not_crossed);
        std::fflush(stdout);
    }
    return failed ? 1 : 0;
}
