#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

// A test that plays the user. A program is a list of steps over a few slots (contexts, clients and runtimes, connections,
// signals); what a step needs and is not there makes it do nothing, so that any part of a program is a program.

namespace jirapool::border_test {

inline constexpr std::size_t context_slots = 3;
inline constexpr std::size_t host_slots = 2;  // a host: a client or a runtime
inline constexpr std::size_t handle_slots = 5;
inline constexpr std::size_t signal_slots = 5;

class world;

struct step {
    std::uint8_t kind = 0;
    std::array<std::uint8_t, 8> with{};
};

using program = std::vector<step>;

struct step_kind {
    char const* name;
    /// How often it comes beside the others.
    unsigned weight;
    /// Each of step::with is drawn from below this; 0: not used.
    std::array<std::uint8_t, 8> below;
    /// False: there was nothing to do it with.
    bool (*run)(world&, step const&);
};

std::span<step_kind const> step_kinds();

/// What a call is started with, what its handler does, how a sink or source behaves: names for the report.
std::span<char const* const> form_names();
std::span<char const* const> reaction_names();
std::span<char const* const> manner_names();

program make_program(std::uint64_t seed);

/// "call 0 1 2 …" in a line each.
std::string to_text(program const& p);
program program_of(std::string const& text);

/// What a process that runs programs tells the one that waits for it: in shared memory, as it may end at any instruction.
struct progress {
    std::uint64_t begun = 0;     ///< programs
    std::uint64_t finished = 0;  ///< programs
    std::uint64_t step = 0;      ///< of the program under way
    std::uint64_t calls = 0;
    std::uint64_t lost = 0;
    std::uint64_t twice = 0;
    std::uint64_t hedges = 0;
    std::uint64_t slowest_end_us = 0;  ///< of a client's or runtime's destructor
    std::uint64_t steps[32] = {};
    std::uint64_t forms[16] = {};
    std::uint64_t reactions[16] = {};
    std::uint64_t manners[16] = {};
    char complaint[600] = {};
};

/// Runs them one after another in this process, and ends it at the first that breaks a rule.
void run_programs(std::vector<program> const& all, progress& p);

}  // namespace jirapool::border_test
