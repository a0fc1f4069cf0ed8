// The language below the directives: lines, words, selectors, names, specifiers.
#include <map>

#include "reconcile/unit/environment_file.h"
#include "reconcile/unit/names.h"
#include "reconcile/unit/quoting.h"
#include "reconcile/unit/selector.h"
#include "reconcile/unit/specifiers.h"
#include "reconcile/unit/suggestion.h"
#include "reconcile/unit/syntax.h"
#include "reconcile/unit/testing.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

// Writes down what it is told: "3:1 [Unit]", "4:5 Unit Key=value", "5:1 error message".
class Transcript : public SyntaxVisitor {
 public:
  void section(const SectionHeader& header) override {
    add(header.position, "[" + std::string(header.name) + "]");
  }
  void assignment(const Assignment& assignment) override {
    add(assignment.key_position, assignment.section + " " + assignment.key + "=" + assignment.value);
    last = assignment;
  }
  void mistake(TextPosition position, Severity severity, std::string message) override {
    add(position, (severity == Severity::error ? "error: " : "warning: ") + message);
  }
  std::vector<std::string> lines;
  Assignment last;

 private:
  void add(TextPosition position, const std::string& text) {
    lines.push_back(std::to_string(position.line) + ":" + std::to_string(position.column) + " " + text);
  }
};

using Strings = std::vector<std::string>;

Strings transcript(std::string_view text) {
  Transcript transcript;
  parse_syntax(text, transcript);
  return transcript.lines;
}

Strings split_texts(std::string_view text, Backslash backslash) {
  auto words = split_words(text, backslash);
  if (!words) return {"error: " + words.error().message + " at " + std::to_string(words.error().offset)};
  Strings texts;
  for (const Word& word : *words)
    texts.push_back(word.text);
  return texts;
}

}  // namespace

TEST_CASE("lines: sections and assignments, wherever blanks and comments stand") {
  CHECK(transcript("\xEF\xBB\xBF[Unit]\r\n# \xFF is fine here\r\n  After = a "
                   "\r\n\r\n;x\n[Service]\nA=\n[Unit]\nA=b=c # d") ==
        Strings{"1:4 [Unit]", "3:3 Unit After=a", "6:1 [Service]", "7:1 Service A=", "8:1 [Unit]",
                "9:1 Unit A=b=c # d"});
}

TEST_CASE("lines: a backslash joins the next line, through comments, until the end of the file") {
  CHECK(transcript("[S]\nA=a\\\n  # comment\n;comment\nb \\\nc\nB=x\\\\\nC=y\\ \nD=z\\") ==
        Strings{"1:1 [S]", "2:1 S A=a b  c", "7:1 S B=x\\\\", "8:1 S C=y\\", "9:1 S D=z"});
  CHECK(transcript("[S]\nA=a \\\n\nB=b") == Strings{"1:1 [S]", "2:1 S A=a", "4:1 S B=b"});
}

TEST_CASE("lines: a place in a joined value is a place in the file") {
  Transcript transcript;
  parse_syntax("[S]\n A = one \\\n# no\n  two \\\nthree", transcript);
  REQUIRE(transcript.last.value == "one    two  three");
  CHECK(transcript.last.position_of(0) == TextPosition{2, 6});
  CHECK(transcript.last.position_of(transcript.last.value.find("two")) == TextPosition{4, 3});
  CHECK(transcript.last.position_of(transcript.last.value.find("three")) == TextPosition{5, 1});
}

TEST_CASE("lines: what systemd ignores is a warning, what it refuses an error") {
  CHECK(transcript("A=b\n[S]\nfoobar\n[S] x\nB=c\n[T\n[S]\nA=\xFF") ==
        Strings{"1:1 warning: 'A=b' is outside of any section and is ignored", "2:1 [S]",
                "3:1 warning: 'foobar' has no '=' and is ignored", "4:4 error: text after ']'",
                "5:1 warning: 'B=c' is outside of any section and is ignored", "6:1 error: '[T' has no ']'",
                "7:1 [S]", "8:1 error: the line is not valid UTF-8"});
  CHECK(transcript(std::string_view("[S]\nA=\0", 7)) ==
        Strings{"1:1 [S]", "2:3 error: the line holds a NUL byte"});
}

TEST_CASE("words: quotes and escapes") {
  const auto keep = Backslash::escape_or_keep;
  CHECK(split_texts("a  'b c' \"d e\" f'g h'i \"\"", keep) == Strings{"a", "b c", "d e", "fg hi", ""});
  CHECK(split_texts(R"(\a\t\x41\101\u00e9\U0001F600\s\q\$ \)", keep) ==
        Strings{"\a\tAA\u00e9\U0001F600 \\q\\$", "\\"});
  CHECK(split_texts(R"(\x00 \ud800 \400 \xg1)", keep) == Strings{"\\x00", "\\ud800", "\\400", "\\xg1"});
  CHECK(split_texts("a 'b", keep) == Strings{"error: has an unbalanced quote ' at 2"});
  CHECK(split_texts(R"(a b\d)", Backslash::escape_or_fail) ==
        Strings{"error: holds the unknown escape '\\d' at 3"});
  CHECK(split_texts(R"(a\x2db 'c d')", Backslash::ordinary) == Strings{"a\\x2db", "c d"});
  CHECK(split_texts(R"(a\ b 'c)", Backslash::protects) == Strings{"a b", "c"});
}

TEST_CASE("words: what was quoted is read back") {
  for (const std::string& word :
       {std::string("plain"), std::string(""), std::string("a b"), std::string("'\"\\"), std::string(";"),
        std::string("\xFF\n\x7F"), std::string("\u00e9 \t"), std::string("a\\")}) {
    CHECK(split_texts(quote_word(word), Backslash::escape_or_keep) == Strings{word});
    CHECK(split_texts(quote_word(word), Backslash::escape_or_fail) == Strings{word});
    CHECK(split_texts(quote_plain_word(word), Backslash::ordinary) == Strings{word});
  }
}

TEST_CASE("variables are replaced word by word") {
  const std::map<std::string, std::string, std::less<>> variables = {
      {"ONE", "one"}, {"TWO", "two two"}, {"QUOTED", "'a b' c\\ d"}, {"EMPTY", ""}};
  auto lookup = [&](std::string_view name) {
    auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  CHECK(expand_environment({"$TWO", "${TWO}", "a${ONE}b", "$QUOTED", "$EMPTY", "${EMPTY}", "$NOPE", "${NOPE}",
                            "$", "$$x", "pre$ONE", "$ONE/x", "${ONE:-d}", "${ONE", "${a$$b:c$$", "x $$"},
                           lookup) == Strings{"two", "two", "two two", "aoneb", "a b", "c d", "", "", "$x",
                                              "pre$ONE", "${ONE:-d}", "${ONE", "${a$$b:c$", "x $"});
}

TEST_CASE("variables cannot make arguments endless") {
  const std::string value(1 << 20, 'x');
  std::string word;
  for (int i = 0; i < 1000; ++i)
    word += "${X}";
  auto expanded =
      expand_environment({word, word, word}, [&](std::string_view) { return std::optional(value); });
  REQUIRE(expanded.size() == 1);
  CHECK(expanded[0].size() > max_expanded_arguments_bytes);
  CHECK(expanded[0].size() < max_expanded_arguments_bytes + 2 * value.size());
}

TEST_CASE("environment files: quotes, comments and line ends") {
  using Variables = std::vector<EnvironmentVariable>;
  CHECK(parse_environment_file("A='x\ny'\nB=\"a\\\"\\n\\\nb\"c\nC=a\\ b \\\r\n c\n1=2\nA=z\r\nD=\"\\") ==
        Variables{{"A", "z"}, {"B", "a\"\\nbc"}, {"C", "a b  c"}, {"D", ""}});
  CHECK(parse_environment_file("A=\xFF").error().message == "the environment file is not valid UTF-8");
  CHECK(parse_environment_file(std::string_view("A=\0", 3)).error().message ==
        "the environment file holds a NUL byte");
}

TEST_CASE("selectors are those of Kubernetes") {
  const Labels web = {{"role", "web"}, {"zone", "a"}, {"example.org/ssd", ""}};
  auto selects = [&](std::string_view text) {
    auto selector = parse_selector(text);
    REQUIRE(selector.has_value());
    return matches(*selector, web);
  };
  for (const char* text :
       {"", "role=web", "role==web,zone!=b", "role in (db, web)", "zone notin (b,c)", "example.org/ssd",
        "!gpu", "gpu!=x", "gpu notin (x)", "example.org/ssd=", " role = web , ! gpu "}) {
    INFO(text);
    CHECK(selects(text));
  }
  for (const char* text : {"role=db", "role!=web", "role in (db)", "zone notin (a)", "gpu", "!role",
                           "gpu=", "role=web,zone=b"}) {
    INFO(text);
    CHECK_FALSE(selects(text));
  }
  for (const char* text : {",", "role=web,", "role in web", "role in (a", "role in (a b)", "=web", "a b",
                           "role=we/b", "-a", "/x", "a!b", "!", "role=a=b"}) {
    INFO(text);
    CHECK_FALSE(parse_selector(text).has_value());
  }
  CHECK(parse_selector("role in web").error().message == "expects '(' and not 'web'");
}

TEST_CASE("names of services, templates and instances") {
  CHECK(is_valid_service_name("foo-bar@a-b\\x2fc:d"));
  CHECK(is_valid_service_name("worker@"));
  CHECK(is_valid_service_name(std::string(247, 'a')));
  for (const std::string& name :
       {std::string(), std::string(248, 'a'), std::string(".x"), std::string("@x"), std::string("a b"),
        std::string("a/b"), std::string("daemon"), std::string("\u00e9")}) {
    CHECK_FALSE(is_valid_service_name(name));
  }
  CHECK(is_template("worker@"));
  CHECK_FALSE(is_template("worker@1"));
  CHECK_FALSE(is_template("a@b@"));
  CHECK(template_of("worker@1") == "worker@");
  CHECK(template_of("worker@") == std::nullopt);
  CHECK(instance_of("foo@bar@baz") == "bar@baz");
  CHECK(prefix_of("foo@bar@baz") == "foo");
  CHECK(unescape_name("a-b\\x2fc\\xZZ") == "a/b/c\\xZZ");
  CHECK(escape_name(".a/b-c d.e") == "\\x2ea-b\\x2dc\\x20d.e");
}

TEST_CASE("specifiers of an instance and of a plain unit") {
  auto expand = [](std::string_view text, std::string name) {
    auto result = expand_specifiers(text, {.name = std::move(name), .fragment_path = "units/foo.service"},
                                    test_machine());
    return result ? *result : "error: " + result.error().message;
  };
  CHECK(
      expand("%n %N %p %P %i %I %j %J %f", "foo-bar@a-b\\x2fc:d") ==
      "foo-bar@a-b\\x2fc:d.service foo-bar@a-b\\x2fc:d foo-bar foo/bar a-b\\x2fc:d a/b/c:d bar bar /a/b/c:d");
  CHECK(expand("[%i][%I][%f]", "foo-bar") == "[][][/foo/bar]");
  CHECK(expand("%y %Y %R %t %S %C %L %E %T %V", "web") ==
        "/var/lib/gitproc/tree/units/foo.service /var/lib/gitproc/tree/units /var/lib/gitproc/tree /run "
        "/var/lib /var/cache "
        "/var/log /etc /tmp /var/tmp");
  CHECK(expand("%H %l %m %b %v %a %o %w %u %U %g %G %h %s", "web") ==
        "node1.example.org node1 3d1219c7c4c5404aaa1f6d2a48adfda4 8c5ac45e418240c08790d7a85642c7b9 "
        "6.1.0-18-amd64 x86-64 debian "
        "12 root 0 root 0 /root /bin/bash");
  CHECK(expand("100%% 50% off %- %", "web") == "100% 50% off %- %");
  CHECK(expand("%Z", "web") == "error: unknown specifier '%Z' ('%' itself is '%%')");
}

TEST_CASE("suggestions are close words only") {
  const std::vector<std::string_view> words = {"ExecStart", "Restart", "RestartSec", "always"};
  CHECK(suggestion("ExecStrat", words) == " (did you mean 'ExecStart'?)");
  CHECK(suggestion("execstart", words) == " (did you mean 'ExecStart'?)");
  CHECK(suggestion("ALWAYS", words) == " (did you mean 'always'?)");
  CHECK(suggestion("Colour", words).empty());
  CHECK(suggestion(std::string(1000, 'x'), words).empty());
}

}  // namespace gitproc
