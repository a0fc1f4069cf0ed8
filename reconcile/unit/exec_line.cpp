#include "reconcile/unit/exec_line.h"

#include <algorithm>
#include <optional>

#include "reconcile/base/strings.h"
#include "reconcile/unit/paths.h"
#include "reconcile/unit/quoting.h"

namespace gitproc {
namespace {

constexpr std::string_view prefixes = "@-:+!";

// The characters before a command's path, each at most once; of "+", "!" and "!!" at most one.
struct Prefix {
  bool names_argv0 = false;  // "@"
  bool is_ambient = false;   // "!!"
  std::size_t length = 0;
};

Prefix take_prefix(std::string_view word, ExecCommand& command) {
  Prefix prefix;
  for (; prefix.length < word.size(); ++prefix.length) {
    const bool is_marked = command.is_privileged || prefix.is_ambient;
    char c = word[prefix.length];
    if (c == '-' && !command.ignores_failure) {
      command.ignores_failure = true;
    } else if (c == '@' && !prefix.names_argv0) {
      prefix.names_argv0 = true;
    } else if (c == ':' && command.expands_environment) {
      command.expands_environment = false;
    } else if (c == '+' && !is_marked && !command.keeps_user) {
      command.is_privileged = true;
    } else if (c == '!' && !is_marked) {
      // "!!" only means something to kernels without ambient capabilities (before 4.3).
      prefix.is_ambient = command.keeps_user;
      command.keeps_user = !command.keeps_user;
    } else {
      break;
    }
  }
  return prefix;
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

// Why `path` cannot be run at all; "" when it may be.
std::string_view fault_of(std::string_view path) {
  if (path.empty()) return "has no command after its prefixes";
  if (prefixes.find(path.front()) != std::string_view::npos) return "repeats a prefix, or mixes + and !";
  if (has_control_character(path) || !is_utf8(path))
    return "is not a path: it holds a control character or invalid UTF-8";
  if (path.ends_with("/") || path.ends_with("/.")) return "is a folder and not a command";
  if (is_absolute_path(path)) return {};
  if (path.find('/') != std::string_view::npos) return "is neither an absolute path nor a bare name";
  if (path == "." || path == "..") return "is a folder and not a command";
  return {};
}

// Whether a lone `mark` is the next word: "a ; b", but not "a;b" or "a ;b".
bool is_lone(std::string_view rest, std::string_view mark) {
  if (!rest.starts_with(mark)) return false;
  rest.remove_prefix(mark.size());
  return rest.empty() || rest.front() == ' ' || rest.front() == '\t' || rest.front() == '\r' ||
         rest.front() == '\n';
}

class LineParser {
 public:
  explicit LineParser(Reader& reader)
      : reader_(reader), splitter_(reader.value(), Backslash::escape_or_keep) {}

  std::vector<ExecCommand> parse() {
    std::vector<ExecCommand> commands;
    while (!splitter_.at_end()) {
      ExecCommand command;
      if (!parse_command(command)) return {};
      command.arguments.shrink_to_fit();
      commands.push_back(std::move(command));
    }
    if (commands.empty()) reader_.error("there is no command");
    return commands;
  }

 private:
  bool parse_command(ExecCommand& command) {
    auto word = next_word();
    if (!word) return false;
    const Prefix prefix = take_prefix(word->text, command);
    auto path = reader_.expanded(std::string_view(word->text).substr(prefix.length), word->offset);
    if (!path) return false;
    if (std::string_view fault = fault_of(*path); !fault.empty()) {
      reader_.bad_value(word->text, fault, word->offset);
      return false;
    }
    std::string program = is_absolute_path(*path) ? simplify_path(*path) : *path;
    if (!prefix.names_argv0) command.arguments.push_back(program);
    if (!parse_arguments(command)) return false;
    if (!command.arguments.empty()) {
      if (command.arguments.front() != program) command.path = std::move(program);
      return true;
    }
    reader_.bad_value(word->text, "begins with '@' and no argv[0] follows", word->offset);
    return false;
  }

  bool parse_arguments(ExecCommand& command) {
    while (!splitter_.at_end()) {
      if (is_lone(splitter_.rest(), ";")) {
        splitter_.skip(1);
        return true;
      }
      if (is_lone(splitter_.rest(), "\\;")) {
        splitter_.skip(2);
        command.arguments.push_back(";");
        continue;
      }
      auto word = next_word();
      if (!word) return false;
      auto argument = reader_.expanded(word->text, word->offset);
      if (!argument) return false;
      command.arguments.push_back(*argument);
    }
    return true;
  }

  std::optional<Word> next_word() {
    auto word = splitter_.next();
    if (word) return std::move(*word);
    reader_.bad_value(reader_.value(), word.error().message, word.error().offset);
    return std::nullopt;
  }

  Reader& reader_;
  WordSplitter splitter_;
};

}  // namespace

std::vector<ExecCommand> read_exec_line(Reader& reader) { return LineParser(reader).parse(); }

std::string print_exec_command(const ExecCommand& command) {
  std::string first;
  if (command.ignores_failure) first += '-';
  if (!command.expands_environment) first += ':';
  if (command.is_privileged) first += '+';
  if (command.keeps_user && !command.is_privileged) first += '!';
  const bool names_argv0 = command.arguments.front() != command.program();
  if (names_argv0) first += '@';
  std::string line = quote_word(protect_specifiers(first + command.program()));
  auto argument = command.arguments.begin();
  if (!names_argv0) ++argument;
  for (; argument != command.arguments.end(); ++argument) {
    line += ' ';
    line += quote_word(protect_specifiers(*argument));
  }
  return line;
}

}  // namespace gitproc
