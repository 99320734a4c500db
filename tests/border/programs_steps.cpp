// The steps of a program, and how programs are drawn, written and read.
#include "programs_world.hpp"

#include <algorithm>
#include <random>
#include <sstream>

namespace jirapool::border_test {

namespace {

bool make_context(world& w, step const& s) {
    auto& slot = w.contexts[s.with[0] % context_slots];
    if (slot) return false;
    slot = std::make_unique<user_context>(w, s.with[0] % context_slots,
                                          static_cast<user_context::kind>(s.with[1] % user_context::kind_count));
    return true;
}

bool destroy_context(world& w, step const& s) {
    auto& slot = w.contexts[s.with[0] % context_slots];
    if (!slot) return false;
    slot.reset();
    return true;
}

bool run_contexts(world& w, step const& /*s*/) {
    w.poll();
    return true;
}

client_params params_of(world& w, step const& s) {
    auto p = w.around.params();
    p.on_event = [](event const&) {};
    p.seed = s.with[4];
    if (s.with[3] == 1) p.limits.mode = limiting::off;
    if (s.with[3] == 2) p.pool.max_channels = 1;
    if (s.with[3] == 3) p.pool.min_idle = 2;
    // Nobody waits for two seconds here: what lacks its answer for a moment is sent twice.
    p.retries.hedge_after = std::chrono::milliseconds(1 + s.with[4] % 8);
    p.retries.hedge_percent = 100;
    return p;
}

bool make_client(world& w, step const& s) {
    auto* const c = w.contexts[s.with[1] % context_slots].get();
    if (!c || w.host_at(s.with[0])) return false;
    auto p = params_of(w, s);
    bool const serial = s.with[2] != 0 || c->plain_is_serial();
    p.executor_is_serial = serial && s.with[2] != 2;
    w.put_host(s.with[0], std::make_shared<host>(w, *c, serial, std::move(p)));
    return true;
}

bool make_runtime(world& w, step const& s) {
    if (w.host_at(s.with[0])) return false;
    w.put_host(s.with[0], std::make_shared<host>(w, 1u + s.with[1], params_of(w, s)));
    return true;
}

bool destroy_host(world& w, step const& s) {
    if (!w.host_at(s.with[0])) return false;
    w.put_host(s.with[0], nullptr);
    return true;
}

bool stop(world& w, step const& s) {
    auto const h = w.host_at(s.with[0]);
    if (!h) return false;
    (*h)->stop();
    return true;
}

bool add(world& w, step const& s) {
    auto const h = w.host_at(s.with[1]);
    if (!h) return false;
    auto c = w.around.config(s.with[2]);
    auto const id = c.id();
    auto added = (*h)->add(std::move(c));
    auto found = added ? std::optional(*added) : (*h)->find(id);
    if (!found) return false;
    w.put_handle(s.with[0], {std::move(found), h, h->base()});
    return true;
}

bool replace(world& w, step const& s) {
    auto const h = w.host_at(s.with[0]);
    return h && (*h)->replace(w.around.config(s.with[1]));
}

bool remove(world& w, step const& s) {
    auto const h = w.host_at(s.with[0]);
    return h && (*h)->remove(w.around.config(s.with[1]).id());
}

bool reset_limits(world& w, step const& s) {
    auto const h = w.host_at(s.with[0]);
    return h && (*h)->reset_limits(w.around.config(s.with[1]).id());
}

bool look(world& w, step const& s) {
    auto const one = w.handle_at(s.with[0]);
    if (one.c && one.c->status().describe().empty()) return false;
    auto const h = w.host_at(s.with[0]);
    if (!h) return false;
    (void)(*h)->find("nobody");
    return (*h)->size() <= w.around.connections() && (*h)->totals().share_429() <= 1;
}

bool drop_handle(world& w, step const& s) {
    if (!w.handle_at(s.with[0]).c) return false;
    w.put_handle(s.with[0], {});
    return true;
}

constexpr asio::cancellation_type types[] = {asio::cancellation_type::total, asio::cancellation_type::partial,
                                             asio::cancellation_type::terminal, asio::cancellation_type::all};

bool emit(world& w, step const& s) {
    auto const i = s.with[0] % signal_slots;
    w.at_signal(i, s.with[3] != 0, [&w, i, type = types[s.with[1] % std::size(types)], times = 1 + s.with[2]] {
        for (auto n = times; n > 0; --n)
            if (w.signals[i].s) w.signals[i].s->emit(type);
    });
    return true;
}

/// Also while a call has it: then the call goes on, and can't be cancelled any more.
bool renew_signal(world& w, step const& s) {
    auto const i = s.with[0] % signal_slots;
    w.at_signal(i, s.with[2] != 0, [&w, i, again = s.with[1] != 0] {
        w.signals[i].s.reset();
        w.signals[i].user.reset();
        if (again) w.signals[i] = {};
    });
    return true;
}

bool await_an_end(world& w, step const& s) {
    auto const before = w.open_calls();
    return before != 0 && w.wait(std::chrono::milliseconds(2 + 5 * s.with[0]), [&] { return w.open_calls() < before; });
}

bool await_all_ends(world& w, step const& s) {
    return w.wait(std::chrono::milliseconds(20 * s.with[0]), [&] { return w.open_calls() == 0; });
}

bool settle(world& w, step const& /*s*/) {
    for (std::size_t i = 0; i < host_slots; ++i)
        if (auto const h = w.host_at(i)) (*h)->stop();
    if (!w.wait(5s, [&] { return w.open_calls() == 0; }))
        w.complain(std::to_string(w.open_calls()) + " calls did not end with stop()");
    return true;
}

bool set_faults(world& w, step const& s) {
    mock::faults f;
    if (s.with[0] == 1) f.latency = 2ms;
    if (s.with[0] == 1) f.latency_jitter = 6ms;
    if (s.with[0] == 2) f.error_rate = 0.4;
    if (s.with[0] == 3) f.close_rate = 0.4;
    if (s.with[0] == 4) f.token_error_rate = 0.5;
    if (s.with[0] == 5) f.token_latency = 20ms;
    if (s.with[0] >= 6) f.latency_jitter = 200ms;  // long enough for the dial of another channel
    w.around.jira().set_faults(f);
    return true;
}

bool close_connections(world& w, step const& s) {
    w.around.jira().close_connections(s.with[0] != 0);
    return true;
}

bool server_down(world& w, step const& /*s*/) {
    w.around.jira().stop();
    return true;
}

bool server_up(world& w, step const& /*s*/) {
    w.around.jira().start();
    return true;
}

// clang-format off
step_kind const kinds[] = {
    // call: handle, form, shape, reaction, signal and patience in ms, context, manner of its streams, started elsewhere
    {"call",              60, {handle_slots, 10, 18, 12, 4, context_slots, 13, 2}, start_call},
    {"emit",              14, {signal_slots, 4, 2, 2}, emit},
    {"renew_signal",       5, {signal_slots, 2, 2}, renew_signal},
    {"await_an_end",      10, {4}, await_an_end},
    {"await_all_ends",     2, {4}, await_all_ends},
    {"run_contexts",       6, {}, run_contexts},
    {"make_context",       3, {context_slots, user_context::kind_count}, make_context},
    {"destroy_context",    1, {context_slots}, destroy_context},
    {"make_client",        4, {host_slots, context_slots, 3, 4, 255}, make_client},
    {"make_runtime",       3, {host_slots, 3, 0, 4, 255}, make_runtime},
    {"destroy_host",       2, {host_slots}, destroy_host},
    {"stop",               1, {host_slots}, stop},
    // drain: host, form, context, patience, reaction
    {"drain",              2, {host_slots, 3, context_slots, 5, 12}, start_drain},
    {"add",               10, {handle_slots, host_slots, 9}, add},
    {"replace",            4, {host_slots, 9}, replace},
    {"remove",             3, {host_slots, 9}, remove},
    {"reset_limits",       1, {host_slots, 9}, reset_limits},
    {"look",               1, {host_slots}, look},
    {"drop_handle",        1, {handle_slots}, drop_handle},
    {"set_faults",         3, {8}, set_faults},
    {"close_connections",  2, {2}, close_connections},
    {"server_down",        1, {}, server_down},
    {"server_up",          1, {}, server_up},
    {"settle",             1, {}, settle},
};
// clang-format on

std::uint8_t kind_named(std::string_view name) {
    for (std::size_t i = 0; i < std::size(kinds); ++i)
        if (name == kinds[i].name) return static_cast<std::uint8_t>(i);
    throw std::invalid_argument("no step is named " + std::string(name));
}

class author {
public:
    explicit author(std::uint64_t seed) : random_(seed) {}

    program write() {
        for (std::uint8_t i = 0; i < context_slots; ++i)
            if (below(5)) say("make_context", {i});
        auto const hosts = static_cast<std::uint8_t>(1 + below(2));
        for (std::uint8_t i = 0; i < hosts; ++i) say(below(2) ? "make_client" : "make_runtime", {i});
        auto const handles = static_cast<std::uint8_t>(1 + below(4));
        for (std::uint8_t i = 0; i < handles; ++i) say("add", {i, static_cast<std::uint8_t>(below(hosts))});
        // A dial takes longer than most programs: here calls find a channel and a token.
        if (below(3) == 0) {
            for (std::uint8_t i = 0; i < handles; ++i) say("call", {i, 0, 0, 0, 0, 0, 0, 0});
            say("await_all_ends", {4});
        }
        for (auto left = 3 + below(35); left > 0; --left) {
            say(any_kind());
            auto& last = p_.back();
            // Most calls go where there is a connection.
            if (last.kind == 0 && below(5)) last.with[0] = static_cast<std::uint8_t>(below(handles));
            // Most cancellation is to hit something: right behind the call, from where its signal is.
            if (last.kind == 0 && last.with[4] != 0 && below(3) == 0)
                say("emit", {static_cast<std::uint8_t>(below(2) ? 1 + last.with[5] : last.with[4] % 2 * 4)});
        }
        if (below(2)) say("settle");
        std::vector<step> last;
        for (std::uint8_t i = 0; i < context_slots; ++i) last.push_back(draw("destroy_context", {i}));
        for (std::uint8_t i = 0; i < host_slots; ++i) last.push_back(draw("destroy_host", {i}));
        for (std::uint8_t i = 0; i < signal_slots; ++i) last.push_back(draw(below(2) ? "renew_signal" : "emit", {i}));
        last.push_back(draw("server_down"));
        std::shuffle(last.begin(), last.end(), random_);
        last.resize(below(static_cast<unsigned>(last.size()) + 1));
        p_.insert(p_.end(), last.begin(), last.end());
        return std::move(p_);
    }

private:
    unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
    char const* any_kind() {
        static auto const weights = [] {
            unsigned sum = 0;
            for (auto const& k : kinds) sum += k.weight;
            return sum;
        }();
        auto at = below(weights);
        for (auto const& k : kinds) {
            if (at < k.weight) return k.name;
            at -= k.weight;
        }
        return kinds[0].name;
    }
    step draw(char const* name, std::vector<std::uint8_t> const& given = {}) {
        step s;
        s.kind = kind_named(name);
        for (std::size_t i = 0; i < s.with.size(); ++i)
            if (auto const n = kinds[s.kind].below[i]) s.with[i] = static_cast<std::uint8_t>(below(n));
        std::copy(given.begin(), given.end(), s.with.begin());
        // Half of the handlers do nothing, and half of the calls have no signal.
        if (s.kind == 0 && below(2)) s.with[3] = 0;
        return s;
    }
    void say(char const* name, std::vector<std::uint8_t> const& given = {}) { p_.push_back(draw(name, given)); }

    std::mt19937_64 random_;
    program p_;
};

}  // namespace

std::span<step_kind const> step_kinds() { return kinds; }

program make_program(std::uint64_t seed) { return author(seed).write(); }

std::string to_text(program const& p) {
    std::ostringstream out;
    for (auto const& s : p) {
        out << kinds[s.kind].name;
        for (auto const v : s.with) out << ' ' << static_cast<unsigned>(v);
        out << '\n';
    }
    return out.str();
}

program program_of(std::string const& text) {
    program p;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name;
        if (!(words >> name)) continue;
        step s;
        s.kind = kind_named(name);
        unsigned v = 0;
        for (std::size_t i = 0; i < s.with.size() && words >> v; ++i) s.with[i] = static_cast<std::uint8_t>(v);
        p.push_back(s);
    }
    return p;
}

}  // namespace jirapool::border_test
