// How a user starts calls and drains: every form of completion token, with and without an executor and a signal of its own.
#include "programs_world.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

namespace jirapool::border_test {

namespace {

using namespace asio::experimental::awaitable_operators;

/// A call that is ready to be started.
class plan {
public:
    plan(world& on, connection to, request ask) : w(on), c(std::move(to)), r(std::move(ask)) {}
    asio::cancellation_slot slot() const { return signal ? w.take_slot(*signal, t) : asio::cancellation_slot(); }

    world& w;
    connection c;
    request r;
    body_streams b;
    std::shared_ptr<ticket> t;
    std::optional<std::size_t> signal;
    user_context* context = nullptr;
    std::chrono::milliseconds patience{0};
};

request get_myself(std::chrono::milliseconds timeout) { return request::get("/rest/api/3/myself").timeout(timeout); }

struct shape {
    request (*make)();
    bool source = false;
    bool sink = false;
};

constexpr char new_issue[] = R"({"fields":{"project":{"key":"PROJ"},"issuetype":{"name":"Task"},"summary":"x"}})";

shape const shapes[] = {
    {[] { return get_myself(2s); }},
    {[] { return get_myself(2s); }},
    {[] { return get_myself(1ms); }},
    {[] { return get_myself(20ms); }},
    {[] { return get_myself(0ms); }},
    {[] { return get_myself(-1s); }},
    {[] { return request::get("/rest/api/3/issue/PROJ-1").explain(); }},
    {[] { return request::get("/rest/api/3/issue/NONE-1").explain().timeout(2ms); }},
    {[] { return request::post("/rest/api/3/issue").json(new_issue); }},
    {[] { return request::put("/rest/api/3/issue/PROJ-2").json(R"({"fields":{"summary":"y"}})").timeout(30ms); }},
    {[] { return request::get("/rest/../x"); }},
    {[] { return request::get("/rest/api/3/myself").body("x", "text/plain"); }},
    {[] { return request::get("/rest/api/3/myself").header("Cookie", "a=b"); }},
    {[] { return request::head("/rest/api/3/myself").priority(priority::background); }},
    {[] { return request::get("/rest/api/3/issue/PROJ-3"); }, false, true},
    {[] { return request::get("/rest/api/3/issue/PROJ-3").timeout(10ms); }, false, true},
    {[] { return request::post("/rest/api/3/issue").body({}, "application/json"); }, true, false},
    {[] { return request::post("/rest/api/3/search/jql").body({}, "application/json").timeout(2s); }, true, true},
};

void rethrow(std::exception_ptr const& e) {
    if (e) std::rethrow_exception(e);
}

template <class Token>
auto start(plan& p, Token&& token) {
    return p.c.async_call(std::move(p.r), std::move(p.b), std::forward<Token>(token));
}

// Coroutines end as a user's do: what they throw leaves the run() of their context. Cancellation comes by value.
asio::awaitable<void> await_call(plan p, completion done) {
    auto r = co_await p.c.call(std::move(p.r), std::move(p.b));
    done(std::move(r));
}

asio::awaitable<void> await_with_signal(plan p, completion done) {
    auto token = asio::bind_cancellation_slot(p.slot(), asio::use_awaitable);
    auto r = co_await start(p, std::move(token));
    done(std::move(r));
}

asio::awaitable<void> await_tuple(plan p, completion done) {
    auto r = co_await start(p, asio::as_tuple(asio::use_awaitable));
    done(std::move(std::get<0>(r)));
}

asio::awaitable<void> await_or_timer(plan p, completion done) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(p.patience);
    auto r = co_await (p.c.call(std::move(p.r), std::move(p.b)) || timer.async_wait(asio::use_awaitable));
    if (r.index() == 0) done(std::move(std::get<0>(r)));
    else done(failure(errc::cancelled));
}

asio::awaitable<void> await_both(plan p, completion done) {
    auto first = get_myself(500ms);
    auto r = co_await (p.c.call(std::move(first)) && p.c.call(std::move(p.r), std::move(p.b)));
    done(std::move(std::get<1>(r)));
}

template <asio::awaitable<void> (*Coroutine)(plan, completion)>
void spawn(plan p) {
    auto const ex = p.context->serial();
    auto& w = p.w;
    auto t = p.t;
    asio::co_spawn(ex, Coroutine(std::move(p), completion(w, std::move(t))), rethrow);
}

struct form {
    char const* name;
    bool own_executor;
    bool signal;
    void (*run)(plan);
};

form const forms[] = {
    {"callback", false, true, [](plan p) { start(p, asio::bind_cancellation_slot(p.slot(), completion(p.w, p.t))); }},
    {"callback_on_context", true, true,
     [](plan p) {
         start(p,
               asio::bind_cancellation_slot(p.slot(), asio::bind_executor(p.context->serial(), completion(p.w, p.t))));
     }},
    {"callback_on_any_thread", true, false,
     [](plan p) {
         p.t->serial = p.context->plain_is_serial();
         start(p, asio::bind_executor(p.context->plain(), completion(p.w, p.t)));
     }},
    {"future", false, true,
     [](plan p) { p.t->answer = start(p, asio::bind_cancellation_slot(p.slot(), asio::use_future)); }},
    {"deferred", false, true,
     [](plan p) {
         auto operation = start(p, asio::deferred);
         std::move(operation)(asio::bind_cancellation_slot(p.slot(), completion(p.w, p.t)));
     }},
    {"awaited", true, false, spawn<await_call>},
    {"awaited_with_signal", true, true, spawn<await_with_signal>},
    {"awaited_tuple", true, false, spawn<await_tuple>},
    {"awaited_or_timer", true, false, spawn<await_or_timer>},
    {"awaited_both", true, false, spawn<await_both>},
};
constexpr std::size_t future_form = 3;

asio::awaitable<void> await_drain(std::shared_ptr<host> h, std::chrono::milliseconds patience, completion done) {
    auto waiting = (*h)->drain(patience);
    h.reset();
    bool const all = co_await std::move(waiting);
    done(all);
}

}  // namespace

bool start_call(world& w, step const& s) {
    auto const& v = s.with;
    auto const h = w.handle_at(v[0]);
    if (!h.c) return false;
    auto const number = v[1] % std::size(forms);
    auto const& f = forms[number];
    auto const& sh = shapes[v[2] % std::size(shapes)];
    auto* const context = w.contexts[v[5] % context_slots].get();
    if (f.own_executor && !context) return false;
    plan p(w, *h.c, sh.make());
    p.context = context;
    p.patience = std::chrono::milliseconds(v[4]);
    if (f.signal && v[4] != 0) p.signal = f.own_executor ? 1 + context->state()->index : v[4] % 2 * 4u;
    p.t = w.new_ticket(f.name, h, f.own_executor ? context->state() : nullptr, v[3]);
    p.b = make_streams(w, p.t, sh.source, sh.sink, v[6]);
    std::atomic_ref(w.report.forms[number]).fetch_add(1);
    // A signal's slot is touched where the signal is; anything else may be started from anywhere, a future's from here.
    bool const posted = f.own_executor ? v[7] != 0 || (p.signal && !context->is_polled())
                                       : context && !p.signal && v[7] != 0 && number != future_form;
    auto const t = p.t;
    if (posted) {
        t->from = context->state();
        asio::post(context->serial(), [&f, t, p = std::move(p)]() mutable { begin(*t, [&] { f.run(std::move(p)); }); });
    } else {
        begin(*t, [&] { f.run(std::move(p)); });
    }
    return true;
}

void call_again(world& w, ticket const& t) {
    auto const again = w.new_ticket("called_again", {t.handle, t.host, t.base}, t.own, 0);
    again->serial = t.serial;
    begin(*again, [&] {
        completion done(w, again);
        if (!t.own) t.handle->async_call(get_myself(1s), std::move(done));
        else
            t.handle->async_call(get_myself(1s),
                                 asio::bind_executor(t.serial ? t.own->serial : t.own->plain, std::move(done)));
    });
}

bool start_drain(world& w, step const& s) {
    auto const& v = s.with;
    auto h = w.host_at(v[0]);
    if (!h) return false;
    auto* const context = w.contexts[v[2] % context_slots].get();
    bool const own = v[1] != 0;
    if (own && !context) return false;
    auto const patience = std::chrono::milliseconds(v[3] * 5);
    auto const t = w.new_ticket("drain", {{}, h, h->base()}, own ? context->state() : nullptr, v[4]);
    if (v[1] == 2) {
        t->from = context->state();
        asio::post(context->serial(), [&w, t, h = std::move(h), patience] {
            begin(*t, [&] {
                auto done = asio::bind_executor(t->own->serial, completion(w, t));
                auto const slot = w.take_slot(1 + t->own->index, t);
                (*h)->async_drain(patience, asio::bind_cancellation_slot(slot, std::move(done)));
            });
        });
        return true;
    }
    begin(*t, [&] {
        completion done(w, t);
        if (own) asio::co_spawn(context->serial(), await_drain(std::move(h), patience, std::move(done)), rethrow);
        else (*h)->async_drain(patience, asio::bind_cancellation_slot(w.take_slot(0, t), std::move(done)));
    });
    return true;
}

std::span<char const* const> form_names() {
    static auto const names = [] {
        std::vector<char const*> all;
        for (auto const& f : forms) all.push_back(f.name);
        return all;
    }();
    return names;
}

}  // namespace jirapool::border_test
