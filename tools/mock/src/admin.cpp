#include "admin.hpp"

#include "text.hpp"

#include <jirapool/mock/params.hpp>
#include <jirapool/mock/stats.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {
namespace {

using std::chrono::milliseconds;
using namespace std::string_view_literals;

void append_buckets(app const& a, std::string& out) {
    auto const& sites = a.world().sites();
    out = "[";
    for (bucket_stats const& b : a.buckets()) {
        fmt::format_to(
            std::back_inserter(out),
            R"({}{{"site":"{}","route":"{}","rate":{},"admitted":{},"refused":{},"span_s":{},"permitted":{}}})",
            out.size() > 1 ? ",\n" : "", sites[b.site].host, b.route, b.rate, b.admitted, b.refused,
            std::chrono::duration<double>(b.span).count(), b.permitted);
    }
    out += "]\n";
}

void append_connections(app const& a, std::string& out) {
    auto const& infos = a.world().connections();
    stats const s = a.snapshot();
    out = "[";
    for (std::size_t i = 0; i < infos.size(); ++i) {
        connection_stats const& c = s.connections[i];
        fmt::format_to(std::back_inserter(out),
                       R"({}{{"id":"{}","requests":{},"limited":{},"refreshes":{},"exchanges":{},"in_flight":{},)"
                       R"("max_in_flight":{}}})",
                       out.size() > 1 ? ",\n" : "", infos[i].id, c.requests, c.limited, c.refreshes, c.exchanges,
                       c.in_flight, c.max_in_flight);
    }
    out += "]\n";
}

/// Nullptr, or what is wrong with the names: a fault that is misspelled, or told twice, would go unnoticed.
char const* why_bad_names(std::string_view query) {
    std::array names = {"latency_ms"sv, "latency_jitter_ms"sv, "token_latency_ms"sv,
                        "error_rate"sv, "token_error_rate"sv,  "close_rate"sv};
    while (!query.empty()) {
        auto const field = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), field.size() + 1));
        auto const name = percent_decode(field.substr(0, field.find('=')), true);
        auto const known = std::find(names.begin(), names.end(), name);
        if (name.empty() || known == names.end()) return "no fault has this name, or it was given before";
        *known = {};
    }
    return nullptr;
}

void change_faults(app& a, std::string_view query, reply& out) {
    faults f = a.settings().get_faults();
    bool ok = true;
    auto const number = [&](std::string_view name) -> std::optional<double> {
        auto const text = form_field(query, name);
        if (!text) return std::nullopt;
        char* end = nullptr;
        double const value = std::strtod(text->c_str(), &end);
        // A wait that overflows milliseconds is as wrong as a word; NaN fails the comparison too.
        ok = ok && !text->empty() && *end == '\0' && value >= 0 && value <= 1e9;
        return ok ? std::optional(value) : std::nullopt;
    };
    auto const wait = [&](std::string_view name, milliseconds& to) {
        if (auto const n = number(name)) to = milliseconds{static_cast<milliseconds::rep>(*n)};
    };
    auto const rate = [&](std::string_view name, double& to) {
        if (auto const n = number(name)) to = *n;
    };
    wait("latency_ms", f.latency);
    wait("latency_jitter_ms", f.latency_jitter);
    wait("token_latency_ms", f.token_latency);
    rate("error_rate", f.error_rate);
    rate("token_error_rate", f.token_error_rate);
    rate("close_rate", f.close_rate);
    char const* problem = why_bad_names(query);
    if (!problem) problem = ok ? why_invalid(f) : "not a number";
    if (problem) {
        out.status = 400;
        out.content_type = "text/plain";
        out.body = fmt::format("{}\n", problem);
        return;
    }
    a.settings().set_faults(f);
    out.status = 204;
}

}  // namespace

reply answer_admin(app& a, std::string_view head) {
    std::string_view const line = head.substr(0, head.find("\r\n"));
    std::string_view const request = line.substr(0, line.rfind(' '));
    reply out;
    out.content_type = "application/json";
    if (request == "GET /stats") {
        out.body = to_json(a.snapshot());
    } else if (request == "GET /buckets") {
        append_buckets(a, out.body);
    } else if (request == "GET /connections") {
        append_connections(a, out.body);
    } else if (request == "POST /reset") {
        a.reset_stats();
        out.status = 204;
    } else if (request.starts_with("POST /faults?")) {
        change_faults(a, request.substr(request.find('?') + 1), out);
    } else {
        out.status = 404;
        out.content_type = "text/plain";
        out.body = "GET /stats, GET /buckets, GET /connections, POST /reset, POST /faults?latency_ms=100\n";
    }
    return out;
}

}  // namespace jirapool::mock
