#pragma once

#include <jirapool/core/error.hpp>
#include <jirapool/core/labels.hpp>
#include <jirapool/core/result.hpp>
#include <jirapool/core/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jirapool {

/** Where a finished call's time went: what it waited for, and each of its exchanges. An explanation is made for calls that ask
    for it (request::explain), and given with the response or the failure. It holds no secret and nothing of a body.

    @par Threads   It is immutable once the call has ended. */
class explanation {
public:
    /// A stretch of the call's time. All of them, one behind the other, are the call's time.
    struct step {
        jirapool::stage stage = stage::check;  ///< where the call was
        steady_duration took{};                ///< for how long
        /// In stage::admit, what the call waited for.
        limit_scope scope = limit_scope::none;
        /// In stage::admit, the number of the site's calls that waited before it came.
        std::uint32_t ahead = 0;
        /// In stage::admit, what more there is to say of that scope: "others take 41 % of its rate". Nothing, mostly.
        std::string note;
        /// The exchange that it was part of, or led to: 1 is the first.
        std::uint32_t exchange = 1;
    };

    /// One request and its answer on the wire.
    struct exchange {
        int status = 0;           ///< 0: no answer
        error_code error;         ///< why there was none
        bool reused = false;      ///< the channel had served before
        std::uint32_t token = 0;  ///< the access token's generation; 0 for API tokens
        /// Why the call went on to another exchange; nothing for the last one.
        std::optional<resend_reason> resent;
    };

    /// The steps in the order of time.
    std::vector<step> const& steps() const noexcept { return steps_; }
    /// The exchanges in the order of time.
    std::vector<exchange> const& exchanges() const noexcept { return exchanges_; }
    /// The sum of the steps: from the call's start on its shard to its end.
    steady_duration total() const noexcept;
    /// The sum of the steps in that stage.
    steady_duration in(jirapool::stage s) const noexcept;

    /** One line for a log:
        "1.234 s: admit 1.002 s (route, 17 ahead), lease 0.030 s, write 0.000 s, first_byte 0.201 s; 1: 200, token 4, new channel" */
    std::string describe() const;

    // For who carries the call out. All but will_resend may throw std::bad_alloc.
    void add(step const& s);
    void begin_exchange(bool reused, std::uint32_t token);
    void end_exchange(int status, error_code error);
    void will_resend(resend_reason why);
    /// What came behind, of a call that went on elsewhere before its first exchange.
    void append(explanation const& rest);

private:
    std::vector<step> steps_;
    std::vector<exchange> exchanges_;
};

}  // namespace jirapool
