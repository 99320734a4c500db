// A service's own test, without a network: jirapool::mock is a Jira Cloud in the test's process, and answers what it is told to.
#include <jirapool/mock/server.hpp>
#include <jirapool/pool/runtime.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <unistd.h>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

// ---- What is tested: a part of the service.

asio::awaitable<bool> issue_exists(jirapool::connection jira, std::string key) {
    auto look = jirapool::request::get("/rest/api/3/issue/" + key + "?fields=summary").timeout(5s);
    auto const answer = co_await jira.call(std::move(look));
    if (!answer) throw std::runtime_error(answer.error().describe());
    if (answer->ok()) co_return true;
    if (answer->status() == 404) co_return false;
    throw std::runtime_error("Jira answers " + std::to_string(answer->status()));
}

// ---- The test. Any framework's macros do as well.

namespace {

int failures = 0;
void check(bool holds, char const* what) {
    std::cout << (holds ? "passed: " : "FAILED: ") << what << '\n';
    failures += holds ? 0 : 1;
}

/// What a coroutine completes with; what it throws is thrown here.
template <class T>
T run(asio::awaitable<T> what) {
    asio::io_context io;
    auto done = asio::co_spawn(io, std::move(what), asio::use_future);
    io.run();
    return done.get();
}

/// The mock's certificate authority as a file: it is new with each server.
class ca_file {
public:
    explicit ca_file(std::string const& pem)
        : path_(std::filesystem::temp_directory_path() / ("ca-" + std::to_string(::getpid()) + ".pem")) {
        std::ofstream(path_) << pem;
    }
    ~ca_file() { std::filesystem::remove(path_); }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

}  // namespace

int main() {
    jirapool::mock::params world;
    world.sites = 1;
    world.personal = 1;
    world.issues_per_site = 3;  // PROJ-1 to PROJ-3
    jirapool::mock::server mock(world);
    mock.start();

    ca_file const ca(mock.ca_pem());
    jirapool::client_params params;
    params.user_agent = "acme-sync-tests/1.2";
    params.tls.ca_file = ca.path();
    params.connect_to.push_back({"", "127.0.0.1", mock.port()});
    jirapool::runtime jira(1, std::move(params));

    auto const& account = mock.world().connections().front();
    auto const& site = mock.world().site_of(account);
    auto const acme = jira.add("acme", jirapool::personal_api_token("https://" + site.host, account.email,
                                                                    jirapool::secret(account.secret)))
                          .value();

    check(run(issue_exists(acme, "PROJ-1")), "an issue that is there is found");
    check(!run(issue_exists(acme, "PROJ-4")), "one that is not there is not found");

    // A passing failure of Jira's.
    std::atomic<int> answers{0};
    mock.set_intercept([&](jirapool::mock::request_view const& r) -> std::optional<jirapool::mock::scripted_reply> {
        if (!r.target.starts_with("/rest/") || answers++ > 0) return std::nullopt;  // the mock's own answer
        return jirapool::mock::scripted_reply(503);
    });
    check(run(issue_exists(acme, "PROJ-1")), "an issue is found though Jira fails once");
    check(answers == 2, "the request was sent twice");

    // An API token that was withdrawn: Jira answers as to anybody, which is an error of the call and no empty answer.
    mock.set_intercept({});
    mock.replace_secret(0, "another-token");
    std::string why;
    try {
        run(issue_exists(acme, "PROJ-1"));
    } catch (std::runtime_error const& e) {
        why = e.what();
    }
    check(why.find("anonymous_answer") != why.npos, "a withdrawn API token is told");
    return failures == 0 ? 0 : 1;
}
