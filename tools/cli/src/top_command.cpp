#include "commands.hpp"
#include "exit_status.hpp"
#include "report_parts.hpp"

#include <jirapool/core/connections_file.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/tools/http_get.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>
#include <simdjson.h>

#include <unistd.h>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace jirapool::cli {
namespace {

using namespace std::chrono_literals;
namespace dom = simdjson::dom;

constexpr auto patience = 5s;

/// Of a JSON document whose members may be null or missing.
std::string text_of(dom::element const& e, char const* name) {
    std::string_view text;
    return e[name].get(text) == simdjson::SUCCESS ? tools::printable(text) : std::string();
}

std::optional<double> number_of(dom::element const& e, char const* name) {
    double d = 0;
    if (e[name].get(d) != simdjson::SUCCESS) return std::nullopt;
    return d;
}

std::uint64_t count_of(dom::element const& e, char const* name) {
    return static_cast<std::uint64_t>(number_of(e, name).value_or(0));
}

/// "45 s", "12 min", "3 h", "9 d": what a person reads at a glance.
std::string span_text(double seconds) {
    if (seconds < 0) return "now";
    if (seconds < 120) return fmt::format("{:.0f} s", seconds);
    if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
    if (seconds < 172800) return fmt::format("{:.0f} h", seconds / 3600);
    return fmt::format("{:.0f} d", seconds / 86400);
}

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string since_text(std::optional<double> at, double now) { return at && *at > 0 ? span_text(now - *at) : "-"; }
std::string until_text(std::optional<double> at, double now) { return at ? "in " + span_text(*at - now) : "-"; }

/// What follows a text that is too long for its column is cut.
std::string cut(std::string text, std::size_t width) {
    if (text.size() <= width) return text;
    text.resize(width - 1);
    return tools::valid_utf8(text) + "~";
}

std::string connections_table(dom::element const& page, double now) {
    std::string out = fmt::format("{} connections, {} of them do not work\n\n", count_of(page, "total"),
                                  count_of(page, "matched"));
    dom::array all;
    if (page["connections"].get(all) != simdjson::SUCCESS || all.size() == 0) return out;
    out += fmt::format("{:<28} {:<18} {:<20} {:>8} {:>10}  {}\n", "CONNECTION", "KIND", "CONDITION", "SINCE",
                       "NEXT TRY", "WHOSE MOVE");
    for (auto const c : all)
        out += fmt::format("{:<28} {:<18} {:<20} {:>8} {:>10}  {}\n", cut(text_of(c, "id"), 28), text_of(c, "kind"),
                           text_of(c, "condition"), since_text(number_of(c, "since"), now),
                           until_text(number_of(c, "until"), now), text_of(c, "means"));
    return out;
}

std::string quota_text(dom::element const& site) {
    dom::element quota;
    if (site["quota"].get(quota) != simdjson::SUCCESS) return "-";
    auto const left = number_of(quota, "left");
    auto const of = number_of(quota, "of");
    return left && of && *of > 0 ? fmt::format("{:.0f} %", 100 * *left / *of) : "-";
}

/// The calls that failed since the site is followed, by whose fault it was, those of nobody left out.
std::string faults_text(dom::element const& site) {
    dom::object calls;
    if (site["calls"].get(calls) != simdjson::SUCCESS) return "-";
    std::string out;
    for (auto const& [fault, n] : calls) {
        double count = 0;
        if (fault == "none" || n.get(count) != simdjson::SUCCESS || count == 0) continue;
        out += fmt::format("{}{} {:.0f}", out.empty() ? "" : ", ", tools::printable(fault), count);
    }
    return out.empty() ? "none" : out;
}

std::string sites_table(dom::element const& page, double now) {
    std::string out = fmt::format("{} sites, {} of them in trouble\n\n", count_of(page, "total"),
                                  count_of(page, "matched"));
    dom::array all;
    if (page["sites"].get(all) != simdjson::SUCCESS || all.size() == 0) return out;
    out += fmt::format("{:<40} {:>8} {:>8} {:>10} {:>10} {:>7}  {}\n", "SITE", "TROUBLE", "WAITING", "PAUSED",
                       "NEIGHBOURS", "QUOTA", "FAILED BY");
    for (auto const s : all)
        out += fmt::format("{:<40} {:>8.1f} {:>8} {:>10} {:>8.0f} % {:>7}  {}\n", cut(text_of(s, "site"), 40),
                           number_of(s, "trouble").value_or(0), count_of(s, "waiting"),
                           until_text(number_of(s, "paused_until"), now),
                           100 * number_of(s, "neighbour_share").value_or(0), quota_text(s), faults_text(s));
    return out;
}

/// One look at both pages.
result<std::string> table(top_options const& o) {
    auto const query = fmt::format("?state=trouble&limit={}", o.rows);
    secret token;
    if (!o.token_file.empty()) {
        // Each time: it may be another one by now.
        auto read = system_secrets().from_file(o.token_file);
        if (!read) return failure(read.error()).with_field("--token-file");
        token = std::move(*read);
    }
    auto const connections = tools::http_get(o.at, "/connections" + query, patience, token);
    if (!connections) return connections.error();
    auto const sites = tools::http_get(o.at, "/sites" + query, patience, token);
    if (!sites) return sites.error();
    dom::parser first;
    dom::parser second;
    dom::element of_connections;
    dom::element of_sites;
    if (first.parse(*connections).get(of_connections) != simdjson::SUCCESS ||
        second.parse(*sites).get(of_sites) != simdjson::SUCCESS)
        return failure(errc::protocol_error, "what it answers is not JSON: is it jirapool's endpoint?");
    auto const now = seconds_now();
    return connections_table(of_connections, now) + "\n" + sites_table(of_sites, now);
}

}  // namespace

int top(top_options o) {
    bool const screen = isatty(STDOUT_FILENO) == 1 && !o.once;
    for (;;) {
        auto const shown = table(o);
        if (!shown) {
            tools::tell(fmt::format("jirapool: {}:{}: {}\n", o.at.address, o.at.port,
                                    tools::printable(shown.error().describe())));
            if (!screen) return failed;
        } else {
            // Behind a cleared screen; elsewhere one table behind the other.
            auto const head = fmt::format(
                "{}{}\n", screen ? "\x1b[H\x1b[2J" : "",
                time_text(std::chrono::floor<wall_time::duration>(std::chrono::system_clock::now())));
            if (!tools::print("jirapool", head + *shown)) return failed;
        }
        if (!screen) return ok;
        std::this_thread::sleep_for(o.every);
    }
}

}  // namespace jirapool::cli
