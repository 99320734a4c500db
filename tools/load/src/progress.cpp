#include "progress.hpp"

#include <fmt/format.h>

namespace jirapool::load {

std::string to_text(std::chrono::nanoseconds duration) {
    double const ms = std::chrono::duration<double, std::milli>(duration).count();
    if (ms < 10) return fmt::format("{:.2f} ms", ms);
    if (ms < 100) return fmt::format("{:.1f} ms", ms);
    if (ms < 10'000) return fmt::format("{:.0f} ms", ms);
    return fmt::format("{:.1f} s", ms / 1000);
}

std::string to_text(progress const& p) {
    auto line = fmt::format(
        "{:5.1f} s  {:7.1f} calls/s  in flight {:<5} p50 {:<8}  p99 {:<8}  failed {}  429 {}  tokens {}",
        std::chrono::duration<double>(p.elapsed).count(), p.rate, p.in_flight, to_text(p.p50), to_text(p.p99), p.failed,
        p.answered_429, p.token_refreshes);
    if (p.unsent != 0) line += fmt::format("  unsent {}", p.unsent);
    return line;
}

}  // namespace jirapool::load
