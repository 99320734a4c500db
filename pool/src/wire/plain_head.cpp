#include "wire/plain_head.hpp"

#include <algorithm>
#include <cstring>

namespace jirapool::detail {

namespace {

constexpr std::string_view line_end = "\r\n";

constexpr std::array<bool, 256> token_characters = [] {
    // RFC 9110, section 5.6.2.
    std::array<bool, 256> all{};
    for (unsigned c = '0'; c <= '9'; ++c) all[c] = true;
    for (unsigned c = 'a'; c <= 'z'; ++c) all[c] = all[c - 'a' + 'A'] = true;
    for (char const c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
        all[static_cast<unsigned char>(c)] = true;
    return all;
}();

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

/// In one pass that the compiler makes vector instructions of: no control character but tabs, and CR and LF only together.
bool is_clean(std::string_view head) noexcept {
    unsigned char bad = head.front() < 0x20 ? 1 : 0;
    for (std::size_t i = 1; i < head.size(); ++i) {
        auto const c = static_cast<unsigned char>(head[i]);
        bool const control = c < 0x20 || c == 0x7f;
        bool const allowed = c == '\t' || c == '\r' || c == '\n';
        bad |= static_cast<unsigned char>((control && !allowed) | ((c == '\n') != (head[i - 1] == '\r')));
    }
    return bad == 0 && head.back() != '\r';
}

bool same_name(std::string_view name, std::string_view lower_case) noexcept {
    // A token has no other character that becomes a letter or "-" by this.
    return std::equal(name.begin(), name.end(), lower_case.begin(), lower_case.end(),
                      [](char a, char b) { return (b == '-' ? a : a | 0x20) == b; });
}

/// Whether Beast, or http1_parser::read_framing, does something for it.
bool frames(std::string_view name) noexcept {
    switch (name.size()) {
    case 7: return same_name(name, "upgrade");
    case 10: return same_name(name, "connection") || same_name(name, "keep-alive");
    case 14: return same_name(name, "content-length");
    case 16: return same_name(name, "content-encoding") || same_name(name, "proxy-connection");
    case 17: return same_name(name, "transfer-encoding");
    default: return false;
    }
}

/// Up to the end of the line; empty when it has none.
std::string_view first_line(std::string_view text) noexcept {
    auto const* const end = static_cast<char const*>(std::memchr(text.data(), '\n', text.size()));
    return end == nullptr ? std::string_view() : text.substr(0, static_cast<std::size_t>(end - text.data()) + 1);
}

}  // namespace

bool plain_head::keep(std::string_view line) noexcept {
    if (line.size() > framing_.size() - framing_size_) return false;
    std::copy(line.begin(), line.end(), framing_.begin() + static_cast<std::ptrdiff_t>(framing_size_));
    framing_size_ += line.size();
    return true;
}

bool plain_head::read(std::string_view bytes, std::size_t max_size, std::uint32_t max_fields, response& out) {
    auto const status_line = first_line(bytes);
    framing_size_ = size_ = 0;
    fields_ = 0;
    if (status_line.empty() || !keep(status_line)) return false;
    bool const plain = read_fields(bytes, max_fields, out) && size_ <= max_size && is_clean(bytes.substr(0, size_));
    if (plain) out.set_head(bytes.substr(0, size_));
    else out.clear();
    return plain;
}

/// Behind the status line.
bool plain_head::read_fields(std::string_view bytes, std::uint32_t max_fields, response& out) {
    char const* const begin = bytes.data();
    size_ = framing_size_;
    auto rest = bytes.substr(size_);
    for (;;) {
        auto const line = first_line(rest);
        if (line.size() < line_end.size()) return false;
        size_ += line.size();
        rest.remove_prefix(line.size());
        if (line == line_end) return keep(line);
        auto const* const colon = std::find_if_not(line.begin(), line.end(), [](char c) {
            return token_characters[static_cast<unsigned char>(c)];
        });
        if (colon == line.begin() || *colon != ':' || ++fields_ > max_fields) return false;
        auto const name = line.substr(0, static_cast<std::size_t>(colon - line.begin()));
        auto value = line.substr(name.size() + 1);
        value.remove_suffix(std::min(line_end.size(), value.size()));
        while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
        while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
        out.place_header(static_cast<std::size_t>(name.data() - begin), name.size(),
                         static_cast<std::size_t>(value.data() - begin), value.size());
        if (frames(name) && !keep(line)) return false;
    }
}

}  // namespace jirapool::detail
