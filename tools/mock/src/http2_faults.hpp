#pragma once

#include <jirapool/mock/http2.hpp>

#include <cstdint>
#include <string>

namespace jirapool::mock {

// What each fault is: a table in http2_faults.cpp. Which of them play, and for which requests, is http2_script's; what needs the
// state of a connection is done by http2_session.

/// nullptr, or why it is nothing that an open connection can be told to do.
char const* why_unplayable_now(http2_step const& s) noexcept;

/// The request is left alone, as if it had not come.
bool leaves_untouched(http2_fault f) noexcept;
/// It is answered before it is read whole.
bool answers_early(http2_fault f) noexcept;
/// Frames of the fault's own come in place of the answer.
bool replaces_answer(http2_fault f) noexcept;

/// The frames that the fault sends past the library, for the request's stream; empty if it needs none. Each is whole.
std::string raw_frames(http2_step const& s, std::uint32_t stream);

}  // namespace jirapool::mock
