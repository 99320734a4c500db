#include "registry/registry_thread.hpp"

#include "wait/clock.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

namespace jirapool::detail {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// Each change is a moment's work on a shard, and calls come between two portions.
constexpr std::size_t portion = 16;
constexpr auto between_portions = 2ms;

// How long the end of a watch waits for a file system, which may not answer at all.
constexpr auto patience_at_end = 500ms;

// Each reading parses its file once more for the secrets that providers were asked for; files may change meanwhile.
constexpr int most_rounds = 3;

/// Takes down what is asked for, and gives what providers gave before.
class noting_source final : public secret_source {
public:
    noting_source(secret_source const& system, bool provided, std::set<std::string>& files,
                  secret_round::secrets const& given, std::set<std::string>& missing)
        : system_(system), provided_(provided), files_(files), given_(given), missing_(missing) {}

    result<secret> from_env(std::string const& name) const override { return system_.from_env(name); }
    result<secret> from_file(std::string const& path) const override {
        files_.insert(path);
        return system_.from_file(path);
    }
    result<secret> from_provider(std::string const& name) const override {
        if (!provided_) return system_.from_provider(name);
        auto const found = given_.find(name);
        if (found != given_.end()) {
            if (found->second) return found->second->clone();
            return found->second.error();
        }
        missing_.insert(name);
        return failure(errc::unreadable_file, "names a provider's secret, which was not given in time");
    }

private:
    secret_source const& system_;
    bool const provided_;
    std::set<std::string>& files_;
    secret_round::secrets const& given_;
    std::set<std::string>& missing_;
};

/// Where a file's content changes: in its own directory, and in that of the file that it leads to.
void places_of(std::string const& file, std::set<watched_file>& all) {
    auto const add = [&](fs::path const& p) { all.insert({p.parent_path().string(), p.filename().string()}); };
    std::error_code ec;
    auto const absolute = fs::absolute(file, ec);
    if (ec) return;
    add(absolute);
    if (auto const real = fs::canonical(absolute, ec); !ec) add(real);
}

failure unreadable(std::error_code const& ec) { return {errc::unreadable_file, "must be readable: " + ec.message()}; }

}  // namespace

registry_thread::registry_thread(std::weak_ptr<engine> e, std::string path, watch_params p)
    : engine_(std::move(e)), path_(std::move(path)), params_(std::move(p)), events_(params_.reread_every) {
    std::error_code ec;
    is_directory_ = fs::is_directory(path_, ec);
}

void registry_thread::start() {
    std::lock_guard const lock(mutex_);
    std::thread t([self = shared_from_this()] { self->run(); });
    id_ = t.get_id();
    t.detach();
}

bool registry_thread::stopped() const {
    std::lock_guard const lock(mutex_);
    return stopped_;
}

void registry_thread::run() noexcept {
    while (!stopped() && !client_stopped_) {
        try {
            tell(read_once());
        } catch (std::exception const&) {
            // Memory ran out. The next change, or the next time, tries again.
        }
        if (client_stopped_) break;
        events_.wait();
        settle();
    }
    std::lock_guard const lock(mutex_);
    ended_ = true;
    changed_.notify_all();
}

void registry_thread::settle() {
    auto const& clock = system_clock();
    auto const end = deadline_after(clock.now(), 10 * params_.settle);
    while (!stopped() && events_.wait(params_.settle) && clock.now() < end) {
    }
}

std::vector<std::string> registry_thread::files_to_read(std::vector<registry_problem>& problems) const {
    if (!is_directory_) return {path_};
    std::vector<std::string> files;
    std::error_code ec;
    for (fs::directory_iterator at(path_, ec), end; !ec && at != end; at.increment(ec)) {
        auto const name = at->path().filename().string();
        if (!name.starts_with('.') && name.ends_with(".json")) files.push_back(at->path().string());
    }
    if (ec) problems.push_back({path_, unreadable(ec)});
    std::sort(files.begin(), files.end());
    return files;
}

std::vector<read_file_of_connections> registry_thread::read(std::vector<std::string> const& files,
                                                            secret_round::secrets& given) {
    std::vector<read_file_of_connections> all;
    for (int i = 0; i < most_rounds; ++i) {
        std::set<std::string> missing;
        secret_files_.clear();
        noting_source const source(params_.secrets ? *params_.secrets : system_secrets(), params_.provider != nullptr,
                                   secret_files_, given, missing);
        all.clear();
        for (auto const& f : files) all.push_back({f, load_connections(f, source)});
        auto const e = engine_.lock();
        if (missing.empty() || !e || stopped()) break;
        auto const round = std::make_shared<secret_round>(params_.provider, missing);
        {
            std::lock_guard const lock(mutex_);
            round_ = round;
            if (stopped_) break;
        }
        auto const first = e->shards()->shards.front();
        for (auto& [name, s] : round->ask(first, params_.provider_parallel, params_.provider_timeout))
            given.insert_or_assign(name, std::move(s));
        // Those that were not given are not asked for again.
        for (auto const& name : missing)
            given.try_emplace(name,
                              failure(errc::unreadable_file, "names a provider's secret, which was not given in time"));
    }
    return all;
}

reload_report registry_thread::read_once() {
    reload_report report;
    auto const files = files_to_read(report.problems);
    if (!report.problems.empty()) {
        // The directory cannot be read: what its files said stays.
        report.kept = ledger_.size();
        look_at({});
        return report;
    }
    // What is read was looked at before, so that no change between is missed: the files of secrets as well, which are known behind
    // the first reading.
    std::vector<read_file_of_connections> said;
    secret_round::secrets given;
    std::set<std::string> looked_at;
    int unwatched = 0;
    for (int i = 0; i < most_rounds && (i == 0 || secret_files_ != looked_at); ++i) {
        looked_at = secret_files_;
        unwatched = look_at(files);
        said = read(files, given);
    }
    if (unwatched != 0)
        report.problems.push_back(
            {path_, failure(errc::unreadable_file,
                            "cannot be watched for changes: " + std::generic_category().message(unwatched) +
                                "; it is read again at each watch_params::reread_every")});
    auto plan = ledger_.compare(std::move(said));
    report.unchanged = plan.unchanged;
    report.kept = plan.kept;
    for (auto& p : plan.problems) report.problems.push_back(std::move(p));
    plan.problems.clear();
    carry_out(std::move(plan), report);
    return report;
}

int registry_thread::look_at(std::vector<std::string> const& files) {
    std::set<watched_file> all;
    if (is_directory_) {
        std::error_code ec;
        auto const absolute = fs::absolute(path_, ec).string();
        all.insert({absolute, {}});
        places_of(absolute, all);  // it may be replaced
    }
    for (auto const& f : files) places_of(f, all);
    for (auto const& f : secret_files_) places_of(f, all);
    return events_.look_at(all);
}

void registry_thread::carry_out(registry_ledger::plan plan, reload_report& report) {
    std::size_t done = 0;
    for (auto& s : plan.steps) {
        auto const e = engine_.lock();
        if (!e) client_stopped_ = true;
        if (client_stopped_ || stopped()) break;
        auto const what = s.what;
        if (carry_out(*e, s, report)) {
            switch (what) {
            case registry_step::kind::remove: ++report.removed; break;
            case registry_step::kind::move: ++report.moved; break;
            case registry_step::kind::replace: ++report.replaced; break;
            case registry_step::kind::add: ++report.added; break;
            }
        }
        if (++done % portion != 0) continue;
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, between_portions, [&] { return stopped_; });
    }
    if (client_stopped_) report.problems.push_back({path_, failure(errc::stopped)});
}

bool registry_thread::carry_out(engine& e, registry_step& s, reload_report& report) {
    auto const failed = [&](failure f) {
        if (f.code() == errc::stopped) client_stopped_ = true;
        else report.problems.push_back({s.file, std::move(f)});
        return false;
    };
    switch (s.what) {
    case registry_step::kind::replace: {
        auto done = e.replace(s.config->clone());
        // The program removed it itself: the next reading adds it, if its file still names it.
        if (!done) {
            ledger_.forget(s.id);
            return failed(std::move(done).error());
        }
        ledger_.book(std::move(*s.config), s.file);
        return true;
    }
    case registry_step::kind::remove:
        e.remove(s.id);
        ledger_.forget(s.id);
        return true;
    case registry_step::kind::move:
        e.remove(s.id);
        ledger_.forget(s.id);
        [[fallthrough]];
    case registry_step::kind::add: break;
    }
    auto added = s.config->clone();
    ledger_.book(std::move(*s.config), s.file);
    try {
        auto done = e.add(std::move(added));
        if (done) return true;
        ledger_.forget(s.id);
        return failed(std::move(done).error());
    } catch (std::bad_alloc const&) {
        ledger_.forget(s.id);
        throw;
    }
}

void registry_thread::tell(reload_report report) {
    auto told = report;
    {
        std::lock_guard const lock(mutex_);
        last_ = std::move(report);
        changed_.notify_all();
        if (stopped_ || !params_.on_reload) return;
        telling_ = true;
    }
    try {
        params_.on_reload(told);
    } catch (...) {
        // As for on_event, it is the program's own.
    }
    std::lock_guard const lock(mutex_);
    telling_ = false;
    changed_.notify_all();
}

bool registry_thread::wait_for_first(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    auto const most = std::clamp<std::chrono::milliseconds>(at_most, 0ms, 24h);
    changed_.wait_for(lock, most, [&] { return last_ || stopped_ || ended_; });
    return last_.has_value();
}

std::optional<reload_report> registry_thread::last() const {
    std::lock_guard const lock(mutex_);
    return last_;
}

void registry_thread::stop() noexcept {
    std::unique_lock lock(mutex_);
    stopped_ = true;
    if (round_) round_->cancel();
    changed_.notify_all();
    events_.wake();
    if (std::this_thread::get_id() == id_) return;
    changed_.wait(lock, [&] { return !telling_; });
    changed_.wait_for(lock, patience_at_end, [&] { return ended_; });
}

}  // namespace jirapool::detail
