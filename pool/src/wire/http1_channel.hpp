#pragma once

#include "exchange/channel.hpp"
#include "wait/timers.hpp"
#include "wire/http1_parser.hpp"
#include "wire/timed_socket.hpp"
#include "wire/tls.hpp"

#include <jirapool/pool/params.hpp>

#include <memory>
#include <string>
#include <vector>

namespace jirapool::detail {

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
    void interrupt(response const& out) noexcept override;
    bool alive() noexcept override;
    void rest() noexcept override;

private:
    class answer_reading;

    bool silent() noexcept;
    void keep(steady_time now, exchange_report* report) noexcept;
    void compose(exchange_input const& in);
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
    failure ended(tls_status status, char const* when) const;
    failure late(error_code const& ec, steady_time deadline, char const* limit) const;

    std::unique_ptr<timed_socket> socket_;
    std::unique_ptr<tls_stream> tls_;
    timers& timers_;
    wire_params const& wire_;
    read_scratch& scratch_;
    answer_limits limits_;
    http1_reader reader_{limits_};
    std::string outgoing_;  // the request's head; holds a credential only while it is written
    steady_time ended_{};   // the last exchange
    bool busy_ = false;     // one exchange came soon behind another
    bool interrupted_ = false;
    bool looked_ = false;   // `alive` said so since the last exchange
    bool drained_ = false;  // behind the last answer
    bool spoken_ = false;   // the server said something that was no answer
};

}  // namespace jirapool::detail
