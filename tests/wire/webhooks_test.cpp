#include "fixture.hpp"

#include <jirapool/pool/webhooks.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <functional>
#include <string>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

webhook_spec wanted() {
    webhook_spec s("sync", "https://hooks.example.com/acme", {"jira:issue_created", "comment_created"});
    s.jql = "project = \"ACME\"";
    s.signing_secret = secret("s3cret");
    return s;
}

webhook_spec others() {
    webhook_spec s("other", "https://hooks.example.com/other", {"jira:issue_deleted"});
    return s;
}

/// One site of the mock, and a user with an administrator's API token.
class site {
public:
    site() : jira_(1, f.params), c(jira_.add(f.config("personal-0001")).value()) {}

    template <class T>
    result<T> run(asio::awaitable<result<T>> what) {
        asio::io_context io;
        auto done = asio::co_spawn(io, std::move(what), asio::use_future);
        io.run();
        return done.get();
    }
    ensured_webhook ensure() {
        auto r = run(ensure_webhook(c, wanted()));
        if (!r) FAIL(r.error().describe());
        return *r;
    }
    std::vector<webhook_info> all() { return *run(list_webhooks(c)); }
    /// Somebody else changes a webhook.
    void change(std::string const& id, std::string const& fields) {
        auto const r = call(c, request::put("/rest/webhooks/1.0/webhook/" + id).json(fields));
        REQUIRE(r.has_value());
        REQUIRE(r->status() == 200);
    }

    fixture f;
    event_log events{f.params};

private:
    runtime jira_;

public:
    connection const c;
};

using drift = std::vector<webhook_drift>;

}  // namespace

TEST_CASE("webhooks: ensure twice creates once") {
    site s;
    auto const first = s.ensure();
    CHECK(first.created());
    CHECK(first.healed == drift{webhook_drift::missing});
    CHECK(first.webhook.enabled);
    CHECK(first.webhook.is_signed);
    CHECK(first.webhook.jql == wanted().jql);
    auto const second = s.ensure();
    CHECK_FALSE(second.created());
    CHECK(second.healed.empty());
    CHECK(second.webhook.id == first.webhook.id);
    CHECK(s.all().size() == 1);
}

TEST_CASE("webhooks: ensure heals drift of each sort, and leaves all else alone") {
    struct sort {
        char const* fields;  // of the webhook as somebody changed it
        drift what;
    };
    sort const sorts[] = {
        {R"({"enabled":false})", {webhook_drift::disabled}},
        {R"({"name":"renamed"})", {webhook_drift::name}},
        {R"({"url":"https://elsewhere.example.com/"})", {webhook_drift::callback_url}},
        {R"({"events":["jira:issue_created"]})", {webhook_drift::events}},
        {R"({"filters":{}})", {webhook_drift::filter}},
        {R"({"filters":{"issue-related-events-section":"project = X"}})", {webhook_drift::filter}},
        {R"({"excludeBody":true})", {webhook_drift::body}},
        {R"({"secret":""})", {webhook_drift::not_signed}},
        {R"({"enabled":false,"events":[],"filters":{},"secret":""})",
         {webhook_drift::disabled, webhook_drift::events, webhook_drift::filter, webhook_drift::not_signed}},
    };
    site s;
    auto const other = s.run(create_webhook(s.c, others()));
    REQUIRE(other.has_value());
    auto const id = s.ensure().webhook.id;
    for (auto const& one : sorts) {
        INFO(one.fields);
        s.change(id, one.fields);
        auto const healed = s.ensure();
        CHECK(healed.healed == one.what);
        CHECK(healed.webhook.id == id);
        CHECK(s.ensure().healed.empty());
    }
    // Deleted by somebody.
    REQUIRE(*s.run(delete_webhook(s.c, id)));
    CHECK(s.ensure().created());
    auto const all = s.all();
    REQUIRE(all.size() == 2);
    CHECK(all.front().name == "other");
    CHECK(all.front().events == std::vector<std::string>{"jira:issue_deleted"});
}

TEST_CASE("webhooks: what ensure finds to heal is an event, and what is as it should be is none") {
    site s;
    auto const id = s.ensure().webhook.id;
    s.ensure();
    s.change(id, R"({"enabled":false,"events":[]})");
    s.ensure();
    s.ensure();
    REQUIRE(eventually([&] { return s.events.all().size() >= 2; }));
    auto const all = s.events.all();
    REQUIRE(all.size() == 2);
    char const* const details[] = {"missing", "disabled, events"};
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(all[i].what == event::kind::webhook_drifted);
        CHECK(all[i].connection == "personal-0001");
        CHECK(all[i].scope == wanted().name);
        CHECK(all[i].detail == details[i]);
        CHECK(severity_of(all[i].what) == event::severity::warning);
    }
}

TEST_CASE("webhooks: ensure makes anew what is deleted between its look and its change") {
    site s;
    auto const id = s.ensure().webhook.id;
    s.change(id, R"({"enabled":false})");
    bool deleted = false;
    s.f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (r.method != "PUT" || deleted) return std::nullopt;
        deleted = true;
        return mock::scripted_reply(404, R"({"errorMessages":["The webhook does not exist."]})");
    });
    auto const again = s.ensure();
    CHECK(deleted);
    CHECK(again.created());
    s.f.jira.set_intercept({});
}

TEST_CASE("webhooks: what Jira does not take over is said, and not taken for healed") {
    site s;
    auto const id = s.ensure().webhook.id;
    s.change(id, R"({"enabled":false})");
    s.f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (r.method != "PUT") return std::nullopt;
        return mock::scripted_reply(200, R"({"name":"sync","url":"https://hooks.example.com/acme","enabled":false,)"
                                         R"("isSigned":true,"events":["jira:issue_created","comment_created"],)"
                                         R"("filters":{"issue-related-events-section":"project = \"ACME\""},)"
                                         R"("self":"https://x.atlassian.net/rest/webhooks/1.0/webhook/1"})");
    });
    auto const r = s.run(ensure_webhook(s.c, wanted()));
    REQUIRE(!r);
    CHECK(r.error().code() == errc::webhook_refused);
    CHECK(r.error().rule().find("disabled") != std::string::npos);
}

TEST_CASE("webhooks: what Jira or the edge says against one is told, whatever its shape") {
    site s;
    struct refusal {
        int status;
        char const* body;
        char const* rule;
    };
    refusal const all[] = {
        {400, R"({"errorMessages":["no"],"errors":{"url":"is not valid"}})", "status 400: no; url: is not valid"},
        {400, R"([{"message":"The name is taken."}])", "status 400: The name is taken."},
        {403, "<html><title>ERROR: The request could not be satisfied</title>",
         "status 403: ERROR: The request could not be satisfied"},
        {409, "", "status 409"},
    };
    for (auto const& one : all) {
        s.f.jira.set_intercept([&](mock::request_view const&) { return mock::scripted_reply(one.status, one.body); });
        auto const r = s.run(create_webhook(s.c, wanted()));
        REQUIRE(!r);
        auto const why = r.error();
        CHECK(why.code() == errc::webhook_refused);
        CHECK(why.status() == one.status);
        CHECK(why.rule() == one.rule);
    }
    s.f.jira.set_intercept({});
}

TEST_CASE("webhooks: one is read, changed, disabled and enabled, and keeps what is not named") {
    site s;
    auto const id = s.ensure().webhook.id;
    s.change(id, R"({"description":"made by somebody","excludeBody":true})");
    auto const off = s.run(enable_webhook(s.c, id, false));
    REQUIRE(off.has_value());
    CHECK_FALSE(off->enabled);
    CHECK(off->jql == wanted().jql);
    CHECK(off->is_signed);
    auto const raw = call(s.c, request::get("/rest/webhooks/1.0/webhook/" + id));
    CHECK(std::string_view(raw->body()).find(R"("description":"made by somebody")") != std::string_view::npos);
    CHECK(std::string_view(raw->body()).find(R"("excludeBody":true)") != std::string_view::npos);
    auto changed = wanted();
    changed.name = "other name";
    changed.signing_secret = secret();
    changed.jql.clear();
    auto const updated = s.run(update_webhook(s.c, id, std::move(changed)));
    REQUIRE(updated.has_value());
    CHECK(updated->name == "other name");
    CHECK(updated->jql.empty());
    CHECK(updated->is_signed);
    CHECK_FALSE(updated->enabled);
    CHECK(s.run(enable_webhook(s.c, id, true))->enabled);
    auto const read = s.run(get_webhook(s.c, id));
    REQUIRE(read.has_value());
    REQUIRE(read->has_value());
    CHECK((*read)->enabled);
    CHECK((*read)->name == "other name");
    CHECK(s.run(may_manage_webhooks(s.c)).value());
}

TEST_CASE("webhooks: of one that is not there each function says so") {
    site s;
    auto const read = s.run(get_webhook(s.c, "77"));
    REQUIRE(read.has_value());
    CHECK_FALSE(read->has_value());
    CHECK(s.run(update_webhook(s.c, "77", wanted())).error().status() == 404);
    CHECK(s.run(enable_webhook(s.c, "77", true)).error().status() == 404);
    for (auto const* const id : {"", "x", "1/2", "-1", "1 "}) {
        CHECK(s.run(get_webhook(s.c, id)).error().field() == "id");
        CHECK(s.run(enable_webhook(s.c, id, true)).error().field() == "id");
        CHECK(s.run(update_webhook(s.c, id, wanted())).error().field() == "id");
    }
}

TEST_CASE("webhooks: the other kinds are refused by each function before anything is sent") {
    site s;
    runtime jira(1, s.f.params);
    for (auto const* const name : {"service-0001", "oauth-0001"}) {
        auto const c = jira.add(s.f.config(name)).value();
        CHECK(s.run(get_webhook(c, "1")).error().code() == errc::unsupported_for_kind);
        CHECK(s.run(update_webhook(c, "1", wanted())).error().code() == errc::unsupported_for_kind);
        CHECK(s.run(enable_webhook(c, "1", true)).error().code() == errc::unsupported_for_kind);
        CHECK(s.run(ensure_webhook(c, wanted())).error().code() == errc::unsupported_for_kind);
        CHECK(s.run(may_manage_webhooks(c)).error().code() == errc::unsupported_for_kind);
    }
    auto const t = s.f.jira.snapshot();
    CHECK(t.webhook_requests_service + t.webhook_requests_oauth + t.webhook_requests_unknown == 0);
}
