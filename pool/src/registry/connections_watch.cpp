#include <jirapool/pool/connections_watch.hpp>

#include "engine/engine.hpp"
#include "registry/registry_thread.hpp"

#include <stdexcept>
#include <utility>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

void count(std::string& text, std::size_t n, char const* what) {
    if (n == 0) return;
    if (!text.empty()) text += ", ";
    text += std::to_string(n) + " " + what;
}

watch_params checked(std::string const& path, watch_params p) {
    if (path.empty() || path.find('\0') != path.npos)
        throw std::invalid_argument("connections_watch: the path must not be empty, and without a NUL");
    if (auto const* const rule = why_invalid(p)) throw std::invalid_argument(rule);
    return p;
}

}  // namespace

std::string reload_report::describe() const {
    std::string text;
    count(text, added, "added");
    count(text, replaced, "replaced");
    count(text, moved, "moved");
    count(text, removed, "removed");
    count(text, unchanged, "unchanged");
    count(text, kept, "kept as they were");
    if (text.empty()) text = "no connections";
    if (problems.empty()) return text;
    auto const& first = problems.front();
    text += "; " + std::to_string(problems.size()) + (problems.size() == 1 ? " problem: " : " problems, the first: ");
    return text + first.file + ": " + first.why.describe();
}

char const* why_invalid(watch_params const& p) noexcept {
    if (p.settle < 0ms || p.settle > 60s) return "watch_params::settle must be 0 to 60 s";
    if (p.reread_every < 0s || p.reread_every > 24h) return "watch_params::reread_every must be 0 to a day";
    if (p.provider_parallel < 1 || p.provider_parallel > 1'000)
        return "watch_params::provider_parallel must be 1 to 1,000";
    if (p.provider_timeout <= 0ms || p.provider_timeout > 1h)
        return "watch_params::provider_timeout must be greater than 0, and at most an hour";
    if (p.provider_retry <= 0ms || p.provider_retry > 1h)
        return "watch_params::provider_retry must be greater than 0, and at most an hour";
    return nullptr;
}

connections_watch::connections_watch(connections& registry, std::string path, watch_params p)
    : thread_([&] {
          auto params = checked(path, std::move(p));
          return std::make_shared<detail::registry_thread>(registry.engine_, std::move(path), std::move(params));
      }()) {
    thread_->start();
}

connections_watch::~connections_watch() { stop(); }

void connections_watch::reload() noexcept { thread_->reload(); }
bool connections_watch::wait_for_first(std::chrono::milliseconds at_most) { return thread_->wait_for_first(at_most); }
std::shared_ptr<reload_report const> connections_watch::last() const { return thread_->last(); }
void connections_watch::stop() noexcept { thread_->stop(); }

}  // namespace jirapool
