#include "steady_alarm.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <utility>

namespace jirapool::detail {

namespace asio = boost::asio;

namespace {

class steady_alarm final : public alarm {
public:
    steady_alarm(asio::any_io_executor ex, engine_clock const& clock) : timer_(std::move(ex)), clock_(clock) {}
    ~steady_alarm() override { *alive_ = false; }

    void arm(steady_time at) override {
        auto const wait = std::max(at - clock_.now(), steady_duration::zero());
        timer_.expires_after(wait);
        timer_.async_wait(ring(*this));
    }

    void disarm() noexcept override {
        // From here on a wait that is destroyed instead of completed means nothing.
        *alive_ = false;
        timer_.cancel();
    }

private:
    /// The wait's handler. Destroyed without having been called, it tells that the executor's context is gone.
    class ring {
    public:
        explicit ring(steady_alarm& a) : alarm_(&a), alive_(a.alive_) {}
        ring(ring&& other) noexcept : alarm_(std::exchange(other.alarm_, nullptr)), alive_(std::move(other.alive_)) {}
        ring(ring const&) = delete;
        ring& operator=(ring&&) = delete;
        ~ring() {
            if (alarm_ == nullptr || !*alive_) return;
            auto const tell = alarm_->on_abandoned;  // a copy: the alarm may be destroyed while it runs
            if (tell) tell();
        }
        void operator()(boost::system::error_code ec) {
            auto* const a = std::exchange(alarm_, nullptr);
            if (*alive_ && !ec && a->on_ring) a->on_ring();
        }

    private:
        steady_alarm* alarm_;
        std::shared_ptr<bool> alive_;
    };

    asio::steady_timer timer_;
    engine_clock const& clock_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<alarm> make_steady_alarm(asio::any_io_executor ex, engine_clock const& clock) {
    return std::make_unique<steady_alarm>(std::move(ex), clock);
}

}  // namespace jirapool::detail
