#include "recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

namespace jirapool::load {
namespace {

std::size_t index_of(error_code const& ec) noexcept {
    auto const value = static_cast<std::size_t>(ec.value());
    return ec.category() == jirapool_category() && value < operation_record::errc_limit ? value : 0;
}

std::size_t index_of(int status) noexcept {
    return static_cast<std::size_t>(std::clamp(status, 0, static_cast<int>(operation_record::status_limit) - 1));
}

std::atomic<std::uint64_t> next_id{1};

}  // namespace

void operation_record::add(result<response> const& r, std::chrono::nanoseconds response_time,
                           std::chrono::nanoseconds service_time) noexcept {
    if (r) {
        statuses_[index_of(r->status())].add();
    } else {
        auto const code = r.error().code();
        errors_[index_of(code)].add();
        if (code == errc::stopped) return;
    }
    response_times_.record(response_time);
    service_times_.record(service_time);
}

void operation_record::add(operation_record const& other) noexcept {
    for (std::size_t i = 0; i < status_limit; ++i) statuses_[i].add(other.statuses_[i].value());
    for (std::size_t i = 0; i < errc_limit; ++i) errors_[i].add(other.errors_[i].value());
    response_times_.add(other.response_times_);
    service_times_.add(other.service_times_);
}

recorders::recorders() : id_(next_id.fetch_add(1)) {}

recorder& recorders::mine() {
    struct mine_of {
        std::uint64_t id = 0;
        recorder* r = nullptr;
    };
    thread_local mine_of cached;
    if (cached.id != id_) {
        std::lock_guard const lock(mutex_);
        cached = {id_, all_.emplace_back(std::make_unique<recorder>()).get()};
    }
    return *cached.r;
}

void recorders::add(operation o, result<response> const& r, std::chrono::nanoseconds response_time,
                    std::chrono::nanoseconds service_time, std::size_t connection) {
    mine().add(o, r, response_time, service_time);
    if (!r || !r->ok()) note_failure(o, r, connection);
}

void recorders::note_failure(operation o, result<response> const& r, std::size_t connection) {
    failure const f = r ? failure() : r.error();
    if (f.code() == errc::stopped) return;
    std::string kind;
    if (r) kind = std::to_string(r->status());
    else if (f.code().category() == jirapool_category()) kind = to_string(static_cast<errc>(f.code().value()));
    else kind = "other";
    std::lock_guard const lock(mutex_);
    if (connection < ids_.size()) {
        auto& failing = failing_[connection];
        if (failing.failed++ == 0) failing.first = kind;
    }
    auto const [at, is_new] = examples_.try_emplace(std::move(kind));
    if (!is_new) return;
    constexpr std::size_t shown = 200;
    at->second = fmt::format("{}: {}", to_string(o),
                             r ? std::string(std::string_view(r->body()).substr(0, shown)) : f.describe());
}

std::unique_ptr<recorder> recorders::total() const {
    auto sum = std::make_unique<recorder>();
    std::lock_guard const lock(mutex_);
    for (auto const& r : all_) sum->add(*r);
    return sum;
}

std::map<std::string, std::string> recorders::examples() const {
    std::lock_guard const lock(mutex_);
    return examples_;
}

std::vector<failing_connection> recorders::failing() const {
    std::lock_guard const lock(mutex_);
    std::vector<failing_connection> all;
    all.reserve(failing_.size());
    for (auto const& [connection, f] : failing_) all.push_back({ids_[connection], f.failed, f.first});
    return all;
}

}  // namespace jirapool::load
