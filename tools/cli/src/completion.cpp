#include "completion.hpp"

#include "commands.hpp"
#include "exit_status.hpp"

#include <jirapool/tools/process.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <string_view>
#include <utility>
#include <vector>

namespace jirapool::cli {
namespace {

/// A command or option: its name as it is written, and what it is for.
struct word {
    std::string name;
    std::string about;
};

/// What may stand behind a command.
struct command_words {
    std::string path;  ///< " webhook create"; empty for the program itself
    std::vector<word> commands;
    std::vector<word> options;
    std::vector<std::string> of_file;   ///< options whose value is a file
    std::vector<std::string> of_value;  ///< options with another value
    bool takes_file = false;            ///< it has an argument that is a file
};

bool names_file(std::string const& type) { return type == "FILE" || type == "PATH"; }

void collect(CLI::App const& app, std::string const& path, std::vector<command_words>& all) {
    command_words here;
    here.path = path;
    for (auto const* const option : app.get_options()) {
        if (option->get_positional()) {
            here.takes_file = here.takes_file || names_file(option->get_name(true));
            continue;
        }
        std::vector<std::string> names;
        for (auto const& name : option->get_snames()) names.push_back("-" + name);
        for (auto const& name : option->get_lnames()) names.push_back("--" + name);
        bool const has_value = option->get_items_expected_max() != 0;
        auto& valued = names_file(option->get_type_name()) ? here.of_file : here.of_value;
        for (auto const& name : names) {
            here.options.push_back({name, option->get_description()});
            if (has_value) valued.push_back(name);
        }
    }
    auto const commands = app.get_subcommands([](CLI::App const*) { return true; });
    for (auto const* const command : commands)
        here.commands.push_back({command->get_name(), command->get_description()});
    all.push_back(std::move(here));
    for (auto const* const command : commands) collect(*command, path + " " + command->get_name(), all);
}

std::vector<command_words> words_of(CLI::App const& cli) {
    std::vector<command_words> all;
    collect(cli, "", all);
    return all;
}

/// One word of a shell, whatever is in it.
std::string shell_word(std::string_view text) {
    std::string out = "'";
    for (char const c : text) {
        if (c == '\'') out += "'\\''";
        else out += c == '\n' ? ' ' : c;
    }
    return out + "'";
}

/// "' check --ca' | ' call --ca'": each command's path with one of its words behind it. A pattern that nothing matches without any.
template <class Names>
std::string pattern_of(std::vector<command_words> const& all, Names names) {
    std::string out;
    for (auto const& c : all)
        for (auto const& name : names(c)) out.append(out.empty() ? "" : " | ").append(shell_word(c.path + " " + name));
    return out.empty() ? "''" : out;
}

std::string commands_pattern(std::vector<command_words> const& all) {
    return pattern_of(all, [](command_words const& c) {
        std::vector<std::string> names;
        for (auto const& w : c.commands) names.push_back(w.name);
        return names;
    });
}

std::string names_of(std::vector<word> const& words) {
    std::string out;
    for (auto const& w : words) out.append(out.empty() ? "" : " ").append(w.name);
    return shell_word(out);
}

/// For zsh's _describe: 'name:what it is for'.
std::string described(std::vector<word> const& words) {
    std::string out;
    for (auto const& w : words) out.append(out.empty() ? "" : " ").append(shell_word(w.name + ":" + w.about));
    return out;
}

}  // namespace

std::string bash_completion(CLI::App const& cli) {
    auto const all = words_of(cli);
    std::string cases;
    for (auto const& c : all)
        cases += fmt::format("    {}) commands={} options={} takes_file={} ;;\n", shell_word(c.path),
                             names_of(c.commands), names_of(c.options), c.takes_file ? "yes" : "");
    return fmt::format(R"(# Completes {name} in bash: source <({name} completion bash)
_{name}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} at='' i
    # Bash makes three words of --option=value.
    if [[ $current == = ]]; then
        current=''
    elif [[ $before == = ]]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${{COMP_WORDS[i]}}" in
        {commands}) at+=" ${{COMP_WORDS[i]}}" ;;
        esac
    done
    local commands='' options='' takes_file=''
    case "$at" in
{cases}    esac
    COMPREPLY=()
    case "$at $before" in
    {of_file})
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    {of_value}) return ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    elif [[ $commands ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
    elif [[ $takes_file ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}}
complete -F _{name} {name}
)",
                       fmt::arg("name", cli.get_name()), fmt::arg("commands", commands_pattern(all)),
                       fmt::arg("cases", cases),
                       fmt::arg("of_file", pattern_of(all, [](command_words const& c) { return c.of_file; })),
                       fmt::arg("of_value", pattern_of(all, [](command_words const& c) { return c.of_value; })));
}

std::string zsh_completion(CLI::App const& cli) {
    auto const all = words_of(cli);
    std::string cases;
    for (auto const& c : all)
        cases += fmt::format(
            "    ({})\n        commands=({})\n        options=({})\n        takes_file={}\n        ;;\n",
            shell_word(c.path), described(c.commands), described(c.options), c.takes_file ? "yes" : "");
    return fmt::format(R"(#compdef {name}
# Completes {name} in zsh: source <({name} completion zsh), or kept as _{name} in a folder of fpath.
_{name}() {{
    local at='' takes_file='' word
    local -a commands options
    for word in ${{words[2,CURRENT-1]}}; do
        case "$at $word" in
        ({commands}) at+=" $word" ;;
        esac
    done
    case "$at" in
{cases}    esac
    case "$at ${{words[CURRENT-1]}}" in
    ({of_file}) _files; return ;;
    ({of_value}) _message value; return ;;
    esac
    if [[ ${{words[CURRENT]}} == -* ]]; then
        _describe -o option options
    elif (( ${{#commands}} )); then
        _describe command commands
    elif [[ -n $takes_file ]]; then
        _files
    fi
}}
if [[ ${{funcstack[1]}} == _{name} ]]; then
    _{name} "$@"
else
    compdef _{name} {name}
fi
)",
                       fmt::arg("name", cli.get_name()), fmt::arg("commands", commands_pattern(all)),
                       fmt::arg("cases", cases),
                       fmt::arg("of_file", pattern_of(all, [](command_words const& c) { return c.of_file; })),
                       fmt::arg("of_value", pattern_of(all, [](command_words const& c) { return c.of_value; })));
}

int print_completion(completion_options o) { return tools::print("jirapool", o.script) ? ok : failed; }

}  // namespace jirapool::cli
