// The whole engine: limits enforced and learned, fair queue, pool, deadlines, strict parsing, counters; 64 sites, a call of each.
#include "bench.hpp"

#include <jirapool/pool/client.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdio>
#include <stdexcept>
#include <vector>

namespace jirapool::bench {

namespace {

namespace asio = boost::asio;

struct progress {
    std::size_t done = 0;
    double begun = 0;
    double ended = 0;
    std::string failed = {};
};

double edge(task const& t) {
    if (t.at_edge != nullptr) t.at_edge();
    return cpu_seconds();
}

/// `direct`: on the shard's own executor the road runs in the caller's coroutine; else it crosses the border, as from elsewhere.
asio::awaitable<void> call_and_call(connection c, task t, bool direct, progress* p, client* jira) {
    auto const target = "/rest/api/3/myself?bytes=" + std::to_string(t.body);
    while (p->done < t.warm_up + t.calls && p->failed.empty()) {
        auto myself = request::get(target);
        result<response> r = failure();
        if (direct) r = co_await c.call(std::move(myself));
        else r = co_await c.async_call(std::move(myself), asio::use_awaitable);
        if (!r) p->failed = r.error().describe();
        else if (r->status() != 200 || r->body().size() != t.body) p->failed = "ours: answer";
        if (++p->done == t.warm_up) p->begun = edge(t);
        if (p->done == t.warm_up + t.calls) p->ended = edge(t);
    }
    jira->stop();
}

double run(task const& t, bool direct) {
    asio::io_context io(1);
    client_params params;
    params.user_agent = "bench/1";
    params.tls.ca_file = t.ca_file;
    params.connect_to.push_back({"", "127.0.0.1", t.port});
    params.wire.http = t.http;
    if (!t.limits) params.limits.mode = limiting::off;
    params.pool.max_channels = t.max_channels;
    params.pool.max_dialing = t.max_channels;
    params.executor_is_serial = true;
    client jira(io, params);
    progress p;
    std::vector<connection> sites;
    for (int i = 0; i < channels; ++i)
        sites.push_back(jira.add("c" + std::to_string(i),
                                 service_api_token(cloud_id(i), secret("0123456789abcdef0123456789abcdef")))
                            .value());
    for (std::size_t i = 0; i < t.at_once; ++i) {
        asio::co_spawn(io, call_and_call(sites[i % sites.size()], t, direct, &p, &jira), [&p](std::exception_ptr e) {
            if (e) p.failed = "ours: exception";
        });
    }
    io.run();
    // A call that was in flight when the last one ended is told that the client stops.
    if (p.ended == 0) throw std::runtime_error(p.failed);
    return p.ended - p.begun;
}

}  // namespace

std::string cloud_id(int n) {
    char text[40];
    std::snprintf(text, sizeof text, "11111111-2222-3333-4444-%012d", n);
    return text;
}

double run_ours(task const& t) { return run(t, true); }
double run_ours_crossing(task const& t) { return run(t, false); }

}  // namespace jirapool::bench
