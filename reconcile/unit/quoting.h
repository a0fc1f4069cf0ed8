// Words, quotes, backslashes and variables: how a line of text becomes arguments, and back.
//
// A unit file's line is split when it is loaded (split_words), $VARIABLES in the words are replaced when the
// command is run (expand_environment). Both follow what systemd 252 was seen to do, which is not always what
// its manual says: quotes are removed in the middle of a word too, and quoting does not protect a variable.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/packed_strings.h"

#include "reconcile/base/error.h"

namespace gitproc {

// What a backslash means to split_words.
enum class Backslash {
  escape_or_keep,  // C escapes (\n, \x41, \101, \u00e9, \s ...); an unknown one stays as it is: Exec...= lines
  escape_or_fail,  // C escapes; an unknown one is an error: Environment=
  ordinary,        // a character like any other: names and paths
  protects,        // the next character is taken as it is: values of variables in Exec...= lines
};

struct Word {
  std::string text;
  std::size_t offset = 0;  // of its first byte, in the text that was split

  bool operator==(const Word&) const = default;
};

struct SplitError {
  std::string message;
  std::size_t offset = 0;
};

// Takes words off the front of a text one by one, so that the caller can look at what lies between them.
class WordSplitter {
 public:
  WordSplitter(std::string_view text, Backslash backslash) : text_(text), backslash_(backslash) {}

  // Skips blanks; true when nothing else is left.
  bool at_end();
  // The text from the next word on, not yet unquoted. Call at_end() first.
  std::string_view rest() const { return text_.substr(position_); }
  void skip(std::size_t bytes) { position_ += bytes; }
  std::size_t offset() const { return position_; }
  // The next word, without its quotes. Needs !at_end(). Errors: an unbalanced quote, a bad escape.
  std::expected<Word, SplitError> next();

 private:
  std::string_view text_;
  std::size_t position_ = 0;
  Backslash backslash_;
};

std::expected<std::vector<Word>, SplitError> split_words(std::string_view text, Backslash backslash);

// `word` as one word that split_words(…, escape_or_keep or escape_or_fail) reads back; as it is, if it can be.
std::string quote_word(std::string_view word);
// The same for split_words(…, ordinary).
std::string quote_plain_word(std::string_view word);

// Looks a variable up; nullopt when it is not set.
using VariableLookup = std::function<std::optional<std::string>(std::string_view name)>;

// No kernel takes more than 6 MiB of arguments: beyond this, variables are no longer replaced, and execve
// refuses what is returned with E2BIG.
inline constexpr std::size_t max_expanded_arguments_bytes = 8u << 20;

// Replaces variables in an argv at exec time: "$NAME" as a whole word by the words of its value (none, if it
// is unset), "${NAME}" anywhere by its value as it is, "$$" by "$". The rest of a word that begins with "$" is
// all name; "${X:-y}" and "pre$NAME" stay as they are (reference: systemd.service(5), "Command lines").
std::vector<std::string> expand_environment(const PackedStrings& arguments, const VariableLookup& lookup);

// Replaces "${NAME}" and "$$" as above in one word that is never split.
std::string expand_variables(std::string_view word, const VariableLookup& lookup);

}  // namespace gitproc
