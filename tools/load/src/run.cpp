#include "run.hpp"

#include <jirapool/core/client_totals.hpp>
#include "pacer.hpp"
#include "progress.hpp"
#include "recorder.hpp"
#include "schedule.hpp"
#include "summary.hpp"

#include <jirapool/metrics/collector.hpp>
#include <jirapool/metrics/listener.hpp>
#include <jirapool/metrics/overview_pages.hpp>
#include <jirapool/pool/connections_watch.hpp>
#include <jirapool/pool/runtime.hpp>
#include <jirapool/tools/http_get.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/secrets.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

namespace jirapool::load {
namespace {

using namespace std::chrono_literals;

constexpr int interrupted_status = 130;

std::chrono::milliseconds to_ms(double seconds) {
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

/// SIGINT and SIGTERM, and SIGHUP where it says to read again, taken when asked for. Made before any thread, which inherit that the
/// signals are blocked.
class stop_signals {
public:
    explicit stop_signals(bool reread) {
        ::sigemptyset(&set_);
        ::sigaddset(&set_, SIGINT);
        ::sigaddset(&set_, SIGTERM);
        if (reread) ::sigaddset(&set_, SIGHUP);
        ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    }
    /// Whether one came that says to stop, after at most so long.
    bool wait(std::chrono::milliseconds time) {
        timespec const limit{static_cast<time_t>(time.count() / 1000),
                             static_cast<long>(time.count() % 1000 * 1'000'000)};
        auto const came = ::sigtimedwait(&set_, nullptr, &limit);
        if (came != SIGHUP) return came > 0;
        if (on_reread) on_reread();
        return false;
    }

    std::function<void()> on_reread;

private:
    sigset_t set_{};
};

/// Whether an event says that something does not work. A pause at a limit is part of a load test, and what is well again is no trouble.
bool is_trouble(event::kind k) noexcept { return severity_of(k) != event::severity::info; }

/// The library's rare events, counted; filled on the shards' threads. The first of each kind that are trouble are news, to be
/// told while the run goes on: what a person must mend is the same in the first second as in the summary.
class event_log {
public:
    void add(event const& e) {
        auto const& of = e.connection.empty() ? e.scope : e.connection;
        auto text = of.empty() || e.detail.empty() ? of + e.detail : of + ": " + e.detail;
        std::lock_guard const lock(mutex_);
        auto const name = to_string(e.what);
        ++counts_[name];
        examples_.try_emplace(name, text);
        if (!is_trouble(e.what)) return;
        auto& told = told_[name];
        if (told.size() > max_told || !told.insert(text).second) return;
        if (told.size() > max_told) text = "more of them, see the summary";
        news_.push_back(fmt::format("{}: {}", name, text));
    }
    void tell(std::string news) {
        std::lock_guard const lock(mutex_);
        news_.push_back(std::move(news));
    }
    std::vector<std::string> take_news() {
        std::lock_guard const lock(mutex_);
        return std::exchange(news_, {});
    }
    void report(summary& s) const {
        std::lock_guard const lock(mutex_);
        s.events = counts_;
        s.event_examples = examples_;
    }

private:
    static constexpr std::size_t max_told = 5;

    std::mutex mutable mutex_;
    std::map<std::string, std::uint64_t> counts_;
    std::map<std::string, std::string> examples_;
    std::map<std::string, std::set<std::string>> told_;
    std::vector<std::string> news_;
};

double cpu_seconds() noexcept {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    auto const seconds = [](timeval const& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// One line that is rewritten on a terminal, else one line a second.
class progress_line {
public:
    explicit progress_line(bool quiet) noexcept : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}
    void show(std::string const& text) {
        if (quiet_) return;
        tools::tell(fmt::format("{}{}{}", terminal_ ? "\r" : "", text, terminal_ ? "\x1b[K" : "\n"));
        open_ = terminal_;
    }
    /// What is printed next starts on a line of its own.
    void end() {
        if (open_) tools::tell("\n");
        open_ = false;
    }

private:
    bool quiet_;
    bool terminal_;
    bool open_ = false;
};

client_params params_of(options const& o, event_log& events) {
    client_params p;
    p.user_agent = "jirapool-load/" JIRAPOOL_VERSION;
    p.connect_to = o.connect_to;
    p.tls.ca_file = o.ca_file;
    p.wire.http = o.http == "2" ? http_versions::http2 : o.http == "1.1" ? http_versions::http1 : http_versions::either;
    p.on_event = [&events](event const& e) { events.add(e); };
    return p;
}

/// A line of our own on standard error.
template <class... Parts>
void say(fmt::format_string<Parts...> form, Parts&&... parts) {
    tools::tell("jirapool-load: " + fmt::format(form, std::forward<Parts>(parts)...) + "\n");
}

/// Empty when the file is not fit to be used; says why.
std::vector<connection_config> read_connections(std::string const& path) {
    auto [report, warning] = tools::load_guarded(path);
    if (!warning.empty()) say("WARNING: {}", warning);
    if (!report) {
        say("{}: {}", tools::printable(path), report.error().describe());
        return {};
    }
    constexpr std::size_t shown = 10;
    for (std::size_t i = 0; i < report->problems.size() && i < shown; ++i) say("{}", report->problems[i].describe());
    if (auto const bad = report->total - report->connections.size(); bad != 0) {
        say("{} of {} connections are bad; `jirapool check` lists all", bad, report->total);
        return {};
    }
    if (report->connections.empty()) say("{}: no connections", tools::printable(path));
    return std::move(report->connections);
}

run_plan plan_of(options const& o, std::vector<connection_config> const& configs) {
    run_plan p;
    for (auto const& c : configs) ++p.connections[static_cast<std::size_t>(c.kind())];
    p.rate = o.rate;
    p.duration_s = o.duration_s;
    p.timeout_s = o.timeout_s;
    p.threads = o.threads;
    p.max_in_flight = o.max_in_flight;
    p.issues = o.issues;
    p.seed = o.seed;
    p.mix_text = o.mix_text;
    return p;
}

/// One run, from connections to summary.
class load_run {
public:
    load_run(options const& o, stop_signals& signals) : o_(o), signals_(signals), line_(o.quiet) {}

    int go() {
        auto configs = read_connections(o_.connections_file);
        if (configs.empty() || !can_report()) return 2;
        summary_.plan = plan_of(o_, configs);
        runtime_.emplace(o_.threads, params_of(o_, events_));
        if (!serve_metrics()) return 2;
        if (!(o_.follow ? follow() : add(std::move(configs)))) return 2;
        auto all = runtime_->list();
        std::vector<std::string> ids;
        for (auto const& c : all) ids.push_back(c.id());
        results_.name_connections(std::move(ids));
        warm_up();
        if (!summary_.interrupted) offer_load(std::move(all));
        runtime_->stop();
        take_mock_stats();
        tell_news();
        events_.report(summary_);
        summary_.examples = results_.examples();
        take_failing(summary_, results_.failing());
        line_.end();
        return report();
    }

private:
    /// What the summary needs is there before the run, or says why not.
    bool can_report() {
        if (!o_.json_file.empty() && !json_.open(o_.json_file)) {
            say("--json: cannot write {}: {}", tools::printable(o_.json_file), std::strerror(errno));
            return false;
        }
        tools::output_file text;
        if (o_.json_file != "-" && !text.open("-")) {
            say("cannot write to standard output: {}", std::strerror(errno));
            return false;
        }
        if (!o_.mock_stats) return true;
        take_mock_stats();
        if (!summary_.mock) say("--mock-stats: {}", tools::printable(summary_.mock_problem));
        return summary_.mock.has_value();
    }

    bool add(std::vector<connection_config> configs) {
        for (auto& c : configs) {
            if (auto const added = runtime_->add(std::move(c)); !added) {
                say("{}", added.error().describe());
                return false;
            }
        }
        return true;
    }

    /// As a service does it: the file is read, and read again when it changes.
    bool follow() {
        watch_params p;
        p.on_reload = [this](reload_report const& r) {
            events_.tell(fmt::format("{}: {}", o_.connections_file, r.describe()));
        };
        watch_ = std::make_unique<connections_watch>(*runtime_, o_.connections_file, std::move(p));
        signals_.on_reread = [this] { watch_->reload(); };
        if (watch_->wait_for_first(60s) && watch_->last()->problems.empty() && runtime_->size() != 0) return true;
        say("{}: cannot be followed{}", tools::printable(o_.connections_file),
            watch_->last() ? ": " + tools::printable(watch_->last()->describe()) : "");
        return false;
    }

    void tell_news() {
        for (auto const& news : events_.take_news()) {
            line_.end();
            say("{}", tools::printable(news));
        }
    }

    bool serve_metrics() {
        if (o_.metrics_address.empty()) return true;
        auto const view = runtime_->overview();
        auto opened = metrics::listener::open(o_.metrics_address,
                                              {metrics::metrics_page(std::make_shared<metrics::collector>(view)),
                                               metrics::connections_page(view), metrics::sites_page(view)},
                                              {o_.metrics_token_file});
        if (!opened) {
            auto const why = opened.error();
            say("--metrics{}: {}", why.field() == "bearer_token_file" ? "-token-file" : "", why.describe());
            return false;
        }
        metrics_ = std::move(*opened);
        tools::tell(fmt::format("metrics at {}\n", metrics_->url()));
        return true;
    }

    client_totals counters() const { return runtime_->totals(); }

    static std::uint64_t refreshes_ok(client_totals const& c) noexcept {
        return c.token_refreshes[static_cast<std::size_t>(refresh_result::ok)];
    }

    /// Channels that are being dialled or serve a call, here one of the library's own.
    std::uint64_t busy_channels() const {
        auto const t = runtime_->totals();
        return t.channels_dialing + t.channels_active;
    }

    std::uint64_t credentials_refused() const { return runtime_->totals().credentials_refused; }

    /// Until each OAuth credential has its first token or is refused for good, and then until the start-up's other traffic has
    /// ended as well.
    void warm_up() {
        auto const wanted = summary_.plan.connections[static_cast<std::size_t>(connection_kind::service_oauth)];
        auto const began = load_clock::now();
        auto const limit = began + to_ms(o_.warm_up_s);
        auto shown = began;
        std::uint64_t have = 0;
        std::uint64_t refused = 0;
        while (have = refreshes_ok(counters()), refused = credentials_refused(),
               have + refused < wanted || busy_channels() != 0) {
            tell_news();
            auto const now = load_clock::now();
            if (now >= limit) {
                line_.end();
                say("after {} s {} of {} OAuth credentials have a token; starting anyway", o_.warm_up_s, have, wanted);
                break;
            }
            if (now - shown >= 1s) {
                shown = now;
                line_.show(fmt::format("warming up: {} of {} OAuth credentials have a token", have, wanted));
            }
            if (signals_.wait(2ms)) {
                summary_.interrupted = true;
                break;
            }
        }
        tell_news();
        if (refused != 0) {
            line_.end();
            say("{} of {} OAuth credentials are refused; starting with what works", refused, wanted);
        }
        summary_.warm_up_s = std::chrono::duration<double>(load_clock::now() - began).count();
        summary_.warm_up_refreshes = have;
    }

    void offer_load(std::vector<connection> all) {
        schedule plan(o_.rate, o_.duration_s, *o_.what, all.size(), o_.issues, o_.seed);
        start_ = counters();
        auto const cpu_at_start = cpu_seconds();
        pacer p(std::move(plan), std::move(all), {to_ms(o_.timeout_s), o_.max_in_flight}, results_);
        shown_at_ = p.began();
        show_next_ = shown_at_ + 1s;

        while (!p.ended() && !summary_.interrupted) tick(p);
        p.stop();
        finish_calls(p);
        summary_.client = counters() - start_;
        summary_.cpu_s = cpu_seconds() - cpu_at_start;

        summary_.planned = p.planned();
        summary_.sent = p.sent();
        summary_.unsent = p.unsent();
        // A run that was not cut short lasted as long as was asked, though its last call began a little earlier.
        summary_.elapsed = summary_.interrupted ? p.elapsed() : std::max(p.elapsed(), whole_time());
        summary_.lateness = figures_of(p.lateness());
        summary_.generator_cpu_s = p.cpu_seconds();
        take_records(summary_, *results_.total());
    }

    std::chrono::nanoseconds whole_time() const {
        return std::chrono::round<std::chrono::nanoseconds>(std::chrono::duration<double>(o_.duration_s));
    }

    /// Waits a little, for a signal too, and prints what is due.
    void tick(pacer const& p) {
        if (signals_.wait(20ms)) summary_.interrupted = true;
        tell_news();
        auto const now = load_clock::now();
        if (now < show_next_) return;
        while (show_next_ <= now) show_next_ += 1s;
        show_progress(p, now);
    }

    void show_progress(pacer const& p, load_clock::time_point now) {
        if (o_.quiet) return;
        auto const total = results_.total();
        std::uint64_t failed = 0;
        operation_record all;
        for (std::size_t i = 0; i < operation_count; ++i) all.add(total->of(static_cast<operation>(i)));
        for (std::size_t status = 0; status < operation_record::status_limit; ++status)
            if (status < 200 || status >= 300) failed += all.answered(static_cast<int>(status));
        for (std::size_t value = 0; value < operation_record::errc_limit; ++value)
            if (value != static_cast<std::size_t>(errc::stopped)) failed += all.ended_with(value);
        auto const so_far = counters() - start_;
        progress line;
        line.elapsed = now - p.began();
        line.rate = static_cast<double>(p.sent() - shown_sent_) /
                    std::chrono::duration<double>(now - shown_at_).count();
        line.in_flight = p.in_flight();
        line.p50 = all.response_times().percentile(0.5);
        line.p99 = all.response_times().percentile(0.99);
        line.failed = failed;
        line.unsent = p.unsent();
        line.answered_429 = so_far.answered_429;
        line.token_refreshes = refreshes_ok(so_far);
        line_.show(to_text(line));
        shown_at_ = now;
        shown_sent_ = p.sent();
    }

    /// Until no call is under way: as long as they take, or up to 1 s after an interruption; then they are cut off.
    void finish_calls(pacer const& p) {
        auto const patience = summary_.interrupted ? 1000ms : to_ms(o_.timeout_s) + 5s;
        auto limit = load_clock::now() + patience;
        bool was_interrupted = summary_.interrupted;
        while (p.in_flight() != 0 && load_clock::now() < limit) {
            if (was_interrupted) {
                if (signals_.wait(10ms)) break;  // twice: at once
                continue;
            }
            tick(p);
            if (summary_.interrupted) {
                was_interrupted = true;
                limit = load_clock::now() + 1000ms;
            }
        }
        if (p.in_flight() == 0) return;
        runtime_->stop();
        limit = load_clock::now() + 500ms;
        while (p.in_flight() != 0 && load_clock::now() < limit) signals_.wait(5ms);
    }

    void take_mock_stats() {
        if (!o_.mock_stats) return;
        summary_.mock.reset();
        auto const body = tools::http_get(*o_.mock_stats, "/stats", summary_.interrupted ? 200ms : 3000ms);
        if (!body) {
            summary_.mock_problem = body.error().describe();
            return;
        }
        auto view = parse_mock_stats(*body);
        if (view) summary_.mock = *view;
        else summary_.mock_problem = view.error().describe();
    }

    int report() {
        auto text = to_text(summary_);
        bool fine = o_.allow_failures || (summary_.all.failed == 0 && summary_.unsent == 0 && summary_.cut_off == 0);
        if (o_.mock_stats && !summary_.mock) fine = false;
        auto const numbers = flatten(summary_);
        for (auto const& t : o_.required) {
            auto const value = t.value_in(numbers);
            bool const met = t.is_met(numbers);
            text += fmt::format("required      {}: {} ({})\n", t.text(), met ? "met" : "NOT MET",
                                value ? fmt::format("{:.6g}", *value) : "no such number");
            fine = fine && met;
        }
        bool written = true;
        if (o_.json_file == "-") tools::tell(text);
        else written = tools::print("jirapool-load", text);
        if (!o_.json_file.empty() && !json_.write(to_json(summary_))) {
            say("--json: cannot write {}: {}", tools::printable(o_.json_file), std::strerror(errno));
            written = false;
        }
        if (!written) return 2;
        if (summary_.interrupted) return interrupted_status;
        return fine ? 0 : 1;
    }

    options const& o_;
    stop_signals& signals_;
    progress_line line_;
    summary summary_;
    client_totals start_;
    load_clock::time_point shown_at_;
    load_clock::time_point show_next_;
    std::uint64_t shown_sent_ = 0;
    tools::output_file json_;
    // In this order: the runtime's threads use the two before it until it is gone.
    event_log events_;
    recorders results_;
    std::optional<runtime> runtime_;
    std::unique_ptr<metrics::listener> metrics_;
    std::unique_ptr<connections_watch> watch_;
};

}  // namespace

int run(options const& o) {
    stop_signals signals(o.follow);
    load_run one(o, signals);
    return one.go();
}

}  // namespace jirapool::load
