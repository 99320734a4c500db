#include <jirapool/core/fair_queue.hpp>

#include <algorithm>

namespace jirapool {

namespace {

// Use is counted in fractions, so that halving forgets slowly what is small.
constexpr std::uint32_t one_grant = 256;

constexpr std::uint32_t halved(std::uint32_t n, std::uint32_t times) noexcept { return times < 32 ? n >> times : 0; }
constexpr std::uint64_t halved(std::uint64_t n, std::uint32_t times) noexcept { return times < 64 ? n >> times : 0; }

}  // namespace

// Use

void fair_queue::begin_epoch(steady_time now) noexcept {
    // From 2 on: 0 is "never", and the epoch before the first is none that anybody was active in.
    auto const current = static_cast<std::uint32_t>(now.time_since_epoch() / epoch + 2);
    if (current == epoch_) return;
    auto const passed = current - epoch_;
    epoch_ = current;
    usage_ = halved(usage_, passed);
    active_before_ = passed == 1 ? active_now_ : 0;
    active_now_ = 0;
}

void fair_queue::age(fair_flow& flow) const noexcept {
    flow.usage_ = halved(flow.usage_, epoch_ - flow.epoch_);
    flow.epoch_ = epoch_;
}

void fair_queue::note_active(fair_flow& flow) noexcept {
    if (flow.active_ == epoch_) return;
    if (flow.active_ + 1 == epoch_) active_before_ -= flow.counted_weight_;
    flow.active_ = epoch_;
    flow.counted_weight_ = flow.weight_;
    active_now_ += flow.counted_weight_;
}

void fair_queue::count(fair_flow& flow) noexcept {
    note_active(flow);
    age(flow);
    flow.usage_ += one_grant;
    usage_ += one_grant;
    ++flow.held_;
}

fair_flow::tier fair_queue::tier_of(fair_flow& flow) noexcept {
    if (!may_hold(flow)) return tier::full;
    age(flow);
    std::uint64_t const use = flow.usage_;
    std::uint64_t const weight = flow.weight_;
    bool const over = use > forgiven * one_grant * weight &&
                      use * (active_now_ + active_before_) > tolerance * usage_ * weight;
    return over ? tier::second : tier::first;
}

// Rings

std::size_t fair_queue::ready_of(fair_flow const& flow) const noexcept {
    return may_hold(flow) ? std::min(flow.waiting_, max_held_ - flow.held_) : 0;
}

void fair_queue::enter_ring(fair_flow& flow, tier t) noexcept {
    flow.tier_ = t;
    flow.turns_left_ = flow.weight_;
    auto& current = ring(t);
    if (current == nullptr) {
        flow.next_ = flow.previous_ = &flow;
        current = &flow;
        return;
    }
    // Behind the flow whose turn it is, as seen going round: a newcomer waits for one round at most.
    flow.next_ = current;
    flow.previous_ = current->previous_;
    flow.previous_->next_ = &flow;
    current->previous_ = &flow;
}

void fair_queue::leave_ring(fair_flow& flow) noexcept {
    auto& current = ring(flow.tier_);
    auto* const next = flow.next_ == &flow ? nullptr : flow.next_;
    if (next != nullptr) {
        flow.previous_->next_ = flow.next_;
        flow.next_->previous_ = flow.previous_;
    }
    if (current == &flow) current = next;
    if (look_ == &flow) look_ = next;
    flow.next_ = flow.previous_ = nullptr;
}

void fair_queue::move(fair_flow& flow, tier t) noexcept {
    if (flow.tier_ == t) return;
    leave_ring(flow);
    enter_ring(flow, t);
}

void fair_queue::look_at_second_tier() noexcept {
    if (look_ == nullptr) look_ = ring(tier::second);
    if (look_ == nullptr) return;
    auto& flow = *look_;
    look_ = flow.next_;
    move(flow, tier_of(flow));
}

void fair_queue::unlink(fair_waiter& w) noexcept {
    fair_flow& flow = *w.flow_;
    ready_ -= ready_of(flow);
    (w.previous_ ? w.previous_->next_ : flow.first_) = w.next_;
    (w.next_ ? w.next_->previous_ : flow.last_) = w.previous_;
    w.next_ = w.previous_ = nullptr;
    w.flow_ = nullptr;
    --flow.waiting_;
    --size_;
    ready_ += ready_of(flow);
    if (flow.first_ == nullptr) leave_ring(flow);
}

void fair_queue::push(fair_flow& flow, fair_waiter& w, steady_time now) noexcept {
    begin_epoch(now);
    note_active(flow);
    ready_ -= ready_of(flow);
    w.flow_ = &flow;
    w.next_ = nullptr;
    w.previous_ = flow.last_;
    if (flow.last_ == nullptr) {
        flow.first_ = &w;
        enter_ring(flow, tier_of(flow));
    } else {
        flow.last_->next_ = &w;
    }
    flow.last_ = &w;
    ++flow.waiting_;
    ++size_;
    ready_ += ready_of(flow);
}

fair_waiter* fair_queue::pop(steady_time now) noexcept {
    begin_epoch(now);
    look_at_second_tier();
    auto* current = ring(tier::first);
    if (current == nullptr) current = ring(tier::second);
    if (current == nullptr) return nullptr;
    fair_flow& flow = *current;
    fair_waiter* const w = flow.first_;
    bool const turn_over = --flow.turns_left_ == 0;
    unlink(*w);
    ready_ -= ready_of(flow);
    count(flow);
    ready_ += ready_of(flow);
    if (flow.first_ == nullptr) return w;
    if (!may_hold(flow)) {
        move(flow, tier::full);
    } else if (turn_over) {
        flow.turns_left_ = flow.weight_;
        ring(flow.tier_) = flow.next_;
        move(flow, tier_of(flow));
    }
    return w;
}

void fair_queue::remove(fair_waiter& w) noexcept {
    if (w.queued()) unlink(w);
}

void fair_queue::set_max_held(std::uint32_t max_held) noexcept {
    if (max_held == max_held_) return;
    max_held_ = max_held;
    ready_ = 0;
    for (auto const t : {tier::first, tier::second, tier::full}) {
        auto* flow = ring(t);
        if (flow == nullptr) continue;
        auto const* const last = flow->previous_;
        for (bool more = true; more;) {
            auto& one = *flow;
            more = flow != last;
            flow = one.next_;
            // Nobody loses his place in a turn but who has no turn any more.
            if (may_hold(one) == (t == tier::full)) move(one, tier_of(one));
        }
    }
    for (auto const* const first : rings_) {
        auto const* flow = first;
        if (flow == nullptr) continue;
        do {
            ready_ += ready_of(*flow);
            flow = flow->next_;
        } while (flow != first);
    }
}

fair_waiter* fair_queue::evict() noexcept {
    for (auto* const flow : rings_) {
        if (flow == nullptr) continue;
        auto* const w = flow->first_;
        unlink(*w);
        return w;
    }
    return nullptr;
}

void fair_queue::grant(fair_flow& flow, steady_time now) noexcept {
    begin_epoch(now);
    ready_ -= ready_of(flow);
    count(flow);
    ready_ += ready_of(flow);
}

void fair_queue::give_back(fair_flow& flow) noexcept {
    ready_ -= ready_of(flow);
    --flow.held_;
    ready_ += ready_of(flow);
    if (flow.waiting_ != 0 && flow.tier_ == tier::full) move(flow, tier_of(flow));
}

}  // namespace jirapool
