// What is read out of answers while memory lacks: simdjson asks for it by operator new(nothrow) and says MEMALLOC, or says nothing.
#include "failing_allocator.hpp"
#include "support/catch.hpp"

#include <jirapool/core/tenant_info.hpp>
#include <jirapool/core/token_answer.hpp>

#include <cstddef>
#include <new>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

constexpr std::size_t more_than_any_has = 1000;

}  // namespace

TEST_CASE("answers: a token is read, or memory ran out, whichever allocation fails") {
    // Much longer than what simdjson makes room for when it has no text.
    std::string const body = R"({"access_token":")" + std::string(4000, 't') +
                             R"(","expires_in":3600,"token_type":"Bearer"})";
    bool failed = true;
    std::size_t n = 1;
    for (; failed && n < more_than_any_has; ++n) {
        token_answer a;
        try {
            failing_allocation const lack(n, true);
            a = read_token_answer(200, body);
            failed = lack.failed();
        } catch (std::bad_alloc const&) {
            continue;
        }
        INFO("allocation " << n << ": " << a.reason);
        CHECK(a.ok());
    }
    CHECK(n > 5);
    CHECK_FALSE(failed);
}

TEST_CASE("answers: a site's cloud ID is read, or memory ran out, whichever allocation fails") {
    std::string const body = R"({"cloudId":"11111111-2222-3333-4444-555555555555"})";
    bool failed = true;
    std::size_t n = 1;
    for (; failed && n < more_than_any_has; ++n) {
        try {
            failing_allocation const lack(n, true);
            auto const id = read_tenant_info(200, body);
            failed = lack.failed();
            INFO("allocation " << n);
            CHECK(id.has_value());
        } catch (std::bad_alloc const&) {
            continue;
        }
    }
    CHECK(n > 3);
    CHECK_FALSE(failed);
}
