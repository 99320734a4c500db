#pragma once

#include "programs.hpp"

#include <jirapool/pool/client.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace jirapool::border_test {

class host;

/// What a user's handler throws.
struct thrown : std::runtime_error {
    thrown() : std::runtime_error("thrown by the user") {}
};

/// What is known of a user's context, also when it is gone.
struct context_state {
    std::size_t index = 0;
    std::atomic<bool> going{false};
    /// Not once it is going.
    std::function<bool()> runs_here;
    /// Runs one handler of an io_context.
    std::function<void()> poll_one;
    asio::any_io_executor plain;
    asio::any_io_executor serial;  ///< one handler at a time
    /// An exception that leaves a handler ends the process: Asio's thread_pool has nobody to catch it.
    bool must_not_throw = false;
};

/// A thread of the program's own: no shard's, unless a client was given its context.
inline thread_local bool users_thread = false;
/// How many operations this thread is starting: one within another from a handler that was called at once.
inline thread_local int starting = 0;

/// What runs others' handlers from within a handler: those come inside of it, not of what this thread is starting meanwhile.
class running_others {
public:
    running_others() noexcept = default;
    ~running_others() { starting = outer_; }
    running_others(running_others const&) = delete;
    running_others& operator=(running_others const&) = delete;

private:
    int outer_ = std::exchange(starting, 0);
};
/// How many destructors of hosts are under way on this thread.
inline thread_local int ending_hosts = 0;

/// One call or drain: what was asked, and what became of its handler.
struct ticket {
    std::size_t number = 0;
    char const* what = "";
    std::uint8_t reaction = 0;
    bool serial = true;                   ///< its executor is the context's serial one
    std::shared_ptr<context_state> own;   ///< that of the handler's own executor; null: it has none
    std::shared_ptr<context_state> base;  ///< the client's; null: it is a runtime
    std::shared_ptr<context_state> from;  ///< the context that is to start it; null: it is started where it is made
    std::weak_ptr<border_test::host> host;
    std::optional<connection> handle;
    std::atomic<bool> begun{false};
    std::atomic<int> completed{0};
    std::atomic<int> dropped{0};
    std::future<result<response>> answer;  ///< in place of a handler

    bool over() const {
        if (!begun) return from && from->going;
        if (answer.valid()) return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        return completed != 0 || dropped != 0;
    }
};

/// Starts an operation. What handlers throw inside of the function that starts theirs comes out of that.
template <class Start>
void begin(ticket& t, Start starts) {
    t.begun = true;
    struct counted {
        counted() noexcept { ++starting; }
        ~counted() { --starting; }
        counted(counted const&) = delete;
        counted& operator=(counted const&) = delete;
    } const here;
    try {
        starts();
    } catch (thrown const&) {
        return;  // the user's own
    }
}

/** A handler: each ends in just one of two ways, called or destroyed uncalled, and the second only with its own context. */
class completion {
public:
    completion(world& w, std::shared_ptr<ticket> t) noexcept : world_(&w), ticket_(std::move(t)) {}
    completion(completion&& other) noexcept : world_(other.world_), ticket_(std::move(other.ticket_)) {}
    completion& operator=(completion&&) = delete;
    ~completion();

    void operator()(result<response> r) {
        called(!r && r.error().code() == errc::stopped, r ? "an answer" : r.error().describe());
    }
    void operator()(bool) { called(true, "drained"); }

private:
    /// `at_once`: what may come inside of the function that starts it.
    void called(bool at_once, std::string const& with);

    world* world_;
    std::shared_ptr<ticket> ticket_;
};

}  // namespace jirapool::border_test
