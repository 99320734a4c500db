// How events are named and put in a line of a log.
#include <jirapool/core/error.hpp>
#include <jirapool/pool/params.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool;

namespace {

using kind = event::kind;
using severity = event::severity;

// In the order of the enumerators. A name is in somebody's alerts: it is never changed.
std::vector<std::pair<char const*, severity>> const kinds{
    {"token_refresh_failed", severity::warning},
    {"credential_refused", severity::critical},
    {"credential_anonymous", severity::critical},
    {"limit_pause", severity::info},
    {"origin_down", severity::warning},
    {"site_unresolved", severity::warning},
    {"handler_threw", severity::warning},
    {"scope_missing", severity::critical},
    {"misconfigured", severity::critical},
    {"site_gone", severity::critical},
    {"limited_for_long", severity::warning},
    {"credential_expiring", severity::warning},
    {"credential_expired", severity::critical},
    {"healed", severity::info},
    {"origin_up", severity::info},
    {"token_refresh_recovered", severity::info},
    {"token_endpoint_down", severity::warning},
    {"token_endpoint_up", severity::info},
    {"webhook_drifted", severity::warning},
    {"http1_instead", severity::warning},
};

}  // namespace

TEST_CASE("events: each kind has its name and its severity, which stay as they are") {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        INFO(i);
        CHECK(std::string(to_string(static_cast<kind>(i))) == kinds[i].first);
        CHECK(severity_of(static_cast<kind>(i)) == kinds[i].second);
    }
    // One that is added is added above as well.
    CHECK(std::string(to_string(static_cast<kind>(kinds.size()))) == "unknown");
    CHECK(std::string(to_string(severity::info)) == "info");
    CHECK(std::string(to_string(severity::warning)) == "warning");
    CHECK(std::string(to_string(severity::critical)) == "critical");
}

TEST_CASE("events: described, one is a line that says how bad, what, of whom and why") {
    event e{kind::credential_refused, "acme", "invalid_client"};
    CHECK(e.describe() == "critical credential_refused acme: invalid_client");
    e.code = errc::credential_refused;
    CHECK(e.describe() == "critical credential_refused acme: invalid_client [credential_refused]");
    e.detail = "the token endpoint said invalid_client [credential_refused]";
    CHECK(e.describe() ==
          "critical credential_refused acme: the token endpoint said invalid_client [credential_refused]");
    event pause{kind::limit_pause, "acme", "burst"};
    pause.scope = "acme.atlassian.net route GET /rest/api/{version}/field";
    CHECK(pause.describe() == "info limit_pause acme acme.atlassian.net route GET /rest/api/{version}/field: burst");
    event up{kind::origin_up, {}, {}};
    up.scope = "api.atlassian.com";
    CHECK(up.describe() == "info origin_up api.atlassian.com");
    // What a server or a handler said begins no second line, which somebody could take for another event.
    event said{kind::handler_threw, {}, "a\r\nb\tc\x7f d"};
    said.code = make_error_code(boost::system::errc::not_enough_memory);
    auto const line = said.describe();
    CHECK(line.starts_with("warning handler_threw: a  b c  d ["));
    CHECK(line.ends_with(said.code.message() + "]"));
}

TEST_CASE("events: described, one stays a line whatever a server said") {
    event e{event::kind::origin_down,
            {},
            "a\r\nb\x7f\xc2\x85"
            "c\xe2\x80\xa8"
            "d\xe2\x80\xa9"
            "e\xc3\xa4\xc2"};
    CHECK(e.describe() == "warning origin_down: a  b  c d e\xc3\xa4\xc2");
}
