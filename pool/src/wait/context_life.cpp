#include "wait/context_life.hpp"

#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>

#include <utility>

namespace jirapool::detail {

class context_life::service final : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;

    explicit service(asio::execution_context& context)
        : asio::execution_context::service(context), life(std::make_shared<context_life>()) {}
    std::shared_ptr<context_life> const life;

private:
    void shutdown() override { life->end(); }
};

/// The same life's, made when a shard comes to the context, which may be long after the first caller.
class context_life::early_service final : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;

    explicit early_service(asio::execution_context& context)
        : asio::execution_context::service(context), life_(asio::use_service<context_life::service>(context).life) {}

private:
    void shutdown() override { life_->end(); }
    std::shared_ptr<context_life> const life_;
};

std::shared_ptr<context_life> context_life::of(asio::any_io_executor const& ex) {
    // A thread's callers are nearly always on the same context, and to look a service up takes a lock and a search. A context
    // that came to stand at the same address has another life, as the old one's is over.
    thread_local asio::execution_context const* last = nullptr;
    thread_local std::shared_ptr<context_life> life;
    auto& context = asio::query(ex, asio::execution::context);
    if (last != &context || life->gone()) {
        // The service of strands first: shut down before ours, it would destroy what is posted while we say that all is well.
        // By its own name, as the making of a strand does not survive lack of memory (Boost 1.81, ~strand_impl).
        asio::use_service<asio::detail::strand_executor_service>(context);
        life = asio::use_service<service>(context).life;
        last = &context;
    }
    return life;
}

std::shared_ptr<context_life> context_life::of_shard(asio::any_io_executor const& ex) {
    auto life = of(ex);
    asio::use_service<early_service>(asio::query(ex, asio::execution::context));
    return life;
}

bool context_life::enter(member& m) {
    std::lock_guard const lock(mutex_);
    if (gone_) return false;
    m.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &m;
    first_ = &m;
    m.listed_ = true;
    return true;
}

void context_life::take_out(member& m) noexcept {
    if (!std::exchange(m.listed_, false)) return;
    (m.previous_ != nullptr ? m.previous_->next_ : first_) = m.next_;
    if (m.next_ != nullptr) m.next_->previous_ = m.previous_;
    m.previous_ = m.next_ = nullptr;
}

void context_life::keep(member& m) {
    if (std::exchange(m.is_kept_, true)) return;
    auto me = m.shared_from_this();
    m.next_kept_ = std::move(kept_);
    kept_ = std::move(me);
}

void context_life::leave(member& m) noexcept {
    std::lock_guard const lock(mutex_);
    take_out(m);
}

void context_life::end() noexcept {
    std::unique_lock lock(mutex_);
    gone_ = true;
    while (first_ != nullptr) {
        auto& m = *first_;
        take_out(m);
        // One that is being destroyed at this moment needs to be told nothing.
        auto const held = m.weak_from_this().lock();
        lock.unlock();
        if (held) held->on_context_gone();
        lock.lock();
    }
    auto kept = std::move(kept_);
    lock.unlock();
    while (kept) {
        auto const now = std::move(kept);
        kept = std::move(now->next_kept_);
    }
}

}  // namespace jirapool::detail
