// A service that Prometheus scrapes: metrics [ADDRESS] serves at ADDRESS (127.0.0.1:9464) until SIGINT or SIGTERM.
#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/listener.hpp>
#include <jirapool/pool/client.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <iostream>

namespace asio = boost::asio;
using namespace std::chrono_literals;

int main(int argc, char** argv) {
    asio::io_context io;
    jirapool::client_params params;
    params.user_agent = "acme-sync/1.2 (+ops@acme.example)";
    params.executor_is_serial = true;  // one thread runs io
    jirapool::client jira(io, std::move(params));

    // A program with an exposer of its own registers the collector there and needs no listener.
    auto const numbers = std::make_shared<jirapool::metrics::collector>(jira.overview());
    auto const listener = jirapool::metrics::listener::open(argc > 1 ? argv[1] : "127.0.0.1:9464", numbers);
    if (!listener) {
        std::cerr << listener.error().describe() << '\n';
        return 1;
    }
    std::cout << "metrics at " << (*listener)->url() << std::endl;

    // … jira.add(…), calls …

    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](boost::system::error_code, int) { jira.async_drain(5s, [](bool) {}); });
    io.run();
    std::cout << "ended" << std::endl;
}
