#include "live_check.hpp"

#include "exit_status.hpp"
#include "reach.hpp"
#include "report_parts.hpp"

#include <jirapool/pool/client.hpp>
#include <jirapool/tools/json_writer.hpp>
#include <jirapool/tools/process.hpp>
#include <jirapool/tools/text.hpp>

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::cli {
namespace {

namespace dom = simdjson::dom;
using namespace std::string_view_literals;

// What most integrations need, and what webhooks do.
constexpr std::array asked_permissions = {"BROWSE_PROJECTS"sv, "CREATE_ISSUES"sv, "EDIT_ISSUES"sv, "ADMINISTER"sv};

/// What a live check found out about one connection.
struct finding {
    std::string id;
    connection_kind kind{};
    std::string host;
    std::string cloud;  ///< empty: not known
    connection_status status;
    std::optional<failure> failed;  ///< why Jira could not be asked
    int answered = 0;               ///< the check's status
    std::string account;
    std::string name;
    std::string account_type;
    std::vector<std::string> permissions;
    bool permissions_known = false;
    std::string rate_limit;
    std::string rate_remaining;
    std::string scopes;  ///< of its access token; empty: not known
};

/// A member of the object, if it is a string; else empty.
std::string text_of(dom::object const& o, std::string_view name) {
    std::string_view text;
    if (o.at_key(name).get(text)) return {};
    return std::string(text);
}

void read_identity(response const& r, finding& f) {
    f.answered = r.status();
    f.rate_limit = r.header("X-RateLimit-Limit");
    f.rate_remaining = r.header("X-RateLimit-Remaining");
    dom::parser parser;
    dom::object o;
    if (!r.ok() || parser.parse(r.body()).get(o)) return;
    f.account = text_of(o, "accountId");
    f.name = text_of(o, "displayName");
    f.account_type = text_of(o, "accountType");
}

void read_permissions(response const& r, finding& f) {
    dom::parser parser;
    dom::object all;
    if (!r.ok() || parser.parse(r.body())["permissions"].get(all)) return;
    f.permissions_known = true;
    for (auto const name : asked_permissions) {
        bool has = false;
        if (!all.at_key(name)["havePermission"].get(has) && has) f.permissions.emplace_back(name);
    }
}

void read_cloud(response const& r, finding& f) {
    dom::parser parser;
    dom::object o;
    if (!r.ok() || parser.parse(r.body()).get(o)) return;
    f.cloud = text_of(o, "cloudId");
}

std::string permissions_target() {
    std::string target = "/rest/api/3/mypermissions?permissions=";
    for (auto const name : asked_permissions) target.append(name == asked_permissions.front() ? "" : ",").append(name);
    return target;
}

asio::awaitable<void> look_at(connection c, finding* f, std::chrono::milliseconds timeout) {
    auto const checked = co_await c.call(request::check().timeout(timeout));
    f->status = c.status();
    if (checked) read_identity(*checked, *f);
    else if (checked.error().code() != errc::anonymous_answer && checked.error().code() != errc::credential_refused)
        f->failed = checked.error();
    bool const works = f->status.condition == connection_condition::healthy;
    if (!works && f->status.condition != connection_condition::scope_missing) co_return;
    auto const permissions = co_await c.call(request::get(permissions_target()).timeout(timeout));
    if (permissions) read_permissions(*permissions, *f);
    if (c.kind() != connection_kind::personal_api_token) co_return;
    auto const tenant = co_await c.call(request::get("/_edge/tenant_info").timeout(timeout));
    if (tenant) read_cloud(*tenant, *f);
}

/// All connections of a file, so many at a time.
class live_check_run {
public:
    live_check_run(live_check_options const& o, std::vector<connection_config> connections)
        : options_(o),
          client_(context_, params()),
          connections_(std::move(connections)),
          shows_progress_(::isatty(STDERR_FILENO) == 1) {
        findings_.reserve(connections_.size());
        for (auto const& c : connections_) {
            findings_.emplace_back();
            auto& f = findings_.back();
            f.id = c.id();
            f.kind = c.kind();
            f.host = c.host();
            if (c.cloud()) f.cloud = c.cloud()->str();
            indices_.emplace(f.id, findings_.size() - 1);
        }
    }

    std::vector<finding> run() && {
        auto const workers = std::min<std::size_t>(options_.parallel, connections_.size());
        working_ = workers;
        auto const end = [this](std::exception_ptr const& e) {
            if (e) problem_ = e;
            if (--working_ == 0) client_.stop();
        };
        for (std::size_t i = 0; i < workers; ++i) asio::co_spawn(context_, work(this), end);
        if (workers == 0) client_.stop();
        context_.run();
        if (problem_) std::rethrow_exception(problem_);
        return std::move(findings_);
    }

private:
    client_params params() {
        auto p = reach_params(options_.connect_to, options_.ca_file);
        p.on_token_scopes = [this](std::string_view id, std::string_view scopes) {
            auto const of = indices_.find(id);
            if (of != indices_.end()) findings_[of->second].scopes = scopes;
        };
        return p;
    }

    // The connection is added when its turn comes, and leaves behind it: a fleet's tokens are not all fetched at once.
    static asio::awaitable<void> work(live_check_run* self) {
        while (self->next_ < self->connections_.size()) {
            auto const i = self->next_++;
            auto const added = self->client_.add(std::move(self->connections_[i]));
            if (added) co_await look_at(*added, &self->findings_[i], self->options_.timeout);
            else self->findings_[i].failed = added.error();
            self->client_.remove(self->findings_[i].id);
            self->show_progress(++self->done_);
        }
    }

    void show_progress(std::size_t done) const {
        if (!shows_progress_) return;
        tools::tell(fmt::format("\r{} of {} connections{}", done, findings_.size(),
                                done == findings_.size() ? "\n" : ""));
    }

    live_check_options const& options_;
    asio::io_context context_{1};
    client client_;
    std::vector<connection_config> connections_;
    std::vector<finding> findings_;
    std::map<std::string, std::size_t, std::less<>> indices_;  // of findings, by connection
    std::size_t next_ = 0;
    std::size_t done_ = 0;
    std::size_t working_ = 0;
    std::exception_ptr problem_;
    bool const shows_progress_;
};

bool is_well(finding const& f) {
    return !f.failed &&
           (f.status.condition == connection_condition::healthy || f.status.condition == connection_condition::limited);
}

std::string_view state_of(finding const& f) { return f.failed ? "unreachable"sv : to_string(f.status.condition); }

std::string problem_of(finding const& f) { return f.failed ? f.failed->describe() : f.status.describe(); }

std::string identity_of(finding const& f) {
    if (f.account.empty()) return "-";
    return f.name.empty() ? f.account : f.name + " (" + f.account_type + ")";
}

std::string joined(std::vector<std::string> const& all) {
    std::string text;
    for (auto const& one : all) text.append(text.empty() ? "" : ",").append(one);
    return text;
}

using row = std::array<std::string, 7>;

row row_of(finding const& f) {
    return {std::string(state_of(f)),
            f.id,
            to_string(f.kind),
            f.cloud.empty() ? f.host : f.cloud,
            tools::printable(identity_of(f)),
            f.permissions_known ? (f.permissions.empty() ? "nothing" : joined(f.permissions)) : "-",
            f.rate_limit.empty() ? "-" : tools::printable(f.rate_remaining + " of " + f.rate_limit)};
}

std::string to_table(std::vector<finding> const& all, bool quiet) {
    std::vector<std::pair<row, finding const*>> rows;
    for (auto const& f : all)
        if (!quiet || !is_well(f)) rows.emplace_back(row_of(f), &f);
    row const heads = {"STATE", "ID", "KIND", "SITE", "IDENTITY", "MAY", "RATE"};
    std::array<std::size_t, std::tuple_size_v<row>> widths{};
    for (std::size_t i = 0; i < heads.size(); ++i) {
        widths[i] = heads[i].size();
        for (auto const& [r, f] : rows) widths[i] = std::max(widths[i], r[i].size());
    }
    std::string out;
    auto const line = [&](row const& r) {
        for (std::size_t i = 0; i < r.size(); ++i)
            out += i + 1 == r.size() ? r[i] + "\n" : fmt::format("{:<{}}  ", r[i], widths[i]);
    };
    if (!rows.empty()) line(heads);
    for (auto const& [r, f] : rows) {
        line(r);
        if (!f->scopes.empty()) out += "    scopes: " + f->scopes + "\n";
        if (!is_well(*f)) out += "    " + tools::printable(problem_of(*f)) + "\n";
    }
    return out;
}

void write_finding(tools::json_writer& out, finding const& f) {
    out.begin_object();
    out.member("id", f.id);
    out.member("kind", to_string(f.kind));
    out.member("host", f.host);
    write_text(out, "cloud_id", f.cloud);
    out.member("state", state_of(f));
    out.member("cause", to_string(f.status.cause));
    write_text(out, "problem", is_well(f) ? std::string() : problem_of(f));
    write_time(out, "until", f.status.until);
    write_time(out, "token_expires", f.status.token_expires);
    if (f.answered != 0) out.member("status", f.answered);
    else out.key("status").null();
    write_text(out, "account_id", f.account);
    write_text(out, "name", f.name);
    write_text(out, "account_type", f.account_type);
    if (f.permissions_known) {
        out.key("permissions").begin_array();
        for (auto const& p : f.permissions) out.value(p);
        out.end_array();
    } else {
        out.key("permissions").null();
    }
    write_scopes(out, f.scopes);
    write_text(out, "rate_limit", f.rate_limit);
    write_text(out, "rate_remaining", f.rate_remaining);
    out.end_object();
}

/// `problems` are those of connections that could not be asked; there may be more of these, `unusable` in all.
std::string to_json(std::vector<finding> const& all, std::size_t well, std::vector<failure> const& problems,
                    std::size_t unusable, std::string const& warning) {
    tools::json_writer out;
    out.begin_object();
    out.member("schema", 1);
    out.member("total", all.size());
    out.member("ok", well);
    out.member("bad", all.size() - well);
    out.member("unusable", unusable);
    out.key("connections").begin_array();
    for (auto const& f : all) write_finding(out, f);
    out.end_array();
    out.key("problems").begin_array();
    for (auto const& f : problems) write_problem(out, f);
    out.end_array();
    out.key("warnings").begin_array();
    if (!warning.empty()) out.value(warning);
    out.end_array();
    out.end_object();
    return out.take();
}

std::string totals(std::size_t asked, std::size_t well, std::size_t unusable) {
    return fmt::format("{} connections asked: {} work, {} do not{}\n", asked, well, asked - well,
                       unusable == 0 ? std::string() : fmt::format("; {} cannot be asked", unusable));
}

}  // namespace

int check_live(live_check_options o, connections_report report, std::string const& warning) {
    auto const unusable = report.total - report.connections.size();
    for (auto const& f : report.problems) tools::tell(fmt::format("BAD  {}\n", tools::printable(f.describe())));
    if (unusable > report.problems.size())
        tools::tell(fmt::format("BAD  and {} more that are not described\n", unusable - report.problems.size()));
    auto const findings = live_check_run(o, std::move(report.connections)).run();
    auto const well = static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), is_well));
    auto const text = o.json ? to_json(findings, well, report.problems, unusable, warning)
                             : to_table(findings, o.quiet) + totals(findings.size(), well, unusable);
    if (!tools::print("jirapool", text)) return failed;
    return unusable == 0 && well == findings.size() ? ok : not_ok;
}

}  // namespace jirapool::cli
