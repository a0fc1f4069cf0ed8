#include "reconcile/base/defaulted.h"

#include <algorithm>
#include <set>
#include <vector>

#include "reconcile/base/diagnostic.h"
#include "reconcile/base/numbers.h"
#include "reconcile/base/object_id.h"
#include "reconcile/base/packed_strings.h"
#include "reconcile/base/rare.h"
#include "reconcile/base/service_set.h"
#include "reconcile/base/strings.h"
#include "reconcile/base/time.h"
#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("an object id is read from and written as 40 hexadecimal digits") {
  std::string hex = "0123456789abcdef0123456789abcdef01234567";
  CHECK(ObjectId::parse(hex)->hex() == hex);
  CHECK(ObjectId::parse("0123456789ABCDEF0123456789ABCDEF01234567")->hex() == hex);
  CHECK_FALSE(ObjectId::parse(hex.substr(1)));
  CHECK_FALSE(ObjectId::parse("g123456789abcdef0123456789abcdef01234567"));
}

TEST_CASE("a diagnostic reads like a compiler's") {
  CHECK(to_string(Diagnostic{"web.service", 4, 1, Severity::error, "bad value"}) ==
        "web.service:4: error: bad value");
  CHECK(to_string(Diagnostic{"web.service", 0, 0, Severity::warning, "odd"}) == "web.service: warning: odd");
}

TEST_CASE("UTF-8 is judged as RFC 3629 has it") {
  CHECK(is_utf8("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"));
  CHECK_FALSE(is_utf8("\xC0\xAF"));          // overlong
  CHECK_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
  CHECK_FALSE(is_utf8("\xF4\x90\x80\x80"));  // past U+10FFFF
  CHECK_FALSE(is_utf8("\xE2\x82"));          // cut short
}

TEST_CASE("adding an infinite span to any instant is never") {
  CHECK(after(Instant(Duration(5)), infinite) == never);
  CHECK(after(Instant(Duration(5)), Duration(3)) == Instant(Duration(8)));
}

TEST_CASE("a Defaulted compares by content, touched or not") {
  Defaulted<std::string> a, b;
  b.edit() = "";
  CHECK(a == b);
  b.edit() = "x";
  CHECK_FALSE(a == b);
  a = b;
  CHECK(&*a == &*b);
  b.edit() = "y";
  CHECK(*a == "x");
  CHECK(*b == "y");
  a.edit() = "z";
  a = std::move(b);
  CHECK(*a == "y");
}

TEST_CASE("what is equal can be held once, and is a value of its own all the same") {
  Defaulted<std::string> a, b;
  a.edit() = "x";
  b.edit() = "x";
  CHECK(&*a != &*b);
  b.share(a);
  CHECK(&*a == &*b);
  a.edit() = "y";
  CHECK(*b == "x");
  b.share(a);
  CHECK(*b == "x");
  Defaulted<std::string> untouched;
  b.edit() = "";
  b.share(untouched);
  CHECK(b->empty());
  untouched.share(a);
  CHECK(untouched->empty());
}

TEST_CASE("a set of services tells what a std::set would") {
  ServiceSet set;
  std::set<ServiceId> model;
  CHECK(set.empty());
  CHECK(set.begin() == set.end());
  std::uint32_t state = 7;
  for (int i = 0; i < 5000; ++i) {
    state = state * 1664525u + 1013904223u;
    ServiceId id{(state >> 16) % 200};
    if ((state >> 8) % 2 == 0) {
      set.insert(id);
      model.insert(id);
    } else {
      CHECK(set.erase(id) == (model.erase(id) != 0));
    }
    REQUIRE(set.contains(id) == model.contains(id));
    REQUIRE(set.size() == model.size());
    REQUIRE(std::ranges::equal(set, model));
  }
  set.clear();
  CHECK(set.empty());
  CHECK_FALSE(set.contains(ServiceId{3}));
  set = {ServiceId{1000}, ServiceId{0}, ServiceId{64}, ServiceId{63}};
  CHECK(std::vector<ServiceId>(set.begin(), set.end()) ==
        std::vector<ServiceId>{ServiceId{0}, ServiceId{63}, ServiceId{64}, ServiceId{1000}});
}

TEST_CASE("a Rare is a value of its own, or none") {
  Rare<std::string> a, b = std::string("x");
  CHECK_FALSE(a);
  a = b;
  *b = "y";
  CHECK(*a == "x");
  CHECK(*std::exchange(a, std::nullopt) == "x");
  CHECK_FALSE(a.has_value());
  CHECK(a == std::optional<std::string>());
  CHECK_FALSE(b == std::optional<std::string>());
  CHECK(b == std::optional<std::string>("y"));
  RareText text;
  CHECK(text.empty());
  CHECK(text.str().empty());
  text = "x";
  CHECK(text.str() == "x");
  text = "";
  CHECK(text.empty());
}

TEST_CASE("a number is the whole text or none") {
  CHECK(parse_number<int>("0") == 0);
  CHECK(parse_number<int>("-12") == -12);
  CHECK(parse_number<std::uint16_t>("65535") == 65535);
  CHECK(parse_number<unsigned>("0755", 8) == 0755u);
  CHECK(parse_number<unsigned>("ff", 16) == 0xffu);
  for (const char* text : {"", "-", " 1", "1 ", "1x", "+1", "0x1", "1.5", "99999999999"})
    CHECK_FALSE(parse_number<int>(text));
  for (const char* text : {"-1", "65536"})
    CHECK_FALSE(parse_number<std::uint16_t>(text));
  CHECK_FALSE(parse_number<unsigned>("8", 8));
}

TEST_CASE("text shown to a person holds no control characters and an end") {
  CHECK(printable("a\nb") == "a\\x0ab");
  CHECK(printable("abcdef", 3) == "abc...");
  CHECK(printable("ab\u20ac", 4) == "ab...");
  CHECK(printable("ab\xE2\x82") == "ab...");  // as a parser leaves a token that it did not read to its end
}

TEST_CASE("packed strings are the strings they were packed from, empty ones too") {
  PackedStrings none;
  CHECK(none.empty());
  CHECK(none.size() == 0);
  CHECK(none.unpacked().empty());

  PackedStrings some = {"", "a b", ""};
  CHECK_FALSE(some.empty());
  CHECK(some.size() == 3);
  CHECK(some.front().empty());
  CHECK(some.unpacked() == std::vector<std::string>{"", "a b", ""});
  CHECK(some != PackedStrings{"", "a b"});
  CHECK(PackedStrings{"ab"} != PackedStrings{"a", "b"});
  some.push_back(std::string(100, 'x'));
  CHECK(some.size() == 4);
  CHECK(some.unpacked().back() == std::string(100, 'x'));
  CHECK(some.unpacked().front().empty());
}
