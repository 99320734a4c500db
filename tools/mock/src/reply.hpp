#pragma once

#include "clock.hpp"
#include "exchange_mark.hpp"

#include <jirapool/mock/scripted.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {

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
