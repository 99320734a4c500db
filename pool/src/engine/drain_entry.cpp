#include "engine/drain_entry.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>
#include <new>

namespace jirapool::detail {

/// One shard's part. Destroyed before it came to its end, it says that calls were cut off.
class drain_entry::part {
public:
    explicit part(std::shared_ptr<drain_entry> d) noexcept : drain_(std::move(d)) {}
    part(part&&) noexcept = default;
    part& operator=(part&&) = delete;
    ~part() {
        if (drain_ && drain_->part_ended(false)) drain_->finish_quietly();
    }
    void operator()(std::exception_ptr const& e, bool drained) {
        auto const d = std::move(drain_);
        if (d->part_ended(!e && drained)) d->finish();
    }

private:
    std::shared_ptr<drain_entry> drain_;
};

std::shared_ptr<context_life> drain_entry::life_of(engine const& e) {
    auto const& all = *e.shards();
    return all.ended ? nullptr : all.shards.front()->life();
}

void drain_entry::start(std::shared_ptr<engine> e, std::chrono::milliseconds patience, handler h, handler_place place) {
    auto life = life_of(*e);
    auto const me = std::make_shared<drain_entry>(std::move(h), place, std::move(life), std::move(e));
    me->listen_if_open();
    if (!me->begin_on_all(patience)) me->finish_late();
}

std::shared_ptr<drain_entry> drain_entry::prepare(std::shared_ptr<engine> e, asio::any_io_executor ex,
                                                  asio::cancellation_slot slot) noexcept {
    try {
        auto life = life_of(*e);
        auto me = std::make_shared<drain_entry>(std::move(ex), slot, std::move(life), std::move(e));
        me->listen_if_open();
        return me;
    } catch (std::bad_alloc const&) {
        return nullptr;
    }
}

void drain_entry::listen_if_open() {
    if (!engine_->shards()->ended) listen();
}

bool drain_entry::begin_on_all(std::chrono::milliseconds patience) noexcept {
    auto const& all = *engine_->shards();
    if (all.ended) {
        set_result(engine_->drained);
        return false;
    }
    auto const me = std::static_pointer_cast<drain_entry>(self());
    patience = std::max(patience, std::chrono::milliseconds(0));
    engine_->close();
    begin();
    left_ = all.shards.size();
    for (auto const& s : all.shards) {
        holding_back const handlers;
        try {
            part p(me);
            s->post([s, patience, over = over_, p = std::move(p)]() mutable {
                try {
                    auto end = asio::bind_executor(s->here(), std::move(p));
                    asio::co_spawn(s->executor(), shard::drain(s, patience, std::move(over)), std::move(end));
                } catch (std::bad_alloc const&) {
                    return;  // the part has said so
                }
            });
        } catch (std::bad_alloc const&) {
            continue;  // likewise
        }
    }
    return true;
}

bool drain_entry::part_ended(bool drained) noexcept {
    if (!drained) all_ = false;
    if (--left_ > 0) return false;
    if (all_) engine_->drained = true;
    engine_->stop();
    set_result(all_);
    return true;
}

void drain_entry::post_cancel(asio::cancellation_type) {
    *over_ = true;
    for (auto const& s : engine_->shards()->shards) s->post([s] { s->wake_drains(); });
}

bool drain_entry::finish_later() noexcept { return engine_->shards()->shards.front()->deliver_later(self()); }

}  // namespace jirapool::detail
