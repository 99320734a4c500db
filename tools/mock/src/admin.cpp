#include "admin.hpp"

#include "admin_fields.hpp"
#include "http2_faults.hpp"
#include "text.hpp"

#include <jirapool/mock/http2.hpp>
#include <jirapool/mock/params.hpp>
#include <jirapool/mock/scenes.hpp>
#include <jirapool/mock/stats.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {
namespace {

using std::chrono::milliseconds;

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

char const* to_string(scene_place p) noexcept {
    switch (p) {
    case scene_place::jira: return "jira";
    case scene_place::edge: return "edge";
    case scene_place::token_endpoint: return "token_endpoint";
    }
    return "?";
}

void append_scenes(app& a, std::string& out) {
    auto const playing = a.stage().count_playing();
    out = "[";
    for (scene_info const& s : list_scenes()) {
        fmt::format_to(std::back_inserter(out),
                       R"({}{{"name":"{}","status":{},"where":"{}","imitates":"{}","playing":{}}})",
                       out.size() > 1 ? ",\n" : "", s.name, s.status, to_string(s.where), s.imitates,
                       playing[static_cast<std::size_t>(s.what)]);
    }
    out += "]\n";
}

void append_http2_faults(app& a, std::string& out) {
    auto const playing = a.http2_script().count_playing();
    out = "[";
    for (http2_fault_info const& f : list_http2_faults()) {
        fmt::format_to(std::back_inserter(out), R"({}{{"name":"{}","does":"{}","now":{},"playing":{}}})",
                       out.size() > 1 ? ",\n" : "", f.name, f.does, f.is_of_connection,
                       playing[static_cast<std::size_t>(f.what)]);
    }
    out += "]\n";
}

/// Text for people. `line` without its end.
void say(reply& out, int status, std::string_view line) {
    out.status = status;
    out.content_type = "text/plain";
    out.body = fmt::format("{}\n", line);
}

/// A request that changes something: 204, or 400 with what is wrong with it.
struct change {
    app& a;
    api_port& port;
    outbox& mail;
    std::string_view query;
    std::string_view body;
    instant now;
    reply& out;

    void done() const { out.status = 204; }
    void refuse(std::string_view line) const { say(out, 400, line); }
};

void change_faults(change const& c) {
    admin_fields fields(c.query, {"latency_ms", "latency_jitter_ms", "token_latency_ms", "error_rate",
                                  "token_error_rate", "close_rate"});
    faults f = c.a.settings().get_faults();
    // Far above what why_invalid permits, and below what overflows milliseconds.
    constexpr double most = 1e9;
    auto const wait = [&](std::string_view name, milliseconds& to) {
        if (auto const n = fields.number(name, most)) to = milliseconds{static_cast<milliseconds::rep>(*n)};
    };
    auto const rate = [&](std::string_view name, double& to) {
        if (auto const n = fields.number(name, most)) to = *n;
    };
    wait("latency_ms", f.latency);
    wait("latency_jitter_ms", f.latency_jitter);
    wait("token_latency_ms", f.token_latency);
    rate("error_rate", f.error_rate);
    rate("token_error_rate", f.token_error_rate);
    rate("close_rate", f.close_rate);
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    if (char const* const problem = why_invalid(f)) return c.refuse(problem);
    c.a.settings().set_faults(f);
    c.done();
}

void play_scene(change const& c) {
    admin_fields fields(c.query, {"name", "site", "connection", "times", "seconds"});
    auto const what = find_scene(fields.text("name").value_or(std::string()));
    if (!what) fields.refuse("name", "must be a scene's, as GET /scenes lists them");
    scene_request r;
    r.site = fields.site("site", c.a.world());
    r.connection = fields.connection("connection", c.a.world());
    r.times = fields.whole("times", 1, 1'000'000'000);
    if (auto const s = fields.whole("seconds", 0, 86'400)) r.wait = std::chrono::seconds{*s};
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    r.what = *what;
    if (char const* const problem = c.a.stage().play(r)) return c.refuse(problem);
    c.done();
}

/// The fault that the query names, with its figures.
http2_step read_step(admin_fields& fields) {
    http2_step s;
    auto const what = find_http2_fault(fields.text("name").value_or(std::string()));
    if (!what) fields.refuse("name", "must be a fault's, as GET /http2_faults lists them");
    s.what = what.value_or(http2_fault::refuse);
    if (auto const n = fields.whole("code", 0, http2_error_count - 1)) s.code = static_cast<http2_error>(*n);
    // What is too large for the fault, why_invalid says.
    constexpr std::uint64_t most = 1'000'000'000;
    if (auto const n = fields.whole("count", 0, most)) s.count = static_cast<std::uint32_t>(*n);
    if (auto const n = fields.whole("size", 0, most)) s.size = static_cast<std::uint32_t>(*n);
    if (auto const n = fields.whole("wait_ms", 0, most)) s.wait = milliseconds{*n};
    return s;
}

void play_http2_fault(change const& c) {
    admin_fields fields(c.query, {"name", "code", "count", "size", "wait_ms", "every", "times"});
    http2_fault_request r;
    r.step = read_step(fields);
    r.every = fields.whole("every", 1, 1'000'000'000).value_or(1);
    r.times = fields.whole("times", 1, 1'000'000'000);
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    if (char const* const problem = c.a.http2_script().play(r)) return c.refuse(problem);
    c.done();
}

void play_http2_fault_now(change const& c) {
    admin_fields fields(c.query, {"name", "code", "count", "size", "wait_ms"});
    http2_step const s = read_step(fields);
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    if (char const* const problem = why_unplayable_now(s)) return c.refuse(problem);
    c.port.play_now(s);
    c.done();
}

void change_http2(change const& c) {
    admin_fields fields(c.query,
                        {"max_concurrent_streams", "initial_window", "header_table", "max_frame", "index_headers"});
    http2_settings s = c.a.settings().get_http2();
    auto const whole = [&](std::string_view name, std::uint32_t& to) {
        if (auto const n = fields.whole(name, 0, 0xffff'ffffu)) to = static_cast<std::uint32_t>(*n);
    };
    whole("max_concurrent_streams", s.max_concurrent_streams);
    whole("initial_window", s.initial_window);
    whole("header_table", s.header_table);
    whole("max_frame", s.max_frame);
    if (auto const n = fields.whole("index_headers", 0, 1)) s.index_headers = *n == 1;
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    if (char const* const problem = why_invalid(s)) return c.refuse(problem);
    c.port.set_http2(s);
    c.done();
}

bool has_no_fields(change const& c) {
    admin_fields const fields(c.query, {});
    if (!fields.problem().empty()) c.refuse(fields.problem());
    return fields.problem().empty();
}

void end_scenes(change const& c) {
    if (!has_no_fields(c)) return;
    c.a.stage().end_all();
    c.done();
}

void end_http2_faults(change const& c) {
    if (!has_no_fields(c)) return;
    c.a.http2_script().end_all();
    c.done();
}

/// The connection that the query names, and nothing else with it; nullopt: refused.
std::optional<std::size_t> only_connection(change const& c) {
    admin_fields fields(c.query, {"connection"});
    auto const connection = fields.connection("connection", c.a.world());
    if (!connection) fields.refuse("connection", "must be told");
    if (fields.problem().empty()) return connection;
    c.refuse(fields.problem());
    return std::nullopt;
}

void revoke(change const& c) {
    auto const connection = only_connection(c);
    if (!connection) return;
    c.a.auth().revoke(*connection, c.now);
    c.done();
}

void revoke_tokens(change const& c) {
    auto const connection = only_connection(c);
    if (!connection) return;
    if (c.a.world().connections()[*connection].kind != connection_kind::oauth) {
        return c.refuse("connection: must be an OAuth connection, as no other has access tokens");
    }
    c.a.auth().revoke_tokens(*connection, c.now);
    c.done();
}

// The secret comes in the body: a URL is what logs and process lists show.
void replace_secret(change const& c) {
    auto const connection = only_connection(c);
    if (!connection) return;
    auto const is_visible = [](char ch) { return ch > ' ' && ch <= '~'; };
    if (c.body.empty() || !std::all_of(c.body.begin(), c.body.end(), is_visible)) {
        return c.refuse("body: must be the new secret, visible ASCII characters and no end of line");
    }
    if (c.a.auth().is_of_another(*connection, c.body)) return c.refuse("body: must not be another connection's secret");
    c.a.auth().replace_secret(*connection, std::string(c.body));
    c.done();
}

void change_limits(change const& c) {
    admin_fields fields(c.query, {"site", "burst_scale", "quota_points", "foreign_load"});
    auto const site = fields.site("site", c.a.world());
    auto const scale = fields.number("burst_scale", 1000);
    auto const points = fields.whole("quota_points", 0, 1'000'000'000'000);
    if (!site) fields.refuse("site", "must be told");
    auto const foreign = fields.number("foreign_load", 1);
    if (!scale && !points && !foreign) fields.refuse("burst_scale", "must be told, or quota_points, or foreign_load");
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    // What is not named stays.
    site_limits l = c.a.site(*site).own_limits();
    if (scale) l.burst_scale = scale;
    if (points) l.quota_points = points;
    if (foreign) l.foreign_load = foreign;
    if (char const* const problem = why_invalid(l)) return c.refuse(problem);
    c.a.jira().set_limits(*site, l, c.now);
    c.done();
}

void end_limits(change const& c) {
    admin_fields fields(c.query, {"site"});
    auto const site = fields.site("site", c.a.world());
    if (!site) fields.refuse("site", "must be told");
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    c.a.jira().set_limits(*site, site_limits(), c.now);
    c.done();
}

void begin_deliveries(change const& c) {
    admin_fields fields(c.query, {"site", "port", "events", "issues", "repeats", "disorder", "seed"});
    auto const whole = [&](std::string_view name, std::uint32_t& to) {
        // Far above what why_invalid permits.
        if (auto const n = fields.whole(name, 0, 1'000'000'000)) to = static_cast<std::uint32_t>(*n);
    };
    delivery_request r;
    auto const site = fields.site("site", c.a.world());
    if (!site) fields.refuse("site", "must be told");
    whole("port", r.port);
    whole("events", r.events);
    whole("issues", r.issues);
    whole("disorder", r.disorder);
    r.repeats = fields.number("repeats", 1).value_or(0);
    r.seed = fields.whole("seed", 0, 1'000'000'000'000'000);
    if (!fields.problem().empty()) return c.refuse(fields.problem());
    if (char const* const problem = why_invalid(r)) return c.refuse(problem);
    r.site = *site;
    auto const begun = c.a.deliveries().begin(r, c.a.world().sites()[*site], c.a.site(*site), c.mail, c.now.wall);
    c.out.status = 202;
    c.out.body = to_json(begun);
}

void take_down(change const& c) {
    if (!has_no_fields(c)) return;
    c.port.take_down();
    c.done();
}

void bring_up(change const& c) {
    if (!has_no_fields(c)) return;
    std::string const problem = c.port.bring_up();
    if (!problem.empty()) return say(c.out, 503, problem);
    c.done();
}

struct command {
    /// Method and path.
    std::string_view request;
    void (*run)(change const&);
    /// With an example of its query.
    std::string_view usage;
};
constexpr command commands[] = {
    {"POST /faults", change_faults, "POST /faults?latency_ms=100"},
    {"POST /scene", play_scene, "POST /scene?name=anonymous&site=site-0001.atlassian.net&times=3"},
    {"DELETE /scenes", end_scenes, "DELETE /scenes"},
    {"POST /http2_fault", play_http2_fault, "POST /http2_fault?name=goaway_untouched&every=100"},
    {"POST /http2_fault_now", play_http2_fault_now, "POST /http2_fault_now?name=goaway"},
    {"DELETE /http2_faults", end_http2_faults, "DELETE /http2_faults"},
    {"POST /http2", change_http2, "POST /http2?max_concurrent_streams=1"},
    {"POST /revoke", revoke, "POST /revoke?connection=personal-0001"},
    {"POST /revoke_tokens", revoke_tokens, "POST /revoke_tokens?connection=oauth-0001"},
    {"POST /replace", replace_secret, "POST /replace?connection=personal-0001 with the secret as body"},
    {"POST /limits", change_limits, "POST /limits?site=site-0001.atlassian.net&burst_scale=0.1"},
    {"DELETE /limits", end_limits, "DELETE /limits?site=site-0001.atlassian.net"},
    {"POST /deliver", begin_deliveries,
     "POST /deliver?site=site-0001.atlassian.net&port=8000&events=100&repeats=0.2&disorder=20"},
    {"POST /down", take_down, "POST /down"},
    {"POST /up", bring_up, "POST /up"},
};

std::string usage() {
    std::string text =
        "GET /stats\nGET /buckets\nGET /connections\nGET /scenes\nGET /http2_faults\nGET /deliveries\nPOST /reset";
    for (command const& c : commands) {
        text += '\n';
        text += c.usage;
    }
    return text;
}

}  // namespace

std::optional<std::size_t> admin_body_size(std::string_view head, reply& refusal) {
    std::optional<std::string_view> length;
    while (!head.empty()) {
        std::string_view const line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(std::min(head.size(), line.size() + 2));
        if (starts_with_name(line, "transfer-encoding:")) {
            say(refusal, 411, "body: must come with Content-Length");
            return std::nullopt;
        }
        constexpr std::string_view name = "content-length:";
        if (!starts_with_name(line, name)) continue;
        std::string_view value = line.substr(name.size());
        value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
        value = value.substr(0, value.find_last_not_of(" \t") + 1);
        if (length || !to_number(value)) {
            say(refusal, 400, "Content-Length: must be one whole number");
            return std::nullopt;
        }
        length = value;
    }
    std::uint64_t const size = length ? *to_number(*length) : 0;
    if (size > max_admin_body) {
        say(refusal, 413, fmt::format("body: must be at most {} bytes", max_admin_body));
        return std::nullopt;
    }
    return static_cast<std::size_t>(size);
}

reply answer_admin(app& a, api_port& port, outbox& mail, std::string_view head, std::string_view body, instant now) {
    std::string_view const line = head.substr(0, head.find("\r\n"));
    std::string_view const target = line.substr(0, line.rfind(' '));
    std::string_view const request = target.substr(0, target.find('?'));
    std::string_view const query = target.substr(std::min(target.size(), request.size() + 1));
    reply out;
    out.content_type = "application/json";
    if (target == "GET /stats") {
        out.body = to_json(a.snapshot());
    } else if (target == "GET /buckets") {
        append_buckets(a, out.body);
    } else if (target == "GET /connections") {
        append_connections(a, out.body);
    } else if (target == "GET /scenes") {
        append_scenes(a, out.body);
    } else if (target == "GET /http2_faults") {
        append_http2_faults(a, out.body);
    } else if (target == "GET /deliveries") {
        out.body = to_json(a.deliveries().snapshot());
    } else if (target == "POST /reset") {
        a.reset_stats();
        out.status = 204;
    } else {
        auto const known = std::find_if(std::begin(commands), std::end(commands),
                                        [request](command const& c) { return c.request == request; });
        if (known == std::end(commands)) {
            say(out, 404, usage());
        } else {
            known->run(change{a, port, mail, query, body, now, out});
        }
    }
    return out;
}

}  // namespace jirapool::mock
