// Random programs of a user, run in processes of their own; one that fails is made as short as it can be.
//   JIRAPOOL_PROGRAMS=2000          how many (300)
//   JIRAPOOL_PROGRAMS_SEED=17       of the first; the next ones' follow it (fresh, and printed)
//   JIRAPOOL_PROGRAMS_FAILURES=5    goes on until so many have failed (1)
//   JIRAPOOL_PROGRAMS_TIMES=30      runs of a program until it is taken for good when it is made shorter
//   JIRAPOOL_PROGRAMS_SHRINK=20     seconds for that
//   JIRAPOOL_PROGRAMS_REPORT=6000   bytes of a sanitizer's report to print
#include "programs.hpp"

#include "support/catch.hpp"
#include "support/figure.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace jirapool::border_test;
using namespace std::chrono_literals;

namespace {

constexpr char test_name[] = "border: random programs of a user lose no call and every destructor returns";

std::uint64_t number_of(char const* variable, std::uint64_t otherwise) {
    auto const* const text = std::getenv(variable);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Files that both processes see: what to run, how far it came, what it printed.
class shared_files {
public:
    explicit shared_files(std::string stem) : stem_(std::move(stem)) {
        std::ofstream(state()) << std::string(sizeof(progress), '\0');
        map();
    }
    /// As the process that runs them.
    explicit shared_files(char const* stem) : stem_(stem), owner_(false) { map(); }
    ~shared_files() {
        ::munmap(state_, sizeof(progress));
        if (!owner_) return;
        for (auto const& path : {state(), programs(), log()}) std::remove(path.c_str());
    }
    shared_files(shared_files const&) = delete;
    shared_files& operator=(shared_files const&) = delete;

    std::string const& stem() const { return stem_; }
    std::string state() const { return stem_ + ".state"; }
    std::string programs() const { return stem_ + ".programs"; }
    std::string log() const { return stem_ + ".log"; }
    progress& shared() const { return *static_cast<progress*>(state_); }

    void write(std::vector<program> const& all) const {
        std::ofstream out(programs());
        for (auto const& p : all) out << to_text(p) << "--\n";
    }
    std::vector<program> read() const {
        std::vector<program> all;
        std::ifstream in(programs());
        std::string text;
        for (std::string line; std::getline(in, line);) {
            if (line != "--") text += line + '\n';
            else all.push_back(program_of(std::exchange(text, {})));
        }
        return all;
    }
    std::string printed() const {
        std::stringstream text;
        text << std::ifstream(log()).rdbuf();
        return text.str();
    }

private:
    void map() {
        auto const fd = ::open(state().c_str(), O_RDWR | O_CLOEXEC);
        state_ = ::mmap(nullptr, sizeof(progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ::close(fd);
        if (state_ == MAP_FAILED) throw std::bad_alloc();
    }

    std::string stem_;
    bool owner_ = true;
    void* state_ = nullptr;
};

struct outcome {
    bool good = false;
    std::size_t finished = 0;
    progress told;
    std::string why;
};

/// What matters of a sanitizer's report: its first lines and the stack's.
std::string excerpt(std::string const& text) {
    auto at = std::min({text.find("ERROR: "), text.find("WARNING: ThreadSanitizer"), text.find("runtime error"),
                        text.find("terminate called")});
    if (at == std::string::npos) at = text.size() > 2000 ? text.size() - 2000 : 0;
    return text.substr(at, number_of("JIRAPOOL_PROGRAMS_REPORT", 6000));
}

class child_process {
public:
    explicit child_process(shared_files const& files) {
        std::string const with_files = "JIRAPOOL_PROGRAMS_CHILD=" + files.stem();
        auto const* const given = std::getenv("TSAN_OPTIONS");
        std::string const tsan = "TSAN_OPTIONS=" + std::string(given ? given : "") + ":halt_on_error=1";
        std::string const path = files.log();
        pid_ = ::fork();
        if (pid_ != 0) return;
        auto const out = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::putenv(const_cast<char*>(with_files.c_str()));
        ::putenv(const_cast<char*>(tsan.c_str()));
        ::execl("/proc/self/exe", "border_tests", test_name, nullptr);
        ::_exit(127);
    }
    int wait() const {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        return status;
    }

private:
    pid_t pid_;
};

outcome run_in_child(std::vector<program> const& all) {
    static int number = 0;
    shared_files const files("/tmp/jirapool-programs-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
    files.write(all);
    auto const status = child_process(files).wait();
    outcome o;
    o.told = files.shared();
    o.finished = o.told.finished;
    o.good = status == 0 && o.finished == all.size();
    if (o.good) return o;
    o.why = o.told.complaint;
    o.why += WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                 : "exit status " + std::to_string(WEXITSTATUS(status));
    o.why += " in step " + std::to_string(o.told.step) + "\n" + excerpt(files.printed());
    return o;
}

/// Fails when any of several runs does: most faults need the threads to meet in some order.
outcome often(program const& p, std::size_t times) { return run_in_child(std::vector<program>(times, p)); }

/// Leaves out steps for as long as it still fails: first halves, then less and less, then single ones.
program shrink(program p, std::size_t times, std::chrono::seconds patience) {
    auto const end = std::chrono::steady_clock::now() + patience;
    for (auto part = std::max<std::size_t>(1, p.size() / 2);; part /= 2) {
        for (std::size_t at = 0; at < p.size() && std::chrono::steady_clock::now() < end;) {
            program shorter = p;
            auto const from = shorter.begin() + static_cast<std::ptrdiff_t>(at);
            shorter.erase(from, from + static_cast<std::ptrdiff_t>(std::min(part, shorter.size() - at)));
            if (often(shorter, times).good) at += part;
            else p = std::move(shorter);
        }
        if (part == 1) return p;
    }
}

void add_up(std::uint64_t* sums, std::uint64_t const* more, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) sums[i] += more[i];
}

void add_up(progress& sum, progress const& more) {
    sum.finished += more.finished;
    sum.calls += more.calls;
    sum.lost += more.lost;
    sum.twice += more.twice;
    sum.hedges += more.hedges;
    sum.slowest_end_us = std::max(sum.slowest_end_us, more.slowest_end_us);
    add_up(sum.steps, more.steps, std::size(sum.steps));
    add_up(sum.forms, more.forms, std::size(sum.forms));
    add_up(sum.reactions, more.reactions, std::size(sum.reactions));
    add_up(sum.manners, more.manners, std::size(sum.manners));
}

/// "call 812, emit 90, …", and which of them never happened.
std::string list(char const* title, std::span<char const* const> names, std::uint64_t const* counts,
                 std::string& missing) {
    std::string text = title;
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += (i ? ", " : ": ") + std::string(names[i]) + ' ' + std::to_string(counts[i]);
        if (counts[i] == 0) missing += std::string(names[i]) + ' ';
    }
    return text;
}

void report(std::uint64_t seed, program const& p, outcome const& o) {
    auto const times = number_of("JIRAPOOL_PROGRAMS_TIMES", 30);
    auto const again = often(p, times);
    auto const patience = std::chrono::seconds(number_of("JIRAPOOL_PROGRAMS_SHRINK", 20));
    auto const shortest = again.good ? p : shrink(p, times, patience);
    auto const last = again.good ? o : often(shortest, times);
    std::printf("programs: the program of JIRAPOOL_PROGRAMS_SEED=%llu fails%s\n%sIt fails with: %s\n",
                static_cast<unsigned long long>(seed), again.good ? ", though not when it is run again" : "",
                to_text(shortest).c_str(), (last.good ? (again.good ? o : again) : last).why.c_str());
    std::fflush(stdout);
}

}  // namespace

TEST_CASE("border: random programs of a user lose no call and every destructor returns") {
    if (auto const* const stem = std::getenv("JIRAPOOL_PROGRAMS_CHILD")) {
        shared_files const files(stem);
        run_programs(files.read(), files.shared());
        return;
    }
    std::random_device device;
    auto const seed = number_of("JIRAPOOL_PROGRAMS_SEED", device());
    auto const wanted = number_of("JIRAPOOL_PROGRAMS", 300);
    auto const most_failures = number_of("JIRAPOOL_PROGRAMS_FAILURES", 1);
    std::printf("programs: %llu from JIRAPOOL_PROGRAMS_SEED=%llu\n", static_cast<unsigned long long>(wanted),
                static_cast<unsigned long long>(seed));
    progress sum;
    std::uint64_t run = 0;
    std::uint64_t failed = 0;
    while (run < wanted && failed < most_failures) {
        std::vector<program> batch;
        for (auto i = run; i < std::min(run + 250, wanted); ++i) batch.push_back(make_program(seed + i));
        auto o = run_in_child(batch);
        add_up(sum, o.told);
        if (!o.good && o.finished == batch.size()) {
            // Each was good and their process was not: the leak checker looks at its end, now after each.
            ::setenv("JIRAPOOL_PROGRAMS_LEAKS", "1", 1);
            o = run_in_child(batch);
            ::unsetenv("JIRAPOOL_PROGRAMS_LEAKS");
        }
        if (!o.good) {
            ++failed;
            auto const which = std::min(o.finished, batch.size() - 1);
            report(seed + run + which, batch[which], o);
            run += which + 1;
            continue;
        }
        run += batch.size();
    }
    std::string missing;
    std::vector<char const*> kinds;
    for (auto const& k : step_kinds()) kinds.push_back(k.name);
    std::printf("%s\n", list("steps", kinds, sum.steps, missing).c_str());
    std::printf("%s\n", list("forms", form_names(), sum.forms, missing).c_str());
    std::printf("%s\n", list("reactions", reaction_names(), sum.reactions, missing).c_str());
    std::printf("%s\n", list("streams", manner_names(), sum.manners, missing).c_str());
    if (sum.hedges == 0) missing += "hedges ";
    std::printf("programs: %llu run, %llu failed, %llu calls, %llu hedges, slowest destructor %.1f ms\n",
                static_cast<unsigned long long>(run), static_cast<unsigned long long>(failed),
                static_cast<unsigned long long>(sum.calls), static_cast<unsigned long long>(sum.hedges),
                static_cast<double>(sum.slowest_end_us) / 1000);
    jirapool::support::figure("programs_run", static_cast<double>(run));
    jirapool::support::figure("programs_failed", static_cast<double>(failed));
    jirapool::support::figure("programs_calls", static_cast<double>(sum.calls));
    jirapool::support::figure("programs_calls_lost", static_cast<double>(sum.lost));
    jirapool::support::figure("programs_calls_twice", static_cast<double>(sum.twice));
    CHECK(failed == 0);
    CHECK(sum.lost == 0);
    CHECK(sum.twice == 0);
    // What is rare may be missing among fewer.
    if (failed == 0 && wanted >= 1000) CHECK(missing.empty());
}
