// What lack of memory does to a webhook's receiver. What is read and refused: tests/unit/pool/webhook_delivery_test.cpp.
#include "failing_allocator.hpp"
#include "support/catch.hpp"

#include <jirapool/pool/webhook_delivery.hpp>

#include <new>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;
using namespace std::chrono_literals;

TEST_CASE(
    "webhook delivery: each allocation that fails throws bad_alloc, and none makes a good delivery a refused one") {
    secret const key("s3cret");
    std::string const body =
        R"({"webhookEvent":"jira:issue_updated with a text that is long enough","issue":{"key":"A-1"}})";
    auto const signature = webhook_signature(body, key);
    webhook_request::header const headers[] = {{"X-Hub-Signature", signature}};
    webhook_request const r{"POST", headers, body};
    // What simdjson and OpenSSL make once for all is not each delivery's.
    REQUIRE(read_webhook_delivery(r, key).has_value());
    std::size_t thrown = 0;
    for (std::size_t n = 1;; ++n) {
        INFO("allocation " << n);
        bool reached = false;
        try {
            failing_allocation const fails(n, true);
            auto const d = read_webhook_delivery(r, key);
            reached = fails.failed();
            REQUIRE(d.has_value());
            CHECK(d->issue_key == "A-1");
            if (!reached) break;
        } catch (std::bad_alloc const&) {
            ++thrown;
        }
    }
    CHECK(thrown >= 4);
}

TEST_CASE("webhook window: an allocation that fails remembers nothing and forgets nothing") {
    auto const now = steady_time(1h);
    for (std::size_t n = 1;; ++n) {
        webhook_window window(2);
        std::string const ids[] = {std::string(40, 'a'), std::string(40, 'b'), std::string(40, 'c')};
        window.is_new(ids[0], now);
        window.is_new(ids[1], now);
        bool failed = true;
        try {
            failing_allocation const fails(n, true);
            bool const is_new = window.is_new(ids[2], now);
            failed = fails.failed();
            CHECK(is_new);
        } catch (std::bad_alloc const&) {
            CHECK(window.size() == 2);
            CHECK_FALSE(window.is_new(ids[0], now));
            CHECK_FALSE(window.is_new(ids[1], now));
            CHECK(window.is_new(ids[2], now));
        }
        if (!failed) {
            CHECK(n > 3);
            break;
        }
    }
}
