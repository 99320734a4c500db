#include "support/catch.hpp"

#include "deliveries.hpp"
#include "text.hpp"
#include "unit/mock/ask.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

webhook_state hook() {
    webhook_state w;
    w.id = 3;
    w.url = "https://hooks.example.com:8443/in/acme?x=1#no";
    w.events = R"(["jira:issue_updated"])";
    w.secret = "hush";
    return w;
}

delivery_request of(std::uint32_t events, double repeats, std::uint32_t disorder) {
    delivery_request r;
    r.port = 9;
    r.events = events;
    r.repeats = repeats;
    r.disorder = disorder;
    return r;
}

delivery_round round_of(delivery_request const& r, webhook_state w = hook(), std::uint64_t seed = 1) {
    return delivery_round(r, seed, site_info{"site-0001.atlassian.net", "cloud"}, std::move(w), t0.wall);
}

std::vector<delivery_round::step> all_of(delivery_round r) {
    std::vector<delivery_round::step> all;
    while (auto const s = r.next()) all.push_back(*s);
    return all;
}

std::string header(std::string const& request, std::string const& name) {
    auto const at = request.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "(none)";
    auto const begin = at + name.size() + 4;
    return request.substr(begin, request.find("\r\n", begin) - begin);
}

std::string body_of(std::string const& request) { return request.substr(request.find("\r\n\r\n") + 4); }

TEST_CASE("mock deliveries: the signature is that of Atlassian's example") {
    CHECK(hub_signature("Hello World!", "It's a Secret to Everybody") ==
          "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9");
}

TEST_CASE("mock deliveries: a request is signed over its body and says what Jira's do") {
    auto r = round_of(of(3, 0, 0));
    std::string const first = r.request({0, 0});
    CHECK(first.starts_with("POST /in/acme?x=1 HTTP/1.1\r\nHost: hooks.example.com:8443\r\n"));
    CHECK(header(first, "X-Hub-Signature") == hub_signature(body_of(first), "hush"));
    CHECK(header(first, "Content-Length") == std::to_string(body_of(first).size()));
    CHECK(header(first, "X-Atlassian-Webhook-Retry") == "(none)");
    CHECK(header(first, "X-Atlassian-Webhook-Identifier").size() == 36);
    CHECK(has(body_of(first), R"("webhookEvent":"jira:issue_updated","issue":{"id":"100)"));
    CHECK(has(body_of(first), R"("summary":"Change 0")"));
    CHECK_FALSE(has(first, "hush"));
    // A retry is the same with its count.
    std::string const again = r.request({0, 2});
    CHECK(header(again, "X-Atlassian-Webhook-Retry") == "2");
    CHECK(body_of(again) == body_of(first));
    CHECK(header(again, "X-Atlassian-Webhook-Identifier") == header(first, "X-Atlassian-Webhook-Identifier"));
    CHECK(header(r.request({1, 0}), "X-Atlassian-Webhook-Identifier") !=
          header(first, "X-Atlassian-Webhook-Identifier"));

    auto bare = hook();
    bare.secret.clear();
    bare.exclude_body = true;
    bare.url = "http://127.0.0.1:9";
    std::string const plain = round_of(of(1, 0, 0), bare).request({0, 0});
    CHECK(plain.starts_with("POST / HTTP/1.1\r\nHost: 127.0.0.1:9\r\n"));
    CHECK(header(plain, "X-Hub-Signature") == "(none)");
    CHECK(body_of(plain).empty());
}

TEST_CASE("mock deliveries: comments come with their issue and without") {
    auto w = hook();
    w.events = R"(["comment_created"])";
    auto const r = round_of(of(100, 0, 0), w);
    int with = 0;
    for (std::uint32_t i = 0; i < 100; ++i) {
        std::string const body = body_of(r.request({i, 0}));
        CHECK(has(body, R"("webhookEvent":"comment_created","comment":{"id":)"));
        with += has(body, R"("issue":)");
    }
    CHECK(with > 20);
    CHECK(with < 80);
}

TEST_CASE("mock deliveries: without disorder each repeat follows its first") {
    auto const all = all_of(round_of(of(1000, 0.2, 0)));
    CHECK(all.size() > 1100);
    CHECK(all.size() < 1300);
    for (std::size_t i = 1; i < all.size(); ++i) {
        REQUIRE(all[i].event - all[i - 1].event == (all[i].retry == 0 ? 1u : 0u));
    }
}

TEST_CASE("mock deliveries: with disorder they come late by so many places, each once, and its repeat behind it") {
    auto const all = all_of(round_of(of(1000, 0.2, 50)));
    std::map<std::uint32_t, std::size_t> first;
    std::uint32_t newest = 0, displaced = 0;
    std::size_t repeats = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].retry > 0) {
            ++repeats;
            REQUIRE(first.contains(all[i].event));
            continue;
        }
        REQUIRE(first.emplace(all[i].event, i).second);
        displaced += all[i].event < newest;
        newest = std::max(newest, all[i].event);
        REQUIRE(newest - all[i].event <= 50);
    }
    CHECK(first.size() == 1000);
    CHECK(repeats == round_of(of(1000, 0.2, 50)).repeats());
    CHECK(displaced > 500);
    // By the seed alone.
    auto const same = [&](std::uint64_t seed) {
        auto const other = all_of(round_of(of(1000, 0.2, 50), hook(), seed));
        return std::equal(all.begin(), all.end(), other.begin(), other.end(),
                          [](auto a, auto b) { return a.event == b.event && a.retry == b.retry; });
    };
    CHECK(same(1));
    CHECK_FALSE(same(2));
}

TEST_CASE("mock deliveries: what fails comes again behind all others, five times") {
    auto r = round_of(of(2, 0, 0));
    auto s = *r.next();
    CHECK(s.event == 0);
    REQUIRE(r.again(s));
    CHECK(r.next()->event == 1);
    for (int retry = 1; retry <= 5; ++retry) {
        s = r.next().value();
        CHECK(s.event == 0);
        CHECK(s.retry == retry);
        CHECK(r.again(s) == (retry < 5));
    }
    CHECK_FALSE(r.next().has_value());
    for (int const status : {408, 409, 425, 429, 500, 503}) CHECK(is_delivered_again(status));
    for (int const status : {200, 204, 301, 400, 401, 404, 413}) CHECK_FALSE(is_delivered_again(status));
}

}  // namespace
