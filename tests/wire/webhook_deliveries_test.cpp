// Webhooks from their making to their deliveries: made by the library, signed and sent by the mock over loopback, proved by the library.
#include "fixture.hpp"

#include <jirapool/pool/webhook_receiver.hpp>
#include <jirapool/pool/webhooks.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace jirapool;
using namespace jirapool::wire_test;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

/// A web server of plain HTTP on a thread of its own, as a user would put around a receiver.
class receiving_server {
public:
    /// The status to answer with; 0 closes the connection instead.
    using take = std::function<unsigned(http::request<http::string_body> const&)>;

    explicit receiving_server(take t) : take_(std::move(t)), acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
        asio::co_spawn(io_, accept(this), [](std::exception_ptr) {});
        thread_ = std::thread([this] { io_.run(); });
    }
    ~receiving_server() {
        io_.stop();
        thread_.join();
    }
    receiving_server(receiving_server const&) = delete;
    receiving_server& operator=(receiving_server const&) = delete;
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
    static asio::awaitable<void> accept(receiving_server* self) {
        for (;;) {
            boost::system::error_code ec;
            auto socket = co_await self->acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, ec));
            if (!ec) asio::co_spawn(self->io_, serve(self, std::move(socket)), [](std::exception_ptr) {});
        }
    }
    static asio::awaitable<void> serve(receiving_server* self, tcp::socket socket) {
        boost::beast::flat_buffer buffer;
        for (;;) {
            boost::system::error_code ec;
            http::request<http::string_body> in;
            co_await http::async_read(socket, buffer, in, asio::redirect_error(asio::use_awaitable, ec));
            if (ec) co_return;
            auto const status = self->take_(in);
            if (status == 0) co_return;
            http::response<http::empty_body> out(static_cast<http::status>(status), 11);
            out.prepare_payload();
            co_await http::async_write(socket, out, asio::redirect_error(asio::use_awaitable, ec));
            if (ec) co_return;
        }
    }

    take take_;
    asio::io_context io_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

/// A site with a webhook for each of the connections, and the receiver of all of them.
struct hooked_site {
    explicit hooked_site(webhook_receiver::handler h, std::size_t window = 10'000)
        : jira(1, f.params), server([this](auto const& m) {
              if (meddle)
                  if (auto const status = meddle(m)) return *status;
              return receiver.receive(m, std::chrono::steady_clock::now()).status;
          }) {
        auto const c = jira.add(f.config("personal-0001")).value();
        webhook_spec spec("sync", webhook_callback_url("https://hooks.example.com/jira", c.id()).value(),
                          {"jira:issue_created", "jira:issue_updated"});
        spec.signing_secret = secret("s3cret");
        std::vector<secret> keys;
        keys.emplace_back("s3cret");
        receiver.add(c.id(), std::move(keys), std::move(h), window);
        asio::io_context io;
        auto made = asio::co_spawn(io, ensure_webhook(c, std::move(spec)), asio::use_future);
        io.run();
        REQUIRE(made.get().value().created());
    }
    mock::delivery_request request(std::uint32_t events) const {
        mock::delivery_request r;
        r.site = f.jira.world().find("personal-0001")->site;
        r.port = server.port();
        r.events = events;
        r.seed = 7;
        return r;
    }
    /// All that the request makes were answered, or given up.
    mock::delivery_stats delivered(mock::delivery_request const& r) {
        REQUIRE(f.jira.deliver(r).events == r.events);
        REQUIRE(eventually([&] { return f.jira.deliveries().pending == 0; }, 90s));
        return f.jira.deliveries();
    }

    fixture f;
    runtime jira;
    webhook_receiver receiver{"/jira"};
    /// Answers in the receiver's place.
    std::function<std::optional<unsigned>(http::request<http::string_body> const&)> meddle;
    receiving_server server;
};

}  // namespace

TEST_CASE(
    "webhook deliveries: of ten thousand with repeats and disorder each is handed out once, and in order by its key") {
    constexpr std::uint32_t events = 10'000;
    std::mutex m;
    std::map<std::string, int> handled;
    std::map<std::string, webhook_order> newest;
    std::map<std::string, int> copies;  // what a receiver that goes by the order holds of each issue
    std::size_t late = 0;
    hooked_site s([&](webhook_delivery const& d) {
        std::lock_guard const lock(m);
        ++handled[d.id];
        auto const order = d.order().value();
        auto const [known, first] = newest.emplace(order.issue, order);
        if (!first && order < known->second) {
            ++late;
            return true;
        }
        known->second = order;
        auto const change = d.body.find("\"summary\":\"Change ");
        copies[order.issue] = std::stoi(d.body.substr(change + 18));
        return true;
    });
    auto r = s.request(events);
    r.repeats = 0.2;
    r.disorder = 200;
    r.issues = 50;
    auto const done = s.delivered(r);
    CHECK(done.repeats > events / 6);
    CHECK(done.answers == std::map<int, std::uint64_t>{{200, events + done.repeats}});
    CHECK(handled.size() == events);
    CHECK(std::all_of(handled.begin(), handled.end(), [](auto const& h) { return h.second == 1; }));
    CHECK(late > 1'000);
    // In the end each issue is as its last change left it, however late others came.
    CHECK(copies.size() == 50);
    std::map<std::string, int> last;
    hooked_site in_order([&](webhook_delivery const& d) {
        std::lock_guard const lock(m);
        last[d.issue_id] = std::stoi(d.body.substr(d.body.find("\"summary\":\"Change ") + 18));
        return true;
    });
    r = in_order.request(events);
    r.issues = 50;
    in_order.delivered(r);
    CHECK(copies == last);
}

TEST_CASE("webhook deliveries: the window over them is bounded, so a repeat behind more others than it holds is new") {
    std::mutex m;
    std::map<std::string, int> handled;
    auto const count = [&](webhook_delivery const& d) {
        std::lock_guard const lock(m);
        ++handled[d.id];
        return true;
    };
    auto const twice = [&] {
        return std::count_if(handled.begin(), handled.end(), [](auto const& h) { return h.second > 1; });
    };
    for (std::uint32_t const disorder : {20u, 500u}) {
        handled.clear();
        hooked_site s(count, 64);
        auto r = s.request(2'000);
        r.repeats = 0.2;
        r.disorder = disorder;
        auto const done = s.delivered(r);
        CHECK(handled.size() == 2'000);
        // At most 21 places behind its first, and so within the window; or mostly not.
        if (disorder == 20) CHECK(twice() == 0);
        else CHECK(twice() > static_cast<std::ptrdiff_t>(done.repeats / 2));
    }
}

TEST_CASE(
    "webhook deliveries: what its handler does not handle comes again with its count, and what is refused does not") {
    std::mutex m;
    std::map<std::string, std::vector<unsigned>> tries;
    hooked_site s([&](webhook_delivery const& d) {
        std::lock_guard const lock(m);
        tries[d.id].push_back(d.retry);
        // Each third time only.
        return tries[d.id].size() == 3;
    });
    auto const done = s.delivered(s.request(20));
    CHECK(done.answers == std::map<int, std::uint64_t>{{200, 20}, {500, 40}});
    CHECK(done.retries == 40);
    REQUIRE(tries.size() == 20);
    for (auto const& [id, all] : tries) CHECK(all == std::vector<unsigned>{0, 1, 2});

    // One that is changed on its way is refused, and so is what comes without its signature, under another method, or with two.
    std::atomic<int> changed{0};
    s.meddle = [&](auto const& as_sent) -> std::optional<unsigned> {
        auto in = as_sent;
        switch (changed++ % 5) {
        case 0: in.body()[in.body().size() / 2] = static_cast<char>(in.body()[in.body().size() / 2] ^ 1); break;
        case 1: in.erase("X-Hub-Signature"); break;
        case 2: in.insert("X-Hub-Signature", in["X-Hub-Signature"]); break;
        case 3: in.set("X-Hub-Signature", "sha1=" + std::string(40, 'a')); break;
        default: in.method(http::verb::put); break;
        }
        return s.receiver.receive(in, std::chrono::steady_clock::now()).status;
    };
    auto r = s.request(20);
    r.seed = 8;
    auto const refused = s.delivered(r);
    CHECK(refused.answers == std::map<int, std::uint64_t>{{200, 20}, {401, 16}, {405, 4}, {500, 40}});
    CHECK(tries.size() == 20);
    CHECK(refused.given_up == 0);
}

TEST_CASE("webhook deliveries: one that is never answered is given up with its sixth try") {
    hooked_site s([](webhook_delivery const&) { return true; });
    std::atomic<int> seen{0};
    s.meddle = [&](auto const&) -> std::optional<unsigned> {
        ++seen;
        return 0;
    };
    auto const done = s.delivered(s.request(2));
    CHECK(seen == 12);
    CHECK(done.unanswered == 12);
    CHECK(done.given_up == 2);
    CHECK(done.answers.empty());
}

TEST_CASE("webhook deliveries: whether an account may manage webhooks is asked before one is made, and told in words") {
    fixture f;
    runtime jira(1, f.params);
    auto const c = jira.add(f.config("personal-0001")).value();
    auto const asked = [&] {
        asio::io_context io;
        auto done = asio::co_spawn(io, may_manage_webhooks(c), asio::use_future);
        io.run();
        return done.get();
    };
    CHECK(asked().value());
    std::string answer = R"({"permissions":{"ADMINISTER":{"id":"0","key":"ADMINISTER","havePermission":false}}})";
    f.jira.set_intercept([&](mock::request_view const& r) -> std::optional<mock::scripted_reply> {
        if (r.target.find("/mypermissions?permissions=ADMINISTER") == r.target.npos) return std::nullopt;
        return mock::scripted_reply(200, answer);
    });
    CHECK_FALSE(asked().value());
    for (char const* const odd : {R"({"permissions":{}})", "[]", "", R"({"permissions":{"ADMINISTER":{}}})"}) {
        answer = odd;
        CHECK(asked().error().code() == errc::protocol_error);
    }
    CHECK(f.jira.webhook_count(0) == 0);
}
