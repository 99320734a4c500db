#include "threshold.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace jirapool::load {
namespace {

/// A summary that has every number there can be, but for statuses, errors and events.
flat_summary const& known_names() {
    static flat_summary const all = [] {
        summary s;
        s.mock.emplace();
        return flatten(s);
    }();
    return all;
}

/// Whether a number appears only when it is above 0.
bool is_open_ended(std::string_view name) {
    for (std::string_view const prefix : {"statuses.", "errors.", "events.", "failing.connections."})
        if (name.starts_with(prefix) && name.size() > prefix.size()) return true;
    return name.starts_with("routes.") &&
           (name.find(".statuses.") != std::string_view::npos || name.find(".errors.") != std::string_view::npos);
}

std::string_view without_blanks(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t";
    auto const first = text.find_first_not_of(blanks);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace

result<threshold> threshold::parse(std::string_view text) {
    auto const refuse = [](std::string rule) { return failure(errc::invalid_argument, std::move(rule)); };
    auto const at = text.find_first_of("<>");
    if (at == std::string_view::npos || at == 0 || text.substr(at + 1, 1) != "=")
        return refuse("must be NAME<=NUMBER or NAME>=NUMBER");
    threshold t;
    t.text_ = without_blanks(text);
    t.name_ = without_blanks(text.substr(0, at));
    t.at_most_ = text[at] == '<';
    auto const number = without_blanks(text.substr(at + 2));
    auto const [end, error] = std::from_chars(number.data(), number.data() + number.size(), t.bound_);
    if (error != std::errc{} || end != number.data() + number.size() || !std::isfinite(t.bound_))
        return refuse("must be NAME<=NUMBER or NAME>=NUMBER");
    if (!known_names().contains(t.name_) && !is_open_ended(t.name_))
        return refuse("names no number of the summary's JSON, such as response_ms.p99 or calls.failed");
    return t;
}

std::optional<double> threshold::value_in(flat_summary const& s) const {
    if (auto const found = s.find(name_); found != s.end()) return found->second;
    if (is_open_ended(name_)) return 0;
    return std::nullopt;
}

bool threshold::is_met(flat_summary const& s) const {
    auto const value = value_in(s);
    return value && (at_most_ ? *value <= bound_ : *value >= bound_);
}

}  // namespace jirapool::load
