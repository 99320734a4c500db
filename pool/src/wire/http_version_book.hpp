#pragma once

#include <jirapool/core/time.hpp>
#include <jirapool/pool/params.hpp>

#include <chrono>
#include <string>
#include <unordered_map>

namespace jirapool::detail {

/** Which versions of HTTP are offered to which host: where HTTP/2 may be spoken but need not be, a server that offers it and breaks its
    rules again and again is spoken to in HTTP/1.1 for a while. Sans-I/O. */
class http_version_book {
public:
    /// In a row, without a whole answer between them: one may be a proxy's bad day.
    static constexpr unsigned most_errors = 3;
    /// Long enough to be no burden for either side, short enough that a mended server is noticed.
    static constexpr auto rest = std::chrono::minutes(10);

    explicit http_version_book(http_versions allowed) noexcept : allowed_(allowed) {}

    http_versions offered(std::string const& host, steady_time now) const noexcept {
        auto const found = hosts_.find(host);
        bool const rests = found != hosts_.end() && now < found->second.until;
        return rests ? http_versions::http1 : allowed_;
    }

    /// @return whether HTTP/1.1 alone is offered from now on, where it was not before. May throw bad_alloc.
    bool on_error(std::string const& host, steady_time now) {
        if (allowed_ != http_versions::either) return false;
        auto& of = hosts_[host];
        if (now < of.until || ++of.errors < most_errors) return false;
        begin_rest(of, now);
        return true;
    }
    /// The server itself asks for HTTP/1.1, or its TLS is not fit for HTTP/2. As on_error.
    bool on_refusal(std::string const& host, steady_time now) {
        if (allowed_ != http_versions::either) return false;
        auto& of = hosts_[host];
        if (now < of.until) return false;
        begin_rest(of, now);
        return true;
    }
    void on_answer(std::string const& host) noexcept {
        auto const found = hosts_.find(host);
        if (found != hosts_.end() && found->second.until == steady_time::min()) hosts_.erase(found);
    }
    /// No channel to the host is left: what is still of use stays.
    void forget(std::string const& host, steady_time now) noexcept {
        auto const found = hosts_.find(host);
        if (found != hosts_.end() && found->second.errors == 0 && now >= found->second.until) hosts_.erase(found);
    }

private:
    struct conduct {
        unsigned errors = 0;
        steady_time until = steady_time::min();
    };
    static void begin_rest(conduct& of, steady_time now) noexcept {
        of.errors = 0;
        of.until = later(now, rest);
    }

    http_versions const allowed_;
    std::unordered_map<std::string, conduct> hosts_;
};

}  // namespace jirapool::detail
