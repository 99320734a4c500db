// What GCC 12.2 makes of temporaries in co_await expressions. It destroys an aggregate made inside one twice, so whatever
// travels with a call is a class with constructors. The shapes that the public API leads users to must destroy what they
// make, once: these tests hold that, under ASan, on every compiler. Aggregates may travel in calls again when GCC 13 is our
// oldest compiler.
#include "support/catch.hpp"

#include <jirapool/core/request.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace jirapool;
using namespace std::chrono_literals;

namespace {

/// Counts its lives; its text is longer than a string keeps inside itself.
struct counted {
    explicit counted(std::string t = "a text that is too long to be kept inside of a string") : text(std::move(t)) {
        ++alive;
    }
    counted(counted const& o) : text(o.text) { ++alive; }
    counted(counted&& o) noexcept : text(std::move(o.text)) { ++alive; }
    counted& operator=(counted const&) = default;
    counted& operator=(counted&&) = default;
    ~counted() { --alive; }
    std::string text;
    static inline int alive = 0;
};

class with_constructor {
public:
    with_constructor(counted f, counted s) : first(std::move(f)), second(std::move(s)) {}
    counted first, second;
};

struct aggregate {
    counted first;
    counted second;
};

asio::awaitable<void> hop() {
    auto const ex = co_await asio::this_coro::executor;
    co_await asio::post(ex, asio::use_awaitable);
}

asio::awaitable<std::size_t> take(with_constructor c) {
    co_await hop();
    co_return c.first.text.size() + c.second.text.size();
}

asio::awaitable<std::size_t> take_aggregate(aggregate a) {
    co_await hop();
    co_return a.first.text.size() + a.second.text.size();
}

asio::awaitable<std::size_t> take_request(request r) {
    co_await hop();
    co_return r.target().size() + r.headers().size();
}

asio::awaitable<std::size_t> class_made_in_the_expression() {
    co_return co_await take(with_constructor(counted(), counted()));
}

asio::awaitable<std::size_t> request_built_in_the_expression() {
    co_return co_await take_request(request::get("/rest/api/3/issue/ABC-1?fields=summary,description,status")
                                        .header("X-Trace", "a value")
                                        .timeout(5s));
}

asio::awaitable<std::size_t> aggregate_named_and_moved() {
    aggregate a{counted(), counted()};
    co_return co_await take_aggregate(std::move(a));
}

std::size_t run(asio::awaitable<std::size_t> (*shape)()) {
    asio::io_context io;
    auto result = asio::co_spawn(io, shape(), asio::use_future);
    io.run();
    return result.get();
}

}  // namespace

TEST_CASE("gcc12: a class with a constructor may be made inside a co_await expression") {
    CHECK(run(class_made_in_the_expression) > 0);
    CHECK(counted::alive == 0);
}

TEST_CASE("gcc12: a request may be built inside a co_await expression") {
    CHECK(run(request_built_in_the_expression) > 0);
}

TEST_CASE("gcc12: an aggregate is safe when it has a name and is moved in") {
    CHECK(run(aggregate_named_and_moved) > 0);
    CHECK(counted::alive == 0);
}
