#include "mix.hpp"

#include "support/catch.hpp"

#include <array>

using namespace jirapool;
using namespace jirapool::load;

TEST_CASE("mix: the default has every operation, 100 in all") {
    auto const m = mix::parse(mix::default_text);
    REQUIRE(m.has_value());
    CHECK(m->total() == 100);
    CHECK(m->weight(operation::myself) == 20);
    CHECK(m->weight(operation::get_issue) == 50);
    CHECK(m->weight(operation::search) == 15);
    CHECK(m->weight(operation::put_issue) == 10);
    CHECK(m->weight(operation::post_issue) == 5);
}

TEST_CASE("mix: what is not named, or has weight 0, is never picked") {
    auto const m = mix::parse("search=2,myself=0,post_issue=1");
    REQUIRE(m.has_value());
    REQUIRE(m->total() == 3);
    CHECK(m->pick(0) == operation::search);
    CHECK(m->pick(1) == operation::search);
    CHECK(m->pick(2) == operation::post_issue);
}

TEST_CASE("mix: each draw falls to its operation, as often as its weight says") {
    auto const m = mix::parse(mix::default_text).value();
    std::array<unsigned, operation_count> picked{};
    for (unsigned draw = 0; draw < m.total(); ++draw) ++picked[static_cast<std::size_t>(m.pick(draw))];
    for (std::size_t i = 0; i < operation_count; ++i) CHECK(picked[i] == m.weight(static_cast<operation>(i)));
}

TEST_CASE("mix: what is malformed is refused with the rule") {
    auto const text = GENERATE(as<std::string>{}, "", "myself", "myself=", "myself=-1", "myself=1.5", "myself=1000001",
                               "nobody=1", "myself=1,myself=2", "myself=0", "myself=1,,search=1", "myself=1;search=1",
                               " myself=1");
    INFO(text);
    auto const m = mix::parse(text);
    REQUIRE_FALSE(m.has_value());
    CHECK(m.error().code() == errc::invalid_argument);
    CHECK_FALSE(m.error().rule().empty());
}
