#include <jirapool/core/shared_quota.hpp>

namespace jirapool {

budget_grant shared_quota::ask(std::uint32_t demand, steady_time now) noexcept {
    auto g = quota_.grant(demand, now);
    g.version = version();
    if (g.permits != budget_grant::unlimited) in_hand_ += g.permits;
    return g;
}

void shared_quota::give_back(budget_grant const& g) noexcept {
    if (g.version != version()) return;
    quota_.take_back(g);
    in_hand_ -= g.permits;
}

void shared_quota::spend(budget_grant& g, steady_time now) noexcept {
    if (g.permits == 0) {
        quota_.take(now);
        return;
    }
    g.from += g.every;
    --g.permits;
    if (g.version == version()) --in_hand_;
}

void shared_quota::on_answer(quota_item const& said, steady_time now, wall_time server) noexcept {
    bool const limited = quota_.limits(now);
    if (!limited && in_hand_ > 0) void_grants();  // of an hour that is over
    bool const enough = quota_.on_answer(&said, false, now, server, in_hand_);
    if (!enough || (!limited && quota_.limits(now))) void_grants();
}

bool shared_quota::close(steady_time until, steady_time now) noexcept {
    bool const begins = quota_.close(until, now);
    void_grants();
    return begins;
}

// What holders have in hand counts no more, and they ask again.
void shared_quota::void_grants() noexcept {
    in_hand_ = 0;
    move_version();
}

}  // namespace jirapool
