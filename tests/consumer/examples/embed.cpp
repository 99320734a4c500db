// Embedding in a service that has an io_context. The README quotes what stands between the markers.
// [embed]
#include <jirapool/pool/client.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <iostream>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> who_am_i(jirapool::connection acme) {
    auto myself = jirapool::request::get("/rest/api/3/myself").timeout(5s);
    auto const answer = co_await acme.call(std::move(myself));
    if (answer) std::cout << answer->status() << ' ' << std::string_view(answer->body()) << '\n';
    else std::cerr << answer.error().describe() << '\n';
}

int main() {
    asio::io_context io;
    jirapool::client_params params;
    params.user_agent = "acme-sync/1.2 (+ops@acme.example)";
    params.executor_is_serial = true;  // one thread runs io
    jirapool::client jira(io, params);
    char const* const key = std::getenv("ACME_JIRA_KEY");
    auto const acme = jira.add("acme", jirapool::personal_api_token("https://acme.atlassian.net", "bot@acme.example",
                                                                    jirapool::secret(key ? key : "")));
    if (!acme) {
        std::cerr << acme.error().describe() << '\n';
        return 1;
    }
    asio::co_spawn(io, who_am_i(*acme), [&](std::exception_ptr) { jira.stop(); });
    io.run();
}
// [embed]
