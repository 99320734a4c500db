#include <jirapool/core/registry_ledger.hpp>

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace jirapool {

namespace {

/// Whether each connection of the file that is not in the report is known by its id.
bool all_named(connections_report const& r) {
    if (r.connections.size() + r.problems.size() < r.total) return false;
    return std::all_of(r.problems.begin(), r.problems.end(),
                       [](failure const& f) { return why_invalid_connection_id(f.connection()) == nullptr; });
}

}  // namespace

registry_ledger::plan registry_ledger::compare(std::vector<read_file_of_connections> files) {
    plan p;
    std::unordered_map<std::string, std::string_view> seen;  // by id: the file that has it
    std::set<std::string, std::less<>> unusable;             // ids that are named, but not usably
    std::set<std::string_view> unclear;                      // files that may name more than can be read
    for (auto& f : files) {
        if (!f.said) {
            unclear.insert(f.file);
            p.problems.push_back({f.file, std::move(f.said).error()});
            continue;
        }
        if (!all_named(*f.said)) unclear.insert(f.file);
        for (auto& problem : f.said->problems) {
            // One that stands twice in a file is there, and usable.
            if (problem.code() != errc::duplicate_id) unusable.insert(problem.connection());
            p.problems.push_back({f.file, std::move(problem)});
        }
        for (auto& c : f.said->connections) {
            auto const [place, first] = seen.try_emplace(c.id(), f.file);
            if (!first) {
                p.problems.push_back({f.file,
                                      failure(errc::duplicate_id, "must be unique: " + std::string(place->second) +
                                                                      " has a connection of this id")
                                          .with_field("id")
                                          .with_connection(c.id())});
                continue;
            }
            auto const known = entries_.find(c.id());
            auto what = registry_step::kind::add;
            if (known != entries_.end()) {
                auto const& old = known->second.config;
                if (old == c) {
                    known->second.file = f.file;
                    ++p.unchanged;
                    continue;
                }
                what = old.same_place(c) ? registry_step::kind::replace : registry_step::kind::move;
            }
            auto id = c.id();
            p.steps.push_back({what, std::move(id), f.file, std::move(c)});
        }
    }
    for (auto const& [id, e] : entries_) {
        if (seen.contains(id)) continue;
        if (unclear.contains(e.file) || unusable.contains(id)) ++p.kept;
        else p.steps.push_back({registry_step::kind::remove, id, e.file, std::nullopt});
    }
    // Removals come first: a site's share of anything is free before another one comes for it.
    std::vector<registry_step> ordered;
    ordered.reserve(p.steps.size());
    for (auto const what : {registry_step::kind::remove, registry_step::kind::move, registry_step::kind::replace,
                            registry_step::kind::add})
        for (auto& s : p.steps)
            if (s.what == what) ordered.push_back(std::move(s));
    p.steps = std::move(ordered);
    return p;
}

void registry_ledger::book(connection_config c, std::string file) {
    if (auto const known = entries_.find(c.id()); known != entries_.end()) {
        known->second = {std::move(file), std::move(c)};
        return;
    }
    auto id = c.id();
    entries_.emplace(std::move(id), entry{std::move(file), std::move(c)});
}

void registry_ledger::forget(std::string_view id) noexcept {
    if (auto const known = entries_.find(id); known != entries_.end()) entries_.erase(known);
}

}  // namespace jirapool
