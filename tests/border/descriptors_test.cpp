#include "wire/gateway.hpp"

#include <jirapool/pool/files.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <set>
#include <string>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

std::set<int> open_descriptors() {
    std::set<int> all;
    DIR* const folder = ::opendir("/proc/self/fd");
    while (auto const* const entry = ::readdir(folder))
        if (entry->d_name[0] != '.') all.insert(std::atoi(entry->d_name));
    all.erase(::dirfd(folder));
    ::closedir(folder);
    return all;
}

/// Those opened since `before` that a child process would have, each with what it is.
std::string inherited_since(std::set<int> const& before) {
    std::string all;
    for (int const d : open_descriptors()) {
        if (before.contains(d)) continue;
        int const flags = ::fcntl(d, F_GETFD);
        if (flags < 0 || (flags & FD_CLOEXEC) != 0) continue;  // closed meanwhile
        char what[256] = {};
        [[maybe_unused]] auto const n = ::readlink(("/proc/self/fd/" + std::to_string(d)).c_str(), what,
                                                   sizeof what - 1);
        all += std::to_string(d) + " " + what + ", ";
    }
    return all;
}

}  // namespace

TEST_CASE("border 8: no descriptor of the library goes to a child process") {
    std::string const to = "/tmp/jirapool-test-download-" + std::to_string(::getpid());
    std::string const from = to + "-source";
    std::ofstream(from) << std::string(1u << 20, 'x');
    auto const before = open_descriptors();
    std::atomic<int> under_way{0};
    auto const stalls = [&](http_peer& peer, std::string const&) {
        peer.write(ok_head(1u << 20) + "a piece");
        ++under_way;
        peer.stall();
        return false;
    };
    gateway server({stalls, stalls, stalls});
    server.params.wire.max_streams = 1;  // a channel for each call, whatever the version
    std::optional<runtime> jira(std::in_place, 2, server.params);
    auto const c = gateway::of(*jira);
    auto plain = c.async_call(download().timeout(60s), asio::use_future);
    body_streams into(std::make_shared<file_sink>(to));
    auto down = c.async_call(download().timeout(60s), std::move(into), asio::use_future);
    auto source = file_source::open(from);
    REQUIRE(source.has_value());
    auto up = c.async_call(upload().timeout(60s), *source, asio::use_future);
    REQUIRE(eventually([&] { return under_way == 3; }));
    CHECK(inherited_since(before) == "");
    CHECK(open_descriptors().size() >= before.size() + 3 * 2);  // both ends of three channels
    jira.reset();
    CHECK_FALSE(plain.get().has_value());
    CHECK_FALSE(down.get().has_value());
    CHECK_FALSE(up.get().has_value());
    std::remove(to.c_str());
    std::remove(from.c_str());
}

TEST_CASE("border 8: sockets that connect are kept from a child process as those that have") {
    // A listener whose queue is full answers nobody.
    int const listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof here;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&here), size) == 0);
    REQUIRE(::listen(listener, 0) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &size) == 0);
    auto const before = open_descriptors();
    client_params params;
    params.user_agent = "jirapool-tests/1 (+tests@example.com)";
    ca_file const ca(test_authority().pem());
    params.tls.ca_file = ca.path();
    params.connect_to.push_back({"", "127.0.0.1", ntohs(here.sin_port)});
    std::optional<runtime> jira(std::in_place, 1, params);
    auto const bare = open_descriptors().size();
    auto const c = gateway::of(*jira);
    std::vector<std::future<result<response>>> calls;
    for (int i = 0; i < 4; ++i) calls.push_back(c.async_call(download().timeout(60s), asio::use_future));
    REQUIRE(eventually([&] { return open_descriptors().size() >= bare + 2; }));
    CHECK(inherited_since(before) == "");
    jira.reset();
    for (auto& call : calls) CHECK_FALSE(call.get().has_value());
    ::close(listener);
}
