#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace jirapool::detail {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr bool is_letter_of(char c, char lowered) noexcept { return lower(c) == lowered; }

/// Whether they are the same in any case. `lowered` is lower-case already, here and below.
constexpr bool is(std::string_view text, std::string_view lowered) noexcept {
    return std::equal(text.begin(), text.end(), lowered.begin(), lowered.end(), is_letter_of);
}

/// Where `lowered` stands in `text` in any case, at `from` or behind it; npos when it does not.
constexpr std::size_t find_in_any_case(std::string_view text, std::string_view lowered, std::size_t from = 0) noexcept {
    auto const rest = text.substr(std::min(from, text.size()));
    auto const found = std::search(rest.begin(), rest.end(), lowered.begin(), lowered.end(), is_letter_of);
    return found == rest.end() ? text.npos : static_cast<std::size_t>(found - rest.begin()) + text.size() - rest.size();
}

}  // namespace jirapool::detail
