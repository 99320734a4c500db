#include "engine/call_entry.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <new>

namespace jirapool::detail {

namespace {

failure too_late(connection_entry const& e) noexcept { return about(e, errc::stopped); }

}  // namespace

/// Whoever has this carries the call on. Destroyed with it, as its context is or for want of memory, the call ends.
class call_entry::carried {
public:
    explicit carried(std::shared_ptr<call_entry> e) noexcept : entry_(std::move(e)) {}
    carried(carried&&) noexcept = default;
    carried& operator=(carried&&) = delete;
    ~carried() {
        if (entry_) entry_->abandon();
    }
    std::shared_ptr<call_entry> take() noexcept { return std::move(entry_); }
    call_entry& operator*() const noexcept { return *entry_; }
    call_entry* operator->() const noexcept { return entry_.get(); }

private:
    std::shared_ptr<call_entry> entry_;
};

class call_entry::ending {
public:
    explicit ending(carried c) noexcept : carried_(std::move(c)) {}
    void operator()(std::exception_ptr const& e, result<response> r) {
        auto const entry = carried_.take();
        // Only lack of memory can bring one: every step of a call reports by value.
        if (e) r = about(*entry->connection_, lack_of_memory()).with_maybe_processed(entry->maybe_processed_);
        entry->complete(std::move(r));
    }

private:
    carried carried_;
};

namespace {

/// Null: its client is stopped or gone.
std::shared_ptr<shard> home_of(connection_entry const& e) {
    auto const all = e.shards.lock();
    return all && !all->ended ? all->shards[e.home.load(std::memory_order_acquire)] : nullptr;
}

}  // namespace

void call_entry::start(std::shared_ptr<connection_entry> e, request r, body_streams b, handler h, handler_place place) {
    auto const home = home_of(*e);
    auto const me = std::make_shared<call_entry>(std::move(h), place, home ? home->life() : nullptr, std::move(e),
                                                 std::move(r), std::move(b));
    me->shard_ = home;
    if (home) me->listen();
    if (!begin_at_home(me)) me->finish_late();
}

std::shared_ptr<call_entry> call_entry::prepare(std::shared_ptr<connection_entry> e, request r, body_streams b,
                                                asio::any_io_executor ex, asio::cancellation_slot slot) noexcept {
    try {
        auto const home = home_of(*e);
        auto me = std::make_shared<call_entry>(std::move(ex), slot, home ? home->life() : nullptr, std::move(e),
                                               std::move(r), std::move(b));
        me->shard_ = home;
        if (home) me->listen();
        return me;
    } catch (std::bad_alloc const&) {
        return nullptr;
    }
}

bool call_entry::begin_at_home(std::shared_ptr<call_entry> me) noexcept {
    if (auto const home = me->shard_.lock()) {
        try {
            if (post_to(me, home)) return true;
        } catch (std::bad_alloc const&) {
            return true;  // what was to be posted has ended the call
        }
    }
    me->set_result(too_late(*me->connection_));
    return false;
}

bool call_entry::post_to(std::shared_ptr<call_entry> me, std::shared_ptr<shard> const& s) {
    me->shard_ = s;
    holding_back const handlers;
    return s->life()->while_alive([&] {
        asio::post(s->executor(), [c = carried(std::move(me)), s]() mutable { arrive(std::move(c), s); });
    });
}

void call_entry::arrive(carried c, std::shared_ptr<shard> const& s) {
    auto const e = c->connection_;
    auto const all = e->shards.lock();
    auto const home = all ? all->shards[e->home.load(std::memory_order_acquire)] : nullptr;
    if (home && home != s) {
        // Its site turned out to be one that another shard has.
        auto const me = c.take();
        if (!post_to(me, home)) me->complete(too_late(*e));
        return;
    }
    if (!home || !c->begin()) {
        auto const me = c.take();
        if (home) s->count_cancelled(e->kind, me->request_);
        me->complete(home ? about(*e, errc::cancelled).at(stage::check) : too_late(*e));
        return;
    }
    if (auto why = s->why_no_call(*e); why.code()) {
        c.take()->complete(std::move(why));
        return;
    }
    try {
        // Whoever carries the entry ends with the coroutine, or behind it: what it points to is there while it runs.
        auto coroutine = shard::call(s, e, std::move(c->request_), std::move(c->streams_), &c->maybe_processed_);
        auto const slot = c->cancel_.slot();
        auto end = asio::bind_executor(s->here(), ending(std::move(c)));
        asio::co_spawn(s->executor(), std::move(coroutine), asio::bind_cancellation_slot(slot, std::move(end)));
    } catch (std::bad_alloc const&) {
        return;  // whoever carried it has ended it
    }
}

void call_entry::complete(result<response> r) {
    let_go();
    set_result(std::move(r));
    finish();
}

void call_entry::let_go() noexcept {
    // What Asio keeps there has the shard's executor, which must not outlive its context as this may.
    cancel_.slot().clear();
}

void call_entry::abandon() noexcept {
    auto const s = shard_.lock();
    let_go();
    // Where all is as it should be, only lack of memory keeps a call from being carried on.
    bool const going = !s || s->life()->gone();
    auto why = going ? too_late(*connection_) : about(*connection_, lack_of_memory());
    set_result(std::move(why).with_maybe_processed(maybe_processed_));
    finish_quietly();
}

void call_entry::post_cancel(asio::cancellation_type type) {
    auto const s = shard_.lock();
    if (!s) return;
    auto me = std::static_pointer_cast<call_entry>(self());
    s->post([me = std::move(me), type] {
        if (me->ended()) return;
        try {
            me->cancel_.emit(type);
        } catch (std::bad_alloc const&) {
            return;  // it goes on, and has its deadline
        }
    });
}

bool call_entry::finish_later() noexcept {
    auto const s = shard_.lock();
    return s && s->deliver_later(self());
}

}  // namespace jirapool::detail
