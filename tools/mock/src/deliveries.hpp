#pragma once

#include "clock.hpp"
#include "site_state.hpp"

#include <jirapool/mock/deliveries.hpp>
#include <jirapool/mock/world.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace jirapool::mock {

/// "sha256=…": HMAC-SHA256 of the body by the secret.
std::string hub_signature(std::string_view body, std::string_view secret);

/** What one webhook gets of a delivery_request, in the order in which it comes. Pure: bytes and no sockets.

    @par Threads   One at a time. */
class delivery_round {
public:
    /// One try of a delivery.
    struct step {
        std::uint32_t event = 0;
        std::uint8_t retry = 0;
    };

    /// `seed`: of the request, or one that nobody had.
    delivery_round(delivery_request const& r, std::uint64_t seed, site_info const& site, webhook_state hook,
                   wall_time now);

    std::uint32_t port() const noexcept { return port_; }
    std::size_t left() const noexcept { return steps_.size(); }
    std::size_t repeats() const noexcept { return repeats_; }
    /// The next one, which it has no more; nullopt: that was all.
    std::optional<step> next();
    /// The HTTP request.
    std::string request(step s) const;
    /// It comes again behind all others. False: it came often enough.
    bool again(step s);

private:
    std::string body(std::uint32_t event) const;

    std::uint32_t port_;
    std::uint32_t issues_;
    std::uint64_t seed_;
    wall_time begin_;
    site_info site_;
    webhook_state hook_;
    std::vector<std::string> events_;
    std::string host_, path_;
    std::size_t repeats_ = 0;
    std::deque<step> steps_;
};

/// What an answer's status means to Jira.
bool is_delivered_again(int status) noexcept;

/** Who carries deliveries out.

    @par Threads   Any. */
class outbox {
public:
    virtual ~outbox() = default;
    virtual void send(delivery_round round) = 0;
};

/** The rounds that are made of requests, and what became of them.

    @par Threads   Any. */
class deliveries {
public:
    /// Gives the outbox a round for each enabled webhook of the site. What that makes; nothing pending when there is no such webhook.
    delivery_stats begin(delivery_request const& r, site_info const& site, site_state const& state, outbox& to,
                         wall_time now);

    void on_answer(int status);
    void on_unanswered();
    void on_retry();
    void on_given_up();
    /// That were never begun, as there is nobody to carry them.
    void on_dropped(std::size_t count);
    delivery_stats snapshot() const;

private:
    mutable std::mutex mutex_;
    delivery_stats stats_;
    std::uint64_t rounds_ = 0;
};

std::string to_json(delivery_stats const& s);

}  // namespace jirapool::mock
