#include "support/catch.hpp"

#include <jirapool/core/random.hpp>
#include <jirapool/pool/webhook_delivery.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

std::string const issue_updated =
    R"({"timestamp":1764000000123,"webhookEvent":"jira:issue_updated","issue":{"id":"10002","key":"ACME-7"},"new":[1]})";

/// A delivery in parts that a test may change.
struct sent {
    std::string method = "POST";
    std::string body = issue_updated;
    std::vector<std::pair<std::string, std::string>> headers;

    explicit sent(std::string text = issue_updated) : body(std::move(text)) {
        headers = {{"Content-Type", "application/json"},
                   {"x-hub-signature", webhook_signature(body, secret("s3cret"))},
                   {"X-Atlassian-Webhook-Identifier", "id-1"}};
    }
    std::string& signature() { return headers[1].second; }
    result<webhook_delivery> read(std::string_view key = "s3cret") const {
        std::vector<webhook_request::header> const all(headers.begin(), headers.end());
        return read_webhook_delivery({method, all, body}, secret(key));
    }
};

void check_refused(sent const& s, char const* field, int status) {
    INFO(s.body.substr(0, 300));
    auto const r = s.read();
    REQUIRE_FALSE(r.has_value());
    INFO(r.error().describe());
    CHECK(r.error().code() == errc::invalid_argument);
    CHECK(r.error().field() == field);
    CHECK(r.error().status() == status);
    CHECK_FALSE(r.error().rule().empty());
    CHECK(r.error().describe().find("s3cret") == std::string::npos);
}

}  // namespace

TEST_CASE("webhook delivery: the signature is that of Atlassian's example") {
    CHECK(webhook_signature("Hello World!", secret("It's a Secret to Everybody")) ==
          "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9");
    // RFC 4231, test case 2.
    CHECK(webhook_signature("what do ya want for nothing?", secret("Jefe")) ==
          "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("webhook delivery: what a receiver needs is read, and the rest is kept") {
    auto const d = sent().read().value();
    CHECK(d.id == "id-1");
    CHECK(d.retry == 0);
    CHECK(d.event == "jira:issue_updated");
    CHECK(d.timestamp == wall_time(1764000000123ms));
    CHECK(d.issue_id == "10002");
    CHECK(d.issue_key == "ACME-7");
    CHECK(d.body == issue_updated);

    sent again;
    again.headers.emplace_back("X-ATLASSIAN-WEBHOOK-RETRY", " 2 ");
    std::transform(again.signature().begin() + 7, again.signature().end(), again.signature().begin() + 7,
                   [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c; });
    CHECK(again.read().value().retry == 2);

    // Comments may come without their issue, and what has no identifier is a delivery all the same.
    sent bare(R"({"webhookEvent":"comment_created","comment":{"id":"1"},"issue":null,"timestamp":"soon"})");
    bare.headers.pop_back();
    auto const b = bare.read().value();
    CHECK(b.id.empty());
    CHECK(b.event == "comment_created");
    CHECK(b.issue_key.empty());
    CHECK_FALSE(b.timestamp.has_value());
    // An id that is a number, and a byte order mark.
    CHECK(sent("\xef\xbb\xbf{\"webhookEvent\":\"e\",\"issue\":{\"id\":7}}").read().value().issue_id == "7");
    auto const twice =
        sent(R"({"webhookEvent":"a","issue":{"key":"A-1"},"webhookEvent":"b","issue":{"key":"B-1"}})").read();
    CHECK(twice.value().event == "a");
    CHECK(twice.value().issue_key == "A-1");
}

TEST_CASE("webhook delivery: those of one issue are put in order by when they happened, and by nothing else") {
    auto const order = [](std::string const& issue, std::string const& at, std::string const& id = "id") {
        sent s(R"({"webhookEvent":"e")" + (at.empty() ? "" : ",\"timestamp\":" + at) +
               (issue.empty() ? "" : ",\"issue\":" + issue) + "}");
        s.headers[2].second = id;
        return s.read().value().order();
    };
    std::string const a = R"({"id":"1","key":"ACME-1"})", moved = R"({"id":"1","key":"BETA-9"})";
    auto const first = order(a, "1764000000123", "z"), second = order(moved, "1764000000124", "a");
    REQUIRE(first.has_value());
    CHECK(first->issue == "1");
    CHECK(first->at == wall_time(1764000000123ms));
    CHECK(*first < *second);
    CHECK(*second > *first);
    CHECK(*first <= *order(a, "1764000000123", "y"));
    CHECK(*first == *order(a, "1764000000123", "y"));
    auto const other = order(R"({"id":"2","key":"ACME-2"})", "1764000000200");
    CHECK_FALSE(*first < *other);
    CHECK_FALSE(*first > *other);
    CHECK_FALSE(*first == *other);
    CHECK(order(R"({"key":"ACME-7"})", "5")->issue == "ACME-7");
    CHECK_FALSE(order("", "5").has_value());
    CHECK_FALSE(order("{}", "5").has_value());
    CHECK_FALSE(order(a, "").has_value());
    CHECK_FALSE(order(a, "\"soon\"").has_value());
}

TEST_CASE("webhook delivery: one that was proved is not lost for what it holds besides") {
    std::string const deep = std::string(10'000, '[') + std::string(10'000, ']');
    for (auto const& x : {std::string("123456789012345678901234567890"), std::string("-9223372036854775809"),
                          std::string("1e999"), std::string("\"\\ud83d\""), std::string("{\"\\ud83d\":0}"), deep}) {
        for (auto const& body :
             {R"({"x":)" + x + R"(,"webhookEvent":"e","issue":{"y":)" + x + R"(,"key":"A-1"}})",
              R"({"webhookEvent":"e","timestamp":)" + x + R"(,"issue":{"key":"A-1","id":)" + x + "}}"}) {
            auto const d = sent(body).read();
            INFO(body.substr(0, 100));
            REQUIRE(d.has_value());
            CHECK(d->event == "e");
            CHECK(d->issue_key == "A-1");
            CHECK(d->issue_id.empty());
            CHECK_FALSE(d->timestamp.has_value());
        }
    }
    CHECK(sent("{\"\\ud83d\":1,\"webhookEvent\":\"e\"}").read().has_value());
    auto const at = [](std::string const& t) {
        return sent(R"({"webhookEvent":"e","timestamp":)" + t + "}").read().value().timestamp;
    };
    CHECK(at("0") == wall_time(0ms));
    CHECK(at("-1") == wall_time(-1ms));
    // What is told can be compared with the clock.
    CHECK(at("9223372036854") > std::chrono::system_clock::now());
    CHECK_FALSE(at("9223372036855").has_value());
    CHECK_FALSE(at("9223372036854775807").has_value());
    CHECK_FALSE(at("1.5").has_value());
    CHECK_FALSE(at("null").has_value());
}

TEST_CASE("webhook delivery: a body or a signature with any bit changed is refused, and so is another secret") {
    for (std::size_t i = 0; i < 8 * issue_updated.size(); ++i) {
        sent s;
        s.body[i / 8] = static_cast<char>(s.body[i / 8] ^ (1 << i % 8));
        auto const r = s.read();
        REQUIRE_FALSE(r.has_value());
        REQUIRE(r.error().status() == 401);
    }
    for (std::size_t i = 7; i < sent().signature().size(); ++i) {
        sent s;
        s.signature()[i] = s.signature()[i] == '0' ? '1' : '0';
        auto const r = s.read();
        REQUIRE_FALSE(r.has_value());
        REQUIRE(r.error().field() == "X-Hub-Signature");
    }
    CHECK_FALSE(sent().read("s3cres").has_value());
    CHECK_FALSE(sent().read("s3cret2").has_value());
}

TEST_CASE("webhook delivery: what breaks a rule is refused with its field and the status to answer with") {
    for (char const* const method : {"GET", "PUT", "post", ""}) {
        sent s;
        s.method = method;
        check_refused(s, "method", 405);
    }
    {
        sent s;
        s.headers.erase(s.headers.begin() + 1);
        check_refused(s, "X-Hub-Signature", 401);
    }
    {
        sent s;
        s.headers.emplace_back("X-Hub-Signature", s.signature());
        check_refused(s, "X-Hub-Signature", 401);
    }
    auto const right = sent().signature();
    for (auto const& wrong : {std::string(), std::string("sha256="), right.substr(0, 70), right + "0", right.substr(7),
                              "sha1=" + right.substr(7), "SHA256=" + right.substr(7), "sha256= " + right.substr(7),
                              std::string(1 << 20, 'a'), "sha256=" + std::string(64, 'g')}) {
        sent s;
        s.signature() = wrong;
        check_refused(s, "X-Hub-Signature", 401);
    }
    {
        sent s;
        s.headers.emplace_back("x-atlassian-webhook-identifier", "id-1");
        check_refused(s, "X-Atlassian-Webhook-Identifier", 400);
    }
    {
        sent s;
        s.headers[2].second = std::string(256, 'i');
        check_refused(s, "X-Atlassian-Webhook-Identifier", 400);
        s.headers[2].second.pop_back();
        CHECK(s.read().has_value());
        for (char const* const bad : {"id\r", "a b", "\x7f", "\xc3\xa4"}) {
            s.headers[2].second = bad;
            check_refused(s, "X-Atlassian-Webhook-Identifier", 400);
        }
    }
    std::string deep_objects;
    for (int i = 0; i < 10'000; ++i) deep_objects += R"({"a":)";
    deep_objects += "1" + std::string(10'000, '}');
    for (auto const& body :
         {std::string(), std::string("null"), std::string("[]"), std::string("{}"), std::string("{"),
          std::string(R"({"webhookEvent":1})"), std::string(R"({"webhookEvent":""})"),
          std::string("{\"webhookEvent\":\"\xff\"}"), "\xef\xbb\xbf\xef\xbb\xbf" + issue_updated, issue_updated + "}",
          issue_updated + issue_updated, std::string(10'000, '[') + std::string(10'000, ']'), std::string(10'000, '['),
          deep_objects, R"({"webhookEvent":)" + deep_objects + "}"})
        check_refused(sent(body), "body", 400);
    check_refused(sent(std::string(26u << 20, ' ')), "body", 413);

    // HMAC fills a secret up with NULs, so these sign alike.
    for (auto const key : {std::string_view(), std::string_view("\0\0", 2)}) {
        auto const unsafe = sent().read(key);
        REQUIRE_FALSE(unsafe.has_value());
        CHECK(unsafe.error().code() == errc::invalid_argument);
        CHECK(unsafe.error().field() == "signing_secret");
        CHECK(unsafe.error().status() == 500);
    }
    CHECK(webhook_signature({}, secret()) == "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("webhook window: of deliveries with repeats in any order each is new once") {
    random_engine random(41);
    std::vector<std::string> ids;
    for (int i = 0; i < 10'000; ++i) ids.push_back("delivery-" + std::to_string(i));
    for (int i = 0; i < 2'000; ++i) ids.push_back(ids[random() % 10'000]);
    std::shuffle(ids.begin(), ids.end(), random);
    webhook_window window(12'000);
    auto now = steady_time(1h);
    std::size_t handled = 0;
    for (auto const& id : ids) {
        handled += window.is_new(id, now);
        now += 100ms;
    }
    CHECK(handled == 10'000);
    CHECK(window.size() == 10'000);
}

TEST_CASE("webhook window: it is bounded in number and time, and what was forgotten is new again") {
    webhook_window three(3, 60s);
    auto const at = [](int s) { return steady_time(1h) + std::chrono::seconds(s); };
    CHECK(three.is_new("a", at(0)));
    CHECK(three.is_new("b", at(1)));
    CHECK(three.is_new("c", at(2)));
    CHECK_FALSE(three.is_new("a", at(3)));
    CHECK(three.is_new("d", at(4)));  // in a's place
    CHECK(three.size() == 3);
    CHECK(three.is_new("a", at(5)));
    CHECK_FALSE(three.is_new("c", at(61)));
    CHECK(three.is_new("c", at(62)));  // its time is over
    three.forget("c");
    three.forget("never seen");
    CHECK(three.is_new("c", at(63)));
    CHECK_FALSE(three.is_new("c", at(64)));
    CHECK(three.is_new("", at(64)));
    CHECK(three.is_new("", at(64)));

    // However often others are forgotten and come again, what was handled is not.
    for (int i = 0; i < 1000; ++i) {
        three.forget("x");
        CHECK(three.is_new("x", at(65)));
        CHECK(three.size() <= 3);
    }
    CHECK_FALSE(three.is_new("c", at(66)));
    // Nor when the window is moved, as with the object that owns it.
    auto moved = std::move(three);
    CHECK_FALSE(moved.is_new("c", at(66)));
    CHECK(moved.is_new("e", at(67)));
    CHECK(moved.size() == 3);

    webhook_window none[] = {webhook_window(0), webhook_window(5, 0s), webhook_window(5, -1s),
                             webhook_window(5, std::chrono::seconds::min())};
    for (auto& w : none) {
        CHECK(w.is_new("a", at(0)));
        CHECK(w.is_new("a", at(0)));
        CHECK(w.size() == 0);
    }
    webhook_window for_ever(5, std::chrono::seconds::max());
    CHECK(for_ever.is_new("a", at(0)));
    CHECK_FALSE(for_ever.is_new("a", steady_time::max() - 1s));
}
