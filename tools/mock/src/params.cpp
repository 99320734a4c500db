#include <jirapool/mock/params.hpp>

namespace jirapool::mock {
namespace {

using std::chrono::milliseconds;

bool is_wait(milliseconds t) noexcept { return t >= milliseconds{0} && t <= std::chrono::minutes{10}; }
// Written so that NaN is no fraction.
bool is_fraction(double x) noexcept { return x >= 0 && x <= 1; }
bool is_rate(unsigned n) noexcept { return n >= 1 && n <= 1'000'000; }
bool is_scale(double x) noexcept { return x > 0 && x <= 1000; }

bool is_loopback(std::string const& address) noexcept {
    if (address == "::1") return true;
    // 127.0.0.0/8; whether the rest is an address shows when it is bound.
    return address.starts_with("127.") && address.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

char const* why_invalid(faults const& f) noexcept {
    if (!is_wait(f.latency)) return "faults::latency must be 0 to 10 min";
    if (!is_wait(f.latency_jitter)) return "faults::latency_jitter must be 0 to 10 min";
    if (!is_wait(f.token_latency)) return "faults::token_latency must be 0 to 10 min";
    if (!is_fraction(f.error_rate)) return "faults::error_rate must be 0 to 1";
    if (!is_fraction(f.token_error_rate)) return "faults::token_error_rate must be 0 to 1";
    if (!is_fraction(f.close_rate)) return "faults::close_rate must be 0 to 1";
    return nullptr;
}

char const* why_invalid(site_limits const& l) noexcept {
    if (l.burst_scale && !is_scale(*l.burst_scale)) return "site_limits::burst_scale must be above 0, at most 1000";
    if (l.foreign_load && !is_fraction(*l.foreign_load)) return "site_limits::foreign_load must be 0 to 1";
    return nullptr;
}

char const* why_invalid(params const& p) noexcept {
    constexpr std::size_t most = 1'000'000;
    if (!is_loopback(p.address)) return "params::address must be a loopback address (127.0.0.0/8 or ::1)";
    if (p.threads < 1 || p.threads > 64) return "params::threads must be 1 to 64";
    if (p.sites < 1 || p.sites > most) return "params::sites must be 1 to 1,000,000";
    if (p.personal > most || p.service > most || p.oauth > most) {
        return "params::personal, service and oauth must be at most 1,000,000 each";
    }
    if (p.issues_per_site > most) return "params::issues_per_site must be at most 1,000,000";
    if (p.issue_bytes > 1u << 20) return "params::issue_bytes must be at most 1 MiB";
    if (p.token_lifetime <= milliseconds{0}) return "params::token_lifetime must be above 0";
    if (p.token_lifetime > std::chrono::hours{24 * 365}) return "params::token_lifetime must be at most a year";
    if (p.token_expires_in && *p.token_expires_in <= std::chrono::seconds{0}) {
        return "params::token_expires_in must be above 0";
    }
    if (p.token_bytes < 64 || p.token_bytes > 8192) return "params::token_bytes must be 64 to 8192";
    if (!is_rate(p.burst_get) || !is_rate(p.burst_post) || !is_rate(p.burst_put) || !is_rate(p.burst_delete) ||
        !is_rate(p.burst_get_issue)) {
        return "params::burst_get, _post, _put, _delete and _get_issue must be 1 to 1,000,000";
    }
    if (!is_scale(p.burst_scale)) return "params::burst_scale must be above 0, at most 1000";
    if (!(p.burst_capacity > 0 && p.burst_capacity <= 3600)) {
        return "params::burst_capacity must be above 0, at most 3600 s";
    }
    if (!is_fraction(p.foreign_load)) return "params::foreign_load must be 0 to 1";
    if (p.max_body_bytes < 1 || p.max_body_bytes > std::size_t{1} << 30) {
        return "params::max_body_bytes must be 1 to 1 GiB";
    }
    if (char const* const problem = why_invalid(p.http2)) return problem;
    if (p.idle_timeout <= milliseconds{0} || p.idle_timeout > std::chrono::hours{24}) {
        return "params::idle_timeout must be above 0, at most a day";
    }
    return why_invalid(p.faulty);
}

}  // namespace jirapool::mock
