#include "registry/registry_thread.hpp"

#include "wait/clock.hpp"

#include <dirent.h>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>
#include <variant>

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

constexpr auto longest_retry = std::chrono::milliseconds(300s);

// As many as Linux follows on one path.
constexpr int most_links = 40;

/// A pipe or a device may keep its reader waiting for ever, and says nothing the second time.
bool is_special(std::string const& path) {
    std::error_code ec;
    auto const what = fs::status(path, ec).type();
    return what != fs::file_type::regular && what != fs::file_type::directory && what != fs::file_type::not_found &&
           what != fs::file_type::none;
}

failure special_file() { return {errc::unreadable_file, "must be a regular file: it is read again when it changes"}; }

/// Takes down what is asked for, and gives what providers gave before.
class noting_source final : public secret_source {
public:
    noting_source(secret_source const* users, bool provided, std::set<std::string>& files,
                  secret_round::secrets const& given, std::set<std::string>& missing)
        : users_(users), provided_(provided), files_(files), given_(given), missing_(missing) {}

    result<secret> from_env(std::string const& name) const override {
        return told([&] { return source().from_env(name); });
    }
    result<secret> from_file(std::string const& path) const override {
        files_.insert(path);
        if (users_ == nullptr && is_special(path)) return special_file();
        return told([&] { return source().from_file(path); });
    }
    result<secret> from_provider(std::string const& name) const override {
        if (!provided_) return told([&] { return source().from_provider(name); });
        auto const found = given_.find(name);
        if (found != given_.end())
            return told([&]() -> result<secret> {
                if (found->second) return found->second->clone();
                return found->second.error();
            });
        missing_.insert(name);
        return not_given();
    }

    static failure not_given() {
        return {errc::unreadable_file, "names a provider's secret, which was not given in time"};
    }

private:
    secret_source const& source() const { return users_ != nullptr ? *users_ : system_secrets(); }

    /// A source of the program's may throw, and what it throws may quote a secret.
    template <class F>
    static result<secret> told(F&& f) {
        try {
            result<secret> s = f();
            if (s || s.error().code()) return s;
            return failure(errc::unreadable_file, "was not given, without a reason");
        } catch (std::bad_alloc const&) {
            throw;
        } catch (...) {
            return failure(errc::unreadable_file, "was not given: its source threw an exception");
        }
    }

    secret_source const* const users_;
    bool const provided_;
    std::set<std::string>& files_;
    secret_round::secrets const& given_;
    std::set<std::string>& missing_;
};

/** Where it shows that a file changes: its own directory, those above, which may be replaced or not there yet, and those of each link
    that leads to it, as Kubernetes swaps the one in the middle of `/etc/secret/..data/key`. */
void add_places(fs::path const& absolute, std::set<watched_place>& all) {
    std::vector<fs::path> left(absolute.begin(), absolute.end());  // the next one last
    std::reverse(left.begin(), left.end());
    fs::path at;
    std::error_code ec;
    for (int links = 0; !left.empty() && links <= most_links;) {
        auto const next = left.back();
        left.pop_back();
        if (next == "." || next.empty()) continue;
        if (next == ".." || next == "/") {
            at = next == "/" ? next : at.parent_path();
            continue;
        }
        all.insert({left.empty() ? watched_place::kind::name : watched_place::kind::above, at.string(), next.string()});
        auto const target = fs::read_symlink(at / next, ec);
        if (ec) {
            at /= next;
            continue;
        }
        ++links;
        std::vector<fs::path> more(target.begin(), target.end());
        left.insert(left.end(), more.rbegin(), more.rend());
    }
    // Whoever mounts or links it elsewhere writes it there.
    if (fs::is_regular_file(absolute, ec)) all.insert({watched_place::kind::file, absolute.string(), {}});
}

fs::path absolute(std::string const& path) {
    std::error_code ec;
    auto a = fs::absolute(path, ec);
    return ec ? fs::path(path) : a;
}

/// As for on_event, what the function throws is ignored.
void call_safely(std::function<void(reload_report const&)> const& f, reload_report const& r) noexcept {
    try {
        f(r);
    } catch (...) {
        return;
    }
}

failure unreadable(int error) {
    return {errc::unreadable_file, "must be readable: " + std::generic_category().message(error)};
}

/// The names in a directory, or an errno. The standard library's own cannot do without memory.
std::variant<std::vector<std::string>, int> names_in(std::string const& path) {
    std::unique_ptr<DIR, int (*)(DIR*)> const d(::opendir(path.c_str()), &::closedir);
    if (!d) return errno;
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        auto const* const e = ::readdir(d.get());
        if (e == nullptr && errno != 0) return errno;
        if (e == nullptr) return names;
        names.emplace_back(e->d_name);
    }
}

}  // namespace

registry_thread::registry_thread(std::weak_ptr<engine> e, std::string path, watch_params p)
    : engine_(std::move(e)),
      path_(absolute(path).string()),
      params_(std::move(p)),
      is_directory_([&] {
          std::error_code ec;
          return fs::is_directory(path_, ec);
      }()),
      events_(system_clock(), params_.reread_every) {
    // What simdjson learns of the processor by its first use it must not learn without memory.
    (void)parse_connections("[]", system_secrets());
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
    auto const& clock = system_clock();
    auto retry = params_.provider_retry;
    while (!stopped() && !client_stopped_) {
        auto again = steady_time::max();
        try {
            tell(std::make_shared<reload_report const>(read_once()));
            if (!provider_failed_) retry = params_.provider_retry;
            else
                again = deadline_after(clock.now(),
                                       std::exchange(retry, std::max(retry, std::min(2 * retry, longest_retry))));
        } catch (...) {
            // Memory ran out: what is the program's own was caught where it was called.
            again = deadline_after(clock.now(), 1s);
        }
        if (client_stopped_ || stopped()) break;
        if (events_.wait_until(again)) settle();
    }
    std::lock_guard const lock(mutex_);
    ended_ = true;
    changed_.notify_all();
}

void registry_thread::settle() {
    auto const& clock = system_clock();
    auto const end = deadline_after(clock.now(), 10 * params_.settle);
    while (!stopped() && clock.now() < end) {
        bool const changes = events_.wait_until(std::min(end, deadline_after(clock.now(), params_.settle)));
        if (!changes) return;
    }
}

std::vector<std::string> registry_thread::files_to_read(std::vector<registry_problem>& problems) const {
    if (!is_directory_) return {path_};
    auto names = names_in(path_);
    if (auto const* const error = std::get_if<int>(&names)) {
        problems.push_back({path_, unreadable(*error)});
        return {};
    }
    std::vector<std::string> files;
    for (auto const& name : std::get<0>(names))
        if (!name.starts_with('.') && name.ends_with(".json")) files.push_back(path_ + "/" + name);
    std::sort(files.begin(), files.end());
    // As the place is where something is mounted, once it is not.
    if (files.empty() && ledger_.size() != 0)
        problems.push_back({path_,
                            failure(errc::unreadable_file,
                                    "must hold a *.json file: to remove all connections, write one that holds []")});
    return files;
}

std::vector<read_file_of_connections> registry_thread::read(std::vector<std::string> const& files,
                                                            secret_round::secrets& given) {
    std::vector<read_file_of_connections> all;
    for (int i = 0; i < most_rounds; ++i) {
        std::set<std::string> missing;
        secret_files_.clear();
        noting_source const source(params_.secrets.get(), params_.provider != nullptr, secret_files_, given, missing);
        all.clear();
        for (auto const& f : files) {
            if (is_special(f)) all.push_back({f, special_file()});
            else all.push_back({f, load_connections(f, source)});
        }
        std::shared_ptr<shard> first;
        if (auto const e = engine_.lock()) first = e->shards()->shards.front();
        if (missing.empty() || !first || stopped()) break;
        auto const round = std::make_shared<secret_round>(params_.provider, missing);
        {
            std::lock_guard const lock(mutex_);
            round_ = round;
            if (stopped_) break;
        }
        for (auto& [name, s] : round->ask(first, params_.provider_parallel, params_.provider_timeout))
            given.insert_or_assign(name, std::move(s));
        // Those that were not given are not asked for again.
        for (auto const& name : missing) given.try_emplace(name, noting_source::not_given());
    }
    provider_failed_ = std::any_of(given.begin(), given.end(), [](auto const& one) { return !one.second; });
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
    std::set<watched_place> all;
    if (is_directory_) all.insert({watched_place::kind::json, path_, {}});
    add_places(path_, all);
    for (auto const& f : files) add_places(f, all);
    for (auto const& f : secret_files_) add_places(absolute(f), all);
    return events_.look_at(all);
}

void registry_thread::carry_out(registry_ledger::plan plan, reload_report& report) {
    std::size_t done = 0;
    for (auto& s : plan.steps) {
        auto const e = engine_.lock();
        if (!e) client_stopped_ = true;
        if (client_stopped_ || stopped()) break;
        if (carry_out(*e, s, report)) {
            switch (s.what) {
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
    if (s.what == registry_step::kind::replace) {
        auto const held = added_.find(s.id);
        if (held != added_.end() && e.replace(s.config->clone(), &*held->second)) {
            ledger_.book(std::move(*s.config), s.file);
            return true;
        }
        // The program removed it itself, and may have another in its place. The file says something new: it is as one that comes.
        remove(e, s.id);
        s.what = registry_step::kind::add;
    }
    if (s.what != registry_step::kind::add) remove(e, s.id);
    if (s.what == registry_step::kind::remove) return true;
    // All that needs memory comes first: a connection that is added is known to be the watch's.
    auto config = s.config->clone();
    auto const held = added_.try_emplace(s.id).first;
    auto const forget = [&] {
        added_.erase(held);
        ledger_.forget(s.id);
    };
    try {
        ledger_.book(std::move(*s.config), s.file);
        auto done = e.add(std::move(config));
        if (done) {
            held->second = std::move(*done);
            return true;
        }
        forget();
        return failed(std::move(done).error());
    } catch (...) {
        forget();
        throw;
    }
}

void registry_thread::remove(engine& e, std::string const& id) {
    auto const held = added_.find(id);
    if (held != added_.end()) {
        e.remove(id, &*held->second);
        added_.erase(held);
    }
    ledger_.forget(id);
}

void registry_thread::tell(std::shared_ptr<reload_report const> report) {
    {
        std::lock_guard const lock(mutex_);
        last_ = report;
        changed_.notify_all();
        if (stopped_ || !params_.on_reload) return;
        telling_ = true;
    }
    call_safely(params_.on_reload, *report);
    std::lock_guard const lock(mutex_);
    telling_ = false;
    changed_.notify_all();
}

bool registry_thread::wait_for_first(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    auto const most = std::clamp<std::chrono::milliseconds>(at_most, 0ms, 24h);
    changed_.wait_for(lock, most, [&] { return last_ || stopped_ || ended_; });
    return last_ != nullptr;
}

std::shared_ptr<reload_report const> registry_thread::last() const {
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
