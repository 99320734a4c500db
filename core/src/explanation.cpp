#include <jirapool/core/explanation.hpp>

#include <cstdio>
#include <utility>

namespace jirapool {

namespace {

void append_seconds(std::string& out, steady_duration d) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f s", std::chrono::duration<double>(d).count());
    out += text;
}

}  // namespace

steady_duration explanation::total() const noexcept {
    steady_duration sum{};
    for (auto const& s : steps_) sum += s.took;
    return sum;
}

steady_duration explanation::in(jirapool::stage stage) const noexcept {
    steady_duration sum{};
    for (auto const& s : steps_)
        if (s.stage == stage) sum += s.took;
    return sum;
}

std::string explanation::describe() const {
    std::string out;
    append_seconds(out, total());
    char const* separator = ": ";
    for (auto const& s : steps_) {
        out += std::exchange(separator, ", ");
        out.append(to_string(s.stage)).append(" ");
        append_seconds(out, s.took);
        if (s.scope == limit_scope::none) continue;
        out.append(" (").append(to_string(s.scope)).append(", ").append(std::to_string(s.ahead)).append(" ahead");
        if (!s.note.empty()) out.append(": ").append(s.note);
        out += ")";
    }
    for (std::size_t i = 0; i < exchanges_.size(); ++i) {
        auto const& e = exchanges_[i];
        out.append("; ").append(std::to_string(i + 1)).append(": ");
        if (e.status != 0) out += std::to_string(e.status);
        else out += e.error.message();
        if (e.token != 0) out.append(", token ").append(std::to_string(e.token));
        out += e.reused ? ", used channel" : ", new channel";
        if (e.resent) out.append(", sent again: ").append(to_string(*e.resent));
    }
    return out;
}

void explanation::add(step const& s) {
    if (s.took <= steady_duration::zero()) return;
    steps_.push_back(s);
    bool const wire = s.stage == stage::write || s.stage == stage::first_byte || s.stage == stage::body;
    steps_.back().exchange = static_cast<std::uint32_t>(exchanges_.size()) + (wire ? 0 : 1);
}

void explanation::begin_exchange(bool reused, std::uint32_t token) {
    exchange e;
    e.reused = reused;
    e.token = token;
    exchanges_.push_back(e);
}

void explanation::end_exchange(int status, error_code error) {
    exchanges_.back().status = status;
    exchanges_.back().error = error;
}

void explanation::append(explanation const& rest) {
    steps_.insert(steps_.end(), rest.steps_.begin(), rest.steps_.end());
    exchanges_.insert(exchanges_.end(), rest.exchanges_.begin(), rest.exchanges_.end());
}

void explanation::will_resend(resend_reason why) {
    if (!exchanges_.empty()) exchanges_.back().resent = why;
}

}  // namespace jirapool
