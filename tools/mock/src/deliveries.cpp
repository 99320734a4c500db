#include "deliveries.hpp"

#include "json_body.hpp"
#include "text.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <string_view>
#include <tuple>
#include <utility>

namespace jirapool::mock {
namespace {

using std::chrono::milliseconds;

constexpr int most_retries = 5;

// What a seed makes, each by its own stream of randomness.
enum class stream : std::uint8_t { order, identifier, content };

generator random_of(std::uint64_t seed, stream what, std::uint64_t index) {
    return generator(mix(mix(seed) ^ mix((static_cast<std::uint64_t>(what) + 1) << 40 | index)));
}

bool is_of_comment(std::string_view event) noexcept { return event.starts_with("comment_"); }

}  // namespace

char const* why_invalid(delivery_request const& r) noexcept {
    if (r.port < 1 || r.port > 65'535) return "delivery_request::port must be 1 to 65,535";
    if (r.events < 1 || r.events > 100'000) return "delivery_request::events must be 1 to 100,000";
    if (r.issues < 1 || r.issues > 10'000) return "delivery_request::issues must be 1 to 10,000";
    if (!(r.repeats >= 0 && r.repeats <= 1)) return "delivery_request::repeats must be 0 to 1";
    if (r.disorder > 100'000) return "delivery_request::disorder must be 0 to 100,000";
    return nullptr;
}

std::string hub_signature(std::string_view body, std::string_view secret) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<unsigned char const*>(body.data()), body.size(), digest.data(), &size);
    std::string text = "sha256=";
    for (unsigned i = 0; i < size; ++i) fmt::format_to(std::back_inserter(text), "{:02x}", digest[i]);
    return text;
}

bool is_delivered_again(int status) noexcept {
    return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
}

delivery_round::delivery_round(delivery_request const& r, std::uint64_t seed, site_info const& site, webhook_state hook,
                               wall_time now)
    : port_(r.port),
      issues_(r.issues),
      seed_(mix(seed) ^ hook.id),
      begin_(now - milliseconds(r.events)),
      site_(site),
      hook_(std::move(hook)) {
    simdjson::dom::object named;
    simdjson::dom::array events;
    if (parse_object(fmt::format(R"({{"events":{}}})", hook_.events), named) && !named["events"].get(events)) {
        for (auto const event : events) {
            std::string_view name;
            if (!event.get(name)) events_.emplace_back(name);
        }
    }
    auto const authority = hook_.url.find("://") + 3;
    auto const path = std::min(hook_.url.find('/', authority), hook_.url.size());
    host_ = hook_.url.substr(authority, path - authority);
    path_ = hook_.url.substr(path, hook_.url.find('#', path) - path);
    if (!path_.starts_with('/')) path_.insert(0, "/");

    // By the place at which each comes.
    std::vector<std::pair<double, step>> all;
    for (std::uint32_t i = 0; i < r.events; ++i) {
        auto random = random_of(seed_, stream::order, i);
        double const place = i + r.disorder * unit_fraction(random.next());
        all.emplace_back(place, step{i, 0});
        if (unit_fraction(random.next()) >= r.repeats) continue;
        ++repeats_;
        all.emplace_back(place + (r.disorder + 1) * unit_fraction(random.next()), step{i, 1});
    }
    std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) {
        return std::tie(a.first, a.second.event, a.second.retry) < std::tie(b.first, b.second.event, b.second.retry);
    });
    for (auto const& [place, s] : all) steps_.push_back(s);
}

std::optional<delivery_round::step> delivery_round::next() {
    if (steps_.empty()) return std::nullopt;
    step const s = steps_.front();
    steps_.pop_front();
    return s;
}

bool delivery_round::again(step s) {
    if (s.retry >= most_retries) return false;
    ++s.retry;
    steps_.push_back(s);
    return true;
}

std::string delivery_round::request(step s) const {
    std::string const content = hook_.exclude_body ? std::string() : body(s.event);
    std::string out = fmt::format(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Atlassian Webhook HTTP Client\r\n"
        "Content-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n"
        "X-Atlassian-Webhook-Identifier: {}\r\nX-Atlassian-Webhook-Flow: Primary\r\n",
        path_, host_, content.size(), random_of(seed_, stream::identifier, s.event).uuid());
    if (s.retry > 0) fmt::format_to(std::back_inserter(out), "X-Atlassian-Webhook-Retry: {}\r\n", s.retry);
    if (!hook_.secret.empty()) {
        fmt::format_to(std::back_inserter(out), "X-Hub-Signature: {}\r\n", hub_signature(content, hook_.secret));
    }
    return out + "\r\n" + content;
}

std::string delivery_round::body(std::uint32_t event) const {
    auto random = random_of(seed_, stream::content, event);
    std::uint32_t const issue = 1 + static_cast<std::uint32_t>(random.next() % issues_);
    std::string const name = events_.empty() ? "jira:issue_updated" : events_[random.next() % events_.size()];
    wall_time const at = begin_ + milliseconds(event);
    std::string out = fmt::format(R"({{"timestamp":{},"webhookEvent":)",
                                  std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count());
    append_json(out, name);
    if (is_of_comment(name)) {
        fmt::format_to(std::back_inserter(out), R"(,"comment":{{"id":"{}","body":"Comment {}"}})", 20'000 + event,
                       event);
        // Comments come with their issue or without.
        if (random.next() % 2 == 0) return out + '}';
    }
    fmt::format_to(std::back_inserter(out),
                   R"(,"issue":{{"id":"{0}","self":"https://{1}/rest/api/2/{0}","key":"PROJ-{2}",)"
                   R"("fields":{{"summary":"Change {3}","updated":"{4}"}}}},)"
                   R"("changelog":{{"id":"{5}","items":[{{"field":"summary","toString":"Change {3}"}}]}}}})",
                   10'000 + issue, site_.host, issue, event, jira_date(at), 30'000 + event);
    return out;
}

delivery_stats deliveries::begin(delivery_request const& r, site_info const& site, site_state const& state, outbox& to,
                                 wall_time now) {
    std::uint64_t seed = 0;
    {
        std::lock_guard const lock(mutex_);
        // No number that somebody would choose.
        seed = r.seed.value_or(~++rounds_);
    }
    std::vector<delivery_round> rounds;
    delivery_stats made;
    for (webhook_state& hook : state.webhooks()) {
        if (!hook.enabled) continue;
        auto const& round = rounds.emplace_back(r, seed, site, std::move(hook), now);
        made.events += r.events;
        made.repeats += round.repeats();
        made.pending += round.left();
    }
    {
        std::lock_guard const lock(mutex_);
        stats_.events += made.events;
        stats_.repeats += made.repeats;
        stats_.pending += made.pending;
    }
    for (auto& round : rounds) to.send(std::move(round));
    return made;
}

void deliveries::on_answer(int status) {
    std::lock_guard const lock(mutex_);
    ++stats_.answers[status];
    --stats_.pending;
}

void deliveries::on_unanswered() {
    std::lock_guard const lock(mutex_);
    ++stats_.unanswered;
    --stats_.pending;
}

void deliveries::on_retry() {
    std::lock_guard const lock(mutex_);
    ++stats_.retries;
    ++stats_.pending;
}

void deliveries::on_given_up() {
    std::lock_guard const lock(mutex_);
    ++stats_.given_up;
}

void deliveries::on_dropped(std::size_t count) {
    std::lock_guard const lock(mutex_);
    stats_.given_up += count;
    stats_.pending -= count;
}

delivery_stats deliveries::snapshot() const {
    std::lock_guard const lock(mutex_);
    return stats_;
}

std::string to_json(delivery_stats const& s) {
    std::string out = fmt::format(
        R"({{"events":{},"repeats":{},"pending":{},"retries":{},"unanswered":{},"given_up":{},"answers":{{)", s.events,
        s.repeats, s.pending, s.retries, s.unanswered, s.given_up);
    for (auto const& [status, count] : s.answers) {
        fmt::format_to(std::back_inserter(out), R"({}"{}":{})", out.back() == '{' ? "" : ",", status, count);
    }
    return out + "}}\n";
}

}  // namespace jirapool::mock
