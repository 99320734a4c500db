#pragma once

#include "engine/engine.hpp"
#include "engine/entry.hpp"

#include <atomic>
#include <chrono>
#include <memory>

namespace jirapool::detail {

/// A drain, of all shards at once.
class drain_entry final : public entry_of<bool> {
public:
    drain_entry(handler h, handler_place place, std::shared_ptr<context_life> here, std::shared_ptr<engine> e)
        : entry_of(std::move(h), place, std::move(here)), engine_(std::move(e)) {}

    static void start(std::shared_ptr<engine> e, std::chrono::milliseconds patience, handler h, handler_place place);

private:
    class part;

    /// True: it was the last one, and there is a result.
    bool part_ended(bool drained) noexcept;
    void post_cancel(asio::cancellation_type type) override;
    void finish_later() noexcept override;

    std::shared_ptr<engine> const engine_;
    std::shared_ptr<std::atomic<bool>> const over_ = std::make_shared<std::atomic<bool>>(false);
    std::atomic<std::size_t> left_{0};
    std::atomic<bool> all_{true};
};

}  // namespace jirapool::detail
