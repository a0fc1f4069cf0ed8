// gitproc completion: scripts that complete the command line in a shell. They are generated from the tree of
// commands, so that a new command or option appears by itself; service names are asked of the agent at the time.
// What an argument is follows from its type name: SERVICE, or a path.
#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <memory>

#include "cli/commands.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

struct OptionEntry {
  std::vector<std::string> names;  // "-f", "--follow"
  std::string type;                // "" for a flag
  std::string help;
};

struct CommandEntry {
  std::string name;
  std::string help;
  std::vector<OptionEntry> options;
  std::vector<std::string> argument_types;
};

bool is_path(const std::string& type) {
  return type == "PATH" || type == "FILE" || type == "DIR" || type.find("PATH|") != std::string::npos;
}

OptionEntry entry_of(const CLI::Option& option) {
  OptionEntry entry{.names = {}, .type = option.get_type_name(), .help = option.get_description()};
  for (const std::string& name : option.get_snames())
    entry.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames())
    entry.names.push_back("--" + name);
  if (option.get_expected_max() == 0 || option.get_type_size() == 0) entry.type.clear();
  return entry;
}

CommandEntry entry_of(const CLI::App& command) {
  CommandEntry entry{.name = command.get_name(), .help = command.get_description()};
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) {
      entry.argument_types.push_back(option->get_type_name());
    } else {
      entry.options.push_back(entry_of(*option));
    }
  }
  return entry;
}

std::vector<CommandEntry> entries_of(const CLI::App& root) {
  std::vector<CommandEntry> entries;
  for (const CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; })) {
    entries.push_back(entry_of(*command));
  }
  return entries;
}

bool takes(const CommandEntry& command, const std::function<bool(const std::string&)>& is_type) {
  return std::ranges::any_of(command.argument_types, is_type);
}

bool takes_services(const CommandEntry& command) {
  return takes(command, [](const std::string& type) { return type == "SERVICE"; });
}

// Words that a command may be followed by: its options, and fixed choices of its arguments ("bash|zsh|fish").
std::string words_of(const CommandEntry& command) {
  std::vector<std::string> words;
  for (const OptionEntry& option : command.options)
    words.insert(words.end(), option.names.begin(), option.names.end());
  for (const std::string& type : command.argument_types) {
    if (std::ranges::any_of(type, [](char c) { return c >= 'A' && c <= 'Z'; })) continue;
    for (std::string_view choice : split(type, '|'))
      words.emplace_back(choice);
  }
  return join(words, " ");
}

std::string names_of(const std::vector<CommandEntry>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const CommandEntry& command : commands)
    names.push_back(command.name);
  return join(names, " ");
}

// The options that are followed by a value, as the alternatives of a shell's case: "--socket|-n|--lines".
std::string options_with_value(const std::vector<CommandEntry>& commands, bool of_paths) {
  std::vector<std::string> names;
  for (const CommandEntry& command : commands) {
    for (const OptionEntry& option : command.options) {
      if (option.type.empty() || is_path(option.type) != of_paths) continue;
      names.insert(names.end(), option.names.begin(), option.names.end());
    }
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return join(names, "|");
}

// For single quotes of all three shells.
std::string shell_quoted(std::string_view text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

// What bash and zsh have in common: a case over the command that sets `words`, `services` and `files`.
std::string command_cases(const std::vector<CommandEntry>& commands) {
  std::string text;
  for (const CommandEntry& command : commands) {
    text += "    " + command.name + ") words=" + shell_quoted(words_of(command));
    if (takes_services(command)) text += " services=yes";
    if (takes(command, is_path)) text += " files=yes";
    text += " ;;\n";
  }
  return text;
}

std::string bash_script(const std::vector<CommandEntry>& commands) {
  return R"sh(# bash completion for gitproc: source <(gitproc completion bash)
_gitproc() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command= words= services= files= i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --socket) ((++i)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  COMPREPLY=()
  case $previous in
    )sh" +
         options_with_value(commands, true) +
         R"sh() COMPREPLY=($(compgen -f -- "$current")); return ;;
    )sh" +
         options_with_value(commands, false) +
         R"sh() return ;;
  esac
  case $command in
    '') words=')sh" +
         names_of(commands) + " --help --socket' ;;\n" + command_cases(commands) + R"sh(  esac
  [[ $services ]] && words+=" $(gitproc list --names 2>/dev/null)"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ $files ]] && COMPREPLY+=($(compgen -f -- "$current"))
}
complete -F _gitproc gitproc
)sh";
}

std::string zsh_script(const std::vector<CommandEntry>& commands) {
  std::string described;
  for (const CommandEntry& command : commands)
    described += "    " + shell_quoted(command.name + ":" + command.help) + "\n";
  return R"sh(#compdef gitproc
# zsh completion for gitproc: source <(gitproc completion zsh)
_gitproc() {
  local command= options= services= files= i
  local -a commands
  commands=(
)sh" + described +
         R"sh(  )
  for ((i = 2; i < CURRENT; ++i)); do
    case $words[i] in
      --socket) ((++i)) ;;
      -*) ;;
      *) command=$words[i]; break ;;
    esac
  done
  case $words[CURRENT-1] in
    )sh" +
         options_with_value(commands, true) +
         R"sh() _files; return ;;
    )sh" +
         options_with_value(commands, false) +
         R"sh() return ;;
  esac
  local words=
  case $command in
    '') _describe command commands; compadd -- --help --socket; return ;;
)sh" + command_cases(commands) +
         R"sh(  esac
  compadd -- ${=words}
  [[ -n $services ]] && compadd -- ${(f)"$(gitproc list --names 2>/dev/null)"}
  [[ -n $files ]] && _files
}
if [[ $funcstack[1] == _gitproc ]]; then _gitproc "$@"; else compdef _gitproc gitproc; fi
)sh";
}

std::string fish_option(const CommandEntry& command, const OptionEntry& option) {
  std::string text = "complete -c gitproc -n '__fish_seen_subcommand_from " + command.name + "'";
  for (const std::string& name : option.names) {
    text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (is_path(option.type)) {
    text += " -r -F";
  } else if (!option.type.empty()) {
    text += " -x";
  }
  return text + " -d " + shell_quoted(option.help) + "\n";
}

std::string fish_script(const std::vector<CommandEntry>& commands) {
  std::string text =
      "# fish completion for gitproc: gitproc completion fish | source\ncomplete -c gitproc -f\n";
  for (const CommandEntry& command : commands) {
    text += "complete -c gitproc -n __fish_use_subcommand -a " + command.name + " -d " +
            shell_quoted(command.help) + "\n";
    for (const OptionEntry& option : command.options)
      text += fish_option(command, option);
    std::string condition = "complete -c gitproc -n '__fish_seen_subcommand_from " + command.name + "'";
    if (takes_services(command)) text += condition + " -a '(gitproc list --names 2>/dev/null)'\n";
    if (takes(command, is_path)) text += condition + " -F\n";
    for (const std::string& type : command.argument_types) {
      if (type.find('|') == std::string::npos || is_path(type)) continue;
      for (std::string_view choice : split(type, '|'))
        text += condition + " -a " + std::string(choice) + "\n";
    }
  }
  return text;
}

}  // namespace

void add_completion(CLI::App& app, Session& session) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("completion", "Print a script that completes commands and service names");
  command->add_option("shell", *shell, "For which shell")
      ->required()
      ->type_name("bash|zsh|fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
  command->callback([&session, &app, shell] {
    std::vector<CommandEntry> commands = entries_of(app);
    session.out.stream() << (*shell == "bash"  ? bash_script(commands)
                             : *shell == "zsh" ? zsh_script(commands)
                                               : fish_script(commands));
  });
}

}  // namespace gitproc
