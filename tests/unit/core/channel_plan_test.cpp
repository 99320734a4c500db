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

/// Channels that carry `per_channel` exchanges each (0: nobody knows); `sharing` of them are open.
channel_census shared(channel_census c, std::size_t per_channel, std::size_t sharing, std::size_t with_room = 0) {
    c.per_channel = per_channel;
    c.sharing = sharing;
    c.with_room = with_room;
    return c;
}

void check(row const& r) {
    INFO(r.what);
    CHECK(dial_room(r.c, r.l) == r.room);
    auto const missing = dials_missing(r.c, r.l);
    CHECK(missing.at_once == r.at_once);
    CHECK(missing.in_background == r.in_background);
    CHECK(missing.for_waiting == r.for_waiting);
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
         })
        check(r);
}

TEST_CASE("channel plan: dials that are missing where a channel carries many exchanges") {
    constexpr auto used = &channel_census::used;
    constexpr auto succession = &channel_census::succession;
    constexpr auto failing = &channel_census::failing;
    for (auto const& r : std::vector<row>{
             {"as many as carry all that wait", shared(census(0, 0, 0, 256), 100, 0), {300, 16, 0}, 16, 3, 0, 3},
             {"and not one more", shared(census(0, 0, 0, 200), 100, 0), {300, 16, 0}, 16, 2, 0, 2},
             {"those under way count", shared(census(0, 0, 2, 256), 100, 0), {300, 16, 0}, 14, 1, 0, 1},
             {"enough are under way", shared(census(0, 0, 3, 256), 100, 0), {300, 16, 0}, 13, 0, 0, 0},
             {"not those that are promised", promised(shared(census(0, 0, 2, 1), 100, 0), 2), {9, 4, 0}, 2, 1, 0, 1},
             {"one each of a channel that carries one", shared(census(0, 0, 0, 3), 1, 0), {9, 4, 0}, 4, 3, 0, 3},
             {"nobody knows: one alone", shared(census(0, 0, 0, 256), 0, 0), {300, 16, 0}, 1, 1, 0, 1},
             {"which is under way", shared(census(0, 0, 1, 256), 0, 0), {300, 16, 0}, 0, 0, 0, 0},
             {"also a spare one", with(shared(census(0, 0, 0, 0), 0, 0), used), {9, 4, 3}, 1, 1, 0, 0},
             {"at the limit another one", shared(census(0, 2, 0, 5), 100, 2), {9, 4, 0}, 4, 1, 0, 1},
             {"or none", shared(census(0, 2, 0, 5), 100, 2), {9, 4, 0, false}, 4, 0, 0, 0},
             {"also where it fell to one", shared(census(0, 2, 0, 5), 1, 2), {9, 4, 0, false}, 4, 0, 0, 0},
             {"but the first", shared(census(0, 0, 0, 256), 100, 0), {9, 4, 0, false}, 4, 1, 0, 1},
             {"and one for those that all end", shared(census(0, 2, 0, 256), 100, 0), {9, 4, 0, false}, 4, 1, 0, 1},
             {"over HTTP/1.1 all", shared(census(0, 2, 0, 5), 1, 0), {9, 4, 0, false}, 4, 4, 0, 4},
             {"what no call waits for shares too", shared(census(0, 0, 0, 9, 4), 5, 0), {9, 4, 0}, 4, 1, 1, 2},
             {"room is as good as an idle one", with(shared(census(1, 5, 0, 0), 9, 6, 2), used), {9, 4, 3}, 3, 0, 0, 0},
             {"and no room is not", with(shared(census(1, 5, 0, 0), 9, 6, 1), used), {9, 4, 3}, 3, 1, 0, 0},
             {"a successor", with(shared(census(0, 1, 0, 0), 9, 0), succession), {9, 4, 0}, 4, 1, 0, 0},
             {"which is under way", with(shared(census(0, 1, 1, 0), 9, 0), succession), {9, 4, 0}, 3, 0, 0, 0},
             {"which who waits has dialled", with(shared(census(0, 1, 0, 2), 9, 0), succession), {9, 4, 0}, 4, 1, 0, 1},
             {"not beside one with room", with(shared(census(0, 2, 0, 0), 9, 1, 1), succession), {9, 4, 0}, 4, 0, 0, 0},
             {"nor beside an idle one", with(shared(census(1, 1, 0, 0), 9, 1), succession), {9, 4, 0}, 4, 0, 0, 0},
             {"nor above the spare ones",
              with(with(shared(census(0, 1, 0, 0), 9, 0), succession), used),
              {9, 4, 2},
              4,
              2,
              0,
              0},
             {"nor above what may be", with(shared(census(0, 1, 0, 0), 9, 0), succession), {1, 4, 0}, 0, 0, 0, 0},
             {"behind a failure one alone", with(shared(census(0, 0, 0, 99), 9, 0), failing), {9, 4, 0}, 1, 1, 0, 1},
         })
        check(r);
}
