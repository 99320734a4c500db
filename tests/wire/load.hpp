#pragma once

#include "fixture.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// What figures of many calls at once share.

namespace jirapool::wire_test {

/// So many calls at a time: when one ends the next begins. They are told by their numbers, from 0; all ends come on the shards' threads.
class endless_calls {
public:
    using make = std::function<request(std::size_t n)>;
    using told = std::function<void(std::size_t n, result<response> const& end)>;

    endless_calls(std::vector<connection> over, std::size_t at_once, make m, told t)
        : over_(std::move(over)), make_(std::move(m)), told_(std::move(t)), open_(at_once) {
        for (std::size_t i = 0; i < at_once; ++i) one();
    }
    endless_calls(endless_calls const&) = delete;
    endless_calls& operator=(endless_calls const&) = delete;
    /// None begins any more. False: some have not ended in time, and this must outlive them.
    bool end(std::chrono::milliseconds limit) {
        over_now_ = true;
        return eventually([&] { return open_ == 0; }, limit);
    }
    std::size_t begun() const noexcept { return begun_; }

private:
    void one() {
        auto const n = begun_++;
        over_[n % over_.size()].async_call(make_(n), [this, n](result<response> const& end) {
            told_(n, end);
            if (!over_now_) one();
            else --open_;
        });
    }

    std::vector<connection> const over_;
    make const make_;
    told const told_;
    std::atomic<bool> over_now_{false};
    std::atomic<std::size_t> begun_{0};
    std::atomic<std::size_t> open_;
};

/** A mock Jira in a process of its own, so that what this one measures is the client's alone. Made before this process has any thread. */
class mock_process {
public:
    explicit mock_process(mock::params p) : jira_(counted(std::move(p), *shared_)), ca_(jira_.ca_pem()) {
        process_ = ::fork();
        if (process_ == 0) serve();
        if (!eventually([&] { return shared_->port != 0; })) throw std::runtime_error("the mock does not begin");
    }
    ~mock_process() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        ::munmap(shared_, sizeof(shared));
    }
    mock_process(mock_process const&) = delete;
    mock_process& operator=(mock_process const&) = delete;

    /// For a client on one thread.
    client_params params(http_versions http) const {
        client_params p;
        p.user_agent = "jirapool-tests/1 (+tests@example.com)";
        p.tls.ca_file = ca_.path();
        p.connect_to.push_back({"", "127.0.0.1", static_cast<std::uint16_t>(shared_->port.load())});
        p.wire.http = http;
        p.executor_is_serial = true;
        return p;
    }
    mock::world const& world() const noexcept { return jira_.world(); }
    /// That came, answered or not.
    std::uint64_t requests() const noexcept { return shared_->requests; }

private:
    struct shared {
        std::atomic<std::uint32_t> port{0};
        std::atomic<std::uint64_t> requests{0};
    };
    static shared* share() {
        void* const page = ::mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) throw std::runtime_error("no memory can be shared");
        return ::new (page) shared;
    }
    static mock::params counted(mock::params p, shared& s) {
        p.intercept = [&s, answer = std::move(p.intercept)](mock::request_view const& r) {
            ++s.requests;
            return answer ? answer(r) : std::nullopt;
        };
        return p;
    }
    [[noreturn]] void serve() {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        jira_.start();
        shared_->port = jira_.port();
        for (;;) ::pause();
    }

    shared* const shared_ = share();
    mock::server jira_;  // begun there, not here
    ca_file const ca_;
    pid_t process_ = -1;
};

/// What `measure` gives in a process of its own, so that no heap is warm for the next one; nullopt: it ended without.
inline std::optional<double> in_own_process(std::function<double()> const& measure) {
    int ends[2];
    if (::pipe(ends) != 0) return std::nullopt;
    pid_t const child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        double const value = measure();
        std::_Exit(::write(ends[1], &value, sizeof value) == sizeof value ? 0 : 1);
    }
    ::close(ends[1]);
    double value = 0;
    bool const came = ::read(ends[0], &value, sizeof value) == sizeof value;
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    if (!came) return std::nullopt;
    return value;
}

inline void allow_all_descriptors() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace jirapool::wire_test
