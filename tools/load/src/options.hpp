#pragma once

#include "mix.hpp"
#include "threshold.hpp"

#include <jirapool/pool/params.hpp>
#include <jirapool/tools/endpoint.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace jirapool::load {

struct options {
    std::string connections_file;
    bool follow = false;
    double rate = 100;
    double duration_s = 10;
    std::string mix_text{mix::default_text};
    std::optional<load::mix> what;
    unsigned issues = 50;
    std::uint64_t seed = 1;
    double timeout_s = 30;
    unsigned threads = 1;
    std::uint64_t max_in_flight = 10'000;
    double warm_up_s = 30;

    std::vector<address_override> connect_to;
    std::string ca_file;
    /// "either", "1.1" or "2".
    std::string http = "either";

    std::string metrics_address;
    std::string metrics_token_file;
    /// "-": standard output.
    std::string json_file;
    std::optional<tools::endpoint> mock_stats;
    std::vector<threshold> required;
    bool allow_failures = false;
    bool quiet = false;
};

/// What to do, or the exit status when there is nothing to do: help was shown, or what is wrong.
std::variant<options, int> parse_options(int argc, char const* const* argv);

}  // namespace jirapool::load
