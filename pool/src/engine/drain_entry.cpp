#include "engine/drain_entry.hpp"

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

void drain_entry::start(std::shared_ptr<engine> e, std::chrono::milliseconds patience, handler h, handler_place place) {
    auto const& all = *e->shards();
    auto const me = std::make_shared<drain_entry>(std::move(h), place, all.ended ? nullptr : all.shards.front()->life(),
                                                  std::move(e));
    if (all.ended) {
        me->set_result(me->engine_->drained);
        me->finish_late();
        return;
    }
    patience = std::max(patience, std::chrono::milliseconds(0));
    me->listen();
    me->engine_->close();
    me->begin();
    me->left_ = all.shards.size();
    for (auto const& s : all.shards) {
        holding_back const handlers;
        try {
            part p(me);
            s->post([s, patience, over = me->over_, p = std::move(p)]() mutable {
                try {
                    asio::co_spawn(s->executor(), shard::drain(s, patience, std::move(over)), std::move(p));
                } catch (std::bad_alloc const&) {
                    return;  // the part has said so
                }
            });
        } catch (std::bad_alloc const&) {
            continue;  // likewise
        }
    }
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

void drain_entry::finish_later() noexcept { engine_->shards()->shards.front()->deliver_later(self()); }

}  // namespace jirapool::detail
