#include <algorithm>
#include <random>

#include "reconcile/desired/catalog.h"
#include "reconcile/desired/repository_in_memory.h"
#include "reconcile/graph/graph.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

// Makes small repositories in which everything refers to everything, and mistakes happen.
class Author {
 public:
  explicit Author(unsigned seed) : random_(seed) {}

  void change_something(RepositoryInMemory& files) {
    const std::string path = some_path();
    switch (below(10)) {
      case 0:
      case 1:
      case 2: files.remove(path); break;
      case 3: files.link(path, below(4) == 0 ? "/dev/null" : some_target(path)); break;
      case 4:
        if (below(8) == 0) {
          files.write(path, "", EntryKind::submodule);
        } else {
          files.write("conf/" + std::string(1, "ab"[below(2)]), std::to_string(below(3)));
        }
        break;
      default: files.write(path, path.ends_with(".conf") ? drop_in() : unit()); break;
    }
  }

  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

 private:
  std::string some_name() {
    static const std::vector<std::string> names = {"a",  "b",   "c",   "foo-x", "foo-y",
                                                   "w@", "w@1", "w@2", "alias"};
    return names[below(static_cast<unsigned>(names.size()))];
  }
  std::string some_layer() {
    static const std::vector<std::string> layers = {
        "", "", "", "nodes/n/", "groups/r=w/", "groups/z=b/", "nodes/m/"};
    return layers[below(static_cast<unsigned>(layers.size()))];
  }
  std::string some_path() {
    if (below(4) != 0) return some_layer() + some_name() + ".service";
    static const std::vector<std::string> stems = {"a.", "foo-.", "w@.", "w@1.", "foo-x.", ""};
    return some_layer() + stems[below(static_cast<unsigned>(stems.size()))] + "service.d/" +
           std::to_string(below(2)) + ".conf";
  }
  std::string some_target(const std::string& path) {
    std::string up;
    for (const char c : path) {
      if (c == '/') up += "../";
    }
    if (path.find("w@") != std::string::npos && below(4) != 0) return up + "w@.service";
    return up + some_name() + ".service";
  }
  std::string unit() {
    std::string text = "[Unit]\n";
    static const std::vector<std::string> relations = {"After",   "Before", "Wants",     "Requires",
                                                       "BindsTo", "PartOf", "Conflicts", "After"};
    for (unsigned i = below(3); i > 0; --i) {
      text += relations[below(static_cast<unsigned>(relations.size()))] + "=" + some_name() + ".service\n";
    }
    if (below(12) == 0) text += "Nonsense=1\n";
    text += "[Service]\nExecStart=/bin/true " + std::to_string(below(3)) + "\n";
    if (below(25) == 0) text += "Type=nonsense\n";
    text += "[X-GitProc]\n";
    if (below(6) == 0) text += "DesiredState=stopped\n";
    if (below(8) == 0) text += "NodeSelector=r=" + std::string(below(2) == 0 ? "w" : "v") + "\n";
    if (below(3) == 0) text += "RestartOn=conf" + std::string(below(2) == 0 ? "/a" : "") + "\n";
    if (below(4) == 0)
      text += "[Install]\nAlias=" + std::string(below(2) == 0 ? "alias" : "other") + ".service\n";
    return text;
  }
  std::string drop_in() {
    if (below(3) == 0) return "[Unit]\nAfter=" + some_name() + ".service\n";
    return "[Service]\nNice=" + std::to_string(below(3)) + "\n";
  }

  std::mt19937 random_;
};

std::vector<std::pair<std::string, Unit>> values(const UnitMap& units) {
  std::vector<std::pair<std::string, Unit>> result;
  for (const auto& [name, unit] : units)
    result.emplace_back(name, *unit);
  return result;
}

std::vector<std::string> words(const Diagnostics& diagnostics) {
  std::vector<std::string> result;
  for (const Diagnostic& each : diagnostics)
    result.push_back(to_string(each));
  return result;
}

// The promises that hold for every accepted commit.
void check_consistency(const UnitMap& units) {
  DependencyGraph graph;
  for (const auto& [name, unit] : units)
    graph.set(*unit);
  REQUIRE(graph.order().has_value());
  for (const auto& [name, unit] : units) {
    for (const auto* names : {&unit->dependencies->requires_, &unit->dependencies->binds_to}) {
      for (const std::string& other : *names)
        REQUIRE((other == name || units.contains(other)));
    }
    for (const std::string& other : unit->dependencies->conflicts) {
      const auto found = units.find(other);
      const bool both_run = found != units.end() && other != name && unit->is_desired_running &&
                            found->second->is_desired_running;
      REQUIRE_FALSE(both_run);
    }
  }
}

void run(unsigned seed, bool skips_invalid, unsigned& accepted, unsigned& rejected) {
  CAPTURE(seed, skips_invalid);
  const Catalog::Options options{
      .node = {"n", {{"r", "w"}, {"z", "b"}}}, .specifiers = {}, .skips_invalid = skips_invalid};
  Author author(seed);
  RepositoryInMemory files;
  Catalog catalog(options);
  for (int step = 0; step < 60; ++step) {
    CAPTURE(step);
    for (unsigned i = 1 + author.below(step == 0 ? 12 : 3); i > 0; --i)
      author.change_something(files);

    const auto before = values(catalog.units());
    const auto update = catalog.update(files.changes(), files);
    Catalog fresh(options);
    const auto expected = fresh.update(files.everything(), files);

    REQUIRE(update.has_value() == expected.has_value());
    if (!update) {
      ++rejected;
      REQUIRE(words(update.error().errors) == words(expected.error().errors));
      REQUIRE(values(catalog.units()) == before);
      if (author.below(2) == 0) files.revert();
      continue;
    }
    ++accepted;
    files.accept();
    REQUIRE(words(update->warnings) == words(expected->warnings));
    REQUIRE(values(catalog.units()) == values(fresh.units()));
    std::map<std::string, Unit> patched(before.begin(), before.end());
    for (const UnitChange& change : update->changes) {
      if (change.unit) {
        REQUIRE((!patched.contains(change.name) || patched.at(change.name) != *change.unit));
        patched.insert_or_assign(change.name, *change.unit);
      } else {
        REQUIRE(patched.erase(change.name) == 1);
      }
    }
    REQUIRE(std::vector<std::pair<std::string, Unit>>(patched.begin(), patched.end()) ==
            values(catalog.units()));
    check_consistency(catalog.units());
  }
}

}  // namespace

TEST_CASE("A Catalog that follows commits equals one that reads the last of them") {
  unsigned accepted = 0, rejected = 0;
  for (unsigned seed = 1; seed <= 100; ++seed)
    run(seed, false, accepted, rejected);
  // Both must be common, or the test says little.
  CHECK(accepted > 500);
  CHECK(rejected > 500);
}

TEST_CASE("So does one that skips what is invalid") {
  unsigned accepted = 0, rejected = 0;
  // 198: a unit that was left out for its alias was read again for the sake of another's.
  run(198, true, accepted, rejected);
  for (unsigned seed = 1; seed <= 100; ++seed)
    run(seed, true, accepted, rejected);
  CHECK(accepted == 101 * 60);
}
