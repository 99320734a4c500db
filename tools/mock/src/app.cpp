#include "app.hpp"

#include "compress.hpp"
#include "http2_faults.hpp"
#include "injection.hpp"
#include "scenes.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

namespace jirapool::mock {
namespace {

std::optional<scripted_reply> ask(intercept_function const& intercept, request_view const& r) {
    try {
        return intercept(r);
    } catch (std::exception const& e) {
        return scripted_reply(500, fmt::format("the test's intercept threw: {}\n", e.what()));
    } catch (...) {
        // Not swallowed silently: the test sees the status, and what it threw is often no std::exception.
        return scripted_reply(500, "the test's intercept threw\n");
    }
}

}  // namespace

app::app(mock::params p)
    : settings_(std::move(p)),
      world_(params()),
      sites_(params().sites),
      edge_(world_),
      auth_(params(), world_),
      jira_(params(), world_, sites_),
      tally_(world_),
      stage_(world_) {
    for (site_state& s : sites_) s.open(static_cast<std::uint32_t>(params().issues_per_site));
}

reply app::handle(request_view const& r, instant now) {
    auto const current = settings_.in_force();
    visit v(r, now, params().seed, requests_.fetch_add(1, std::memory_order_relaxed));
    v.faulty = current.faulty;
    edge_.locate(v);
    auth_.identify(v);
    exchange_mark mark;
    if (v.client) mark = tally_.exchange_began(*v.client);

    reply out;
    if (current.intercept) out.scripted = ask(*current.intercept, r);
    bool const was_intercepted = out.scripted.has_value();
    // Nothing is known of a request that is left alone.
    if (was_intercepted && out.scripted->http2 && leaves_untouched(out.scripted->http2->what)) return out;
    if (was_intercepted) {
        out.delay = out.scripted->delay;
    } else {
        out = answer(v);
        inject_delay_and_close(v, out);
    }
    if (out.compress) compress(out, r.header("accept-encoding"));
    out.exchange = std::move(mark);
    tally_.count(v, was_intercepted ? out.scripted->status : out.status, was_intercepted);
    return out;
}

reply app::answer(visit& v) {
    auto const scene = stage_.next(v);
    if (!scene) return answer_itself(v);
    v.is_played = true;
    reply out;
    if (adds_to_own_answer(scene->what)) out = answer_itself(v);
    perform(*scene, v, world_, out);
    return out;
}

reply app::answer_itself(visit& v) {
    if (auto done = edge_.answer(v)) return *std::move(done);
    if (v.where.kind == host_kind::auth) return auth_.answer_token_endpoint(v);
    if (auto refused = auth_.refuse(v)) return *std::move(refused);
    return jira_.answer(v);
}

reply app::refuse_unreadable(int status) {
    tally_.unreadable_request();
    return edge::refuse_unreadable(status);
}

stats app::snapshot() const {
    stats s = tally_.snapshot();
    add_buckets(s, buckets());
    return s;
}

std::vector<bucket_stats> app::buckets() const {
    std::vector<bucket_stats> all;
    for (std::size_t i = 0; i < sites_.size(); ++i) sites_[i].append_buckets(i, all);
    return all;
}

void app::reset_stats() {
    tally_.reset();
    for (site_state& s : sites_) s.reset_counts();
}

}  // namespace jirapool::mock
