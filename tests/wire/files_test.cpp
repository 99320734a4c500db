#include "gateway.hpp"

#include "files/disk.hpp"

#include <jirapool/pool/files.hpp>

#include <sys/stat.h>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>

using namespace jirapool;
using namespace jirapool::wire_test;

namespace {

/// A folder of its own for a test, gone with it.
class folder {
public:
    folder() : path_(std::filesystem::temp_directory_path() / ("jirapool-test-" + std::to_string(::getpid()))) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directory(path_);
    }
    ~folder() { std::filesystem::remove_all(path_); }
    folder(folder const&) = delete;
    folder& operator=(folder const&) = delete;

    std::string operator/(std::string const& name) const { return (path_ / name).string(); }
    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
    }

private:
    std::filesystem::path path_;
};

std::string text_of(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void put(std::string const& path, std::string const& text) { std::ofstream(path, std::ios::binary) << text; }

/// What blocks until it is let go, as a disk that does not answer.
class stuck {
public:
    void wait() {
        std::unique_lock lock(mutex_);
        entered_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return go_; });
    }
    void wait_until_entered() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return entered_; });
    }
    void let_go() {
        std::lock_guard const lock(mutex_);
        go_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool entered_ = false;
    bool go_ = false;
};

}  // namespace

TEST_CASE("file_sink: what is at the path is there whole, or as it was before") {
    folder const here;
    auto const path = here / "export.json";
    auto const body = noise(1'000'000);
    put(path, "old");
    std::promise<void> looked;
    gateway jira({[&](http_peer& peer, std::string const&) {
        peer.write(sized(body).substr(0, 500'000));
        looked.get_future().wait();
        return peer.write(sized(body).substr(500'000));
    }});
    runtime client(1, jira.params);
    auto const sink = std::make_shared<file_sink>(path);
    auto pending = gateway::of(client).async_call(download(), body_streams(sink), asio::use_future);
    REQUIRE(eventually([&] { return here.files() == 2; }));
    CHECK(text_of(path) == "old");
    looked.set_value();
    auto const r = pending.get();
    if (!r) INFO(r.error().describe());
    REQUIRE(r.has_value());
    CHECK((text_of(path) == body));
    CHECK(here.files() == 1);
}

TEST_CASE("file_sink: a download that fails leaves nothing, and one that starts again only the whole") {
    folder const here;
    auto const path = here / "export.json";
    auto const body = noise(300'000);
    auto const half = sized(body).substr(0, 150'000);
    SECTION("it fails") {
        gateway jira({says_and_stalls(half)});
        runtime client(1, jira.params);
        CHECK(call(gateway::of(client), download().timeout(300ms), std::make_shared<file_sink>(path)).error().code() ==
              errc::timeout);
        // A write that was under way is its thread's to end.
        CHECK(eventually([&] { return here.files() == 0; }));
    }
    SECTION("it starts again") {
        gateway jira({says_and_goes(half), says(sized(body))});
        runtime client(1, jira.params);
        auto const r = call(gateway::of(client), download(), std::make_shared<file_sink>(path));
        REQUIRE(r.has_value());
        CHECK((text_of(path) == body));
        CHECK(eventually([&] { return here.files() == 1; }));
    }
    SECTION("an empty body is an empty file") {
        gateway jira({says(sized({}))});
        runtime client(1, jira.params);
        REQUIRE(call(gateway::of(client), download(), std::make_shared<file_sink>(path)).has_value());
        CHECK(here.files() == 1);
        CHECK(text_of(path).empty());
    }
    SECTION("an error is no file") {
        gateway jira({says(sized("none", {}, 404))});
        runtime client(1, jira.params);
        REQUIRE(call(gateway::of(client), download(), std::make_shared<file_sink>(path)).has_value());
        CHECK(here.files() == 0);
    }
    SECTION("what the system says is the call's error") {
        gateway jira({says(sized(body))});
        runtime client(1, jira.params);
        auto const r = call(gateway::of(client), download(), std::make_shared<file_sink>(here / "none/export.json"));
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == boost::system::errc::no_such_file_or_directory);
        CHECK(here.files() == 0);
    }
}

TEST_CASE("file_source: a file is sent to the byte, again if need be") {
    folder const here;
    auto const path = here / "attachment";
    auto const body = noise(400'000);
    put(path, body);
    std::vector<std::string> bodies;
    gateway jira({keeps(bodies, says(sized("later", {}, 503))), keeps(bodies, says(sized("done")))});
    runtime client(1, jira.params);
    auto const source = file_source::open(path);
    REQUIRE(source.has_value());
    CHECK((*source)->size() == body.size());
    auto const r = call(gateway::of(client), upload().resendable(true), *source);
    if (!r) INFO(r.error().describe());
    REQUIRE(r.has_value());
    REQUIRE(bodies.size() == 2);
    CHECK((bodies[0] == body));
    CHECK((bodies[1] == body));
}

TEST_CASE("file_source: a file that is none, or is cut meanwhile, is said to be so") {
    folder const here;
    auto const path = here / "attachment";
    auto const missing = file_source::open(path);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().code() == boost::system::errc::no_such_file_or_directory);
    CHECK(missing.error().field() == "path");
    REQUIRE(::mkfifo((here / "pipe").c_str(), 0600) == 0);
    for (auto const& other : {here / "pipe", here / "."}) {
        auto const r = file_source::open(other);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::invalid_argument);
    }

    put(path, noise(400'000));
    gateway jira({says(sized("done"))});
    runtime client(1, jira.params);
    auto const source = file_source::open(path);
    REQUIRE(source.has_value());
    std::filesystem::resize_file(path, 200'000);
    auto const r = call(gateway::of(client), upload(), *source);
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().code() == errc::source_failed);
    CHECK(r.error().rule() == "the call's source ended before its size");
    CHECK(jira.requests() == 0);
}

TEST_CASE("disk: one that does not answer holds up neither the call past its deadline nor the client's end") {
    class stuck_sink final : public body_sink {
    public:
        explicit stuck_sink(std::shared_ptr<stuck> d) : disk_(std::move(d)) {}
        asio::awaitable<error_code> write(std::string_view) override {
            std::function<void()> work = [d = disk_] { d->wait(); };
            error_code const ec = co_await detail::on_disk(std::move(work));
            co_return ec;
        }

    private:
        std::shared_ptr<stuck> disk_;
    };
    auto const disk = std::make_shared<stuck>();
    std::weak_ptr<stuck_sink> left;
    {
        gateway jira({says(sized("body"))});
        runtime client(1, jira.params);
        auto const sink = std::make_shared<stuck_sink>(disk);
        left = sink;
        auto const r = call(gateway::of(client), download().timeout(200ms), sink);
        REQUIRE_FALSE(r.has_value());
        CHECK(r.error().code() == errc::timeout);
    }
    CHECK(left.expired());
    // The thread's work is its own: it ends when the disk answers.
    disk->wait_until_entered();
    CHECK(disk.use_count() == 2);
    disk->let_go();
    CHECK(eventually([&] { return disk.use_count() == 1; }));
}

TEST_CASE("disk: work goes on when its executor is destroyed") {
    auto const disk = std::make_shared<stuck>();
    auto io = std::make_unique<asio::io_context>();
    bool completed = false;
    std::function<void()> work = [disk] { disk->wait(); };
    asio::co_spawn(*io, detail::on_disk(std::move(work)), [&](std::exception_ptr, error_code) { completed = true; });
    io->poll();
    disk->wait_until_entered();
    io.reset();
    disk->let_go();
    CHECK(eventually([&] { return disk.use_count() == 1; }));
    CHECK_FALSE(completed);
}

TEST_CASE("disk: more work than there are threads is all done") {
    asio::io_context io;
    std::atomic<int> running{0};
    std::atomic<int> most{0};
    int done = 0;
    constexpr int all = 200;
    for (int i = 0; i < all; ++i) {
        std::function<void()> work = [&] {
            int const now = ++running;
            int seen = most;
            while (seen < now && !most.compare_exchange_weak(seen, now)) {
            }
            ::usleep(500);
            --running;
        };
        asio::co_spawn(io, detail::on_disk(std::move(work)), [&](std::exception_ptr e, error_code ec) {
            if (!e && !ec) ++done;
        });
    }
    io.run();
    CHECK(done == all);
    CHECK(most > 1);
    CHECK(most <= 16);
}
