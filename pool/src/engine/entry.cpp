#include "engine/entry.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/system_executor.hpp>

#include <exception>
#include <new>

namespace jirapool::detail {

namespace {

template <class... Executor>
bool holds_one_of(asio::any_io_executor const& ex) noexcept {
    return (... || (ex.target<Executor>() != nullptr));
}

template <class Blocking, class Relationship>
using systems = asio::basic_system_executor<Blocking, Relationship, std::allocator<void>>;

// Not by its context: to ask for the system's starts that one's threads, two for each core.
bool is_systems(asio::any_io_executor const& ex) noexcept {
    using possibly = asio::execution::blocking_t::possibly_t;
    using never = asio::execution::blocking_t::never_t;
    using fork = asio::execution::relationship_t::fork_t;
    using continuation = asio::execution::relationship_t::continuation_t;
    return holds_one_of<systems<possibly, fork>, systems<possibly, continuation>, systems<never, fork>,
                        systems<never, continuation>>(ex);
}

}  // namespace

/// What stands in the caller's slot. The signal may be destroyed before the operation ends, or long after all else: neither
/// holds the other.
class entry::canceller {
public:
    explicit canceller(std::weak_ptr<entry> e) noexcept : entry_(std::move(e)) {}
    canceller(canceller const&) = delete;
    canceller& operator=(canceller const&) = delete;
    ~canceller() {
        if (auto const e = entry_.lock()) e->slot_lost_ = true;
    }
    void operator()(asio::cancellation_type type) const noexcept {
        if (auto const e = entry_.lock()) e->cancel(type);
    }

private:
    std::weak_ptr<entry> const entry_;
};

/// What is posted to the handler's executor. Destroyed uncalled, with its context, it takes the handler with it.
class entry::delivery {
public:
    explicit delivery(std::shared_ptr<entry> e) noexcept : entry_(std::move(e)) {}
    delivery(delivery&&) noexcept = default;
    delivery& operator=(delivery&&) = delete;
    ~delivery() {
        // Not when there was no memory to post it.
        if (entry_ && entry_->posted_) entry_->drop();
    }
    void operator()() {
        auto const e = std::move(entry_);
        e->deliver();
    }

private:
    std::shared_ptr<entry> entry_;
};

entry::entry(handler_place place, std::shared_ptr<context_life> here)
    : own_(place.own),
      of_future_(place.of_future),
      anywhere_(of_future_ || is_systems(place.executor)),
      executor_(std::move(place.executor)),
      here_(std::move(here)) {}

entry::entry(asio::any_io_executor own, std::shared_ptr<context_life> here)
    : own_(true), of_future_(false), anywhere_(is_systems(own)), executor_(std::move(own)), here_(std::move(here)) {}

entry::~entry() {
    if (there_) there_->leave(*this);
}

void entry::listen() {
    if (anywhere_) {
        // Nothing to be kept from running out of work.
    } else if (executor_) {
        auto life = context_life::of(executor_);
        executor_ = asio::prefer(executor_, asio::execution::outstanding_work.tracked);
        if (life != here_ && life->enter(*this)) there_ = std::move(life);
    } else if (own_) {
        other_ = asio::prefer(own_executor(), asio::execution::outstanding_work.tracked);
    }
    auto s = slot();
    if (!s.is_connected()) return;
    s.emplace<canceller>(self());
    listens_ = true;
}

void entry::cancel(asio::cancellation_type type) noexcept {
    auto const before = state_.fetch_or(static_cast<unsigned>(type) & types, std::memory_order_acq_rel);
    // Before it began nobody needs to be told: `begin` looks.
    if ((before & has_begun) == 0 || (before & is_ended) != 0) return;
    try {
        post_cancel(type);
    } catch (std::bad_alloc const&) {
        return;  // it goes on, and has its deadline
    }
}

bool entry::begin() noexcept { return (state_.fetch_or(has_begun, std::memory_order_acq_rel) & types) == 0; }

void entry::finish() {
    state_.fetch_or(is_ended, std::memory_order_acq_rel);
    if (!own_) {
        // Without an executor of its own a handler is the client's, and goes with its context, as all of Asio's do: by then
        // what it refers to may be gone too. The threads of a runtime are our affair, and its handlers are called.
        if (here_ && here_->gone() && !here_->ours()) drop();
        else deliver();
        return;
    }
    try {
        post_delivery();
    } catch (std::bad_alloc const&) {
        // The handler's own, or for want of memory to get to it?
        if (delivered_) throw;
        finish_later();
    }
}

void entry::post_delivery() {
    auto const me = self();
    if (there_) {
        // False: on_context_gone has the handler.
        there_->leave_while_alive(*this, [&] {
            auto const ex = executor_;  // the delivery lets go of it
            asio::post(ex, delivery(me));
            posted_ = true;
        });
    } else if (other_) {
        auto const ex = other_;
        asio::dispatch(ex, delivery(me));
        posted_ = true;
    } else if (!anywhere_ && here_ && here_->gone()) {
        // Its context is the shard's own, and destroys its handlers uncalled.
        drop();
    } else {
        auto const ex = executor_;
        asio::dispatch(ex, delivery(me));
        posted_ = true;
    }
}

entry::holding_back::~holding_back() {
    current_ = outer_;
    for (auto e = std::move(first_); e;) {
        auto const now = std::move(e);
        e = std::move(now->next);
        if (!now->finish_later()) now->finish_quietly();
    }
}

void entry::finish_quietly() noexcept {
    if (auto* const back = holding_back::current_) {
        next = std::move(back->first_);
        back->first_ = self();
        return;
    }
    try {
        finish();
    } catch (...) {
        // The handler's own. Nobody is left to have it: what it threw from was destroyed, not run.
        return;
    }
}

/// Handlers that are called in the thread that begins their operation: one after the other, or who calls again from within
/// such a handler would pile them up on the stack.
class entry::late_ones {
public:
    static void finish(std::shared_ptr<entry> e) {
        if (running_ != nullptr) {
            *running_->last_ = std::move(e);
            running_->last_ = &(*running_->last_)->next;
            return;
        }
        late_ones all(std::move(e));
        running_ = &all;
        std::exception_ptr thrown;
        while (all.first_) {
            auto const now = std::move(all.first_);
            all.first_ = std::move(now->next);
            if (!all.first_) all.last_ = &all.first_;
            try {
                now->deliver();
            } catch (...) {
                if (!thrown) thrown = std::current_exception();
            }
        }
        running_ = nullptr;
        if (thrown) std::rethrow_exception(thrown);
    }

private:
    explicit late_ones(std::shared_ptr<entry> e) noexcept : first_(std::move(e)), last_(&first_->next) {}
    static inline thread_local late_ones* running_ = nullptr;
    std::shared_ptr<entry> first_;
    std::shared_ptr<entry>* last_;
};

void entry::finish_late() {
    auto const keep = self();  // posted, it may be the handler's thread that lets go of this last
    state_.fetch_or(is_ended, std::memory_order_acq_rel);
    if (!own_) {
        late_ones::finish(self());
        return;
    }
    if (!executor_ && !other_) other_ = own_executor();
    if (there_ || other_ || of_future_) {
        post_delivery();
        return;
    }
    auto const ex = executor_;
    asio::post(ex, delivery(keep));
    posted_ = true;
}

void entry::finish_late_here() {
    auto const keep = self();
    try {
        finish_late();
    } catch (std::bad_alloc const&) {
        deliver();
    }
}

void entry::deliver() {
    delivered_ = true;
    // Who cancels it may hold this for longer than the executors' contexts are.
    auto const ex = std::move(executor_);
    auto const other = std::move(other_);
    // Only on the handler's executor is nobody else at its slot at this moment. Elsewhere, and with a future, whose signal is
    // emitted where its user is, what stands there stays, and knows that this has ended.
    if (own_ && !anywhere_ && listens_ && !slot_lost_) slot().clear();
    call_handler();
}

void entry::drop() noexcept {
    destroy_handler();
    executor_ = asio::any_io_executor();
    other_ = asio::any_completion_executor();
}

void entry::on_context_gone() noexcept {
    drop();
    cancel(asio::cancellation_type::terminal);
}

}  // namespace jirapool::detail
