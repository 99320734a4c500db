#pragma once

#include "wait/timers.hpp"
#include "wait/wait_point.hpp"

#include <jirapool/core/quota.hpp>
#include <jirapool/core/secret.hpp>
#include <jirapool/core/token_fsm.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::detail {

class token_refresher;
struct connection_entry;

/// "Basic …": the value of the header.
secret authorization_value(std::string_view scheme, std::string_view credentials);

/// An access token as it is sent: immutable, shared by the calls that carry it, wiped with the last of them.
class bearer {
public:
    bearer(secret const& token, token_generation g)
        : authorization(authorization_value("Bearer", token.reveal())), generation(g) {}

    secret const authorization;  ///< the header's value
    token_generation const generation;
};

/// One OAuth credential's token in its shard: the state machine, the token, who waits, and the timer that renews ahead.
class token_source final : public timed {
public:
    token_source(token_refresher& r, connection_entry& e);
    ~token_source() override = default;

    token_fsm fsm;
    /// What Jira counts points by: a hash of the client id.
    std::uint64_t app() const noexcept { return app_; }
    void set_client(std::string const& client_id) noexcept {
        app_ = std::hash<std::string>{}(client_id);
        looked_for_budget = 0;
    }
    std::unique_ptr<points_quota> quota_at_site;
    std::shared_ptr<bearer const> current;
    bool retired = false;                 ///< renewed no more
    std::uint32_t looked_for_budget = 0;  ///< see app_budgets::find

    /// The connection is removed. Handles may keep this for longer, and with it no token.
    void retire() noexcept;
    /// Why the last refresh failed, never with a secret; empty when it did not.
    std::string why_failed() const { return failed_ ? *failed_ : std::string(); }
    /// Of a refresh; empty: it gave a token.
    void note_failure(std::string why);
    /// Looks again when the next refresh is due.
    void schedule() noexcept;
    /// The endpoint answers again.
    void on_endpoint_recovered() noexcept;
    /// `heeds`: the types of cancellation that end it.
    asio::awaitable<wake> wait(steady_time deadline, asio::cancellation_type heeds);
    /// The state changed: each waiting call looks again.
    void wake_all();
    bool calls_wait() const noexcept { return waiting_ && !waiting_->empty(); }

private:
    void schedule_at(steady_time at) noexcept;
    void on_time() override;
    void on_stop() override {}

    token_refresher& refresher_;
    connection_entry& entry_;  // whose this is
    std::uint64_t app_ = 0;
    // Of an idle connection neither has anything to say: no room in each of a million for what hardly any has.
    std::unique_ptr<std::string const> failed_;
    std::unique_ptr<std::vector<wait_point*>> waiting_;
};

}  // namespace jirapool::detail
