#include "engine_world.hpp"

#include "wait_point.hpp"

namespace jirapool::sim {

using namespace detail;
using namespace std::chrono_literals;

namespace {

/// A channel whose other end is the model.
class sim_channel final : public channel {
public:
    sim_channel(std::string host, jira_model& m, timers& t, asio::any_io_executor ex)
        : host_(std::move(host)), model_(m), timers_(t), executor_(std::move(ex)) {}

    asio::awaitable<exchange_report> exchange(exchange_input const* in, response* out) override {
        exchange_report report;
        out->clear();
        ++exchanges;
        auto const sent = timers_.now();
        report.wrote = true;
        report.written = sent;
        auto const way = model_.params().latency / 2;
        error_code const there = co_await until(sent + way, in->deadline);
        if (there) {
            report.error = failure(there).at(stage::first_byte);
            co_return report;
        }
        auto reply = model_.handle(host_, *in, sent, timers_.now());
        error_code const back = co_await until(timers_.now() + way, in->deadline);
        if (back || reply.lost) {
            report.error = failure(back ? back : make_error_code(errc::channel_lost)).at(stage::first_byte);
            co_return report;
        }
        *out = std::move(reply.answer);
        report.first_byte = timers_.now();
        report.read = true;
        report.reusable = true;
        if (host_ != auth_host) model_.delivered(in->base_path, in->method, in->target, *out, timers_.now());
        co_return report;
    }

    bool alive() noexcept override { return true; }

private:
    asio::awaitable<error_code> until(steady_time t, steady_time deadline) {
        wait_point point(timers_, executor_);
        wake const w = co_await point.wait(std::min(t, deadline));
        if (w == wake::cancelled) co_return timers_.stopped() ? errc::stopped : errc::cancelled;
        if (t > deadline) co_return errc::timeout;
        co_return error_code();
    }

    std::string host_;
    jira_model& model_;
    timers& timers_;
    asio::any_io_executor executor_;
};

class sim_dialer final : public dialer {
public:
    sim_dialer(jira_model& m, timers& t, asio::any_io_executor ex) : model_(m), timers_(t), executor_(std::move(ex)) {}

    asio::awaitable<dial_result> dial(std::string host) override {
        dial_result result;
        wait_point point(timers_, executor_);
        wake const w = co_await point.wait(timers_.now() + 3 * model_.params().latency);
        result.failed_at = dial_stage::connect;
        if (w == wake::cancelled) {
            result.error = errc::stopped;
        } else if (model_.params().faults.refused_dials > 0 &&
                   uniform(model_.random()) < model_.params().faults.refused_dials) {
            result.error = errc::connect_failed;
        } else {
            result.channel = std::make_unique<sim_channel>(std::move(host), model_, timers_, executor_);
        }
        co_return result;
    }

private:
    jira_model& model_;
    timers& timers_;
    asio::any_io_executor executor_;
};

}  // namespace

engine_world::engine_world(model_params m, client_params p, std::uint64_t seed) : model_(m, seed) {
    p.seed = seed;
    shard_environment e;
    e.executor = scheduler_.context().get_executor();
    e.clock = &scheduler_.clock();
    e.alarm = scheduler_.make_alarm();
    e.make_dialer = [this](asio::any_io_executor ex, timers& t) -> std::unique_ptr<dialer> {
        return std::make_unique<sim_dialer>(model_, t, std::move(ex));
    };
    std::vector<shard_environment> one;
    one.push_back(std::move(e));
    engine_ = std::make_unique<detail::engine>(std::move(one), std::move(p));
    stats_ = engine_->stats().front();
}

engine_world::~engine_world() {
    engine_->stop();
    scheduler_.run_until(scheduler_.now() + 1s);
}

void engine_world::add_all() {
    for (std::size_t i = 0; i < model_.params().sites; ++i)
        connections_.push_back(engine_->add(model_.config(i)).value());
}

void engine_world::start(std::size_t n, request r, std::chrono::milliseconds timeout) {
    ++totals.started;
    auto const deadline = scheduler_.now() + timeout;
    auto timed = std::move(r).timeout(timeout);
    connections_.at(n).async_call(std::move(timed), [this, deadline](result<response> const& got) {
        if (scheduler_.now() > deadline) ++totals.late;
        if (got) {
            if (got->ok()) ++totals.succeeded;
            else if (got->status() == 429) ++totals.limited;
            else ++totals.failed;
        } else if (got.error().code() == errc::limited_past_deadline || got.error().code() == errc::queue_full) {
            ++totals.limited;
        } else {
            ++totals.failed;
        }
    });
}

}  // namespace jirapool::sim
