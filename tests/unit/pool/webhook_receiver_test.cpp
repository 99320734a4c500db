#include "support/catch.hpp"

#include <jirapool/pool/webhook_receiver.hpp>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};
secret const key("s3cret");

std::vector<secret> keys(std::vector<char const*> const& texts) {
    std::vector<secret> all;
    for (auto const* const text : texts) all.emplace_back(text);
    return all;
}

/// A delivery as Jira sends it.
class delivery {
public:
    explicit delivery(std::string id, std::string body = R"({"webhookEvent":"jira:issue_updated"})",
                      secret const& by = key)
        : id_(std::move(id)), body_(std::move(body)), signature_(webhook_signature(body_, by)) {
        headers_ = {{"Content-Type", "application/json"}, {"X-Hub-Signature", signature_}};
        if (!id_.empty()) headers_.emplace_back("X-Atlassian-Webhook-Identifier", id_);
    }
    delivery(delivery const&) = delete;
    delivery& operator=(delivery const&) = delete;
    webhook_request request() const { return {"POST", headers_, body_}; }

private:
    std::string const id_;
    std::string const body_;
    std::string const signature_;
    std::vector<webhook_request::header> headers_;
};

unsigned receive(webhook_receiver& r, std::string const& target, std::string const& id, steady_time now = t0) {
    delivery const d(id);
    return r.receive(target, d.request(), now).status;
}

}  // namespace

TEST_CASE("webhook_receiver: a delivery goes to the connection whose path it came to, and to no other") {
    webhook_receiver r("https://hooks.example.com/jira");
    std::string got;
    for (auto const* const id : {"acme", "beta", "a/b c"})
        r.add(id, keys({"s3cret"}), [&got, id](webhook_delivery const& d) {
            got += std::string(id) + ":" + d.event + " ";
            return true;
        });
    CHECK(r.size() == 3);
    CHECK(receive(r, "/jira/acme", "1") == 200);
    CHECK(receive(r, "/jira/beta?x=1", "1") == 200);  // ids are a tenant's
    CHECK(receive(r, "/jira/a%2Fb%20c", "1") == 200);
    CHECK(got == "acme:jira:issue_updated beta:jira:issue_updated a/b c:jira:issue_updated ");
    for (auto const* const target : {"/jira/", "/jira", "/acme", "/jira/acme/", "/jira/acm", "/jira/a/b c", "", "*",
                                     "/jira//acme", "/other/acme", "/jira/acme%00"})
        CHECK(receive(r, target, "2") == 404);
    REQUIRE(r.remove("beta"));
    CHECK_FALSE(r.remove("beta"));
    CHECK(receive(r, "/jira/beta", "3") == 404);
}

TEST_CASE("webhook_receiver: what is not proved is not handed out, and its status is the reader's") {
    webhook_receiver r;
    int handled = 0;
    r.add("acme", keys({"s3cret"}), [&](webhook_delivery const&) { return ++handled > 0; });
    r.add("unsigned", {}, [&](webhook_delivery const&) { return ++handled > 0; });
    delivery const foreign("1", R"({"webhookEvent":"x"})", secret("other"));
    auto const o = r.receive("/acme", foreign.request(), t0);
    CHECK(o.status == 401);
    CHECK(o.why.field() == "X-Hub-Signature");
    delivery const good("1");
    auto get = good.request();
    get.method = "GET";
    CHECK(r.receive("/acme", get, t0).status == 405);
    CHECK(r.receive("/unsigned", good.request(), t0).status == 500);
    delivery const no_json("1", "hello");
    CHECK(r.receive("/acme", no_json.request(), t0).status == 400);
    CHECK(handled == 0);
}

TEST_CASE("webhook_receiver: it counts what became of each request, also for who outlives it") {
    auto r = std::make_unique<webhook_receiver>();
    bool takes = true;
    r->add("acme", keys({"s3cret"}), [&](webhook_delivery const&) { return takes; });
    auto const counts = r->counts();
    CHECK(receive(*r, "/acme", "1") == 200);
    CHECK(receive(*r, "/acme", "2") == 200);
    CHECK(receive(*r, "/acme", "1") == 200);
    CHECK(receive(*r, "/nobody", "3") == 404);
    delivery const foreign("4", "{}", secret("other"));
    CHECK(r->receive("/acme", foreign.request(), t0).status == 401);
    takes = false;
    CHECK(receive(*r, "/acme", "5") == 500);
    r.reset();
    CHECK(counts->of(delivery_result::handled) == 2);
    CHECK(counts->of(delivery_result::repeated) == 1);
    CHECK(counts->of(delivery_result::refused) == 2);
    CHECK(counts->of(delivery_result::failed) == 1);
}

TEST_CASE("webhook_receiver: its base is a callback URL's or a path, however it is written") {
    for (auto const* const base : {"https://hooks.example.com/in/jira", "https://hooks.example.com/in/jira/",
                                   "/in/jira", "/in/jira/", "in/jira"}) {
        webhook_receiver r(base);
        r.add("acme", keys({"s3cret"}), [](webhook_delivery const&) { return true; });
        INFO(base);
        CHECK(receive(r, "/in/jira/acme", "1") == 200);
        CHECK(receive(r, "/acme", "2") == 404);
    }
    for (auto const* const base : {"", "/", "https://hooks.example.com", "https://hooks.example.com:8443/"}) {
        webhook_receiver r(base);
        r.add("acme", keys({"s3cret"}), [](webhook_delivery const&) { return true; });
        CHECK(receive(r, "/acme", "1") == 200);
    }
    for (auto const* const base : {"http://hooks.example.com/", "https://", "/jira?x=1", "https://h.example.com/#x"})
        CHECK_THROWS_AS(webhook_receiver(base), std::invalid_argument);
}

TEST_CASE("webhook_receiver: an empty secret among several proves nothing") {
    webhook_receiver r;
    for (auto const& all : {std::vector<char const*>{"", "s3cret"}, {"s3cret", ""}, {""}}) {
        r.add("acme", keys(all), [](webhook_delivery const&) { return true; });
        CHECK(receive(r, "/acme", "1") == 500);
    }
}

TEST_CASE("webhook_receiver: two secrets are live while one takes the other's place") {
    webhook_receiver r;
    int handled = 0;
    auto const handle = [&](webhook_delivery const&) { return ++handled > 0; };
    r.add("acme", keys({"new", "s3cret"}), handle);
    delivery const of_old("1"), of_new("2", R"({"webhookEvent":"x"})", secret("new"));
    CHECK(r.receive("/acme", of_old.request(), t0).status == 200);
    CHECK(r.receive("/acme", of_new.request(), t0).status == 200);
    r.add("acme", keys({"new"}), handle);
    CHECK(r.receive("/acme", of_old.request(), t0).status == 401);
    // What was handled stays known.
    auto const again = r.receive("/acme", of_new.request(), t0);
    CHECK(again.status == 200);
    CHECK(again.duplicate);
    CHECK(handled == 2);
}

TEST_CASE("webhook_receiver: what its handler does not handle comes again, and is handed out again") {
    webhook_receiver r;
    int tries = 0;
    r.add("acme", keys({"s3cret"}), [&](webhook_delivery const&) -> bool {
        switch (++tries) {
        case 1: return false;
        case 2: throw std::runtime_error("the database is down");
        case 3: throw 7;
        default: return true;
        }
    });
    delivery const d("1");
    CHECK(r.receive("/acme", d.request(), t0).status == 500);
    auto const thrown = r.receive("/acme", d.request(), t0);
    CHECK(thrown.status == 500);
    CHECK(thrown.why.rule() == "the database is down");
    CHECK(r.receive("/acme", d.request(), t0).status == 500);
    CHECK(r.receive("/acme", d.request(), t0).status == 200);
    CHECK(r.receive("/acme", d.request(), t0).duplicate);
    CHECK(tries == 4);
    r.add("none", keys({"s3cret"}), nullptr);
    CHECK(r.receive("/none", d.request(), t0).status == 500);
}

TEST_CASE("webhook_receiver: a retry that comes while its delivery is handled is not answered as if it was") {
    webhook_receiver r;
    unsigned inner = 0;
    r.add("acme", keys({"s3cret"}), [&](webhook_delivery const&) {
        inner = receive(r, "/acme", "1");
        r.remove("acme");  // from within its own handler
        return true;
    });
    CHECK(receive(r, "/acme", "1") == 200);
    CHECK(inner == 503);
    CHECK(r.size() == 0);
}

TEST_CASE(
    "webhook_receiver: ten thousand deliveries with repeats and disorder, from four threads, are handled once each") {
    webhook_receiver r;
    std::mutex m;
    std::map<std::string, int> handled;
    std::atomic<int> refused{0};
    r.add("acme", keys({"s3cret"}), [&](webhook_delivery const& d) {
        std::lock_guard const lock(m);
        // One in ten fails when it comes first.
        if (d.id.back() == '7' && handled.emplace(d.id, 0).second) return false;
        ++handled[d.id];
        return true;
    });
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::vector<int> mine;
            for (int i = 0; i < 2'500; ++i) mine.push_back(i);
            for (int i = 0; i < 500; ++i) mine.push_back(i * 5);  // a fifth of them again
            std::mt19937 random(t);
            std::shuffle(mine.begin(), mine.end(), random);
            // The next thread's as well: whose is first is anybody's guess.
            for (int const i : mine)
                for (unsigned const whose : {t, (t + 1) % 4}) {
                    auto const id = std::to_string(whose) + "-" + std::to_string(i);
                    while (receive(r, "/acme", id) != 200) ++refused;
                }
        });
    for (auto& t : threads) t.join();
    CHECK(handled.size() == 10'000);
    CHECK(std::all_of(handled.begin(), handled.end(), [](auto const& h) { return h.second == 1; }));
    CHECK(refused >= 1'000);
}

TEST_CASE("webhook_receiver: a message of Beast's is taken as it is") {
    namespace http = boost::beast::http;
    webhook_receiver r("/jira");
    std::string event;
    r.add("acme", keys({"s3cret"}), [&](webhook_delivery const& d) {
        event = d.event + " " + d.id;
        return true;
    });
    http::request<http::string_body> m(http::verb::post, "/jira/acme", 11);
    m.body() = R"({"webhookEvent":"jira:issue_created"})";
    m.set("X-Hub-Signature", webhook_signature(m.body(), key));
    m.set("X-Atlassian-Webhook-Identifier", "abc");
    CHECK(r.receive(m, t0).status == 200);
    CHECK(event == "jira:issue_created abc");
    // A second signature is seen, and refused.
    m.insert("x-hub-signature", "sha256=00");
    CHECK(r.receive(m, t0).status == 401);
}
