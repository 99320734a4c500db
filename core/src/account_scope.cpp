#include <jirapool/core/account_scope.hpp>

#include <algorithm>
#include <cmath>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t answers_for_one_more = 300;

// When a call in flight will be answered nobody knows, but each answer leads to another look.
constexpr steady_duration look_again = 100ms;

// More of them would be a report, not a reason.
constexpr std::size_t parts_told = 3;

}  // namespace

void flight_cap::on_refusal(std::uint32_t in_flight) noexcept {
    auto const most = cap_ != 0 ? std::min(cap_, in_flight) : in_flight;
    cap_ = std::max(most / 2, 1u);
    good_ = 0;
}

void flight_cap::on_answer(std::uint32_t in_flight) noexcept {
    if (!reached(in_flight) || ++good_ < answers_for_one_more) return;
    ++cap_;
    good_ = 0;
}

void spent_calls::book(route_id r, steady_time now, wall_time server) noexcept {
    if (now >= end_) {
        // Counted from the middle of an hour on only where nothing was counted in the one before.
        auto const top = top_of_hour(now, server);
        since_ = end_ + 1h > now && end_ != steady_time::min() ? end_ : now;
        end_ = top;
        parts_ = {};
        calls_ = 0;
    }
    ++calls_;
    last_ = now;
    auto least = parts_.begin();
    for (auto p = parts_.begin(); p != parts_.end(); ++p) {
        if (p->calls > 0 && p->route == r) {
            ++p->calls;
            return;
        }
        if (p->calls < least->calls) least = p;
    }
    // A new route takes the place of the one with the fewest, and its count: so none with many is missed (space-saving, Metwally 2005).
    least->route = r;
    ++least->calls;
}

std::uint32_t spent_calls::forecast() const noexcept {
    auto const seconds = std::chrono::duration<double>(last_ - since_).count();
    if (seconds < 1) return calls_;
    return static_cast<std::uint32_t>(std::min(std::round(calls_ * 3600 / seconds), 4e9));
}

std::string spent_calls::describe(steady_time now) const {
    if (calls_ == 0 || now >= end_) return {};
    auto most = parts_;
    std::sort(most.begin(), most.end(), [](part const& a, part const& b) { return a.calls > b.calls; });
    std::string out;
    for (std::size_t i = 0; i < parts_told && most[i].calls > 0; ++i) {
        if (i > 0) out += ", ";
        auto const share = std::round(100.0 * most[i].calls / calls_);
        out.append(route(most[i].route).name).append(" ");
        out.append(std::to_string(static_cast<int>(share))).append(" %");
    }
    out.append(" of its ").append(std::to_string(calls_)).append(" calls this hour, ");
    return out.append(std::to_string(forecast())).append(" in all of it at that rate");
}

bool account_scope::close(limit_reason r, steady_time until, steady_time now) noexcept {
    // Those that were in flight together tell of one overrun.
    if (r == limit_reason::account_calls && !closed(now)) cap_.on_refusal(in_flight() + 1);
    if (r == limit_reason::account_cost) counts_ = true;
    return budget_.close(until, now);
}

void account_scope::on_answer(route_id r, steady_time now, wall_time server) noexcept {
    budget_.on_permitted();
    cap_.on_answer(in_flight() + 1);
    if (counts_) spent_.book(r, now, server);
}

void account_scope::reset() noexcept {
    budget_.reset();
    cap_ = {};
}

steady_time account_scope::earliest(steady_time now) const noexcept {
    auto const at = budget_.earliest(now);
    return cap_.reached(in_flight()) ? std::max(at, now + look_again) : at;
}

steady_time account_scope::turn(std::size_t ahead, steady_time now) const noexcept {
    return std::max(budget_.turn(ahead, now), earliest(now));
}

std::string account_scope::describe(steady_time now) const {
    if (!closed(now) && cap_.reached(in_flight()))
        return std::to_string(cap_.value()) + " of its calls may be in flight at a time";
    return spent_.describe(now);
}

}  // namespace jirapool
