#include "commands.hpp"
#include "exit_status.hpp"
#include "report_parts.hpp"

#include <jirapool/core/site.hpp>
#include <jirapool/tools/json_writer.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/secrets.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace jirapool::cli {
namespace {

/// `whole` is what is wrong with the file as such, or nullptr; `warning` what is wrong with how it is kept.
std::string to_json(check_options const& o, connections_report const& r, failure const* whole,
                    std::string const& warning) {
    tools::json_writer out;
    out.begin_object();
    out.member("schema", 1);
    out.member("file", o.file);
    out.member("usable", whole == nullptr);
    out.member("total", r.total);
    out.member("ok", r.connections.size());
    out.member("bad", r.total - r.connections.size());
    out.key("connections").begin_array();
    if (!o.quiet) {
        for (auto const& c : r.connections) {
            out.begin_object();
            out.member("id", c.id());
            out.member("kind", to_string(c.kind()));
            out.member("host", c.host());
            if (c.cloud()) out.member("cloud_id", c.cloud()->str());
            else out.key("cloud_id").null();
            out.end_object();
        }
    }
    out.end_array();
    out.key("problems").begin_array();
    if (whole) write_problem(out, *whole);
    for (auto const& f : r.problems) write_problem(out, f);
    out.end_array();
    out.key("warnings").begin_array();
    if (!warning.empty()) out.value(warning);
    out.end_array();
    out.end_object();
    return out.take();
}

std::string to_text(check_options const& o, connections_report const& r) {
    std::string out;
    auto const to = std::back_inserter(out);
    if (!o.quiet) {
        for (auto const& c : r.connections) {
            fmt::format_to(to, "OK   {}  {}  {}\n", c.id(), to_string(c.kind()),
                           c.cloud() ? "cloud " + c.cloud()->str() : c.host());
        }
    }
    for (auto const& f : r.problems) fmt::format_to(to, "BAD  {}\n", tools::printable(f.describe()));
    auto const bad = r.total - r.connections.size();
    if (bad > r.problems.size())
        fmt::format_to(to, "BAD  and {} more that are not described\n", bad - r.problems.size());
    fmt::format_to(to, "{} connections: {} ok, {} bad\n", r.total, r.connections.size(), bad);
    return out;
}

}  // namespace

int check(check_options o) {
    auto [r, warning] = tools::load_guarded(o.file);
    if (!warning.empty()) tools::tell(fmt::format("jirapool: WARNING: {}\n", warning));
    if (!r) {
        auto const f = r.error();
        bool const printed = !o.json || tools::print("jirapool", to_json(o, connections_report{}, &f, warning));
        tools::tell(fmt::format("jirapool: {}: {}\n", tools::printable(o.file), f.describe()));
        return printed ? bad_usage : failed;
    }
    if (o.live) return check_live(std::move(o.how), *std::move(r), warning);
    if (!tools::print("jirapool", o.json ? to_json(o, *r, nullptr, warning) : to_text(o, *r))) return failed;
    return r->total == r->connections.size() ? ok : not_ok;
}

}  // namespace jirapool::cli
