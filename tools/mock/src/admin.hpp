#pragma once

#include "app.hpp"
#include "clock.hpp"
#include "deliveries.hpp"
#include "reply.hpp"

#include <jirapool/mock/http2.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {

/// The port that clients of the API connect to, as the admin port may take it down or tell its connections something. Called on the thread that serves the admin port.
class api_port {
public:
    virtual ~api_port() = default;
    /// Connections are refused from now on, those there are close soon. Does nothing while it is down.
    virtual void take_down() = 0;
    /// The same port again. Empty, or why it cannot be listened on. Does nothing while it is up.
    virtual std::string bring_up() = 0;
    /// Does it to the open HTTP/2 connections, soon.
    virtual void play_now(http2_step const& s) = 0;
    /// Of connections that are opened from now on, and of the open ones soon.
    virtual void set_http2(http2_settings s) = 0;
};

/// Of a request's body; it holds no more than a secret.
inline constexpr std::size_t max_admin_body = 8 * 1024;

/// How long the body behind this head is; nullopt: `refusal` is the answer.
std::optional<std::size_t> admin_body_size(std::string_view head, reply& refusal);

/** What the admin port answers: counters as JSON, reset, faults, scenes, credentials, limits, deliveries, the API port. `head` is a request as it
    came, its first line at least.

    Pure but for what it asks of `a`, `port` and `mail`; the sockets are admin_session's. */
reply answer_admin(app& a, api_port& port, outbox& mail, std::string_view head, std::string_view body, instant now);

}  // namespace jirapool::mock
