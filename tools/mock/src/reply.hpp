#pragma once

#include "clock.hpp"
#include "route.hpp"

#include <jirapool/mock/scripted.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace jirapool::mock {

class app;

/// While it lives, a token exchange counts as in flight.
class exchange_mark {
public:
    exchange_mark() = default;
    exchange_mark(app& owner, std::size_t connection) noexcept : owner_(&owner), connection_(connection) {}
    exchange_mark(exchange_mark&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), connection_(other.connection_) {}
    exchange_mark& operator=(exchange_mark&& other) noexcept {
        std::swap(owner_, other.owner_);
        std::swap(connection_, other.connection_);
        return *this;
    }
    ~exchange_mark() { end(); }
    void end() noexcept;

private:
    app* owner_ = nullptr;
    std::size_t connection_ = 0;
};

/// What is to be sent, and when.
class reply {
public:
    int status = 200;
    /// Header lines, each with its "\r\n", beyond those that every answer has.
    std::string headers;
    /// Empty: no Content-Type.
    std::string_view content_type;
    std::string body;
    bool chunked = false;
    /// To be compressed if the request allows it.
    bool compress = false;
    std::chrono::milliseconds delay{0};
    /// The connection is closed afterwards although the answer does not say so.
    bool close_silently = false;
    /// In place of all of the above but delay.
    std::optional<scripted_reply> scripted;
    /// Must end before the answer's first byte is written: the client may start its next exchange then.
    exchange_mark exchange;
};

std::string_view reason_phrase(int status) noexcept;

/** The bytes of an answer, appended to `out`.

    `head`: the request was HEAD. `keep_alive`: whether the connection stays open as far as the answer says. */
void render(reply const& r, bool head, bool keep_alive, wall_time now, std::string& out);

}  // namespace jirapool::mock
