#include <jirapool/pool/event_webhook.hpp>

#include "events/event_text.hpp"
#include "events/receiver_url.hpp"
#include "exchange/channel.hpp"
#include "wait/clock.hpp"
#include "wait/context_life.hpp"
#include "wait/spawn.hpp"
#include "wait/timer_alarm.hpp"
#include "wait/timers.hpp"
#include "wire/dialer.hpp"
#include "wire/tls.hpp"

#include <jirapool/core/delivery_queue.hpp>
#include <jirapool/core/rate_headers.hpp>
#include <jirapool/pool/webhook_delivery.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace jirapool {

using namespace std::chrono_literals;

namespace {

// What a receiver says beside its status is not looked at. An answer that is longer is as good.
constexpr std::uint64_t longest_answer = 64u << 10;

bool fit_for_header(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::shared_ptr<client_params const> dialing_params(event_webhook_params const& p) {
    auto made = std::make_shared<client_params>();
    auto& wire = made->wire;
    for (auto* const limit : {&wire.resolve_timeout, &wire.connect_timeout, &wire.tls_timeout})
        *limit = std::min(*limit, p.timeout);
    for (auto* const limit : {&wire.write_timeout, &wire.first_byte_timeout, &wire.body_timeout}) *limit = p.timeout;
    wire.compression = false;
    wire.max_body = longest_answer;
    made->tls = p.tls;
    made->connect_to = p.connect_to;
    return made;
}

std::string hexadecimal(std::uint64_t n) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text(16, '0');
    for (auto i = text.rbegin(); i != text.rend(); ++i, n >>= 4) *i = digits[n & 15];
    return text;
}

std::uint64_t system_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

}  // namespace

char const* why_invalid(event_webhook_params const& p) {
    if (auto const* const rule = detail::why_invalid_receiver_url(p.url)) return rule;
    if (p.signing_secret.reveal().find_first_not_of('\0') == std::string_view::npos)
        return "event_webhook_params::signing_secret must not be empty, nor NULs alone: anybody could sign";
    if (p.kinds.empty()) return "event_webhook_params::kinds must not be empty";
    if (p.max_waiting < 1) return "event_webhook_params::max_waiting must be at least 1";
    if (p.timeout <= 0ms) return "event_webhook_params::timeout must be greater than 0";
    if (p.backoff <= 0ms) return "event_webhook_params::backoff must be greater than 0";
    if (p.backoff_max < p.backoff) return "event_webhook_params::backoff_max must be at least backoff";
    if (!fit_for_header(p.user_agent))
        return "event_webhook_params::user_agent must not be empty, and of visible ASCII and spaces";
    client_params rest;
    rest.connect_to = p.connect_to;
    return why_invalid(rest);
}

/** What waits for delivery, and what becomes of it, for whatever thread asks. It keeps the executor until it is stopped or the executor's
    context ends, whichever comes first, and a session only begins on it. No lock is held while the context's life is asked, which has one
    of its own. */
class event_webhook::sender final : public detail::context_life::member {
public:
    sender(asio::any_io_executor ex, event_webhook_params p) : sender(std::move(ex), std::move(p), system_seed()) {}
    void watch() { life_->enter(*this); }

    void report(event const& e) noexcept;
    event_webhook_stats stats() const;
    void stop() noexcept;

    // For the session, on its executor.

    /// What it does next.
    struct step {
        delivery const* send = nullptr;  ///< now, until on_delivered or on_failed
        steady_time wait_until = steady_time::max();
        bool end = false;  ///< there is nothing more to do
    };
    step next(session const& s, steady_time now) noexcept;
    void on_delivered() noexcept;
    void on_failed(std::string why, std::optional<std::chrono::seconds> retry_after, steady_time now) noexcept;
    /// It is being destroyed: what it had begun has failed.
    void on_session_gone(session const& s, steady_time now) noexcept;

    // These do not change.
    event_webhook_params const params;
    detail::receiver_url const url;
    std::shared_ptr<client_params const> const dialing;
    std::shared_ptr<detail::tls_context const> const tls;

private:
    sender(asio::any_io_executor ex, event_webhook_params p, std::uint64_t seed)
        : params(std::move(p)),
          url(params.url),
          dialing(dialing_params(params)),
          tls(std::make_shared<detail::tls_context const>(params.tls)),
          // Ids differ from those of any other, also of this program's next run.
          id_prefix_(hexadecimal(seed) + "-"),
          life_(detail::context_life::of_shard(ex)),
          executor_(std::move(ex)),
          queue_(params.max_waiting, params.backoff, params.backoff_max),
          random_(seed) {}

    bool post_begin() noexcept;
    void begin(asio::any_io_executor const& ex);
    void close() noexcept;
    void on_context_gone() noexcept override;

    std::string const id_prefix_;
    std::atomic<std::uint64_t> ids_{0};
    std::shared_ptr<detail::context_life> const life_;
    asio::any_io_executor executor_;  // guarded by life_
    std::mutex mutable mutex_;        // of all below
    delivery_queue queue_;
    random_engine random_;
    std::string last_failure_;
    std::uint64_t lost_ = 0;      // for want of memory
    session* session_ = nullptr;  // that runs
    bool begun_ = false;          // one runs, or is about to
    bool stopped_ = false;
};

/** Delivers what waits, on the executor, and ends when nothing does: between two bursts of events there is no socket, no timer and no work.
    Its coroutine owns it. */
class event_webhook::session final : public detail::context_life::member {
public:
    session(std::shared_ptr<sender> of, asio::any_io_executor const& ex, std::shared_ptr<detail::context_life> life)
        : clock(detail::system_clock(), std::make_unique<holding_alarm>(*this, ex)),
          sender_(std::move(of)),
          life_(std::move(life)),
          executor_(ex),
          dialer_(ex, clock, sender_->tls, sender_->dialing, nullptr, sender_->url.port) {}
    ~session() override {
        life_->leave(*this);
        // From here on nobody asks it to stop.
        sender_->on_session_gone(*this, clock.now());
    }

    /// Before it runs.
    void watch() {
        clock.on_stop_request([weak = weak_from_this()] {
            if (auto const self = std::static_pointer_cast<session>(weak.lock())) self->clock.stop();
        });
        life_->enter(*this);
    }

    static asio::awaitable<void> run(std::shared_ptr<session> self);

    detail::timers clock;

private:
    /// Holds the session while it rings: for want of memory what it wakes runs at once, and may be the session's end.
    class holding_alarm final : public detail::alarm {
    public:
        holding_alarm(session& s, asio::any_io_executor const& ex) : inner_(detail::make_timer_alarm(ex)) {
            inner_->on_ring = [this, &s] {
                auto const held = s.weak_from_this().lock();
                if (on_ring) on_ring();
            };
        }
        void arm(steady_time at) noexcept override { inner_->arm(at); }
        void disarm() noexcept override { inner_->disarm(); }

    private:
        std::unique_ptr<detail::alarm> inner_;
    };

    /// How a try went.
    struct outcome {
        bool taken = false;
        std::string why_not;
        std::optional<std::chrono::seconds> retry_after;
    };
    static asio::awaitable<void> try_once(std::shared_ptr<session> self, delivery const* what, outcome* out);
    void judge(detail::exchange_report const& report, response const& answer, outcome& out) const;

    void on_context_gone() noexcept override { clock.abandon(); }

    std::shared_ptr<sender> const sender_;
    std::shared_ptr<detail::context_life> const life_;
    asio::any_io_executor const executor_;
    detail::tls_dialer dialer_;
    std::unique_ptr<detail::channel> channel_;  // to the receiver, as long as one event follows another
};

// Any thread

void event_webhook::sender::report(event const& e) noexcept {
    if (!params.kinds.contains(e.what)) return;
    bool begins = false;
    try {
        delivery d{id_prefix_ + std::to_string(++ids_), {}, 0};
        d.body = detail::event_json(e, d.id, e.at != wall_time() ? e.at : detail::system_clock().wall());
        std::lock_guard const lock(mutex_);
        queue_.push(std::move(d));
        begins = !stopped_ && !std::exchange(begun_, true);
    } catch (std::bad_alloc const&) {
        std::lock_guard const lock(mutex_);
        ++lost_;
    }
    if (!begins || post_begin()) return;
    // The next event tries again.
    std::lock_guard const lock(mutex_);
    begun_ = false;
}

bool event_webhook::sender::post_begin() noexcept {
    bool posted = false;
    try {
        life_->while_alive([&] {
            if (!executor_) return;
            asio::post(executor_, [self = std::static_pointer_cast<sender>(shared_from_this()), ex = executor_] {
                self->begin(ex);
            });
            posted = true;
        });
    } catch (std::bad_alloc const&) {
        return false;
    }
    return posted;
}

event_webhook_stats event_webhook::sender::stats() const {
    std::lock_guard const lock(mutex_);
    event_webhook_stats s;
    s.delivered = queue_.delivered();
    s.failed_tries = queue_.failed_tries();
    s.dropped = queue_.dropped() + lost_;
    s.waiting = queue_.size();
    s.last_failure = last_failure_;
    return s;
}

void event_webhook::sender::close() noexcept {
    std::lock_guard const lock(mutex_);
    stopped_ = true;
    queue_.close();
    if (session_ != nullptr) session_->clock.request_stop();
}

void event_webhook::sender::stop() noexcept {
    close();
    life_->leave_while_alive(*this, [this] { executor_ = {}; });
}

void event_webhook::sender::on_context_gone() noexcept {
    close();
    executor_ = {};
}

// The executor

void event_webhook::sender::begin(asio::any_io_executor const& ex) {
    auto const self = std::static_pointer_cast<sender>(shared_from_this());
    std::shared_ptr<session> s;
    try {
        s = std::make_shared<session>(self, ex, life_);
        s->watch();
        {
            std::lock_guard const lock(mutex_);
            session_ = s.get();
            if (stopped_) s->clock.request_stop();
        }
        detail::spawn(s, s->clock, ex, session::run(s));
    } catch (std::exception const& e) {
        // Memory or descriptors lack: the next event tries again.
        std::lock_guard const lock(mutex_);
        if (session_ == s.get()) session_ = nullptr;
        begun_ = false;
        try {
            last_failure_ = e.what();
        } catch (std::bad_alloc const&) {
            last_failure_.clear();
        }
    }
}

event_webhook::sender::step event_webhook::sender::next(session const& s, steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    step n;
    n.send = queue_.begin(now);
    if (n.send != nullptr) return n;
    n.wait_until = queue_.due();
    n.end = queue_.size() == 0;
    // What is reported from now on needs another one.
    if (n.end && session_ == &s) {
        session_ = nullptr;
        begun_ = false;
    }
    return n;
}

void event_webhook::sender::on_delivered() noexcept {
    std::lock_guard const lock(mutex_);
    queue_.on_delivered();
}

void event_webhook::sender::on_failed(std::string why, std::optional<std::chrono::seconds> retry_after,
                                      steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    queue_.on_failed(now, retry_after, random_);
    if (!stopped_) last_failure_ = std::move(why);  // it was cut off
}

void event_webhook::sender::on_session_gone(session const& s, steady_time now) noexcept {
    std::lock_guard const lock(mutex_);
    if (session_ != &s) return;
    session_ = nullptr;
    begun_ = false;
    if (queue_.sending()) queue_.on_failed(now, std::nullopt, random_);
}

asio::awaitable<void> event_webhook::session::run(std::shared_ptr<session> self) {
    auto& clock = self->clock;
    detail::wait_point pause(clock, self->executor_);
    while (!clock.stopped()) {
        auto const step = self->sender_->next(*self, clock.now());
        if (step.end) break;
        if (step.send == nullptr) {
            co_await pause.wait(step.wait_until);
            continue;
        }
        outcome out;
        try {
            co_await try_once(self, step.send, &out);
        } catch (std::bad_alloc const&) {
            self->channel_.reset();
            out.taken = false;
            out.why_not.clear();  // no memory for words
        }
        if (out.taken) self->sender_->on_delivered();
        else self->sender_->on_failed(std::move(out.why_not), out.retry_after, clock.now());
    }
    self->channel_.reset();
    // What it ends in must have nothing of the session on its stack, such as a socket that told of an answer.
    co_await pause.give_way(asio::cancellation_type::none);
}

asio::awaitable<void> event_webhook::session::try_once(std::shared_ptr<session> self, delivery const* what,
                                                       outcome* out) {
    auto const& to = *self->sender_;
    auto& channel = self->channel_;
    if (channel && !channel->alive()) channel.reset();
    if (!channel) {
        auto dialled = co_await self->dialer_.dial(to.url.name);
        channel = std::move(dialled.channel);
        if (!channel) {
            out->why_not = std::string(to_string(dialled.failed_at)) + ": " + dialled.error.describe();
            co_return;
        }
    }
    std::vector<std::pair<std::string, std::string>> headers;
    headers.emplace_back("X-Jirapool-Delivery", what->id);
    headers.emplace_back("X-Jirapool-Retry", std::to_string(what->failed));
    headers.emplace_back("X-Hub-Signature", webhook_signature(what->body, to.params.signing_secret));

    detail::exchange_input in;
    in.method = method::post;
    in.target = to.url.target;
    in.host = to.url.host;
    in.user_agent = to.params.user_agent;
    in.content_type = "application/json";
    in.headers = &headers;
    in.body = what->body;
    in.deadline = detail::deadline_after(self->clock.now(), to.params.timeout);
    response answer;
    auto const report = co_await channel->exchange(&in, &answer);
    if (report.error.code() || !report.reusable || report.unprocessed) channel.reset();
    self->judge(report, answer, *out);
}

void event_webhook::session::judge(detail::exchange_report const& report, response const& answer, outcome& out) const {
    auto const status = answer.status();
    auto const ec = report.error.code();
    // What follows a status that says "taken" may be too long, or never come: that changes nothing. But it must be HTTP.
    out.taken = status >= 200 && status < 300 && ec != errc::protocol_error;
    if (out.taken) return;
    if (ec == errc::timeout) {
        out.why_not = sender_->url.host + ": no answer within event_webhook_params::timeout";
        return;
    }
    if (ec) {
        out.why_not = failure(report.error).with_peer(sender_->url.host).describe();
        return;
    }
    out.why_not = sender_->url.host + ": status " + std::to_string(status);
    if (status >= 300 && status < 400) out.why_not.append(", and a redirect is not followed");
    out.retry_after = read_rate_headers(answer, clock.wall()).retry_after;
}

// The handle

event_webhook::event_webhook(asio::any_io_executor executor, event_webhook_params p)
    : sender_([&] {
          if (!executor) throw std::invalid_argument("event_webhook: the executor must not be empty");
          if (auto const* const rule = why_invalid(p)) throw std::invalid_argument(rule);
          if (!p.executor_is_serial) executor = asio::make_strand(executor);
          return std::make_shared<sender>(std::move(executor), std::move(p));
      }()) {
    sender_->watch();
}

event_webhook::~event_webhook() { stop(); }

void event_webhook::report(event const& e) noexcept { sender_->report(e); }
event_webhook_stats event_webhook::stats() const { return sender_->stats(); }
void event_webhook::stop() noexcept { sender_->stop(); }

}  // namespace jirapool
