#pragma once

#include <jirapool/metrics/family.hpp>

#include <span>
#include <string>

namespace jirapool::metrics {

std::string expose_text(std::span<family const> families);
std::string expose_openmetrics(std::span<family const> families);
std::string expose_protobuf(std::span<family const> families);

}  // namespace jirapool::metrics
