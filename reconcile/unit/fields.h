// How a directive of one plain value is tied to its field of the Unit: read, printed and reset alike, without
// touching a group that stays at its default. Private to this room.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "reconcile/unit/directives.h"
#include "reconcile/unit/suggestion.h"
#include "reconcile/unit/values.h"

namespace gitproc {

// A field of one of the Unit's Defaulted groups: GroupField<&Unit::restart, &RestartPolicy::delay>.
template <auto Group, auto Field>
struct GroupField {
  using GroupType = std::remove_cvref_t<decltype(*(std::declval<const Unit&>().*Group))>;
  using Type = std::remove_cvref_t<decltype(std::declval<GroupType>().*Field)>;

  static const Type& get(const Unit& unit) { return (*(unit.*Group)).*Field; }
  static Type& edit(Unit& unit) { return (unit.*Group).edit().*Field; }
  static const Type& initial() {
    static const GroupType initial_group{};
    return initial_group.*Field;
  }
};

// A field of the Unit itself: UnitField<&Unit::description>.
template <auto Field>
struct UnitField {
  using Type = std::remove_cvref_t<decltype(std::declval<Unit>().*Field)>;

  static const Type& get(const Unit& unit) { return unit.*Field; }
  static Type& edit(Unit& unit) { return unit.*Field; }
  static const Type& initial() {
    static const Unit initial_unit{};
    return initial_unit.*Field;
  }
};

template <typename F>
void set(Unit& unit, typename F::Type value) {
  if (F::get(unit) != value) F::edit(unit) = std::move(value);
}

template <typename T>
struct is_optional : std::false_type {};
template <typename T>
struct is_optional<std::optional<T>> : std::true_type {};

// Value has `parse(string_view) -> Result<T>` and `print(T) -> string`. An empty value resets.
template <typename F, typename Value>
void read_field(Reader& reader) {
  if (reader.value().empty()) return set<F>(reader.unit(), F::initial());
  auto value = Value::parse(reader.value());
  if (!value) return reader.bad_value(reader.value(), value.error().message);
  set<F>(reader.unit(), typename F::Type(std::move(*value)));
}

template <typename F, typename Value>
void print_field(const Unit& unit, Lines& lines) {
  const auto& value = F::get(unit);
  if (value == F::initial()) return;
  if constexpr (is_optional<typename F::Type>::value) {
    if (value) lines.add(Value::print(*value));
  } else {
    lines.add(Value::print(value));
  }
}

template <typename F, typename Value>
constexpr Directive field(std::string_view section, std::string_view key, ChangeEffect effect) {
  return {section, key, read_field<F, Value>, print_field<F, Value>, effect};
}

struct BooleanValue {
  static Result<bool> parse(std::string_view text) { return parse_boolean(text); }
  static std::string print(bool value) { return print_boolean(value); }
};

struct TimeSpanValue {
  static Result<Duration> parse(std::string_view text) { return parse_time_span(text); }
  static std::string print(Duration span) { return print_time_span(span); }
};

// Time-outs, where 0 is written for "none".
struct TimeoutValue {
  static Result<Duration> parse(std::string_view text) {
    auto span = parse_time_span(text);
    if (span && *span == Duration::zero()) return infinite;
    return span;
  }
  static std::string print(Duration span) { return print_time_span(span); }
};

struct SignalValue {
  static Result<int> parse(std::string_view text) { return parse_signal(text); }
  static std::string print(int signal) { return print_signal(signal); }
};

struct ModeValue {
  static Result<unsigned> parse(std::string_view text) { return parse_mode(text); }
  static std::string print(unsigned mode) { return print_mode(mode); }
};

template <typename T, std::int64_t Smallest, std::int64_t Greatest>
struct NumberValue {
  static Result<T> parse(std::string_view text) {
    auto number = parse_integer(text, Smallest, Greatest);
    if (!number) return std::unexpected(std::move(number.error()));
    return static_cast<T>(*number);
  }
  static std::string print(T number) { return std::to_string(number); }
};

template <typename E>
struct EnumWord {
  std::string_view word;
  E value;
};

// A word of a fixed, case-sensitive list. `Words` is an array of EnumWord with static storage.
template <const auto& Words>
struct WordValue {
  using E = std::remove_cvref_t<decltype(Words[0].value)>;

  static Result<E> parse(std::string_view text) {
    std::vector<std::string_view> known;
    for (const auto& word : Words) {
      if (word.word == text) return word.value;
      known.push_back(word.word);
    }
    std::string message = "is none of ";
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (i != 0) message += ", ";
      message += known[i];
    }
    return fail(message + suggestion(text, known), ErrorCode::invalid);
  }
  static std::string print(E value) {
    for (const auto& word : Words) {
      if (word.value == value) return std::string(word.word);
    }
    __builtin_unreachable();
  }
};

}  // namespace gitproc
