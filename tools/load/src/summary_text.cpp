#include "progress.hpp"
#include "summary.hpp"

#include <jirapool/tools/text.hpp>

#include <fmt/format.h>

#include <iterator>

namespace jirapool::load {
namespace {

template <class... Parts>
void line(std::string& out, std::string_view name, fmt::format_string<Parts...> form, Parts&&... parts) {
    fmt::format_to(std::back_inserter(out), "{:<14}", name);
    fmt::format_to(std::back_inserter(out), form, std::forward<Parts>(parts)...);
    out += '\n';
}

/// "200: 5, 404: 1"; "none".
template <class Map>
std::string list(Map const& counts) {
    std::string out;
    for (auto const& [what, n] : counts)
        fmt::format_to(std::back_inserter(out), "{}{}: {}", out.empty() ? "" : ", ", what, n);
    return out.empty() ? "none" : out;
}

/// The same for counts by an enumeration; zeros are left out.
template <class Enumeration, std::size_t N>
std::string list_by(std::array<std::uint64_t, N> const& counts) {
    std::map<std::string_view, std::uint64_t> named;
    for (std::size_t i = 0; i < N; ++i)
        if (counts[i] != 0) named.emplace(to_string(static_cast<Enumeration>(i)), counts[i]);
    return list(named);
}

std::string outcomes(call_figures const& c) {
    std::map<std::string_view, std::uint64_t> by_class;
    for (auto const& [status, n] : c.statuses) {
        if (status == 429) by_class["429"] += n;
        else if (status >= 500) by_class["5xx"] += n;
        else if (status >= 400) by_class["4xx"] += n;
        else if (status >= 300) by_class["3xx"] += n;
        else by_class["2xx"] += n;
    }
    for (auto const& [what, n] : c.errors) by_class["errors"] += n;
    return list(by_class);
}

void table(std::string& out, summary const& s, std::string_view title, time_figures call_figures::* times) {
    fmt::format_to(std::back_inserter(out), "{:<14}{:>9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}\n", title, "calls",
                   "failed", "p50", "p90", "p99", "p99.9", "max");
    auto const row = [&](std::string_view name, call_figures const& c) {
        time_figures const& t = c.*times;
        fmt::format_to(std::back_inserter(out), "  {:<12}{:>9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}\n", name,
                       c.completed, c.failed, to_text(t.p50), to_text(t.p90), to_text(t.p99), to_text(t.p99_9),
                       to_text(t.max));
    };
    row("all", s.all);
    for (std::size_t i = 0; i < operation_count; ++i)
        if (s.operations[i].completed != 0) row(to_string(static_cast<operation>(i)), s.operations[i]);
}

void client_lines(std::string& out, summary const& s) {
    client_totals const& c = s.client;
    std::uint64_t closed = 0;
    for (auto const n : c.channels_closed) closed += n;
    using enum refresh_result;
    auto const refreshes = [&](refresh_result r) { return c.token_refreshes[static_cast<std::size_t>(r)]; };
    line(out, "tokens", "{} refreshes ok, {} failed; {} calls waited for a token, {} more for their first",
         refreshes(ok), refreshes(transient) + refreshes(permanent), c.token_waits, c.token_waits_at_start);
    line(out, "answers", "{}; {} were 401, {} were 429 ({:.3f} %: {})", c.answers, c.answered_401, c.answered_429,
         100 * c.share_429(), list_by<limit_reason>(c.limited));
    line(out, "resends", "{}", list_by<resend_reason>(c.resends));
    line(out, "limiter",
         "{} calls waited for a permit, {} would have waited past their deadline, {} found its queue full",
         c.limit_waits, c.limited_past_deadline, c.limit_queue_full);
    line(out, "channels", "{} opened ({} resumed a TLS session), {} closed ({}), {} dials failed", c.channels_opened,
         c.channels_resumed, closed, list_by<close_reason>(c.channels_closed), c.dial_failures);
}

/// Which connections they are that fail: one bad secret looks like a bad site otherwise.
void failing_line(std::string& out, summary const& s, std::uint64_t connections) {
    if (s.failing.empty()) return;
    std::string names;
    for (auto const& f : s.failing)
        fmt::format_to(std::back_inserter(names), "{}{} ({}, first {})", names.empty() ? "" : ", ",
                       tools::printable(f.id), f.failed, f.first);
    if (s.failing_count > s.failing.size())
        fmt::format_to(std::back_inserter(names), " and {} more", s.failing_count - s.failing.size());
    line(out, "  failing", "{} of {} connections: {}", s.failing_count, connections, names);
}

void mock_lines(std::string& out, summary const& s) {
    if (!s.mock_problem.empty()) line(out, "mock", "no figures: {}", tools::printable(s.mock_problem));
    if (!s.mock) return;
    mock_view const& m = *s.mock;
    out += "the mock's view, since it started\n";
    line(out, "  requests", "{}; {} answered 401, {} answered 429", m.requests, m.answered_401, m.answered_429);
    line(out, "  credentials", "{} to {} tokens each, at most {} refresh in flight for one; {} isolation violations",
         m.min_refreshes_per_credential, m.max_refreshes_per_credential, m.max_in_flight_per_credential,
         m.isolation_violations);
    line(out, "  limits", "{} of {:.0f} permitted admitted ({:.1f} %), {} refused, in {} buckets", m.all_admitted,
         m.all_permitted, 100 * m.all_share_used(), m.all_refused, m.buckets);
    if (m.busy_buckets == 0) line(out, "", "no bucket was half used: the load is below the limits");
    else
        line(out, "", "{} of {:.0f} ({:.1f} %), {} refused, in the {} that were half used or more", m.admitted,
             m.permitted, 100 * m.share_used, m.refused, m.busy_buckets);
    line(out, "  channels", "{} accepted, {} handshakes, {} resumed", m.channels_accepted, m.handshakes,
         m.handshakes_resumed);
}

}  // namespace

std::string to_text(summary const& s) {
    std::string out;
    if (s.interrupted) out += "INTERRUPTED: what follows is what had been done\n";
    std::uint64_t connections = 0;
    for (auto const n : s.plan.connections) connections += n;
    auto const elapsed = std::chrono::duration<double>(s.elapsed).count();
    line(out, "run", "{} connections, {} calls/s for {} s, {} {}; {}", connections, s.plan.rate, s.plan.duration_s,
         s.plan.threads, s.plan.threads == 1 ? "shard" : "shards", s.plan.mix_text);
    line(out, "calls", "{} planned, {} sent, {} unsent; {:.1f}/s over {:.2f} s", s.planned, s.sent, s.unsent,
         s.sent_per_s(), elapsed);
    if (s.cut_off != 0) line(out, "", "{} were under way at the end and cut off", s.cut_off);
    line(out, "outcomes", "{} failed ({})", s.all.failed, outcomes(s.all));
    if (s.all.failed != 0) {
        line(out, "  statuses", "{}", list(s.all.statuses));
        line(out, "  errors", "{}", list(s.all.errors));
        for (auto const& [what, example] : s.examples)
            line(out, "  example", "{}: {}", what, tools::printable(example));
        failing_line(out, s, connections);
    }
    table(out, s, "response time", &call_figures::response_time);
    table(out, s, "service time", &call_figures::service_time);
    line(out, "generator", "late by {} at p50, {} at p99, {} at most", to_text(s.lateness.p50), to_text(s.lateness.p99),
         to_text(s.lateness.max));
    if (was_late(s)) out += "  WARNING: that late, the response times above are the generator's as well\n";
    client_lines(out, s);
    line(out, "cpu", "{:.2f} s, {:.0f} us a call; the generator's part is {:.2f} s", s.cpu_s,
         s.all.completed == 0 ? 0.0 : s.cpu_s * 1e6 / static_cast<double>(s.all.completed), s.generator_cpu_s);
    for (auto const& [what, n] : s.events)
        line(out, "event", "{} times {}, first: {}", n, what, tools::printable(s.event_examples.at(what)));
    mock_lines(out, s);
    return out;
}

}  // namespace jirapool::load
