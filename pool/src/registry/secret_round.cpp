#include "registry/secret_round.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

namespace jirapool::detail {

/// One coroutine that asks. When it ends, and however it ends, it is counted no more.
class secret_round::worker {
public:
    explicit worker(std::shared_ptr<secret_round> r) : round_(std::move(r)) {
        std::lock_guard const lock(round_->mutex_);
        ++round_->working_;
    }
    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;
    ~worker() {
        std::lock_guard const lock(round_->mutex_);
        --round_->working_;
        round_->changed_.notify_all();
    }

    asio::cancellation_signal cancel;  // the shard's alone

private:
    std::shared_ptr<secret_round> const round_;
};

asio::awaitable<result<secret>> secret_round::asked(std::shared_ptr<secret_round> round, std::string name) {
    // What is thrown may quote a secret.
    try {
        co_return co_await round->provider_(std::move(name));
    } catch (...) {
        co_return failure(errc::unreadable_file, "names a provider's secret, and the provider threw an exception");
    }
}

asio::awaitable<void> secret_round::work(std::shared_ptr<secret_round> round) {
    while (true) {
        std::string name;
        {
            std::lock_guard const lock(round->mutex_);
            if (round->over_ || round->names_.empty()) co_return;
            name = std::move(round->names_.front());
            round->names_.pop_front();
        }
        auto given = co_await asked(round, name);
        std::lock_guard const lock(round->mutex_);
        if (!round->over_) round->given_.emplace(std::move(name), std::move(given));
    }
}

secret_round::secrets secret_round::ask(std::shared_ptr<shard> const& on, std::size_t parallel,
                                        std::chrono::milliseconds timeout) {
    std::vector<std::weak_ptr<worker>> workers;
    for (auto n = std::min(parallel, names_.size()); n > 0; --n) {
        auto w = std::make_shared<worker>(shared_from_this());
        workers.push_back(w);
        on->post([round = shared_from_this(), w = std::move(w), on] {
            asio::co_spawn(on->executor(), work(round),
                           asio::bind_cancellation_slot(w->cancel.slot(), [w](std::exception_ptr const&) {}));
        });
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return over_ || working_ == 0; });
    over_ = true;
    auto given = std::move(given_);
    lock.unlock();
    on->post([workers = std::move(workers)] {
        for (auto const& one : workers)
            if (auto const w = one.lock()) w->cancel.emit(asio::cancellation_type::terminal);
    });
    return given;
}

void secret_round::cancel() noexcept {
    std::lock_guard const lock(mutex_);
    over_ = true;
    changed_.notify_all();
}

}  // namespace jirapool::detail
