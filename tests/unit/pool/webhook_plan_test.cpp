#include "support/catch.hpp"

#include "jira/webhook_plan.hpp"

#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::detail;

namespace {

webhook_spec wanted() {
    webhook_spec s("sync", "https://hooks.example.com/acme", {"jira:issue_created", "comment_created"});
    s.jql = "project = ACME";
    s.signing_secret = secret("s3cret");
    return s;
}

webhook_info as_wanted(char const* id = "1") {
    webhook_info w;
    w.id = id;
    w.name = "sync";
    w.callback_url = "https://hooks.example.com/acme";
    w.events = {"jira:issue_created", "comment_created"};
    w.jql = "project = ACME";
    w.enabled = true;
    w.is_signed = true;
    return w;
}

using drift = std::vector<webhook_drift>;

}  // namespace

TEST_CASE("webhook_plan: each sort of drift is told, and all of them together") {
    CHECK(drift_of(wanted(), as_wanted()) == drift{});
    struct one {
        webhook_drift what;
        void (*change)(webhook_info&);
    };
    one const sorts[] = {
        {webhook_drift::disabled, [](webhook_info& w) { w.enabled = false; }},
        {webhook_drift::name, [](webhook_info& w) { w.name = "other"; }},
        {webhook_drift::callback_url, [](webhook_info& w) { w.callback_url += "/"; }},
        {webhook_drift::events, [](webhook_info& w) { w.events.pop_back(); }},
        {webhook_drift::events, [](webhook_info& w) { w.events.push_back("jira:issue_deleted"); }},
        {webhook_drift::filter, [](webhook_info& w) { w.jql.clear(); }},
        {webhook_drift::filter, [](webhook_info& w) { w.jql = "project = OTHER"; }},
        {webhook_drift::body, [](webhook_info& w) { w.has_body = false; }},
        {webhook_drift::not_signed, [](webhook_info& w) { w.is_signed = false; }},
    };
    auto all = as_wanted();
    for (auto const& s : sorts) {
        auto w = as_wanted();
        s.change(w);
        CHECK(drift_of(wanted(), w) == drift{s.what});
        s.change(all);
    }
    CHECK(drift_of(wanted(), all).size() == 7);
}

TEST_CASE("webhook_plan: what Jira may give back in another form is no drift") {
    auto w = as_wanted();
    w.events = {"comment_created", "jira:issue_created", "comment_created"};
    w.jql = "  project = ACME\n";
    CHECK(drift_of(wanted(), w) == drift{});
    // A secret that is not asked for does no harm.
    auto spec = wanted();
    spec.signing_secret = secret();
    CHECK(drift_of(spec, w) == drift{});
    spec.jql.clear();
    w.jql = " ";
    CHECK(drift_of(spec, w) == drift{});
}

TEST_CASE("webhook_plan: name and URL together tell which one is meant, then the name, then the URL") {
    auto both = as_wanted("1"), by_name = as_wanted("2"), by_url = as_wanted("3"), other = as_wanted("4");
    by_name.callback_url = "https://hooks.example.com/old";
    by_url.name = "renamed";
    other.name = other.callback_url = "else";
    CHECK(find_webhook(wanted(), {other, by_url, by_name, both})->id == "1");
    CHECK(find_webhook(wanted(), {other, by_url, by_name})->id == "2");
    CHECK(find_webhook(wanted(), {other, by_url})->id == "3");
    CHECK(find_webhook(wanted(), {other}) == nullptr);
    CHECK(find_webhook(wanted(), {}) == nullptr);
}

TEST_CASE("webhook_plan: each drift has a name") {
    for (std::size_t i = 0; i < webhook_drift_count; ++i)
        CHECK(std::string(to_string(static_cast<webhook_drift>(i))) != "unknown");
}

TEST_CASE("webhook_plan: a connection's callback URL is a path of its own under the base") {
    CHECK(*webhook_callback_url("https://hooks.example.com", "acme") == "https://hooks.example.com/acme");
    CHECK(*webhook_callback_url("https://hooks.example.com:8443/jira/", "acme") ==
          "https://hooks.example.com:8443/jira/acme");
    CHECK(*webhook_callback_url("https://hooks.example.com/jira", "a/b c?d#e%\xc3\xa4") ==
          "https://hooks.example.com/jira/a%2Fb%20c%3Fd%23e%25%C3%A4");
    struct bad {
        char const* base;
        char const* id;
        char const* field;
    };
    for (auto const& b :
         {bad{"http://hooks.example.com", "a", "base"}, bad{"https://hooks.example.com/?x=1", "a", "base"},
          bad{"https://hooks.example.com/#x", "a", "base"}, bad{"", "a", "base"},
          bad{"https://u:p@hooks.example.com", "a", "base"}, bad{"https://hooks.example.com", "", "connection_id"},
          bad{"https://hooks.example.com", "..", "connection_id"},
          bad{"https://hooks.example.com", ".", "connection_id"}}) {
        INFO(b.base << " " << b.id);
        auto const r = webhook_callback_url(b.base, b.id);
        REQUIRE(!r);
        CHECK(r.error().code() == errc::invalid_argument);
        CHECK(r.error().field() == b.field);
    }
}
