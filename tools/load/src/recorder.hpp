#pragma once

#include "latency_histogram.hpp"
#include "mix.hpp"

#include <jirapool/core/outcome.hpp>
#include <jirapool/core/response.hpp>
#include <jirapool/core/result.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace jirapool::load {

/// What the calls of one operation came to.
class operation_record {
public:
    static constexpr std::size_t status_limit = 600;
    /// Above every errc. Index 0: an error that is not one of jirapool's.
    static constexpr std::size_t errc_limit = 100;

    void add(result<response> const& r, std::chrono::nanoseconds response_time,
             std::chrono::nanoseconds service_time) noexcept;
    void add(operation_record const& other) noexcept;

    std::uint64_t answered(int status) const noexcept { return statuses_[static_cast<std::size_t>(status)].value(); }
    std::uint64_t ended_with(std::size_t errc_value) const noexcept { return errors_[errc_value].value(); }
    /// From when the call was planned to its end, so a wait for a stalled generator or client is in it; and from when it
    /// really began. Calls that a stop ended are in neither.
    latency_histogram const& response_times() const noexcept { return response_times_; }
    latency_histogram const& service_times() const noexcept { return service_times_; }

private:
    std::array<counter, status_limit> statuses_;
    std::array<counter, errc_limit> errors_;
    latency_histogram response_times_;
    latency_histogram service_times_;
};

/** What one thread saw.

    @par Threads   One writer, any readers. */
class recorder {
public:
    void add(operation o, result<response> const& r, std::chrono::nanoseconds response_time,
             std::chrono::nanoseconds service_time) noexcept {
        records_[static_cast<std::size_t>(o)].add(r, response_time, service_time);
    }
    void add(recorder const& other) noexcept {
        for (std::size_t i = 0; i < operation_count; ++i) records_[i].add(other.records_[i]);
    }
    operation_record const& of(operation o) const noexcept { return records_[static_cast<std::size_t>(o)]; }

private:
    std::array<operation_record, operation_count> records_;
};

/// A connection of which calls failed.
struct failing_connection {
    std::string id;
    std::uint64_t failed = 0;
    /// Of its first failed call: "credential_refused", "404".
    std::string first;
};

/** A recorder for each thread on which calls end, so that none waits for another; and the first failure of each kind.

    @par Threads   Any. Must outlive the threads that record. */
class recorders {
public:
    recorders();
    recorders(recorders const&) = delete;
    recorders& operator=(recorders const&) = delete;

    static constexpr std::size_t no_connection = ~std::size_t{0};

    /// What `connection` counts through from now on. Before any call.
    void name_connections(std::vector<std::string> ids) { ids_ = std::move(ids); }

    void add(operation o, result<response> const& r, std::chrono::nanoseconds response_time,
             std::chrono::nanoseconds service_time, std::size_t connection = no_connection);

    /// The sum over all threads so far.
    std::unique_ptr<recorder> total() const;
    /// One example for each kind of failure: "timeout" -> failure::describe(), "404" -> its first words.
    std::map<std::string, std::string> examples() const;
    /// Those of which at least one call failed.
    std::vector<failing_connection> failing() const;

private:
    recorder& mine();
    void note_failure(operation o, result<response> const& r, std::size_t connection);

    std::uint64_t const id_;
    std::mutex mutable mutex_;
    std::vector<std::unique_ptr<recorder>> all_;
    std::map<std::string, std::string> examples_;
    std::vector<std::string> ids_;
    std::map<std::size_t, failing_connection> failing_;
};

}  // namespace jirapool::load
