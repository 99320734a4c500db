#pragma once

#include "engine/engine.hpp"

#include <jirapool/pool/connections_watch.hpp>

#include <boost/asio/cancellation_signal.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace jirapool::detail {

/** Asks a provider for many secrets, some at a time, on the client's first shard.

    @par Threads   One waits; `cancel` may be called from any; the provider runs on the shard. */
class secret_round : public std::enable_shared_from_this<secret_round> {
public:
    using secrets = std::map<std::string, result<secret>, std::less<>>;

    secret_round(secret_provider provider, std::set<std::string> const& names)
        : provider_(std::move(provider)), names_(names.begin(), names.end()) {}

    /// @return what was given in time, and why there is no other.
    secrets ask(std::shared_ptr<shard> const& on, std::size_t parallel, std::chrono::milliseconds timeout);
    void cancel() noexcept;

private:
    class worker;
    static asio::awaitable<void> work(std::shared_ptr<secret_round> round);
    static asio::awaitable<result<secret>> asked(std::shared_ptr<secret_round> round, std::string name);

    std::mutex mutex_;
    std::condition_variable changed_;
    secret_provider const provider_;
    std::deque<std::string> names_;
    secrets given_;
    std::size_t working_ = 0;
    bool over_ = false;
};

}  // namespace jirapool::detail
