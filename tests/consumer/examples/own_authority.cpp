// Behind a proxy that has a certificate authority of its own, or against jirapool-mock:
// own_authority CONNECTIONS CA [ADDRESS PORT] asks each connection of a file who it is, trusting the authorities in the PEM file CA
// in place of the system's. With ADDRESS and PORT all goes there, while names and certificates stay those of the real hosts.
#include <jirapool/core/connections_file.hpp>
#include <jirapool/pool/client.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <charconv>
#include <cstring>
#include <iostream>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

asio::awaitable<int> ask(std::vector<jirapool::connection> all) {
    int failed = 0;
    for (auto const& one : all) {
        auto myself = jirapool::request::get("/rest/api/3/myself").timeout(5s);
        auto const answer = co_await one.call(std::move(myself));
        if (answer) {
            std::cout << one.id() << ": " << answer->status() << '\n';
            continue;
        }
        ++failed;
        auto const why = answer.error();
        std::cerr << why.describe() << '\n';
        // Trying again is of no use then; the rule says what is wrong with which certificate.
        if (why.code() == jirapool::errc::certificate_refused) std::cerr << "Is this the proxy's authority?\n";
    }
    co_return failed;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 3 && argc != 5) {
        std::cerr << "usage: own_authority CONNECTIONS CA [ADDRESS PORT]\n";
        return 2;
    }
    jirapool::client_params params;
    params.user_agent = "acme-sync/1.2 (+ops@acme.example)";
    params.executor_is_serial = true;  // one thread runs io
    params.tls.ca_file = argv[2];
    if (argc == 5) {
        std::uint16_t port = 0;
        std::from_chars(argv[4], argv[4] + std::strlen(argv[4]), port);
        params.connect_to.push_back({"", argv[3], port});  // "": whatever the host
    }

    auto report = jirapool::load_connections(argv[1]);
    if (!report) {
        std::cerr << report.error().describe() << '\n';
        return 1;
    }
    for (auto const& problem : report->problems) std::cerr << problem.describe() << '\n';

    asio::io_context io;
    jirapool::client jira(io, std::move(params));  // throws if the file has no certificate, or a param breaks its rule
    std::vector<jirapool::connection> all;
    for (auto& config : report->connections) {
        auto added = jira.add(std::move(config));
        if (added) all.push_back(*added);
        else std::cerr << added.error().describe() << '\n';
    }
    int failed = 1;
    asio::co_spawn(io, ask(std::move(all)), [&](std::exception_ptr thrown, int count) {
        if (!thrown) failed = count;
        jira.stop();
    });
    io.run();
    return failed == 0 ? 0 : 1;
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
