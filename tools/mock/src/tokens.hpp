#pragma once

#include "clock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jirapool::mock {

/** Makes access tokens and reads them back.

    A token carries what it stands for, scrambled and with a check: so nothing has to be stored for it, however many are
    issued, and one that was cut or altered is unknown. It protects nothing.

    @par Threads   Immutable. */
class token_mint {
public:
    struct claims {
        /// Index into world::connections().
        std::uint32_t connection = 0;
        steady_time issued;
    };

    token_mint(std::uint64_t seed, std::size_t token_bytes) noexcept : key_(seed), size_(token_bytes) {}

    /// Different for each serial number.
    std::string make(std::uint32_t connection, std::uint64_t serial, steady_time now) const;
    /// Whatever its age. nullopt: never issued here.
    std::optional<claims> read(std::string_view token) const noexcept;

private:
    std::uint64_t key_;
    std::size_t size_;
};

}  // namespace jirapool::mock
