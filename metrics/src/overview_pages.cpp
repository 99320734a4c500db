#include <jirapool/metrics/overview_pages.hpp>

#include <jirapool/core/json_text.hpp>
#include <jirapool/core/urgency.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace jirapool::metrics {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t most = 1'000;
constexpr auto patience = 100ms;

failure broken(std::string_view field, std::string_view rule) {
    return failure(errc::invalid_argument, std::string(rule)).with_field(std::string(field));
}

std::optional<std::size_t> number(std::string_view text) noexcept {
    std::size_t n = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return n;
}

/// Writes the members of one object, or the items of one list.
class json_members {
public:
    explicit json_members(std::string& out) noexcept : out_(out) {}

    void text(std::string_view name, std::string_view value) {
        key(name);
        append_json_string(out_, value);
    }
    void count(std::string_view name, std::uint64_t n) {
        key(name);
        out_.append(std::to_string(n));
    }
    void real(std::string_view name, double d) {
        key(name);
        append(d);
    }
    void time(std::string_view name, std::optional<wall_time> t) {
        key(name);
        if (!t) out_.append("null");
        else append(std::chrono::duration<double>(t->time_since_epoch()).count());
    }
    void key(std::string_view name) {
        next();
        append_json_string(out_, name);
        out_.push_back(':');
    }
    void next() {
        if (!first_) out_.push_back(',');
        first_ = false;
    }
    std::string& out() noexcept { return out_; }

private:
    void append(double d) {
        if (!std::isfinite(d)) {
            out_.append("null");  // JSON has no word for it
            return;
        }
        // Thousandths: of times milliseconds, of shares a tenth of a percent.
        char digits[64];
        auto const rounded = std::round(d * 1000) / 1000;
        auto const end = std::to_chars(digits, digits + sizeof digits, rounded, std::chars_format::fixed, 3).ptr;
        out_.append(digits, end);
    }

    std::string& out_;
    bool first_ = true;
};

bool holds(std::string_view text, std::string_view part) noexcept { return text.find(part) != text.npos; }

/// The part of all that match, as one list of JSON.
template <class T, class Write>
std::string list(std::string_view name, std::size_t total, std::vector<T> const& matched, list_query const& q,
                 Write const& write) {
    std::string out = "{";
    json_members all(out);
    all.count("total", total);
    all.count("matched", matched.size());
    all.count("offset", q.offset);
    all.key(name);
    out.push_back('[');
    json_members items(out);
    for (auto i = q.offset; i < matched.size() && i - q.offset < q.limit; ++i) {
        items.next();
        out.push_back('{');
        json_members one(out);
        write(one, matched[i]);
        out.push_back('}');
    }
    out.append("]}\n");
    return out;
}

std::optional<connection_condition> condition_named(std::string_view name) noexcept {
    for (std::size_t i = 0; i < connection_condition_count; ++i)
        if (name == to_string(static_cast<connection_condition>(i))) return static_cast<connection_condition>(i);
    return std::nullopt;
}

void write_connection(json_members& to, connection_snapshot const& c) {
    to.text("id", c.id);
    to.text("kind", to_string(c.kind));
    to.text("site", c.site);
    to.text("host", c.host);
    to.text("condition", to_string(c.status.condition));
    to.text("cause", to_string(c.status.cause));
    to.text("means", c.status.describe());
    to.time("since", c.status.since);
    to.time("until", c.status.until);
    to.time("last_success", c.status.last_success);
    to.time("token_expires", c.status.token_expires);
    to.time("expires", c.expires);
}

void write_site(json_members& to, site_snapshot const& s) {
    to.text("site", s.site);
    to.real("trouble", s.trouble);
    to.count("waiting", s.waiting);
    to.time("paused_until", s.paused_until);
    to.real("neighbour_share", s.others);
    to.key("quota");
    if (s.quota) {
        to.out().push_back('{');
        json_members quota(to.out());
        quota.real("left", s.quota->left);
        quota.real("of", s.quota->of);
        to.out().push_back('}');
    } else {
        to.out().append("null");
    }
    to.key("calls");
    if (s.calls) {
        to.out().push_back('{');
        json_members calls(to.out());
        for (std::size_t f = 0; f < fault_count; ++f) calls.count(to_string(static_cast<call_fault>(f)), (*s.calls)[f]);
        to.out().push_back('}');
    } else {
        to.out().append("null");
    }
}

}  // namespace

result<list_query> read_list_query(std::vector<std::pair<std::string, std::string>> const& parameters) {
    list_query q;
    for (auto const& [name, value] : parameters) {
        if (name == "offset") {
            auto const n = number(value);
            if (!n) return broken(name, "must be a number");
            q.offset = *n;
        } else if (name == "limit") {
            auto const n = number(value);
            if (!n || *n < 1 || *n > most) return broken(name, "must be a number from 1 to 1000");
            q.limit = *n;
        } else if (name == "state") {
            q.state = value;
        } else if (name == "search") {
            q.search = value;
        }
    }
    return q;
}

result<std::string> connections_json(overview const& o, list_query const& q) {
    auto const wanted = condition_named(q.state);
    if (!q.state.empty() && q.state != "trouble" && !wanted)
        return broken("state", "must be a condition's name, or trouble");
    auto all = o.connections();
    auto const total = all.size();
    std::erase_if(all, [&](connection_snapshot const& c) {
        if (wanted && c.status.condition != *wanted) return true;
        if (q.state == "trouble" && badness(c.status.condition) == 0) return true;
        return !holds(c.id, q.search) && !holds(c.site, q.search) && !holds(c.host, q.search);
    });
    std::sort(all.begin(), all.end(), [](connection_snapshot const& a, connection_snapshot const& b) {
        auto const left = badness(a.status.condition);
        auto const right = badness(b.status.condition);
        if (left != right) return left > right;
        if (left > 0 && a.status.since != b.status.since) return a.status.since < b.status.since;
        return a.id < b.id;
    });
    return list("connections", total, all, q, write_connection);
}

result<std::string> sites_json(overview const& o, list_query const& q) {
    if (!q.state.empty() && q.state != "trouble" && q.state != "paused" && q.state != "waiting")
        return broken("state", "must be paused, waiting or trouble");
    auto all = o.sites(patience);
    auto const total = all.size();
    std::erase_if(all, [&](site_snapshot const& s) {
        if (q.state == "paused" && !s.paused_until) return true;
        if (q.state == "waiting" && s.waiting == 0) return true;
        if (q.state == "trouble" && urgency_of(s) < urgent_from) return true;
        return !holds(s.site, q.search);
    });
    return list("sites", total, all, q, write_site);
}

namespace {

page json_page(std::string path, std::shared_ptr<overview const> o,
               result<std::string> (*json)(overview const&, list_query const&)) {
    return {std::move(path), [o = std::move(o), json](page_request const& r) {
                page_answer a;
                auto const query = read_list_query(r.parameters);
                auto body = query ? json(*o, *query) : result<std::string>(query.error());
                if (body) {
                    a.content_type = "application/json";
                    a.body = std::move(*body);
                } else {
                    a.status = 400;
                    a.body = body.error().field() + ": " + body.error().rule() + "\n";
                }
                return a;
            }};
}

}  // namespace

page connections_page(std::shared_ptr<overview const> o) {
    return json_page("/connections", std::move(o), &connections_json);
}
page sites_page(std::shared_ptr<overview const> o) { return json_page("/sites", std::move(o), &sites_json); }

}  // namespace jirapool::metrics
