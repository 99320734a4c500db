// What a user's handlers, sinks and sources do when they are called: anything.
#include "programs_world.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <string_view>

namespace jirapool::border_test {

namespace {

struct reaction {
    char const* name;
    /// With the client or runtime of the call, while it exists.
    void (*with_host)(world&, ticket const&, std::shared_ptr<host>);
    void (*run)(world&, ticket const&);
};

void nothing(world& /*w*/, ticket const& /*t*/) {}

void throws(world& /*w*/, ticket const& t) {
    // The context's threads, where the program may run them itself.
    auto const fatal = [](std::shared_ptr<context_state> const& c) { return c && c->must_not_throw; };
    if (!fatal(t.own) && !fatal(t.base) && !fatal(t.from)) throw thrown();
}

void blocks(world& /*w*/, ticket const& /*t*/) {
    asio::io_context io;
    asio::steady_timer timer(io, 3ms);
    timer.wait();
}

void polls(world& /*w*/, ticket const& t) {
    // In the middle of a handler of the very context: what throws in there comes out here.
    auto const& c = t.own ? t.own : t.base;
    running_others const here;
    if (c && !c->going && c->poll_one && c->runs_here())
        for (int i = 0; i < 3; ++i) c->poll_one();
}

void calls(world& w, ticket const& t) {
    if (t.handle) call_again(w, t);
}

void emits(world& w, ticket const& t) {
    if (!t.own || !t.serial) return;
    auto const& s = w.signals[1 + t.own->index];
    if (s.s) s.s->emit(asio::cancellation_type::terminal);
}

void adds(world& w, ticket const& t, std::shared_ptr<host> h) {
    for (std::size_t i = 0; i < 3; ++i) (void)(*h)->add(w.around.config(t.number + i));
}
void replaces(world& w, ticket const& t, std::shared_ptr<host> h) { (void)(*h)->replace(w.around.config(t.number)); }
void removes(world& /*w*/, ticket const& t, std::shared_ptr<host> h) {
    if (t.handle) (*h)->remove(t.handle->id());
}
void stops(world& /*w*/, ticket const& /*t*/, std::shared_ptr<host> h) { (*h)->stop(); }
void drains(world& w, ticket const& t, std::shared_ptr<host> h) {
    auto const again = w.new_ticket("drained_again", {{}, h, t.base}, nullptr, 0);
    begin(*again, [&] { (*h)->async_drain(5ms, completion(w, again)); });
}
void ends(world& w, ticket const& /*t*/, std::shared_ptr<host> h) { w.end_host(std::move(h)); }

reaction const reactions[] = {
    {"none", nullptr, nothing},     {"throw", nullptr, throws},   {"block", nullptr, blocks},
    {"call", nullptr, calls},       {"emit", nullptr, emits},     {"add", adds, nullptr},
    {"replace", replaces, nullptr}, {"remove", removes, nullptr}, {"stop", stops, nullptr},
    {"drain", drains, nullptr},     {"destroy", ends, nullptr},   {"poll", nullptr, polls},
};

/// When and how a sink or source does something else than its work. For a source begin is rewind, end the last read.
struct manner {
    char const* name;
    enum class at : std::uint8_t { never, begin, middle, end } when;
    enum class what : std::uint8_t { fails, throws, reacts, waits, waits_long, gives_wrong } does;
};

using at = manner::at;
using what = manner::what;

manner const manners[] = {
    {"plain", at::never, what::fails},
    {"fails_in_begin", at::begin, what::fails},
    {"fails_in_write", at::middle, what::fails},
    {"fails_in_end", at::end, what::fails},
    {"throws_in_begin", at::begin, what::throws},
    {"throws_in_write", at::middle, what::throws},
    {"throws_in_end", at::end, what::throws},
    {"reacts_in_begin", at::begin, what::reacts},
    {"reacts_in_write", at::middle, what::reacts},
    {"reacts_in_end", at::end, what::reacts},
    {"slow", at::middle, what::waits},
    {"deaf_to_cancellation", at::middle, what::waits_long},
    {"too_much", at::middle, what::gives_wrong},
};

class stream {
public:
    stream(world& w, ticket const& of, std::uint8_t m) : w_(w), m_(&manners[m]) {
        // It runs where the shard does: its call's own executor and signal are another thread's.
        as_seen_.number = of.number;
        as_seen_.reaction = of.reaction;
        as_seen_.base = of.base;
        as_seen_.host = of.host;
        as_seen_.handle = of.handle;
        ++w_.streams;
    }
    ~stream() { --w_.streams; }
    stream(stream const&) = delete;
    stream& operator=(stream const&) = delete;

    bool wrong(at where) const noexcept { return m_->when == where && m_->does == what::gives_wrong; }

    /// What needs no waiting.
    error_code now(at where) {
        if (m_->when != where) return {};
        if (m_->does == what::fails) return make_error_code(boost::system::errc::no_space_on_device);
        if (m_->does == what::throws) throw thrown();
        if (m_->does == what::reacts) w_.react(as_seen_, as_seen_.reaction);
        return {};
    }

    asio::awaitable<error_code> later(at where) {
        if (m_->when == where && (m_->does == what::waits || m_->does == what::waits_long)) {
            bool const deaf = m_->does == what::waits_long;
            asio::steady_timer timer(co_await asio::this_coro::executor);
            timer.expires_after(deaf ? 20'000ms : 5ms);
            if (deaf) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            co_await timer.async_wait(asio::use_awaitable);
        }
        co_return now(where);
    }

private:
    world& w_;
    ticket as_seen_;
    manner const* m_;
};

class users_sink final : public body_sink, stream {
public:
    using stream::stream;
    error_code begin(response const& /*head*/) override { return now(at::begin); }
    asio::awaitable<error_code> write(std::string_view /*piece*/) override { return later(at::middle); }
    asio::awaitable<error_code> end() override { return later(at::end); }
    bool can_restart() const noexcept override { return true; }
};

class users_source final : public body_source, stream {
public:
    using stream::stream;
    std::uint64_t size() const noexcept override { return text.size(); }
    asio::awaitable<result<std::size_t>> read(char* to, std::size_t max) override {
        auto const n = std::min({max, text.size() - at_, std::size_t{100}});
        text.copy(to, n, at_);
        at_ += n;
        auto const ec = co_await later(at_ == text.size() ? at::end : at::middle);
        if (ec) co_return ec;
        co_return wrong(at::middle) ? max + 1 : n;
    }
    bool rewind() noexcept override {
        at_ = 0;
        try {
            return !now(at::begin);
        } catch (thrown const&) {
            return false;
        }
    }

private:
    static inline std::string const text =
        R"({"fields":{"project":{"key":"PROJ"},"issuetype":{"name":"Task"},"summary":")" + std::string(300, 's') +
        "\"}}";
    std::size_t at_ = 0;
};

template <class Table>
std::vector<char const*> names_of(Table const& table) {
    std::vector<char const*> all;
    for (auto const& row : table) all.push_back(row.name);
    return all;
}

}  // namespace

void world::react(ticket const& t, std::uint8_t number) {
    auto const& r = reactions[number % std::size(reactions)];
    if (r.with_host) {
        auto h = t.host.lock();
        if (!h) return;
        std::atomic_ref(report.reactions[number]).fetch_add(1);
        r.with_host(*this, t, std::move(h));
        return;
    }
    std::atomic_ref(report.reactions[number]).fetch_add(1);
    r.run(*this, t);
}

body_streams make_streams(world& w, std::shared_ptr<ticket> const& t, bool source, bool sink, std::uint8_t number) {
    if (!source && !sink) return {};
    auto const m = static_cast<std::uint8_t>(number % std::size(manners));
    std::atomic_ref(w.report.manners[m]).fetch_add(1);
    return {source ? std::make_shared<users_source>(w, *t, m) : nullptr,
            sink ? std::make_shared<users_sink>(w, *t, m) : nullptr};
}

std::span<char const* const> reaction_names() {
    static auto const names = names_of(reactions);
    return names;
}

std::span<char const* const> manner_names() {
    static auto const names = names_of(manners);
    return names;
}

}  // namespace jirapool::border_test
