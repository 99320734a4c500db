#pragma once

#include "exchange/channel.hpp"
#include "wait/timers.hpp"
#include "wait/wait_point.hpp"
#include "wire/http1_parser.hpp"
#include "wire/tls.hpp"

#include <jirapool/pool/params.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <string>
#include <vector>

namespace jirapool::detail {

/// A socket whose waits end at a deadline and when the shard stops. No timer of its own is armed for that.
class timed_socket {
public:
    timed_socket(timers& t, asio::ip::tcp::socket s);
    ~timed_socket();
    timed_socket(timed_socket const&) = delete;
    timed_socket& operator=(timed_socket const&) = delete;

    asio::ip::tcp::socket& socket() noexcept { return socket_; }

    /// One at a time. Errors: errc::timeout, errc::cancelled (the operation), errc::stopped, or the system's.
    asio::awaitable<error_code> wait(asio::ip::tcp::socket::wait_type what, steady_time deadline);

    /// The three parts of `wait`, for where a coroutine more would tell: begin, point().wait, end with what that gave.
    void begin(asio::ip::tcp::socket::wait_type what);
    wait_point& point() noexcept { return point_; }
    error_code end(asio::ip::tcp::socket::wait_type what, wake why) noexcept;

    /// Lets the shard's others have their turn. Errors: cancelled or stopped, meanwhile.
    asio::awaitable<error_code> give_way();

private:
    struct readiness;
    error_code interruption() const noexcept { return timers_.stopped() ? errc::stopped : errc::cancelled; }
    std::shared_ptr<readiness>& readiness_of(asio::ip::tcp::socket::wait_type what) noexcept {
        return what == asio::ip::tcp::socket::wait_read ? read_ : write_;
    }

    asio::ip::tcp::socket socket_;
    timers& timers_;
    wait_point point_;
    std::shared_ptr<readiness> read_;   // a wait for it may outlive this
    std::shared_ptr<readiness> write_;  // hardly ever used
};

/// Bytes that one shard reads into: idle channels hold no buffer. Room for a head that is not understood yet and two records.
class read_scratch {
public:
    explicit read_scratch(std::size_t max_head)
        : size_(max_head + (32u << 10)), data_(std::make_unique_for_overwrite<char[]>(size_)) {}
    char* data() noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }

private:
    std::size_t size_;
    std::unique_ptr<char[]> data_;
};

/// HTTP/1.1 over one TLS connection.
class http1_channel final : public channel {
public:
    http1_channel(std::unique_ptr<timed_socket> socket, std::unique_ptr<tls_stream> tls, timers& t,
                  wire_params const& wire, read_scratch& scratch);
    ~http1_channel() override;

    asio::awaitable<exchange_report> exchange(exchange_input const* in, response* out) override;
    void interrupt() noexcept override;
    bool alive() noexcept override;
    void rest() noexcept override;

private:
    class answer_reading;

    bool silent() noexcept;
    void keep(steady_time now, exchange_report* report) noexcept;
    void compose(exchange_input const& in);
    bool offers_compression(exchange_input const& in) const noexcept;
    tls_status send_some(std::string_view& data, exchange_report* report) noexcept;
    asio::awaitable<bool> send(tls_status so_far, std::string_view data, steady_time deadline, steady_time until,
                               exchange_report* report);
    static bool goes_on(stream_step step, exchange_report* report) noexcept;
    asio::awaitable<bool> next_piece(exchange_input const* in, std::string_view* piece, exchange_report* report);
    asio::awaitable<bool> pass_on(exchange_input const* in, response* out, bool last, exchange_report* report);
    asio::awaitable<bool> write_body(exchange_input const* in, std::string_view piece, steady_time until,
                                     exchange_report* report);
    void forget_outgoing() noexcept;
    void forget_incoming(exchange_input const& in) noexcept;
    asio::awaitable<bool> read_early_answer(exchange_input const* in, response* out, exchange_report* report);
    http1_expectation expectation(exchange_input const& in) const noexcept;
    failure ended(tls_status status, char const* when) const;
    failure late(error_code const& ec, steady_time deadline, char const* limit) const;

    std::unique_ptr<timed_socket> socket_;
    std::unique_ptr<tls_stream> tls_;
    timers& timers_;
    wire_params const& wire_;
    read_scratch& scratch_;
    http1_limits limits_;
    http1_reader reader_{limits_};
    std::string outgoing_;  // the request's head; holds a credential only while it is written
    steady_time ended_{};   // the last exchange
    bool busy_ = false;     // one exchange came soon behind another
    bool interrupted_ = false;
    bool looked_ = false;  // `alive` said so since the last exchange
    bool spoken_ = false;  // the server said something that was no answer
};

}  // namespace jirapool::detail
