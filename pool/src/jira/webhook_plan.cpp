#include "jira/webhook_plan.hpp"

#include <algorithm>
#include <string_view>

namespace jirapool {

char const* to_string(webhook_drift d) noexcept {
    switch (d) {
    case webhook_drift::missing: return "missing";
    case webhook_drift::disabled: return "disabled";
    case webhook_drift::name: return "name";
    case webhook_drift::callback_url: return "callback_url";
    case webhook_drift::events: return "events";
    case webhook_drift::filter: return "filter";
    case webhook_drift::body: return "body";
    case webhook_drift::not_signed: return "not_signed";
    }
    return "unknown";
}

namespace detail {

namespace {

std::vector<std::string_view> as_set(std::vector<std::string> const& events) {
    std::vector<std::string_view> all(events.begin(), events.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

// Jira gives a filter back without the blanks around it.
std::string_view without_blanks(std::string_view text) noexcept {
    auto const first = text.find_first_not_of(" \t\r\n");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

std::vector<webhook_drift> drift_of(webhook_spec const& spec, webhook_info const& is) {
    std::vector<webhook_drift> all;
    if (!is.enabled) all.push_back(webhook_drift::disabled);
    if (is.name != spec.name) all.push_back(webhook_drift::name);
    if (is.callback_url != spec.callback_url) all.push_back(webhook_drift::callback_url);
    if (as_set(is.events) != as_set(spec.events)) all.push_back(webhook_drift::events);
    if (without_blanks(is.jql) != without_blanks(spec.jql)) all.push_back(webhook_drift::filter);
    if (!is.has_body) all.push_back(webhook_drift::body);
    if (!is.is_signed && !spec.signing_secret.empty()) all.push_back(webhook_drift::not_signed);
    return all;
}

webhook_info const* find_webhook(webhook_spec const& spec, std::vector<webhook_info> const& all) noexcept {
    auto const first = [&](auto const& is_it) -> webhook_info const* {
        auto const found = std::find_if(all.begin(), all.end(), is_it);
        return found == all.end() ? nullptr : &*found;
    };
    auto const named = [&](webhook_info const& w) { return w.name == spec.name; };
    auto const there = [&](webhook_info const& w) { return w.callback_url == spec.callback_url; };
    if (auto const* const both = first([&](webhook_info const& w) { return named(w) && there(w); })) return both;
    if (auto const* const by_name = first(named)) return by_name;
    return first(there);
}

}  // namespace detail

}  // namespace jirapool
