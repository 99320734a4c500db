#include <jirapool/core/trace_context.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace jirapool {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t most_members = 32;
constexpr std::size_t longest_part = 256;

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_lower_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f'); }

constexpr bool all_zeros(std::string_view id) noexcept { return id.find_first_not_of('0') == std::string_view::npos; }

/// Whether each character of the text is as in the shape, where an x stands for any lower-case hexadecimal digit.
constexpr bool has_shape(std::string_view text, std::string_view shape) noexcept {
    return std::equal(text.begin(), text.end(), shape.begin(), shape.end(),
                      [](char c, char s) { return s == 'x' ? is_lower_hex(c) : c == s; });
}

constexpr bool is_key(std::string_view key) noexcept {
    if (key.empty() || key.size() > longest_part || !(is_lower(key.front()) || is_digit(key.front()))) return false;
    return std::all_of(key.begin(), key.end(), [](char c) {
        return is_lower(c) || is_digit(c) || "_-*/@"sv.find(c) != std::string_view::npos;
    });
}

constexpr bool is_value(std::string_view value) noexcept {
    if (value.empty() || value.size() > longest_part) return false;
    return std::all_of(value.begin(), value.end(),
                       [](char c) { return c >= 0x20 && c < 0x7f && c != ',' && c != '='; });
}

constexpr std::string_view without_blanks(std::string_view text) noexcept {
    auto const first = std::min(text.find_first_not_of(" \t"), text.size());
    text.remove_prefix(first);
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

}  // namespace

char const* why_invalid_traceparent(std::string_view text) noexcept {
    // Later versions may be longer; who has one sends on what version 00 has of it (section 4.3).
    if (text.size() > 2 && text[2] == '-' && !text.starts_with("00")) return "traceparent must be of version 00";
    if (!has_shape(text, "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx"))
        return "traceparent must be 00-, 32 hexadecimal digits, -, 16 of them, - and 2 of them, in lower case";
    if (all_zeros(text.substr(3, 32))) return "traceparent's trace id must not be all zeros";
    if (all_zeros(text.substr(36, 16))) return "traceparent's parent id must not be all zeros";
    return nullptr;
}

char const* why_invalid_tracestate(std::string_view text) noexcept {
    std::array<std::string_view, most_members> keys;
    std::size_t count = 0;
    for (bool last = false; !last;) {
        auto const comma = text.find(',');
        last = comma == std::string_view::npos;
        auto const member = without_blanks(text.substr(0, comma));
        if (!last) text.remove_prefix(comma + 1);
        if (member.empty()) continue;
        auto const equals = member.find('=');
        if (equals == std::string_view::npos) return "tracestate must be of members key=value with commas between them";
        auto const key = member.substr(0, equals);
        if (!is_key(key))
            return "tracestate's keys must be lower-case letters, digits and _-*/@, at most 256, a letter or digit "
                   "first";
        if (!is_value(member.substr(equals + 1)))
            return "tracestate's values must be 1 to 256 printable ASCII characters without comma and equals sign";
        auto const* const end = keys.data() + count;
        if (std::find(static_cast<std::string_view const*>(keys.data()), end, key) != end)
            return "tracestate must have no key twice";
        if (count == keys.size()) return "tracestate must have at most 32 members";
        keys[count++] = key;
    }
    return nullptr;
}

}  // namespace jirapool
