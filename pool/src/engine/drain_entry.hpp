#pragma once

#include "engine/engine.hpp"
#include "engine/entry.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <atomic>
#include <chrono>
#include <memory>

namespace jirapool::detail {

/// A drain, of all shards at once.
class drain_entry final : public entry_of<bool> {
public:
    drain_entry(handler h, handler_place place, std::shared_ptr<context_life> here, std::shared_ptr<engine> e)
        : entry_of(std::move(h), place, std::move(here)), engine_(std::move(e)) {}

    drain_entry(asio::any_io_executor ex, asio::cancellation_slot slot, std::shared_ptr<context_life> here,
                std::shared_ptr<engine> e)
        : entry_of(std::move(ex), slot, std::move(here)), engine_(std::move(e)) {}

    static void start(std::shared_ptr<engine> e, std::chrono::milliseconds patience, handler h, handler_place place);
    /// The same in two steps, for a coroutine on `ex` with that slot. Null: there is no memory for it. It is to be awaited then, which
    /// cannot fail.
    static std::shared_ptr<drain_entry> prepare(std::shared_ptr<engine> e, asio::any_io_executor ex,
                                                asio::cancellation_slot slot) noexcept;
    static auto awaited(std::shared_ptr<drain_entry> prepared, std::chrono::milliseconds patience) noexcept {
        return asio::async_initiate<asio::deferred_t const, void(bool)>(beginning{std::move(prepared), patience},
                                                                        asio::deferred);
    }

private:
    class part;
    struct beginning {
        template <class Handler>
        void operator()(Handler&& h) const {
            drain->keep(std::forward<Handler>(h));
            if (!drain->begin_on_all(patience)) drain->finish_late_here();
        }
        std::shared_ptr<drain_entry> drain;
        std::chrono::milliseconds patience;
    };

    static std::shared_ptr<context_life> life_of(engine const& e);
    void listen_if_open();
    /// False: all have ended, and the result says so.
    bool begin_on_all(std::chrono::milliseconds patience) noexcept;

    /// True: it was the last one, and there is a result.
    bool part_ended(bool drained) noexcept;
    void post_cancel(asio::cancellation_type type) override;
    bool finish_later() noexcept override;

    std::shared_ptr<engine> const engine_;
    std::shared_ptr<std::atomic<bool>> const over_ = std::make_shared<std::atomic<bool>>(false);
    std::atomic<std::size_t> left_{0};
    std::atomic<bool> all_{true};
};

}  // namespace jirapool::detail
