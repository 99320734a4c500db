#include <jirapool/core/fair_queue.hpp>

namespace jirapool {

void fair_queue::enter_ring(fair_flow& flow) noexcept {
    flow.turns_left_ = flow.weight_;
    if (current_ == nullptr) {
        flow.next_ = flow.previous_ = &flow;
        current_ = &flow;
        return;
    }
    // Behind the flow whose turn it is, as seen going round: a newcomer waits for one round at most.
    flow.next_ = current_;
    flow.previous_ = current_->previous_;
    flow.previous_->next_ = &flow;
    current_->previous_ = &flow;
}

void fair_queue::leave_ring(fair_flow& flow) noexcept {
    if (flow.next_ == &flow) {
        current_ = nullptr;
    } else {
        flow.previous_->next_ = flow.next_;
        flow.next_->previous_ = flow.previous_;
        if (current_ == &flow) current_ = flow.next_;
    }
    flow.next_ = flow.previous_ = nullptr;
}

void fair_queue::push(fair_flow& flow, fair_waiter& w) noexcept {
    w.flow_ = &flow;
    w.next_ = nullptr;
    w.previous_ = flow.last_;
    if (flow.last_ == nullptr) {
        flow.first_ = &w;
        enter_ring(flow);
    } else {
        flow.last_->next_ = &w;
    }
    flow.last_ = &w;
    ++flow.waiting_;
    ++size_;
}

void fair_queue::unlink(fair_waiter& w) noexcept {
    fair_flow& flow = *w.flow_;
    (w.previous_ ? w.previous_->next_ : flow.first_) = w.next_;
    (w.next_ ? w.next_->previous_ : flow.last_) = w.previous_;
    w.next_ = w.previous_ = nullptr;
    w.flow_ = nullptr;
    --flow.waiting_;
    --size_;
    if (flow.first_ == nullptr) leave_ring(flow);
}

fair_waiter* fair_queue::pop() noexcept {
    if (current_ == nullptr) return nullptr;
    fair_flow& flow = *current_;
    fair_waiter* const w = flow.first_;
    bool const turn_over = --flow.turns_left_ == 0;
    if (turn_over) flow.turns_left_ = flow.weight_;
    unlink(*w);
    if (turn_over && current_ == &flow) current_ = flow.next_;
    return w;
}

void fair_queue::remove(fair_waiter& w) noexcept {
    if (w.queued()) unlink(w);
}

}  // namespace jirapool
