#include "events/event_text.hpp"

#include <jirapool/core/json_text.hpp>

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace jirapool::detail {

namespace {

void append_field(std::string& out, char const* name, std::string_view value) {
    out.append(out.empty() ? "{\"" : ",\"").append(name).append("\":");
    if (simdjson::validate_utf8(value.data(), value.size())) {
        append_json_string(out, value);
        return;
    }
    // A text that a server said in another charset is still worth reading.
    std::string readable(value);
    std::replace_if(
        readable.begin(), readable.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
    append_json_string(out, readable);
}

/// RFC 3339, of the years 1970 to 9999.
std::string date(wall_time at) {
    namespace chrono = std::chrono;
    auto const last = chrono::sys_days(chrono::year(9999) / 12 / 31);
    at = std::clamp(at, wall_time(), wall_time(last));
    auto const day = chrono::floor<chrono::days>(at);
    chrono::year_month_day const ymd(day);
    chrono::hh_mm_ss const time(at - day);
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(ymd.year()),
                  static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
    return text.data();
}

std::string name_of(error_code const& ec) {
    if (!ec) return {};
    if (ec.category() == jirapool_category()) return to_string(static_cast<errc>(ec.value()));
    return ec.message();
}

}  // namespace

std::string event_json(event const& e, std::string_view id, wall_time at) {
    std::string out;
    out.reserve(256 + e.connection.size() + e.scope.size() + e.detail.size());
    append_field(out, "id", id);
    append_field(out, "event", to_string(e.what));
    append_field(out, "severity", to_string(severity_of(e.what)));
    append_field(out, "connection", e.connection);
    append_field(out, "scope", e.scope);
    append_field(out, "code", name_of(e.code));
    append_field(out, "detail", e.detail);
    append_field(out, "at", date(at));
    out.push_back('}');
    return out;
}

}  // namespace jirapool::detail

namespace jirapool {

std::string event::describe() const {
    std::string line;
    line.reserve(64 + connection.size() + scope.size() + detail.size());
    line.append(to_string(severity_of(what))).append(" ").append(to_string(what));
    for (auto const* const about : {&connection, &scope})
        if (!about->empty()) line.append(" ").append(*about);
    if (!detail.empty()) line.append(": ").append(detail);
    // A detail that describes a failure ends with its code.
    if (code)
        if (auto const name = " [" + detail::name_of(code) + "]"; !line.ends_with(name)) line.append(name);
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return line;
}

}  // namespace jirapool
