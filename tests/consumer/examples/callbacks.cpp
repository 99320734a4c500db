// Calls without coroutines, from a program that has no executor: a runtime brings threads, each call a handler. What went wrong is
// told apart by what can be done about it.
#include <jirapool/pool/runtime.hpp>

#include <boost/asio/use_future.hpp>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

std::string advice_on(jirapool::failure const& why) {
    // Of a write that nobody answered, only a look at Jira tells whether it was done.
    if (why.maybe_processed()) return "look whether it was done before asking again";
    if (why.code() == jirapool::advice::retryable) {
        auto const wait = why.retry_after();
        return wait ? "ask again in " + std::to_string(wait->count()) + " ms" : "ask again later";
    }
    if (why.code() == jirapool::advice::reauthorize) return "somebody must renew the API token";
    if (why.code() == jirapool::advice::fix_request) return "this request can never work";
    if (why.code() == jirapool::errc::stopped) return "the program was ending";
    return "see the log";
}

/// Called on one of the runtime's threads: it must not block, and another one may be called at the same time.
void on_answer(jirapool::result<jirapool::response> const& answer) {
    std::ostringstream line;
    if (answer && answer->ok()) {
        line << answer->status() << ", " << answer->body().size() << " bytes\n";
    } else if (answer) {
        // Jira's own no, such as 404: an answer, not an error.
        line << answer->status() << ' ' << std::string_view(answer->body()) << '\n';
    } else {
        auto const why = answer.error();
        line << why.describe() << ": " << advice_on(why) << '\n';
    }
    std::cout << line.str() << std::flush;
}

}  // namespace

int main() {
    jirapool::client_params params;
    params.user_agent = "acme-sync/1.2 (+ops@acme.example)";
    jirapool::runtime jira(2, std::move(params));

    char const* const key = std::getenv("ACME_JIRA_KEY");
    auto const acme = jira.add("acme", jirapool::personal_api_token("https://acme.atlassian.net", "bot@acme.example",
                                                                    jirapool::secret(key ? key : "")));
    if (!acme) {
        std::cerr << acme.error().describe() << '\n';
        return 1;
    }

    // The timeout holds over all of a call: waits for limits, a token and a channel, and sending again, too.
    acme->async_call(jirapool::request::get("/rest/api/3/issue/ACME-1?fields=summary").timeout(5s), on_answer);
    constexpr auto comment = R"({"body":{"type":"doc","version":1,"content":[
        {"type":"paragraph","content":[{"type":"text","text":"Deployed."}]}]}})";
    acme->async_call(jirapool::request::post("/rest/api/3/issue/ACME-1/comment").json(comment).timeout(10s), on_answer);

    // Lets what is under way end, for 15 s at the most.
    return jira.async_drain(15s, asio::use_future).get() ? 0 : 1;
}
