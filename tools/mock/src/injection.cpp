#include "injection.hpp"

#include "answers.hpp"
#include "text.hpp"

#include <chrono>

namespace jirapool::mock {
namespace {

using std::chrono::milliseconds;

enum class chance : std::uint64_t { api_error = 1, token_error = 2, jitter = 3, close = 4 };

double roll(visit const& v, chance what) noexcept { return unit_fraction(v.random(static_cast<std::uint64_t>(what))); }
bool comes_up(visit const& v, chance what, double rate) noexcept { return rate > 0 && roll(v, what) < rate; }

}  // namespace

std::optional<reply> injected_api_error(visit& v) {
    if (!comes_up(v, chance::api_error, v.faulty.error_rate)) return std::nullopt;
    v.is_injected = true;
    return service_unavailable();
}

std::optional<reply> injected_token_error(visit& v) {
    if (!comes_up(v, chance::token_error, v.faulty.token_error_rate)) return std::nullopt;
    v.is_injected = true;
    return oauth_error(503, "temporarily_unavailable", "Service Unavailable");
}

void inject_delay_and_close(visit const& v, reply& out) {
    bool const is_token = v.match.id == route::token_exchange;
    out.delay = is_token ? v.faulty.token_latency : v.faulty.latency;
    if (!is_token && v.faulty.latency_jitter > milliseconds{0}) {
        double const most = static_cast<double>(v.faulty.latency_jitter.count()) + 1;
        out.delay += milliseconds{static_cast<milliseconds::rep>(roll(v, chance::jitter) * most)};
    }
    out.close_silently = comes_up(v, chance::close, v.faulty.close_rate);
}

}  // namespace jirapool::mock
