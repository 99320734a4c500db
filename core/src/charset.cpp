#include "charset.hpp"

#include "ascii.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace jirapool::detail {

namespace {

using namespace std::string_view_literals;

constexpr char32_t replacement = 0xfffd;

void append(std::string& out, char32_t c) {
    auto const tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3f))); };
    if (c < 0x80) {
        out.push_back(static_cast<char>(c));
    } else if (c < 0x800) {
        out.push_back(static_cast<char>(0xc0 | (c >> 6)));
        tail(0);
    } else if (c < 0x10000) {
        out.push_back(static_cast<char>(0xe0 | (c >> 12)));
        tail(6);
        tail(0);
    } else {
        out.push_back(static_cast<char>(0xf0 | (c >> 18)));
        tail(12);
        tail(6);
        tail(0);
    }
}

std::string from_utf16(std::string_view bytes, bool big_endian) {
    std::string out;
    out.reserve(bytes.size() / 2);
    auto const unit = [&](std::size_t i) -> char32_t {
        auto const first = static_cast<std::uint8_t>(bytes[i]), second = static_cast<std::uint8_t>(bytes[i + 1]);
        return big_endian ? static_cast<char32_t>(first << 8 | second) : static_cast<char32_t>(second << 8 | first);
    };
    std::size_t i = 0;
    for (; i + 2 <= bytes.size(); i += 2) {
        auto const c = unit(i);
        auto const next = i + 4 <= bytes.size() ? unit(i + 2) : 0;
        if (c < 0xd800 || c >= 0xe000) {
            append(out, c);
        } else if (c < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
            append(out, 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00));
            i += 2;
        } else {
            append(out, replacement);
        }
    }
    if (i < bytes.size()) append(out, replacement);
    return out;
}

// WHATWG's index of windows-1252, which is ISO-8859-1 but for these; of five bytes it makes control characters, as that does.
constexpr std::array<char16_t, 32> windows_1252 = {0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                   0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
                                                   0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                   0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178};

std::string from_windows_1252(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() + bytes.size() / 4);
    for (char const byte : bytes) {
        auto const c = static_cast<std::uint8_t>(byte);
        append(out, c >= 0x80 && c < 0xa0 ? windows_1252[c - 0x80] : c);
    }
    return out;
}

std::string with_replacements(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() + 64);
    while (!bytes.empty()) {
        auto const bad = first_invalid_utf8(bytes);
        out.append(bytes.substr(0, bad));
        if (bad == bytes.npos) break;
        append(out, replacement);
        bytes.remove_prefix(bad + 1);
    }
    return out;
}

/// The value of `charset` in a Content-Type, without quotes.
std::string_view charset_of(std::string_view content_type) noexcept {
    constexpr auto name = "charset="sv;
    auto const at = find_in_any_case(content_type, name);
    if (at == content_type.npos) return {};
    auto value = content_type.substr(at + name.size());
    if (value.starts_with('"')) value.remove_prefix(1);
    return value.substr(0, value.find_first_of("\"; \t"));
}

// https://encoding.spec.whatwg.org/#names-and-labels: who says ISO-8859-1 means Windows-1252.
bool says_windows_1252(std::string_view content_type) noexcept {
    constexpr std::array labels = {"windows-1252"sv, "cp1252"sv,   "iso-8859-1"sv, "iso8859-1"sv,
                                   "iso_8859-1"sv,   "iso88591"sv, "latin1"sv,     "us-ascii"sv};
    auto const charset = charset_of(content_type);
    return std::any_of(labels.begin(), labels.end(), [&](auto label) { return is(charset, label); });
}

}  // namespace

std::string_view to_utf8(std::string_view bytes, std::string_view content_type, std::string& room) {
    constexpr auto mark = "\xef\xbb\xbf"sv;
    room.clear();
    bool const big_endian = bytes.starts_with("\xfe\xff"sv);
    std::string_view text = bytes;
    if (big_endian || bytes.starts_with("\xff\xfe"sv)) text = room = from_utf16(bytes.substr(2), big_endian);
    // All of them: simdjson skips one of its own accord or does not, by its version.
    while (text.starts_with(mark)) text.remove_prefix(mark.size());
    if (first_invalid_utf8(text) == text.npos) return text;
    room = says_windows_1252(content_type) ? from_windows_1252(text) : with_replacements(text);
    return room;
}

}  // namespace jirapool::detail
