// The unit while it is being read, and what the parser of one directive sees of it. Private to this room.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconcile/base/diagnostic.h"
#include "reconcile/unit/loader.h"
#include "reconcile/unit/quoting.h"
#include "reconcile/unit/specifiers.h"
#include "reconcile/unit/syntax.h"
#include "reconcile/unit/unit.h"

namespace gitproc {

// Bounds of one load: specifiers can make a small file large, and hostile files can be all mistakes.
inline constexpr std::size_t max_expanded_bytes = 8u << 20;
inline constexpr std::size_t max_diagnostics = 1000;

// Where a setting was made that is judged only when the whole unit is known.
struct SettingPlace {
  std::string file;
  TextPosition position;
};

struct Draft {
  Unit unit;
  std::string node_selector;
  std::vector<std::string> aliases;
  std::optional<ServiceType> type;  // Type=, as far as it is set
  bool has_bus_name = false;
  bool permissions_start_only = false;
  std::array<std::optional<unsigned>, 5> directory_modes;  // by DirectoryKind
  SettingPlace last_start, last_restart, last_type;

  const SpecifierContext* machine = nullptr;
  UnitNameSpecifiers names;
  std::size_t expanded_bytes = 0;
  Diagnostics diagnostics;
  bool has_error = false;

  void report(const std::string& file, TextPosition position, Severity severity, std::string message);
  // Expands specifiers within what is left of max_expanded_bytes.
  Result<std::string> expand(std::string_view text);
};

// One assignment on its way into the draft.
class Reader {
 public:
  Reader(Draft& draft, const std::string& file, const Assignment& assignment)
      : draft_(draft), file_(file), assignment_(assignment) {}

  Draft& draft() { return draft_; }
  Unit& unit() { return draft_.unit; }
  std::string_view key() const { return assignment_.key; }
  std::string_view value() const { return assignment_.value; }
  SettingPlace place() const { return {file_, assignment_.key_position}; }

  // "KEY=: MESSAGE" at the byte of the value where the fault is.
  void error(std::string message, std::size_t offset = 0);
  void warning(std::string message);
  // "KEY=: 'TEXT' MESSAGE".
  void bad_value(std::string_view text, std::string_view message, std::size_t offset = 0);

  // The whole value with its specifiers expanded; nullopt after reporting why not. Never holds control
  // characters or outer blanks: there is no way to write them back.
  std::optional<std::string> expanded_value();
  // One word or part of the value, expanded; control characters are the caller's matter. Is valid UTF-8
  // without NUL unless the text held escapes.
  std::optional<std::string> expanded(std::string_view text, std::size_t offset);
  // The value split into words, not expanded; nullopt after reporting a fault of quoting.
  std::optional<std::vector<Word>> words(Backslash backslash);
  // Words of Backslash::ordinary, each expanded and free of control characters. Faulty ones are reported and
  // left out.
  std::vector<Word> expanded_words();

 private:
  Draft& draft_;
  const std::string& file_;
  const Assignment& assignment_;
};

// Lines of the canonical unit file, under the key of the directive that prints.
class Lines {
 public:
  void begin(std::string_view key) { key_ = key; }
  void add(std::string_view value);
  const std::string& text() const { return text_; }
  std::string take() { return std::exchange(text_, {}); }

 private:
  std::string_view key_;
  std::string text_;
};

// '%' as "%%": the inverse of expanding specifiers.
std::string protect_specifiers(std::string_view text);

}  // namespace gitproc
