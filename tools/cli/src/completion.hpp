#pragma once

#include <string>

namespace CLI {
class App;
}

namespace jirapool::cli {

// Scripts that complete what `cli` takes, made from the options that it has, so that neither lags behind the other.

/// For bash 4 and later.
std::string bash_completion(CLI::App const& cli);
/// For zsh: to be sourced, or kept in a file `_NAME` of its fpath.
std::string zsh_completion(CLI::App const& cli);

}  // namespace jirapool::cli
