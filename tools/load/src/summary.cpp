#include "summary.hpp"

#include <jirapool/tools/json_writer.hpp>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::load {
namespace {

double milliseconds(std::chrono::nanoseconds d) noexcept {
    return std::chrono::duration<double, std::milli>(d).count();
}

double ratio(std::uint64_t part, double whole) noexcept { return whole > 0 ? static_cast<double>(part) / whole : 0; }

double share(std::uint64_t part, std::uint64_t whole) noexcept { return ratio(part, static_cast<double>(whole)); }

std::uint64_t class_count(call_figures const& c, int from, int to) {
    std::uint64_t n = 0;
    for (auto const& [status, count] : c.statuses)
        if (status >= from && status < to && status != 429) n += count;
    return n;
}

// One description of what there is, for two forms of it.
class json_sink {
public:
    void open(std::string_view name) { writer_.key(name).begin_object(); }
    void close() { writer_.end_object(); }
    template <class T>
    void put(std::string_view name, T const& value) {
        writer_.member(name, value);
    }
    void put_null(std::string_view name) { writer_.key(name).null(); }
    void begin() { writer_.begin_object(); }
    std::string take() {
        writer_.end_object();
        return writer_.take();
    }

private:
    tools::json_writer writer_;
};

class flat_sink {
public:
    void open(std::string_view name) {
        path_.emplace_back(path_.empty() ? std::string() : path_.back()) += std::string(name) + '.';
    }
    void close() { path_.pop_back(); }
    template <class T>
    void put(std::string_view name, T const& value) {
        if constexpr (std::is_arithmetic_v<T>) {
            out_.emplace((path_.empty() ? std::string() : path_.back()) + std::string(name),
                         static_cast<double>(value));
        }
    }
    void put_null(std::string_view) {}
    flat_summary take() { return std::move(out_); }

private:
    std::vector<std::string> path_;
    flat_summary out_;
};

template <class Sink>
void emit(Sink& out, std::string_view name, time_figures const& t) {
    out.open(name);
    out.put("p50", milliseconds(t.p50));
    out.put("p90", milliseconds(t.p90));
    out.put("p95", milliseconds(t.p95));
    out.put("p99", milliseconds(t.p99));
    out.put("p99_9", milliseconds(t.p99_9));
    out.put("max", milliseconds(t.max));
    out.put("mean", milliseconds(t.mean));
    out.close();
}

template <class Sink>
void emit_outcomes(Sink& out, call_figures const& c) {
    std::uint64_t errors = 0;
    for (auto const& [name, count] : c.errors) errors += count;
    auto const limited = c.statuses.find(429);
    std::pair<std::string_view, std::uint64_t> const classes[] = {
        {"2xx", class_count(c, 200, 300)}, {"3xx", class_count(c, 300, 400)},
        {"4xx", class_count(c, 400, 500)}, {"429", limited == c.statuses.end() ? std::uint64_t{0} : limited->second},
        {"5xx", class_count(c, 500, 600)}, {"errors", errors},
    };
    out.open("outcomes");
    for (auto const& [name, count] : classes) out.put(name, count);
    out.close();
    out.open("share");
    for (auto const& [name, count] : classes) out.put(name, share(count, c.completed));
    out.close();
    out.open("statuses");
    for (auto const& [status, count] : c.statuses) out.put(std::to_string(status), count);
    out.close();
    out.open("errors");
    for (auto const& [what, count] : c.errors) out.put(what, count);
    out.close();
}

template <class Sink>
void emit_times(Sink& out, call_figures const& c) {
    emit(out, "response_ms", c.response_time);
    emit(out, "service_ms", c.service_time);
}

template <class Sink, std::size_t N, class Enumeration>
void emit_by(Sink& out, std::string_view name, std::array<std::uint64_t, N> const& counts, Enumeration) {
    out.open(name);
    for (std::size_t i = 0; i < N; ++i) out.put(to_string(static_cast<Enumeration>(i)), counts[i]);
    out.close();
}

template <class Sink>
void emit_plan(Sink& out, run_plan const& p) {
    out.open("plan");
    emit_by(out, "connections", p.connections, connection_kind{});
    out.put("rate", p.rate);
    out.put("duration_s", p.duration_s);
    out.put("timeout_s", p.timeout_s);
    out.put("threads", p.threads);
    out.put("max_in_flight", p.max_in_flight);
    out.put("issues", p.issues);
    out.put("seed", p.seed);
    out.put("mix", p.mix_text);
    out.close();
}

template <class Sink>
void emit_client(Sink& out, client_totals const& c) {
    out.open("client");
    emit_by(out, "token_refreshes", c.token_refreshes, refresh_result{});
    out.put("token_waits", c.token_waits);
    out.put("token_waits_at_start", c.token_waits_at_start);
    out.put("token_late_rejections", c.token_late_rejections);
    out.put("answers", c.answers);
    out.put("answered_401", c.answered_401);
    out.put("answered_429", c.answered_429);
    out.put("share_429", c.share_429());
    emit_by(out, "limited", c.limited, limit_reason{});
    emit_by(out, "resends", c.resends, resend_reason{});
    out.put("resends_over_budget", c.resends_over_budget);
    out.put("limit_waits", c.limit_waits);
    out.put("limit_queue_full", c.limit_queue_full);
    out.put("limited_past_deadline", c.limited_past_deadline);
    std::uint64_t closed = 0;
    for (auto const n : c.channels_closed) closed += n;
    out.open("channels");
    out.put("opened", c.channels_opened);
    out.put("resumed", c.channels_resumed);
    out.put("closed", closed);
    emit_by(out, "closed_by", c.channels_closed, close_reason{});
    out.put("dial_failures", c.dial_failures);
    out.put("queue_full", c.queue_full);
    out.close();
    out.put("bytes_sent", c.bytes_sent);
    out.put("bytes_received", c.bytes_received);
    out.close();
}

template <class Sink>
void emit_mock(Sink& out, mock_view const& m) {
    out.open("mock");
    out.put("requests", m.requests);
    out.put("answered_401", m.answered_401);
    out.put("answered_429", m.answered_429);
    out.put("share_429", ratio(m.answered_429, static_cast<double>(m.requests)));
    out.put("isolation_violations", m.isolation_violations);
    out.put("sni_mismatches", m.sni_mismatches);
    out.put("injected_errors", m.injected_errors);
    out.put("channels_accepted", m.channels_accepted);
    out.put("handshakes", m.handshakes);
    out.put("handshakes_resumed", m.handshakes_resumed);
    out.put("min_refreshes_per_credential", m.min_refreshes_per_credential);
    out.put("max_refreshes_per_credential", m.max_refreshes_per_credential);
    out.put("max_refreshes_in_flight", m.max_in_flight_per_credential);
    out.put("busy_buckets", m.busy_buckets);
    out.put("permitted", m.permitted);
    out.put("admitted", m.admitted);
    out.put("refused", m.refused);
    out.put("share_used", m.share_used);
    out.put("buckets", m.buckets);
    out.put("all_permitted", m.all_permitted);
    out.put("all_admitted", m.all_admitted);
    out.put("all_refused", m.all_refused);
    out.put("all_share_used", m.all_share_used());
    out.close();
}

template <class Sink>
void emit(Sink& out, summary const& s) {
    out.put("schema", 1);
    out.put("tool", "jirapool-load");
    out.put("version", JIRAPOOL_VERSION);
    out.put("interrupted", s.interrupted);
    emit_plan(out, s.plan);
    out.open("calls");
    out.put("planned", s.planned);
    out.put("sent", s.sent);
    out.put("unsent", s.unsent);
    out.put("completed", s.all.completed);
    out.put("succeeded", s.all.succeeded);
    out.put("failed", s.all.failed);
    out.put("cut_off", s.cut_off);
    out.put("share_succeeded", share(s.all.succeeded, s.all.completed));
    out.put("share_failed", share(s.all.failed, s.all.completed));
    out.put("share_unsent", share(s.unsent, s.planned));
    out.put("share_cut_off", share(s.cut_off, s.sent));
    out.close();
    out.put("elapsed_s", std::chrono::duration<double>(s.elapsed).count());
    out.put("sent_per_s", s.sent_per_s());
    out.put("succeeded_per_s", s.succeeded_per_s());
    emit_outcomes(out, s.all);
    emit_times(out, s.all);
    emit(out, "lateness_ms", s.lateness);
    out.open("routes");
    for (std::size_t i = 0; i < operation_count; ++i) {
        auto const& c = s.operations[i];
        out.open(to_string(static_cast<operation>(i)));
        out.put("completed", c.completed);
        out.put("failed", c.failed);
        out.put("share_failed", share(c.failed, c.completed));
        emit_outcomes(out, c);
        emit_times(out, c);
        out.close();
    }
    out.close();
    out.open("warm_up");
    out.put("seconds", s.warm_up_s);
    out.put("token_refreshes", s.warm_up_refreshes);
    out.close();
    emit_client(out, s.client);
    out.open("cpu");
    out.put("seconds", s.cpu_s);
    out.put("us_per_call", s.all.completed == 0 ? 0 : s.cpu_s * 1e6 / static_cast<double>(s.all.completed));
    out.put("generator_seconds", s.generator_cpu_s);
    out.close();
    if (s.mock) emit_mock(out, *s.mock);
    else out.put_null("mock");
    out.open("failing");
    out.put("count", s.failing_count);
    out.open("connections");
    for (auto const& f : s.failing) out.put(f.id, f.failed);
    out.close();
    out.close();
    out.open("events");
    for (auto const& [what, count] : s.events) out.put(what, count);
    out.close();
}

call_figures figures_of(operation_record const& r) {
    call_figures c;
    for (std::size_t status = 0; status < operation_record::status_limit; ++status) {
        auto const n = r.answered(static_cast<int>(status));
        if (n != 0) c.statuses.emplace(static_cast<int>(status), n);
        (status >= 200 && status < 300 ? c.succeeded : c.failed) += n;
    }
    for (std::size_t value = 0; value < operation_record::errc_limit; ++value) {
        auto const n = r.ended_with(value);
        if (n == 0 || value == static_cast<std::size_t>(errc::stopped)) continue;
        c.errors.emplace(value == 0 ? "other" : to_string(static_cast<errc>(value)), n);
        c.failed += n;
    }
    c.completed = c.succeeded + c.failed;
    c.response_time = figures_of(r.response_times());
    c.service_time = figures_of(r.service_times());
    return c;
}

}  // namespace

time_figures figures_of(latency_histogram const& h) noexcept {
    time_figures t;
    t.p50 = h.percentile(0.5);
    t.p90 = h.percentile(0.9);
    t.p95 = h.percentile(0.95);
    t.p99 = h.percentile(0.99);
    t.p99_9 = h.percentile(0.999);
    t.max = h.max();
    t.mean = h.mean();
    return t;
}

void take_records(summary& s, recorder const& r) {
    operation_record all;
    for (std::size_t i = 0; i < operation_count; ++i) {
        auto const& one = r.of(static_cast<operation>(i));
        all.add(one);
        s.operations[i] = figures_of(one);
    }
    s.all = figures_of(all);
    s.cut_off = s.sent - s.all.completed;
}

void take_failing(summary& s, std::vector<failing_connection> all) {
    std::sort(all.begin(), all.end(),
              [](auto const& a, auto const& b) { return a.failed != b.failed ? a.failed > b.failed : a.id < b.id; });
    s.failing_count = all.size();
    if (all.size() > summary::max_failing_shown)
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(summary::max_failing_shown), all.end());
    s.failing = std::move(all);
}

double summary::sent_per_s() const noexcept { return ratio(sent, std::chrono::duration<double>(elapsed).count()); }

double summary::succeeded_per_s() const noexcept {
    return ratio(all.succeeded, std::chrono::duration<double>(elapsed).count());
}

flat_summary flatten(summary const& s) {
    flat_sink out;
    emit(out, s);
    return out.take();
}

std::string to_json(summary const& s) {
    json_sink out;
    out.begin();
    emit(out, s);
    return out.take();
}

bool was_late(summary const& s) noexcept {
    // Above what a busy machine's scheduler does to a thread now and then.
    return s.lateness.p99 > std::chrono::milliseconds{5};
}

}  // namespace jirapool::load
