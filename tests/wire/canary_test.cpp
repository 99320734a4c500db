// Nothing that the library says of a call, a credential or a connection holds a secret or an access token, whatever Jira or the network
// do, even where they send back what they were sent. The tools' output: tests/tools/canary_test.py. Configurations:
// tests/unit/core/connection_config_test.cpp, connections_file_test.cpp.
#include "support/canary.hpp"
#include "fixture.hpp"

#include <jirapool/core/explanation.hpp>
#include <jirapool/metrics/collector.hpp>
#include <jirapool/mock/scenes.hpp>
#include <jirapool/pool/webhooks.hpp>

#include <prometheus/text_serializer.h>
#include <boost/asio/co_spawn.hpp>

#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
using jirapool::test::shows;

namespace {

using scripted = std::optional<mock::scripted_reply>;

// In base64, URLs and JSON it is another text each time.
std::string const signing = "hook+/=%&\"\\Jq7vXzR0w5KpYtUoMbNcDsEa";

mock::params one_of_each() {
    mock::params p;
    p.sites = 1;
    p.personal = p.service = p.oauth = 1;
    return p;
}

/// A client with a connection of each kind, and all that it says.
class witness {
public:
    explicit witness(fixture& f, std::optional<std::string> key = {}) : log_(f.params), jira_(1, f.params) {
        connection_options brief;
        brief.timeout = 200ms;  // a webhook's maker waits no longer than that either
        for (auto const& c : f.jira.world().connections()) {
            auto const k = key.value_or(c.secret);
            secrets_.add(k);
            if (c.kind != mock::connection_kind::personal) {
                all_.push_back(jira_.add(f.config(c.id, key)).value());
                continue;
            }
            auto const url = "https://" + f.jira.world().site_of(c).host;
            all_.push_back(jira_.add(c.id, personal_api_token(url, c.email, secret(k)), brief).value());
        }
        secrets_.add(signing);
    }

    /// One call on each connection, of which some read and some write, and what a webhook's maker is told.
    void call_all(std::chrono::milliseconds timeout) {
        std::vector<std::future<result<response>>> calls;
        for (auto const& c : all_) {
            auto const target = "/rest/api/3/issue/PROJ-1";
            calls.push_back(c.async_call(request::get(target).timeout(timeout).explain(), asio::use_future));
            calls.push_back(c.async_call(request::put(target).json("{}").timeout(timeout).explain(), asio::use_future));
        }
        for (auto& call : calls) {
            auto const r = call.get();
            if (r) hear("explanation", r->explanation()->describe());
            else hear(r.error());
        }
        webhook_spec spec("sync", "https://hooks.example.com/", {"jira:issue_created"});
        spec.signing_secret = secret(signing);
        asio::io_context io;
        auto made = asio::co_spawn(io, create_webhook(all_.front(), std::move(spec)), asio::use_future);
        io.run();
        if (auto const r = made.get(); !r) hear(r.error());
    }

    /// What it said otherwise, and the judgement over all.
    void check_quiet(std::set<std::string> const& tokens) {
        for (auto const& c : all_) {
            hear("state", c.status().describe());
            hear("id", c.id() + std::string(c.host()) + std::string(c.site()));
        }
        for (auto const& e : log_.all()) hear(to_string(e.what), e.connection + " " + e.detail);
        hear("metrics", prometheus::TextSerializer().Serialize(metrics::collector(jira_.overview()).Collect()));
        for (auto const& t : tokens) secrets_.add(t);
        for (auto const& [where, text] : said_) {
            INFO(where << ": " << text.substr(0, 2'000));
            CHECK_FALSE(secrets_.finds(text));
        }
    }
    /// Each failure's code that was met.
    std::set<int> const& codes() const { return codes_; }

private:
    void hear(std::string where, std::string text) { said_.emplace_back(std::move(where), std::move(text)); }
    void hear(failure const& why) {
        codes_.insert(why.code().value());
        hear("failure", why.describe());
        hear("its parts",
             why.rule() + why.field() + why.connection() + why.peer() + why.trace_id() + why.code().message());
        if (why.explanation()) hear("its explanation", why.explanation()->describe());
    }

    event_log const log_;
    runtime jira_;
    std::vector<connection> all_;
    test::secret_search secrets_;
    std::vector<std::pair<std::string, std::string>> said_;
    std::set<int> codes_;
};

/// The access tokens that came back to the mock.
class token_watch {
public:
    void see(mock::request_view const& r) {
        auto const shown = r.header("Authorization");
        if (!shown.starts_with("Bearer eyA")) return;
        std::lock_guard const lock(mutex_);
        tokens_.emplace(shown.substr(7));
    }
    /// Those since the last time.
    std::set<std::string> take() {
        std::lock_guard const lock(mutex_);
        return std::exchange(tokens_, {});
    }

private:
    std::mutex mutex_;
    std::set<std::string> tokens_;
};

/// What a request came with, its secrets among it. Of what a webhook is made with only the body: Jira's words against that are told.
std::string all_of(mock::request_view const& r) {
    bool const is_webhook = r.target.find("/webhooks/") != r.target.npos;
    return (is_webhook ? std::string() : std::string(r.header("Authorization")) + " ") + std::string(r.body);
}

std::string in_json(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out;
}

mock::scripted_reply with_headers(int status, std::string body, std::vector<std::pair<std::string, std::string>> h) {
    mock::scripted_reply r(status, std::move(body));
    r.headers = std::move(h);
    return r;
}

bool is_exchange(mock::request_view const& r) { return r.target.find("/oauth/token") != r.target.npos; }

}  // namespace

TEST_CASE("canary: the search of these tests finds a secret in each spelling, in part, and nowhere else") {
    std::string const noise =
        "connection 'personal-0001': PUT /rest/api/3/issue/PROJ-1: sha256=0123456789abcdef [timeout]";
    CHECK_FALSE(shows(noise, signing));
    CHECK(test::base64_of("Hello World!") == "SGVsbG8gV29ybGQh");
    CHECK(test::base64_of("Hello World") == "SGVsbG8gV29ybGQ=");
    for (auto const& s : test::spellings(signing)) CHECK(shows(noise + s + noise, signing));
    for (std::string const before : {"a", "user@example.com:", "xy:"})
        CHECK(shows(noise + test::base64_of(before + signing), signing));
    CHECK(shows(noise + signing.substr(8, 12), signing));
    CHECK_FALSE(shows(noise + signing.substr(8, 11), signing));
}

TEST_CASE("canary: no scene of the mock's makes the library say a secret or a token") {
    token_watch tokens;
    fixture f(one_of_each());
    f.params.retries.max_exchanges = 2;
    f.jira.set_intercept([&](mock::request_view const& r) {
        tokens.see(r);
        return scripted();
    });
    std::size_t issued = 0;
    for (auto const& s : mock::list_scenes()) {
        // Those of one status differ in figures only: tests/wire/limits_told_test.cpp.
        if (s.name.starts_with("limited_") && s.what != mock::scene::limited_burst &&
            s.what != mock::scene::limited_html && s.what != mock::scene::limited_gateway)
            continue;
        INFO(s.name);
        witness w(f);
        mock::scene_request r;
        r.what = s.what;
        // What is said of a token's exchange needs one; all else is said of calls that have theirs.
        if (s.where != mock::scene_place::token_endpoint) w.call_all(5s);
        f.jira.play(r);
        w.call_all(150ms);
        f.jira.end_scenes();
        auto const seen = tokens.take();
        issued += seen.size();
        w.check_quiet(seen);
    }
    CHECK(issued > 20);
}

TEST_CASE("canary: what sends a secret back in its answer does not make the library say it") {
    struct misfortune {
        char const* name;
        std::function<scripted(mock::request_view const&)> answers;
    };
    auto const every = [](auto make) { return [make](mock::request_view const& r) { return scripted(make(r)); }; };
    auto const of_exchange = [](auto make) {
        return [make](mock::request_view const& r) { return is_exchange(r) ? scripted(make(r)) : scripted(); };
    };
    std::vector<misfortune> all{
        {"never answered", every([](auto const&) {
             mock::scripted_reply r;
             r.never_answer = true;
             return r;
         })},
        {"cut off", every([](auto const& r) {
             mock::scripted_reply cut(200, all_of(r));
             cut.close_after_bytes = 60;
             return cut;
         })},
        {"no HTTP", every([](auto const& r) {
             mock::scripted_reply raw;
             raw.raw = all_of(r) + "\r\n\r\n";
             return raw;
         })},
        {"a reason", every([](auto const& r) {
             mock::scripted_reply raw;
             raw.raw = "HTTP/1.1 500 " + all_of(r) + "\r\nContent-Length: 0\r\n\r\n";
             return raw;
         })},
        {"a header's name", every([](auto const& r) {
             mock::scripted_reply raw;
             raw.raw = "HTTP/1.1 200 OK\r\n" + all_of(r) + "\r\nContent-Length: 0\r\n\r\n";
             return raw;
         })},
        {"a length", every([](auto const& r) { return with_headers(200, {}, {{"Content-Length", all_of(r)}}); })},
        {"a coding", every([](auto const& r) { return with_headers(200, {}, {{"Transfer-Encoding", all_of(r)}}); })},
        {"a time", every([](auto const& r) {
             return with_headers(429, {}, {{"Retry-After", all_of(r)}, {"RateLimit-Reason", all_of(r)}});
         })},
        {"a place",
         every([](auto const& r) { return with_headers(303, {}, {{"Location", "https://x/" + all_of(r)}}); })},
        {"a login", every([](auto const& r) {
             return with_headers(401, all_of(r),
                                 {{"WWW-Authenticate", all_of(r)},
                                  {"x-seraph-loginreason", all_of(r)},
                                  {"x-failure-category", all_of(r)}});
         })},
    };
    for (int const status : {200, 400, 401, 403, 404, 500, 503}) {
        all.push_back({"text", every([status](auto const& r) { return mock::scripted_reply(status, all_of(r)); })});
        all.push_back({"JSON", every([status](auto const& r) {
                           return mock::scripted_reply(status, R"({"message":")" + in_json(all_of(r)) + R"(","code":)" +
                                                                   std::to_string(status) + "}");
                       })});
        all.push_back({"an exchange's error", of_exchange([status](auto const& r) {
                           auto const text = in_json(all_of(r));
                           return mock::scripted_reply(status, R"({"error":")" + text + R"(","error_description":")" +
                                                                   text + R"("})");
                       })});
    }
    std::set<int> codes;
    token_watch tokens;
    fixture f(one_of_each());
    f.params.retries.max_exchanges = 2;
    for (auto const& m : all) {
        INFO(m.name);
        f.jira.set_intercept([&](mock::request_view const& r) {
            tokens.see(r);
            return m.answers(r);
        });
        witness w(f);
        w.call_all(150ms);
        w.check_quiet(tokens.take());
        codes.insert(w.codes().begin(), w.codes().end());
        f.jira.set_intercept({});
    }
    for (auto const code :
         {errc::timeout, errc::protocol_error, errc::channel_lost, errc::token_unavailable, errc::webhook_refused})
        CHECK(codes.contains(static_cast<int>(code)));
}

TEST_CASE(
    "canary: nobody who can be reached, trusted or found, and no credential that is good, makes the library say it") {
    struct {
        char const* name;
        std::function<void(fixture&)> arrange;
        std::optional<std::string> key;
        errc met;
    } const all[] = {
        {"down", [](fixture& f) { f.jira.down(); }, {}, errc::connect_failed},
        {"not trusted", [](fixture& f) { f.params.tls.ca_file.clear(); }, {}, errc::certificate_refused},
        {"wrong", [](fixture&) {}, "Wrong-Secret-9rTqL2vXzR0w5KpYtUoMbNcDsEa", errc::credential_refused},
    };
    for (auto const& one : all) {
        INFO(one.name);
        fixture f(one_of_each());
        f.params.retries.max_exchanges = 2;
        one.arrange(f);
        witness w(f, one.key);
        for (int i = 0; i < 3; ++i) w.call_all(150ms);
        w.check_quiet({});
        CHECK(w.codes().contains(static_cast<int>(one.met)));
    }
}
