#pragma once

#include "channel.hpp"
#include "http1_parser.hpp"
#include "timers.hpp"
#include "tls.hpp"

#include <jirapool/pool/params.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <string>
#include <vector>

namespace jirapool::detail {

/// A socket whose waits end at a deadline and when the shard stops. No timer of its own is armed for that.
class timed_socket final : private timed {
public:
    timed_socket(timers& t, asio::ip::tcp::socket s) : socket_(std::move(s)), timers_(t) {}

    asio::ip::tcp::socket& socket() noexcept { return socket_; }

    /// Errors: errc::timeout, errc::cancelled (the operation), errc::stopped, or the system's.
    asio::awaitable<error_code> wait(asio::ip::tcp::socket::wait_type what, steady_time deadline);

private:
    void begin(steady_time deadline);
    error_code end(error_code ec) noexcept;
    void on_time() override;
    void on_stop() override;

    asio::ip::tcp::socket socket_;
    timers& timers_;
    error_code interrupted_;
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
    bool alive() noexcept override;

private:
    bool silent() noexcept;
    void keep(exchange_report* report) noexcept;
    void compose(exchange_input const& in);
    bool offers_compression(exchange_input const& in) const noexcept;
    asio::awaitable<bool> write(exchange_input const* in, std::string_view first, exchange_report* report);
    asio::awaitable<bool> send(char const* data, std::size_t size, steady_time deadline, steady_time until,
                               exchange_report* report);
    asio::awaitable<bool> read(exchange_input const* in, response* out, exchange_report* report);
    void read_early_answer(exchange_input const& in, response* out, exchange_report* report);
    http1_expectation expectation(exchange_input const& in) const noexcept;
    failure late(error_code const& ec, steady_time deadline, char const* limit) const;

    std::unique_ptr<timed_socket> socket_;
    std::unique_ptr<tls_stream> tls_;
    timers& timers_;
    wire_params const& wire_;
    read_scratch& scratch_;
    http1_limits limits_;
    http1_reader reader_{limits_};
    std::string outgoing_;  // the request's head; holds a credential only while it is written
    bool looked_ = false;   // `alive` said so since the last exchange
    bool spoken_ = false;   // the server said something that was no answer
};

}  // namespace jirapool::detail
