#include "report_parts.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

namespace jirapool::cli {
namespace {

std::string code_name(failure const& f) {
    return f.code().category() == jirapool_category() ? to_string(static_cast<errc>(f.code().value()))
                                                      : f.code().message();
}

}  // namespace

std::string time_text(wall_time t) { return fmt::format("{:%FT%TZ}", std::chrono::floor<std::chrono::seconds>(t)); }

void write_time(tools::json_writer& out, char const* name, std::optional<wall_time> const& t) {
    if (t) out.member(name, time_text(*t));
    else out.key(name).null();
}

void write_text(tools::json_writer& out, char const* name, std::string const& text) {
    if (text.empty()) out.key(name).null();
    else out.member(name, text);
}

void write_scopes(tools::json_writer& out, std::string const& scopes) {
    out.key("scopes");
    if (scopes.empty()) {
        out.null();
        return;
    }
    out.begin_array();
    for (std::string_view left = scopes; !left.empty();) {
        auto const one = left.substr(0, left.find(' '));
        out.value(one);
        left.remove_prefix(std::min(one.size() + 1, left.size()));
    }
    out.end_array();
}

void write_problem(tools::json_writer& out, failure const& f) {
    out.begin_object();
    out.member("connection", f.connection());
    out.member("code", code_name(f));
    out.member("field", f.field());
    out.member("rule", f.rule().empty() ? f.code().message() : f.rule());
    out.member("text", f.describe());
    out.end_object();
}

}  // namespace jirapool::cli
