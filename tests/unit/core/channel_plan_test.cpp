#include "support/catch.hpp"

#include <jirapool/core/channel_plan.hpp>

#include <vector>

using namespace jirapool;

namespace {

struct row {
    char const* what;
    channel_census c;
    channel_limits l;
    std::size_t room, at_once, in_background, for_waiting;
};

channel_census census(std::size_t idle, std::size_t active, std::size_t dialing, std::size_t ready,
                      std::size_t background = 0) {
    channel_census c;
    c.idle = idle;
    c.active = active;
    c.dialing = dialing;
    c.ready = ready;
    c.background = background;
    return c;
}

channel_census with(channel_census c, bool channel_census::* flag) {
    c.*flag = true;
    return c;
}

channel_census promised(channel_census c, std::size_t n) {
    c.promised = n;
    return c;
}

}  // namespace

TEST_CASE("channel plan: dials that are missing") {
    constexpr auto used = &channel_census::used;
    constexpr auto failing = &channel_census::failing;
    constexpr auto held_back = &channel_census::held_back;
    for (auto const& r : std::vector<row>{
             {"nobody wants one", census(0, 0, 0, 0), {10, 4, 0}, 4, 0, 0, 0},
             {"one each for who waits", census(0, 0, 0, 3), {10, 4, 0}, 4, 3, 0, 3},
             {"no more at once than may", census(0, 0, 0, 9), {10, 4, 0}, 4, 4, 0, 4},
             {"those under way count", census(0, 0, 2, 3), {10, 4, 0}, 2, 1, 0, 1},
             {"enough are under way", census(0, 0, 3, 3), {10, 4, 0}, 1, 0, 0, 0},
             {"not those that are promised", promised(census(0, 0, 2, 2), 2), {10, 4, 0}, 2, 2, 0, 2},
             {"but they take room", promised(census(0, 0, 4, 2), 4), {10, 4, 0}, 0, 0, 0, 0},
             {"no more than may be", census(1, 6, 2, 9), {10, 8, 0}, 1, 1, 0, 1},
             {"all there may be", census(0, 10, 0, 9), {10, 4, 0}, 0, 0, 0, 0},
             {"more than there may be", census(0, 12, 0, 9), {10, 4, 0}, 0, 0, 0, 0},
             {"behind a failure one alone", with(census(0, 0, 0, 9), failing), {10, 4, 0}, 1, 1, 0, 1},
             {"which is under way", with(census(0, 0, 1, 9), failing), {10, 4, 0}, 0, 0, 0, 0},
             {"none may begin", with(with(census(0, 0, 0, 9), held_back), used), {10, 4, 5}, 0, 0, 0, 0},
             {"spare ones", with(census(1, 0, 0, 0), used), {10, 4, 3}, 4, 2, 0, 0},
             {"spare ones of what was never used", census(1, 0, 0, 0), {10, 4, 3}, 4, 0, 0, 0},
             {"spare ones enough", with(census(3, 0, 0, 0), used), {10, 4, 2}, 4, 0, 0, 0},
             {"spare ones behind who waits", with(census(0, 0, 1, 2), used), {10, 9, 3}, 8, 4, 0, 1},
             {"what no call waits for", census(0, 0, 0, 3, 3), {10, 4, 0}, 4, 0, 3, 3},
             {"behind calls", census(0, 0, 0, 3, 2), {10, 4, 0}, 4, 1, 2, 3},
             {"within the room", census(0, 0, 0, 9, 2), {10, 4, 0}, 4, 4, 0, 4},
             {"with dials under way", census(0, 0, 2, 3, 2), {10, 4, 0}, 2, 0, 1, 1},
             {"more of it than may have one", census(0, 0, 0, 1, 5), {10, 4, 0}, 4, 0, 1, 1},
             {"and spare ones at once", with(census(0, 0, 0, 2, 2), used), {10, 4, 1}, 4, 1, 2, 2},
         }) {
        INFO(r.what);
        CHECK(dial_room(r.c, r.l) == r.room);
        auto const missing = dials_missing(r.c, r.l);
        CHECK(missing.at_once == r.at_once);
        CHECK(missing.in_background == r.in_background);
        CHECK(missing.for_waiting == r.for_waiting);
    }
}
