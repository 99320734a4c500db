#pragma once

#include <cstddef>
#include <string_view>

namespace jirapool::detail {

/// RFC 3986 section 2.3: escaped or not, these mean the same.
constexpr bool is_unreserved(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

/// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Takes the first character off `text`, which must not be empty; three when they are the escape of an unreserved one.
constexpr char next_unescaped(std::string_view& text) noexcept {
    char const first = text.front();
    if (first == '%' && text.size() >= 3) {
        int const high = hex_value(text[1]), low = hex_value(text[2]);
        char const escaped = static_cast<char>(high * 16 + low);
        if (high >= 0 && high < 8 && low >= 0 && is_unreserved(escaped)) {
            text.remove_prefix(3);
            return escaped;
        }
    }
    text.remove_prefix(1);
    return first;
}

}  // namespace jirapool::detail
