// What happens, and how long each call took, in the log of a program that has spdlog.
#include <jirapool/pool/client.hpp>
#include <jirapool/pool/spans.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace asio = boost::asio;

namespace {

// [logs]
spdlog::level::level_enum level_of(jirapool::event const& e) {
    switch (severity_of(e.what)) {
    case jirapool::event::severity::critical: return spdlog::level::critical;
    case jirapool::event::severity::warning: return spdlog::level::warn;
    case jirapool::event::severity::info: break;
    }
    return spdlog::level::info;
}

/// A line of the log for each call and exchange. A tracer of yours would begin and end a span of its own in its place.
class logged_span final : public jirapool::open_span {
public:
    explicit logged_span(jirapool::span_start const& s) { append(s.attributes); }
    void end(std::span<jirapool::span_attribute const> attributes) override {
        append(attributes);
        std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begun_;
        spdlog::debug("{:.3f} s{}", took.count(), text_);
    }

private:
    void append(std::span<jirapool::span_attribute const> attributes) {
        for (auto const& [name, value] : attributes) {
            text_.append(" ").append(name).append("=");
            if (auto const* const text = std::get_if<std::string_view>(&value)) text_.append(*text);
            else text_.append(std::to_string(std::get<std::int64_t>(value)));
        }
    }

    std::chrono::steady_clock::time_point const begun_ = std::chrono::steady_clock::now();
    std::string text_;
};

class log_of_spans final : public jirapool::span_listener {
public:
    std::unique_ptr<jirapool::open_span> start(jirapool::span_start const& s) override {
        if (!spdlog::should_log(spdlog::level::debug)) return nullptr;
        return std::make_unique<logged_span>(s);
    }
};

jirapool::client_params logging(jirapool::client_params p) {
    p.on_event = [](jirapool::event const& e) { spdlog::log(level_of(e), "{}", e.describe()); };
    p.spans = std::make_shared<log_of_spans>();
    return p;
}
// [logs]

asio::awaitable<void> look(jirapool::connection acme) {
    auto const r = co_await acme.call(jirapool::request::get("/rest/api/3/myself"));
    if (!r) spdlog::error("{}", r.error().describe());
}

}  // namespace

int main() {
    char const* const key = std::getenv("ACME_JIRA_KEY");
    if (key == nullptr) {
        spdlog::error("usage: ACME_JIRA_KEY=… logs");
        return 2;
    }
    spdlog::set_level(spdlog::level::debug);
    asio::io_context io(1);
    jirapool::client_params params;
    params.executor_is_serial = true;
    jirapool::client jira(io, logging(params));
    auto const acme = jira.add("acme", jirapool::personal_api_token("https://acme.atlassian.net", "bot@acme.example",
                                                                    jirapool::secret(key)));
    if (!acme) {
        spdlog::error("{}", acme.error().describe());
        return 1;
    }
    asio::co_spawn(io, look(*acme), [&](std::exception_ptr const&) { jira.stop(); });
    io.run();
}
