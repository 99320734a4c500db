#include "text.hpp"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace jirapool::mock {
namespace {

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int, 256> make_base64_values() {
    std::array<int, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < base64_alphabet.size(); ++i) {
        values[static_cast<unsigned char>(base64_alphabet[i])] = static_cast<int>(i);
    }
    return values;
}
constexpr auto base64_values = make_base64_values();

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

constexpr char lower_char(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

struct civil_time {
    int year;
    unsigned month, day, weekday;
    int hour, minute, second, millisecond;
};

civil_time civil(wall_time t) {
    using namespace std::chrono;
    auto const millis = floor<milliseconds>(t);
    auto const day = floor<days>(millis);
    year_month_day const date{day};
    hh_mm_ss const time{millis - day};
    return civil_time{static_cast<int>(date.year()),
                      static_cast<unsigned>(date.month()),
                      static_cast<unsigned>(date.day()),
                      weekday{day}.c_encoding(),
                      static_cast<int>(time.hours().count()),
                      static_cast<int>(time.minutes().count()),
                      static_cast<int>(time.seconds().count()),
                      static_cast<int>(time.subseconds().count())};
}

}  // namespace

std::string base64(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::size_t const n = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            out += k <= n ? base64_alphabet[group >> (18 - 6 * k) & 63u] : '=';
        }
    }
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        std::size_t const given = i + 4 == text.size() ? 4 - padding : 4;
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            int const value = k < given ? base64_values[static_cast<unsigned char>(text[i + k])] : 0;
            if (value < 0) return std::nullopt;
            group = group << 6 | static_cast<std::uint32_t>(value);
        }
        for (std::size_t k = 0; k + 1 < given; ++k) out += static_cast<char>(group >> (16 - 8 * k) & 255u);
    }
    return out;
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            out += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

std::optional<std::string> form_field(std::string_view form, std::string_view name) {
    while (!form.empty()) {
        std::string_view const field = form.substr(0, form.find('&'));
        form.remove_prefix(std::min(form.size(), field.size() + 1));
        std::size_t const equals = field.find('=');
        if (percent_decode(field.substr(0, equals), true) != name) continue;
        if (equals == std::string_view::npos) return std::string();
        return percent_decode(field.substr(equals + 1), true);
    }
    return std::nullopt;
}

void append_json(std::string& out, std::string_view text) {
    out += '"';
    for (char const c : text) {
        switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        default:
            if (static_cast<unsigned char>(c) < 0x20) {
                fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
            } else {
                out += c;
            }
        }
    }
    out += '"';
}

std::optional<std::uint64_t> to_number(std::string_view digits) noexcept {
    if (digits.empty() || digits.size() > 18) return std::nullopt;
    std::uint64_t value = 0;
    for (char const c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && starts_with_name(a, b);
}

bool starts_with_name(std::string_view text, std::string_view prefix) noexcept {
    if (text.size() < prefix.size()) return false;
    for (std::size_t i = 0; i < prefix.size(); ++i) {
        if (lower_char(text[i]) != lower_char(prefix[i])) return false;
    }
    return true;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = lower_char(c);
    return out;
}

std::string host_of_authority(std::string_view authority) {
    // No IPv6 literal is a host of ours, so the first colon begins the port.
    return lower(authority.substr(0, authority.find(':')));
}

std::string iso8601(wall_time t) {
    civil_time const c = civil(t);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

std::string jira_date(wall_time t) {
    civil_time const c = civil(t);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000", c.year, c.month, c.day, c.hour, c.minute,
                       c.second, c.millisecond);
}

std::string http_date(wall_time t) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    civil_time const c = civil(t);
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", days[c.weekday], c.day, months[c.month - 1], c.year,
                       c.hour, c.minute, c.second);
}

std::string generator::word(std::size_t size, std::string_view alphabet) {
    std::string out(size, '\0');
    for (char& c : out) c = alphabet[next() % alphabet.size()];
    return out;
}

std::string generator::uuid() {
    std::uint64_t const high = next();
    std::uint64_t const low = next();
    // Version 4, variant 1, as Atlassian's are.
    return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xffffu, high & 0xfffu,
                       0x8000u | (low >> 48 & 0x3fffu), low & 0xffffffffffffu);
}

}  // namespace jirapool::mock
