// Tells your on-call of what a person must mend: each event of a client goes to a receiver of yours as a signed HTTPS request, and is
// tried again until that one takes it.
#include <jirapool/pool/client.hpp>
#include <jirapool/pool/event_webhook.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>

namespace asio = boost::asio;

namespace {

asio::awaitable<void> look(jirapool::connection acme) {
    auto const state = co_await acme.verify();
    if (state) std::cout << to_string(state->condition) << '\n';
    else std::cerr << state.error().describe() << '\n';
}

}  // namespace

int main() {
    char const* const jira_key = std::getenv("ACME_JIRA_KEY");
    char const* const hook_secret = std::getenv("ACME_HOOK_SECRET");
    if (jira_key == nullptr || hook_secret == nullptr) {
        std::cerr << "usage: ACME_JIRA_KEY=… ACME_HOOK_SECRET=… events\n";
        return 2;
    }
    asio::io_context io(1);

    // [events]
    jirapool::event_webhook_params receiver;
    receiver.url = "https://hooks.acme.example/jira";
    receiver.signing_secret = jirapool::secret(hook_secret);
    receiver.executor_is_serial = true;  // one thread runs io
    auto const hook = std::make_shared<jirapool::event_webhook>(io.get_executor(), std::move(receiver));

    jirapool::client_params params;
    params.executor_is_serial = true;
    params.on_event = [hook](jirapool::event const& e) {
        std::clog << e.describe() << '\n';
        hook->report(e);
    };
    // [events]
    jirapool::client jira(io, params);
    auto const acme = jira.add("acme", jirapool::personal_api_token("https://acme.atlassian.net", "bot@acme.example",
                                                                    jirapool::secret(jira_key)));
    if (!acme) {
        std::cerr << acme.error().describe() << '\n';
        return 1;
    }
    asio::co_spawn(io, look(*acme), [&](std::exception_ptr const&) { jira.stop(); });
    io.run();  // until what waits is delivered
}
