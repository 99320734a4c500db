#include "header_list.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

namespace jirapool::metrics {

namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Takes the text up to the separator off the front; one within quotes is none.
std::string_view take_item(std::string_view& rest, char separator) noexcept {
    bool quoted = false;
    std::size_t i = 0;
    for (; i < rest.size(); ++i) {
        if (rest[i] == '"') quoted = !quoted;
        else if (quoted && rest[i] == '\\') ++i;
        else if (!quoted && rest[i] == separator) break;
    }
    auto const item = rest.substr(0, std::min(i, rest.size()));
    rest.remove_prefix(std::min(i + 1, rest.size()));
    return trimmed(item);
}

std::optional<double> parse_weight(std::string_view text) noexcept {
    double q = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), q, std::chars_format::fixed);
    if (ec != std::errc() || end != text.data() + text.size() || !(q >= 0 && q <= 1)) return std::nullopt;
    return q;
}

std::optional<header_choice> parse_choice(std::string_view text) {
    header_choice c;
    c.what = take_item(text, ';');
    if (c.what.empty()) return std::nullopt;
    while (!text.empty()) {
        auto value = take_item(text, ';');
        auto const name = take_item(value, '=');
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        if (!same_name(name, "q")) {
            c.parameters.emplace_back(name, value);
        } else if (auto const weight = parse_weight(value)) {
            c.weight = *weight;
        } else {
            return std::nullopt;
        }
    }
    return c;
}

}  // namespace

std::optional<std::string_view> header_choice::parameter(std::string_view name) const noexcept {
    for (auto const& [n, value] : parameters)
        if (same_name(n, name)) return value;
    return std::nullopt;
}

std::vector<header_choice> parse_choices(std::string_view header) {
    std::vector<header_choice> all;
    while (!header.empty())
        if (auto choice = parse_choice(take_item(header, ','))) all.push_back(std::move(*choice));
    return all;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) noexcept {
    auto const first = text.find_first_not_of(" \t");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool accepts_gzip(std::string_view accept_encoding) {
    bool any = false;
    for (auto const& c : parse_choices(accept_encoding)) {
        if (same_name(c.what, "gzip") || same_name(c.what, "x-gzip")) return c.weight > 0;
        if (c.what == "*") any = c.weight > 0;
    }
    return any;
}

}  // namespace jirapool::metrics
