#include "support/catch.hpp"

#include "tokens.hpp"

#include <set>

using namespace jirapool::mock;
using namespace std::chrono_literals;

namespace {

steady_time const t0{1000h};

TEST_CASE("mock tokens: a token says whose it is and when it was issued") {
    token_mint const mint(7, 900);
    std::string const token = mint.make(42, 1, t0);
    CHECK(token.size() == 900);
    auto const claims = mint.read(token);
    REQUIRE(claims);
    CHECK(claims->connection == 42);
    CHECK(claims->issued == t0);
}

TEST_CASE("mock tokens: no two are alike") {
    token_mint const mint(7, 64);
    std::set<std::string> seen;
    for (std::uint64_t i = 0; i < 1000; ++i) seen.insert(mint.make(1, i, t0));
    CHECK(seen.size() == 1000);
}

TEST_CASE("mock tokens: one altered, cut or made elsewhere is unknown") {
    token_mint const mint(7, 120);
    std::string const token = mint.make(3, 1, t0);
    for (std::size_t i = 0; i < token.size(); ++i) {
        std::string other = token;
        other[i] = other[i] == 'A' ? 'B' : 'A';
        INFO(i);
        CHECK_FALSE(mint.read(other));
        CHECK_FALSE(mint.read(std::string_view(token).substr(0, i)));
    }
    CHECK_FALSE(mint.read(token + 'A'));
    CHECK_FALSE(mint.read(token_mint(8, 120).make(3, 1, t0)));
    CHECK_FALSE(mint.read(std::string(120, '.')));
}

}  // namespace
