// A client's connections as files say, over TLS against the mock.
#include "fixture.hpp"

#include <jirapool/pool/connections_watch.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/stat.h>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
namespace fs = std::filesystem;

namespace {

/// A directory of files that goes with the test.
class folder {
public:
    folder() : path_("/tmp/jirapool-registry-" + std::to_string(::getpid()) + "-" + std::to_string(next_++)) {
        fs::create_directory(path_);
    }
    ~folder() {
        std::error_code ec;
        fs::remove_all(path_, ec);
    }
    std::string at(std::string const& name) const { return path_ + "/" + name; }
    /// As a careful writer does it: whoever reads finds the old text or the new one.
    void put(std::string const& name, std::string const& text) const {
        std::ofstream(at(".new-" + name)) << text;
        fs::rename(at(".new-" + name), at(name));
    }
    std::string const& path() const { return path_; }

private:
    static inline std::atomic<int> next_ = 0;
    std::string path_;
};

/// The connection as a file says it; `key` is what stands for its secret.
std::string json_of(mock::world const& w, mock::connection_info const& c, std::string const& key) {
    auto const& site = w.site_of(c);
    auto const text = [](char const* name, std::string const& v) {
        return "\"" + std::string(name) + "\":\"" + v + "\"";
    };
    auto const head = "{" + text("id", c.id) + ",";
    switch (c.kind) {
    case mock::connection_kind::personal:
        return head + text("site_url", "https://" + site.host) + "," + text("email", c.email) + ",\"apiKey\":" + key +
               "}";
    case mock::connection_kind::service: return head + text("cloud_id", site.cloud_id) + ",\"apiKey\":" + key + "}";
    default:
        return head + text("cloud_id", site.cloud_id) + "," + text("client_id", c.client_id) +
               ",\"clientSecret\":" + key + "}";
    }
}

bool has(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string quoted(std::string const& text) { return "\"" + text + "\""; }

std::string file_of(fixture const& f, std::vector<std::size_t> const& which) {
    std::string text = "[";
    auto const& w = f.jira.world();
    for (auto const i : which) {
        auto const& c = w.connections()[i];
        text += (text.size() == 1 ? "" : ",") + json_of(w, c, quoted(c.secret));
    }
    return text + "]";
}

watch_params quick() {
    watch_params p;
    p.settle = 5ms;
    return p;
}

/// The reports of a watch, in their order.
class reports {
public:
    explicit reports(watch_params& p) {
        p.on_reload = [this](reload_report const& r) {
            std::lock_guard const lock(mutex_);
            all_.push_back(r);
        };
    }
    /// The first one not seen yet of which it holds.
    std::optional<reload_report> await(std::function<bool(reload_report const&)> const& holds) {
        std::optional<reload_report> found;
        (void)eventually([&] {
            std::lock_guard const lock(mutex_);
            for (; seen_ < all_.size() && !found; ++seen_)
                if (holds(all_[seen_])) found = all_[seen_];
            return found.has_value();
        });
        return found;
    }
    std::size_t count() {
        std::lock_guard const lock(mutex_);
        return all_.size();
    }

private:
    std::mutex mutex_;
    std::vector<reload_report> all_;
    std::size_t seen_ = 0;
};

bool works(connections const& jira, std::string const& id) {
    auto const c = jira.find(id);
    if (!c) return false;
    auto const a = call(*c, request::get("/rest/api/3/myself"));
    return a && a->status() == 200;
}

std::uint64_t exchanges(connections const& jira) {
    std::uint64_t n = 0;
    for (auto const c : jira.totals().token_refreshes) n += c;
    return n;
}

std::uint64_t dials(connections const& jira) { return jira.totals().channels_opened; }

/// How many connections were added, replaced and removed.
using changes_counted = std::array<std::uint64_t, connection_change_count>;
changes_counted changes(connections const& jira) {
    changes_counted n{};
    for (auto const& s : detail::stats_access::of(jira))
        for (auto const& of_kind : s->connection_changes)
            for (std::size_t c = 0; c < n.size(); ++c) n[c] += of_kind[c].value();
    return n;
}

}  // namespace

TEST_CASE("registry: connections come, go and change with their file, and the others keep their channels and tokens") {
    fixture f;
    folder d;
    auto const& all = f.jira.world().connections();
    d.put("connections.json", file_of(f, {0, 3, 6, 7}));
    runtime jira(2, f.params);
    auto p = quick();
    reports told(p);
    connections_watch watch(jira, d.at("connections.json"), p);
    REQUIRE(watch.wait_for_first(10s));
    CHECK(watch.last()->describe() == "4 added");
    REQUIRE(jira.list().size() == 4);
    auto const listed = jira.list();
    CHECK(std::is_sorted(listed.begin(), listed.end(), [](auto const& a, auto const& b) { return a.id() < b.id(); }));
    for (auto const i : {0u, 3u, 6u, 7u}) CHECK(works(jira, all[i].id));
    auto const kept = *jira.find(all[6].id);
    auto const gone = *jira.find(all[3].id);
    auto const exchanged = exchanges(jira);

    d.put("connections.json", file_of(f, {0, 6, 7, 4}));
    auto const second = told.await([](auto const& r) { return r.added == 1; });
    REQUIRE(second);
    CHECK(second->describe() == "1 added, 1 removed, 3 unchanged");
    CHECK(call(gone, request::get("/rest/api/3/myself")).error().code() == errc::connection_removed);
    CHECK(works(jira, all[4].id));
    auto const opened = dials(jira);
    CHECK(call(kept, request::get("/rest/api/3/myself")).value().status() == 200);
    CHECK(exchanges(jira) == exchanged);
    CHECK(dials(jira) == opened);

    // Another secret: it is used at once, and the handle stays.
    f.jira.replace_secret(0, "rotated");
    auto const& w = f.jira.world();
    d.put("connections.json",
          "[" + json_of(w, all[0], quoted("rotated")) + "," + json_of(w, all[6], quoted(all[6].secret)) + "]");
    auto const third = told.await([](auto const& r) { return r.replaced == 1; });
    REQUIRE(third);
    CHECK(third->removed == 2);
    CHECK(third->unchanged == 1);
    CHECK(works(jira, all[0].id));
    // Another site under the same id is another connection.
    auto const old = *jira.find(all[0].id);
    d.put("connections.json", R"([{"id":")" + all[0].id + R"(","cloud_id":")" + w.site_of(all[3]).cloud_id +
                                  R"(","apiKey":")" + all[3].secret + "\"}]");
    REQUIRE(told.await([](auto const& r) { return r.moved == 1; }));
    CHECK(call(old, request::get("/rest/api/3/myself")).error().code() == errc::connection_removed);
    CHECK(works(jira, all[0].id));
    CHECK(jira.find(all[0].id)->kind() == connection_kind::service_api_token);
    CHECK(eventually([&] { return changes(jira) == changes_counted{6, 1, 5}; }, 10s));
}

TEST_CASE("registry: a file that cannot be used changes nothing, and says why") {
    fixture f;
    folder d;
    auto const good = file_of(f, {0, 3, 6});
    auto const name = d.at("connections.json");
    d.put("connections.json", good);
    runtime jira(1, f.params);
    auto p = quick();
    reports told(p);
    connections_watch watch(jira, name, p);
    REQUIRE(watch.wait_for_first(10s));
    auto const refused = [&](errc why) {
        auto const r = told.await([&](auto const& one) {
            return one.problems.size() == 1 && one.problems[0].why.code() == why && one.kept == 3;
        });
        CHECK(jira.size() == 3);
        return r ? r->problems[0].why.describe() : std::string("no such report");
    };
    auto const heals = [&] {
        d.put("connections.json", good);
        return told.await([](auto const& r) { return r.unchanged == 3 && r.problems.empty(); }).has_value();
    };

    // Half written, in place.
    std::ofstream(name) << good.substr(0, good.size() / 2);
    CHECK(has(refused(errc::not_json), "line 1, column "));
    std::ofstream(name, std::ios::app) << good.substr(good.size() / 2);
    CHECK(told.await([](auto const& r) { return r.unchanged == 3 && r.problems.empty(); }));

    std::ofstream(name, std::ios::trunc).flush();
    CHECK(has(refused(errc::empty_file), "must hold a JSON document"));
    REQUIRE(heals());
    fs::remove(name);
    CHECK(has(refused(errc::unreadable_file), "No such file"));
    REQUIRE(heals());
    fs::remove(name);
    fs::create_directory(name);
    CHECK(has(refused(errc::unreadable_file), "directory"));
    fs::remove(name);
    REQUIRE(heals());
    d.put("connections.json", "\xff" + good);
    CHECK(has(refused(errc::not_utf8), "line 1, column 1"));
    REQUIRE(heals());
    fs::remove(name);
    fs::create_symlink(d.at("nowhere"), name);
    CHECK(has(refused(errc::unreadable_file), "No such file"));
    REQUIRE(heals());
    fs::remove(name);
    fs::create_symlink(name, name);
    CHECK(has(refused(errc::unreadable_file), "symbolic links"));
    REQUIRE(heals());
    // The directory itself goes away and comes again.
    fs::rename(d.path(), d.path() + "-away");
    CHECK(has(refused(errc::unreadable_file), "No such file"));
    fs::rename(d.path() + "-away", d.path());
    CHECK(told.await([](auto const& r) { return r.unchanged == 3 && r.problems.empty(); }));
    REQUIRE(heals());
}

TEST_CASE("registry: secrets in files are watched as well, however they are set anew") {
    fixture f;
    folder d;
    auto const& w = f.jira.world();
    auto const& c = w.connections()[3];
    // As Kubernetes mounts a secret: links to a directory that is swapped for another one.
    fs::create_directory(d.at("..1"));
    std::ofstream(d.at("..1/key")) << c.secret << "\n";
    fs::create_directory_symlink("..1", d.at("..data"));
    fs::create_symlink("..data/key", d.at("key"));
    folder elsewhere;
    elsewhere.put("connections.json", "[" + json_of(w, c, R"({"file":")" + d.at("key") + "\"}") + "]");

    runtime jira(1, f.params);
    auto p = quick();
    reports told(p);
    connections_watch watch(jira, elsewhere.at("connections.json"), p);
    REQUIRE(watch.wait_for_first(10s));
    CHECK(watch.last()->added == 1);
    CHECK(works(jira, c.id));

    auto const turn = [&](int n, std::string const& key) {
        f.jira.replace_secret(3, key);
        auto const to = "..-" + std::to_string(n);
        fs::create_directory(d.at(to));
        std::ofstream(d.at(to + "/key")) << key;
        fs::create_directory_symlink(to, d.at("..next"));
        fs::rename(d.at("..next"), d.at("..data"));
        return told.await([](auto const& r) { return r.replaced == 1; }).has_value() && works(jira, c.id);
    };
    CHECK(turn(2, "second"));
    CHECK(turn(3, "third"));
    // In place, behind the links.
    f.jira.replace_secret(3, "fourth");
    std::ofstream(d.at("..-3/key")) << "fourth";
    REQUIRE(told.await([](auto const& r) { return r.replaced == 1; }));
    CHECK(works(jira, c.id));
    // A secret that is gone is a fault of its connection, which stays as it was.
    fs::remove(d.at("key"));
    auto const r = told.await([](auto const& one) { return one.problems.size() == 1; });
    REQUIRE(r);
    CHECK(r->kept == 1);
    CHECK(r->problems[0].why.connection() == c.id);
    CHECK(r->problems[0].why.field() == "apiKey");
    CHECK(works(jira, c.id));
}

TEST_CASE("registry: links and directories on the way to a file may change as well") {
    fixture f;
    folder d;
    // /releases/1/c.json by way of a link to a link, in a directory that is itself one.
    auto const release = [&](int n, std::vector<std::size_t> const& which) {
        auto const to = "r" + std::to_string(n);
        fs::create_directory(d.at(to));
        std::ofstream(d.at(to + "/c.json")) << file_of(f, which);
        fs::create_directory_symlink(to, d.at("next"));
        fs::rename(d.at("next"), d.at("current"));
    };
    release(1, {0, 3});
    fs::create_directory_symlink("current", d.at("way"));
    runtime jira(1, f.params);
    auto p = quick();
    p.reread_every = 0s;
    reports told(p);
    connections_watch watch(jira, d.at("way/c.json"), p);
    REQUIRE(watch.wait_for_first(10s));
    REQUIRE(watch.last()->added == 2);
    release(2, {0, 3, 4});
    CHECK(told.await([](auto const& r) { return r.added == 1; }));
    fs::create_directory_symlink("r1", d.at("next"));
    fs::rename(d.at("next"), d.at("way"));
    CHECK(told.await([](auto const& r) { return r.removed == 1; }));
    // What is above it goes, and comes again.
    fs::rename(d.at("r1"), d.at("r0"));
    CHECK(told.await([](auto const& r) { return r.kept == 2; }));
    fs::create_directory(d.at("r1"));
    std::ofstream(d.at("r1/c.json")) << file_of(f, {6});
    CHECK(told.await([](auto const& r) { return r.added == 1 && r.removed == 2; }));
    fs::rename(d.path(), d.path() + "-away");
    CHECK(told.await([](auto const& r) { return r.kept == 1; }));
    fs::rename(d.path() + "-away", d.path());
    CHECK(told.await([](auto const& r) { return r.unchanged == 1 && r.kept == 0; }));
    // By another name of the same file, which somebody keeps open.
    fs::create_hard_link(d.at("r1/c.json"), d.at("other"));
    std::ofstream other(d.at("other"), std::ios::trunc);
    other << file_of(f, {6, 7}) << std::flush;
    CHECK(told.await([](auto const& r) { return r.added == 1; }));
    // One of a path that was not there at first.
    connections_watch late(jira, d.at("late/by/far.json"), p);
    REQUIRE(late.wait_for_first(10s));
    fs::create_directory(d.at("late"));
    fs::create_directory(d.at("late/by"));
    std::ofstream(d.at("late/by/far.json")) << file_of(f, {1});
    CHECK(told.await([](auto const& r) { return r.added == 1; }));
}

TEST_CASE("registry: what else happens in a directory neither counts nor cuts the wait short") {
    fixture f;
    folder d;
    d.put("connections.json", file_of(f, {0}));
    runtime jira(1, f.params);
    watch_params p;
    p.settle = 1s;
    reports told(p);
    connections_watch watch(jira, d.at("connections.json"), p);
    REQUIRE(watch.wait_for_first(10s));
    std::atomic<bool> over{false};
    std::thread noise([&] {
        while (!over) {
            std::ofstream(d.at("log"), std::ios::app) << "a line\n";
            (void)eventually([] { return false; }, 2ms);
        }
    });
    // A file that is written in two pieces is not seen between the two.
    auto const text = file_of(f, {0, 3});
    for (int i = 0; i < 3; ++i) {
        std::ofstream(d.at("connections.json")) << text.substr(0, 20);
        (void)eventually([] { return false; }, 10ms);
        std::ofstream(d.at("connections.json"), std::ios::app) << text.substr(20);
    }
    auto const r = told.await([](auto const& one) { return one.unchanged == 1 || !one.problems.empty(); });
    over = true;
    noise.join();
    REQUIRE(r);
    CHECK(r->problems.empty());
    CHECK(told.count() == 2);
}

TEST_CASE("registry: pipes are refused, and sources that throw are their connection's fault") {
    fixture f;
    folder d;
    auto const& w = f.jira.world();
    auto const& all = w.connections();
    runtime jira(1, f.params);
    auto p = quick();
    reports told(p);
    REQUIRE(::mkfifo(d.at("pipe.json").c_str(), 0600) == 0);
    d.put("a.json", "[" + json_of(w, all[0], quoted(all[0].secret)) + "," +
                        json_of(w, all[3], R"({"file":")" + d.at("pipe.json") + "\"}") + "]");
    {
        connections_watch watch(jira, d.path(), p);
        REQUIRE(watch.wait_for_first(10s));
        CHECK(watch.last()->added == 1);
        REQUIRE(watch.last()->problems.size() == 2);
        for (auto const& problem : watch.last()->problems) CHECK(has(problem.why.describe(), "must be a regular file"));
    }
    CHECK(jira.remove(all[0].id));

    class source final : public secret_source {
    public:
        result<secret> from_env(std::string const& name) const override {
            if (name == "int") throw 7;
            if (name == "exception") throw std::runtime_error("canary");
            if (name == "nothing") return failure();
            return secret(name);
        }
        result<secret> from_file(std::string const& name) const override { return from_env(name); }
    };
    p.secrets = std::make_shared<source>();
    auto const env = [&](std::size_t i, std::string const& name) {
        return json_of(w, all[i], R"({"env":")" + name + "\"}");
    };
    d.put("b.txt", "[" + env(0, all[0].secret) + "," + env(3, "int") + "," + env(4, "exception") + "," +
                       env(6, "nothing") + "," + json_of(w, all[1], R"({"file":"int"})") + "]");
    connections_watch watch(jira, d.at("b.txt"), p);
    REQUIRE(watch.wait_for_first(10s));
    CHECK(watch.last()->added == 1);
    REQUIRE(watch.last()->problems.size() == 4);
    for (auto const& problem : watch.last()->problems) {
        CHECK(has(problem.why.describe(), "was not given"));
        CHECK_FALSE(has(problem.why.describe(), "canary"));
    }
}

TEST_CASE("registry: a directory's files are one registry, and a fault in one of them is its own") {
    fixture f;
    folder d;
    auto const& all = f.jira.world().connections();
    d.put("a.json", file_of(f, {0, 3}));
    d.put("b.json", file_of(f, {6}));
    d.put("not-one.txt", "what nobody reads");
    d.put(".hidden.json", "what nobody reads either");
    runtime jira(2, f.params);
    auto p = quick();
    reports told(p);
    connections_watch watch(jira, d.path(), p);
    REQUIRE(watch.wait_for_first(10s));
    CHECK(watch.last()->describe() == "3 added");

    d.put("c.json", file_of(f, {7, 0}));
    auto r = told.await([](auto const& one) { return one.added == 1; });
    REQUIRE(r);
    REQUIRE(r->problems.size() == 1);
    CHECK(r->problems[0].file == d.at("c.json"));
    CHECK(has(r->describe(), "must be unique: " + d.at("a.json")));

    d.put("a.json", "{");
    fs::remove(d.at("b.json"));
    r = told.await([](auto const& one) { return one.removed == 1; });
    if (!r) FAIL("nothing was removed");
    CHECK(r->kept == 1);  // the other one of a.json is in c.json as well, and is c.json's now
    CHECK(works(jira, all[3].id));
    CHECK(works(jira, all[0].id));
    CHECK_FALSE(jira.find(all[6].id));

    // Without the directory nothing is known.
    auto const away = d.path() + "-away";
    fs::rename(d.path(), away);
    r = told.await([](auto const& one) { return one.kept == 3; });
    CHECK(r);
    CHECK(jira.size() == 3);
    fs::rename(away, d.path());
    CHECK(told.await([](auto const& one) { return one.kept == 1 && one.unchanged == 2; }));

    // As the place is where something was mounted.
    for (auto const* const name : {"a.json", "c.json"}) fs::remove(d.at(name));
    r = told.await([](auto const& one) { return one.kept == 3; });
    REQUIRE(r);
    CHECK(has(r->describe(), "must hold a *.json file"));
    d.put("a.json", "[]");
    CHECK(told.await([](auto const& one) { return one.removed == 3; }));
}

namespace {

/// A vault with an answer for each name.
struct vault {
    std::mutex mutex;
    std::map<std::string, std::string> secrets;
    std::atomic<int> asked{0};
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    std::atomic<bool> silent{false};
    std::atomic<int> cancelled{0};

    static asio::awaitable<result<secret>> ask(std::shared_ptr<vault> self, std::string name) {
        ++self->asked;
        auto const now = ++self->at_once;
        int most = self->most;
        while (now > most && !self->most.compare_exchange_weak(most, now)) {
        }
        asio::steady_timer timer(co_await asio::this_coro::executor);
        timer.expires_after(self->silent ? std::chrono::hours(1) : std::chrono::milliseconds(2));
        boost::system::error_code ec;
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        --self->at_once;
        if (ec) ++self->cancelled;
        if (name == "throws") throw std::runtime_error("what the vault keeps");
        std::lock_guard const lock(self->mutex);
        auto const found = self->secrets.find(name);
        if (found == self->secrets.end()) co_return failure(errc::unreadable_file, "is not in the vault");
        co_return secret(found->second);
    }
};

std::string provided(std::string const& name) { return R"({"provider":")" + name + "\"}"; }

}  // namespace

TEST_CASE("registry: secrets come from a provider, some at a time, and each that does not is its connection's fault") {
    fixture f;
    folder d;
    auto const& w = f.jira.world();
    auto const& all = w.connections();
    auto const v = std::make_shared<vault>();
    std::string text = "[";
    for (std::size_t i = 0; i < all.size(); ++i) {
        v->secrets["key-" + std::to_string(i)] = all[i].secret;
        text += json_of(w, all[i], provided("key-" + std::to_string(i))) + ",";
    }
    auto const extra = [&](std::string const& id, std::string const& name) {
        return R"({"id":")" + id + R"(","cloud_id":")" + w.site_of(all[3]).cloud_id + R"(","apiKey":)" +
               provided(name) + "}";
    };
    d.put("connections.json", text + extra("thrown", "throws") + "," + extra("unknown", "nobody-has-it") + "]");

    asio::io_context io;
    client jira(io, f.params);
    std::thread thread([&] { io.run(); });
    auto p = quick();
    p.provider = [v](std::string name) { return vault::ask(v, std::move(name)); };
    p.provider_parallel = 3;
    p.provider_retry = 20ms;
    reports told(p);
    connections_watch watch(jira, d.at("connections.json"), p);
    REQUIRE(watch.wait_for_first(10s));
    auto first = *watch.last();
    CHECK(first.added == all.size());
    REQUIRE(first.problems.size() == 2);
    CHECK(first.problems[0].why.describe().find("what the vault keeps") == std::string::npos);
    CHECK(has(first.problems[1].why.describe(), "is not in the vault"));
    CHECK(v->most == 3);
    CHECK(v->asked >= static_cast<int>(all.size()) + 2);
    for (auto const& c : all) CHECK(works(jira, c.id));

    // While it does not give all it is asked again, by itself.
    CHECK(told.await([](auto const& r) { return r.unchanged == 9 && r.problems.size() == 2; }));
    {
        std::lock_guard const lock(v->mutex);
        v->secrets["nobody-has-it"] = all[3].secret;
    }
    CHECK(told.await([](auto const& r) { return r.added == 1 && r.problems.size() == 1; }));

    // It is asked again at each reading.
    f.jira.replace_secret(4, "rotated");
    {
        std::lock_guard const lock(v->mutex);
        v->secrets["key-4"] = "rotated";
    }
    watch.reload();
    auto const next = told.await([](auto const& r) { return r.replaced == 1; });
    REQUIRE(next);
    CHECK(next->unchanged == all.size());
    CHECK(works(jira, all[4].id));

    jira.stop();
    thread.join();
}

TEST_CASE("registry: a provider that never answers costs its time and nothing else, and is cancelled") {
    fixture f;
    folder d;
    auto const& w = f.jira.world();
    auto const& all = w.connections();
    auto const v = std::make_shared<vault>();
    v->silent = true;
    d.put("connections.json", "[" + json_of(w, all[0], quoted(all[0].secret)) + "," +
                                  json_of(w, all[3], provided("k")) + "," + json_of(w, all[4], provided("l")) + "]");
    runtime jira(1, f.params);
    auto p = quick();
    p.provider = [v](std::string name) { return vault::ask(v, std::move(name)); };
    p.provider_timeout = 50ms;
    connections_watch watch(jira, d.at("connections.json"), p);
    REQUIRE(watch.wait_for_first(10s));
    CHECK(watch.last()->added == 1);
    REQUIRE(watch.last()->problems.size() == 2);
    CHECK(has(watch.last()->describe(), "not given in time"));
    CHECK(eventually([&] { return v->cancelled == 2; }));
    CHECK(works(jira, all[0].id));

    // Neither the watch's end nor the client's waits for it.
    auto p2 = p;
    p2.provider_timeout = 1h;
    auto second = std::make_unique<connections_watch>(jira, d.at("connections.json"), p2);
    REQUIRE(eventually([&] { return v->asked == 4; }));
    second.reset();
    CHECK(eventually([&] { return v->cancelled == 4; }));
}

TEST_CASE("registry: what the program added itself is not the watch's") {
    fixture f;
    folder d;
    auto const& all = f.jira.world().connections();
    runtime jira(1, f.params);
    REQUIRE(jira.add(f.config(all[0].id)).has_value());
    d.put("connections.json", file_of(f, {0, 3}));
    auto p = quick();
    reports told(p);
    connections_watch watch(jira, d.at("connections.json"), p);
    REQUIRE(watch.wait_for_first(10s));
    CHECK(watch.last()->added == 1);
    REQUIRE(watch.last()->problems.size() == 1);
    CHECK(watch.last()->problems[0].why.code() == errc::duplicate_id);
    d.put("connections.json", "[]");
    REQUIRE(told.await([](auto const& r) { return r.removed == 1; }));
    CHECK(jira.find(all[0].id));
    CHECK(jira.size() == 1);
    // Once the program gave it up it is the file's.
    CHECK(jira.remove(all[0].id));
    d.put("connections.json", file_of(f, {0}));
    CHECK(told.await([](auto const& r) { return r.added == 1; }));
    // What the program removes stays away until the file says something else of it; then it is missing, and added behind.
    CHECK(jira.remove(all[0].id));
    watch.reload();
    REQUIRE(told.await([](auto const& r) { return r.unchanged == 1; }));
    CHECK(jira.size() == 0);
    auto const say = [&](std::string const& key) {
        d.put("connections.json", "[" + json_of(f.jira.world(), all[0], quoted(key)) + "]");
    };
    say("another");
    CHECK(told.await([](auto const& r) { return r.added == 1; }));
    // In its place the program has its own: it is neither replaced nor removed.
    CHECK(jira.remove(all[0].id));
    auto const own = jira.add(f.config(all[0].id)).value();
    say("third");
    CHECK(told.await([](auto const& r) {
        return r.problems.size() == 1 && r.problems[0].why.code() == errc::duplicate_id;
    }));
    CHECK(call(own, request::get("/rest/api/3/myself")).value().status() == 200);
    d.put("connections.json", "[]");
    CHECK(told.await([](auto const& r) { return r.problems.empty() && r.removed == 0; }));
    CHECK(jira.find(all[0].id));
}

TEST_CASE("registry: watch, client and files go in any order, and from anywhere") {
    fixture f;
    folder d;
    d.put("connections.json", file_of(f, {0, 3, 6}));
    auto const name = d.at("connections.json");
    SECTION("the client first") {
        auto jira = std::make_unique<runtime>(2, f.params);
        connections_watch watch(*jira, name, quick());
        REQUIRE(watch.wait_for_first(10s));
        jira.reset();
        d.put("connections.json", "[]");
        watch.reload();
        watch.stop();
        watch.stop();
        watch.reload();
    }
    SECTION("at once") {
        for (int i = 0; i < 20; ++i) {
            runtime jira(1, f.params);
            connections_watch watch(jira, name, quick());
        }
    }
    SECTION("the context first") {
        auto io = std::make_unique<asio::io_context>();
        auto const v = std::make_shared<vault>();
        auto p = quick();
        p.provider = [v](std::string n) { return vault::ask(v, std::move(n)); };
        auto const& w = f.jira.world();
        d.put("connections.json", "[" + json_of(w, w.connections()[3], provided("k")) + "]");
        client jira(*io, f.params);
        connections_watch watch(jira, name, p);
        io.reset();
        // Whoever would give the secret is gone.
        CHECK(watch.wait_for_first(10s));
        CHECK(jira.size() == 0);
    }
    SECTION("from on_reload") {
        runtime jira(1, f.params);
        std::promise<std::unique_ptr<connections_watch>> made;
        std::promise<void> done;
        auto p = quick();
        p.on_reload = [&, ready = std::make_shared<std::future<std::unique_ptr<connections_watch>>>(made.get_future())](
                          reload_report const&) {
            auto w = ready->get();
            w->reload();
            w.reset();
            done.set_value();
        };
        made.set_value(std::make_unique<connections_watch>(jira, name, p));
        done.get_future().get();
        CHECK(jira.size() == 3);
    }
    SECTION("from a handler of the client's, which on_reload waits for") {
        runtime jira(1, f.params);
        auto watch = std::make_unique<connections_watch>(jira, name, quick());
        REQUIRE(watch->wait_for_first(10s));
        auto const c = jira.list().front();
        std::promise<void> done;
        c.async_call(request::get("/rest/api/3/myself"), [&](result<response> const&) {
            watch.reset();
            done.set_value();
        });
        done.get_future().get();
    }
    SECTION("many threads") {
        runtime jira(2, f.params);
        connections_watch watch(jira, name, quick());
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                for (int n = 0; n < 30; ++n) {
                    watch.reload();
                    (void)watch.last();
                    (void)watch.wait_for_first(0ms);
                    d.put("x" + std::to_string(i), "");
                    if (i == 0)
                        d.put("connections.json", file_of(f, n % 2 == 0 ? std::vector<std::size_t>{0, 3}
                                                                        : std::vector<std::size_t>{3, 6, 7}));
                    (void)jira.list();
                }
                if (i == 3) watch.stop();
            });
        for (auto& t : threads) t.join();
    }
    SECTION("bad arguments") {
        runtime jira(1, f.params);
        auto p = quick();
        p.settle = -1ms;
        CHECK_THROWS_AS(connections_watch(jira, name, p), std::invalid_argument);
        p = quick();
        p.reread_every = std::chrono::seconds::max();
        CHECK_THROWS_AS(connections_watch(jira, name, p), std::invalid_argument);
        p = quick();
        p.provider_parallel = 0;
        CHECK_THROWS_AS(connections_watch(jira, name, p), std::invalid_argument);
        p = quick();
        p.provider_retry = 0ms;
        CHECK_THROWS_AS(connections_watch(jira, name, p), std::invalid_argument);
        p = quick();
        p.provider_timeout = std::chrono::milliseconds::min();
        CHECK_THROWS_AS(connections_watch(jira, name, p), std::invalid_argument);
        CHECK_THROWS_AS(connections_watch(jira, "", quick()), std::invalid_argument);
        CHECK_THROWS_AS(connections_watch(jira, std::string("a\0b", 3), quick()), std::invalid_argument);
        connections_watch watch(jira, d.at("never-there"), quick());
        CHECK(watch.wait_for_first(std::chrono::milliseconds::max()));
        CHECK_FALSE(watch.last()->problems.empty());
        jira.stop();
        CHECK(watch.wait_for_first(std::chrono::milliseconds::min()));
    }
}
