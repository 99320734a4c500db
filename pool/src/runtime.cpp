#include <jirapool/pool/runtime.hpp>

#include "engine/engine.hpp"
#include "wait/clock.hpp"
#include "wait/context_life.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// What is under way when a runtime is destroyed gets this long to end by itself: calls and channels need a moment, a sink or
// source of the user's that heeds no cancellation would take for ever.
constexpr auto patience_at_end = 500ms;

// More than any machine has; a -1 must not become threads until none is left.
constexpr unsigned most_threads = 1024;

}  // namespace

class runtime::threads {
public:
    explicit threads(unsigned n) {
        if (n < 1 || n > most_threads) throw std::invalid_argument("runtime: threads must be 1 to 1024");
        for (unsigned i = 0; i < n; ++i) {
            contexts_.push_back(std::make_shared<asio::io_context>(1));
            work_.push_back(asio::make_work_guard(*contexts_.back()));
            detail::context_life::of(contexts_.back()->get_executor())->set_ours();
        }
    }
    ~threads() { join(); }
    threads(threads const&) = delete;
    threads& operator=(threads const&) = delete;

    std::vector<asio::any_io_executor> executors() const {
        std::vector<asio::any_io_executor> all;
        for (auto const& c : contexts_) all.emplace_back(c->get_executor());
        return all;
    }
    void start(std::function<void(event const&)> on_event) {
        running_->count = contexts_.size();
        for (auto const& c : contexts_) threads_.emplace_back(run, c, running_, on_event);
    }
    /// Ends when each shard has nothing left to do, or was given its time for that. The contexts are gone then, but for that
    /// of the thread that calls this.
    void join() noexcept {
        if (contexts_.empty()) return;
        work_.clear();
        auto const here = std::this_thread::get_id();
        auto const own = static_cast<std::size_t>(std::count_if(threads_.begin(), threads_.end(),
                                                                [&](auto const& t) { return t.get_id() == here; }));
        {
            std::unique_lock lock(running_->mutex);
            running_->changed.wait_for(lock, patience_at_end, [&] { return running_->count <= own; });
        }
        for (auto const& c : contexts_) c->stop();
        for (auto& t : threads_) {
            // A runtime may be destroyed by a handler of its own: that thread ends when the handler returns.
            if (t.get_id() == here) t.detach();
            else t.join();
        }
        threads_.clear();
        contexts_.clear();
    }

private:
    struct running {
        std::mutex mutex;
        std::condition_variable changed;
        std::size_t count = 0;
    };

    static void report(std::function<void(event const&)> const& on_event, char const* what) noexcept {
        try {
            event e{event::kind::handler_threw, {}, what};
            e.at = detail::system_clock().wall();
            if (on_event) on_event(e);
        } catch (...) {
            return;  // asked not to
        }
    }

    static void run(std::shared_ptr<asio::io_context> context, std::shared_ptr<running> all,
                    std::function<void(event const&)> on_event) {
        for (bool over = false; !over;) {
            // Only what the user's own handlers throw comes out of here, and it must not take the other calls with it.
            try {
                context->run();
                over = true;
            } catch (std::exception const& e) {
                report(on_event, e.what());
            } catch (...) {
                report(on_event, "what is no std::exception");
            }
        }
        context.reset();
        std::lock_guard const lock(all->mutex);
        --all->count;
        all->changed.notify_all();
    }

    std::vector<std::shared_ptr<asio::io_context>> contexts_;
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    std::vector<std::thread> threads_;
    std::shared_ptr<running> running_ = std::make_shared<running>();
};

runtime::runtime(unsigned n, client_params p) : connections(nullptr), threads_(std::make_unique<threads>(n)) {
    auto on_event = p.on_event;
    engine_ = std::make_shared<detail::engine>(threads_->executors(), std::move(p));
    threads_->start(std::move(on_event));
}

runtime::~runtime() {
    stop();
    threads_->join();
}

}  // namespace jirapool
