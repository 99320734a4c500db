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
    /// To be compressed if the request allows it: app does so.
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

// An answer apart from the version of HTTP that it goes by.

int status_of(reply const& r) noexcept;
bool has_no_body(int status) noexcept;
std::string_view body_of(reply const& r) noexcept;
/// Its body's length is to be told, since neither chunks nor a script's own fields tell it.
bool needs_length(reply const& r) noexcept;
/// Appends all header lines, each with its "\r\n", but for those that frame the answer in HTTP/1.1: a script's own are among them.
void append_fields(reply const& r, wall_time now, std::string& out);

/** The bytes of an answer in HTTP/1.1, appended to `out`.

    `head`: the request was HEAD. `keep_alive`: whether the connection stays open as far as the answer says. */
void render(reply const& r, bool head, bool keep_alive, wall_time now, std::string& out);

}  // namespace jirapool::mock
