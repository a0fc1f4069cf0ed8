#include "reconcile/plan/plan.h"

#include <algorithm>
#include <random>
#include <set>

#include "reconcile/unit/loader.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

UnitPtr unit(const std::string& name, const std::string& unit_lines = "",
             const std::string& service_lines = "", const std::string& own_lines = "") {
  const std::string text = "[Unit]\n" + unit_lines + "[Service]\nExecStart=/bin/true\n" + service_lines +
                           "[X-GitProc]\n" + own_lines;
  ObjectId blob;
  for (std::size_t i = 0; i < text.size(); ++i)
    blob.bytes[i % blob.bytes.size()] ^= static_cast<std::uint8_t>(text[i]);
  const UnitLoad loaded = load_unit(name, {{name + ".service", blob, text}}, SpecifierContext{});
  INFO((loaded.diagnostics.empty() ? "" : to_string(loaded.diagnostics.front())));
  REQUIRE(loaded.unit);
  return loaded.unit;
}

UnitMap units(const std::vector<UnitPtr>& list) {
  UnitMap result;
  for (const UnitPtr& each : list)
    result[each->name] = each;
  return result;
}

UnitPtr with_content(const UnitPtr& unit, unsigned char content) {
  Unit changed = *unit;
  ObjectId id;
  id.bytes[0] = content;
  for (WatchedPath& watched : changed.watched.edit())
    watched.content = id;
  return std::make_shared<const Unit>(std::move(changed));
}

std::vector<std::string> plan(const UnitMap& from, const UnitMap& to) {
  std::vector<std::string> result;
  for (const Action& action : make_plan(from, to).actions)
    result.push_back(to_string(action));
  return result;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("Removed units stop, then changed ones restart, then new ones start, each in its order") {
  const auto from = units({unit("db"), unit("web", "After=db.service\n"), unit("old"),
                           unit("older", "Before=old.service\n"), unit("same")});
  const auto to = units({unit("db", "", "Nice=5\n"), unit("web", "After=db.service\n", "User=www\n"),
                         unit("same"), unit("a", "After=b.service\n"), unit("b")});
  CHECK(plan(from, to) == Lines{"stop old: removed", "stop older: removed",
                                "restart db: Nice changed in db.service",
                                "restart web: User changed in web.service", "start b: new", "start a: new"});
  CHECK(plan(from, from).empty());
  CHECK(plan({}, {}).empty());
}

TEST_CASE("The order between two units may go by way of one that does not change") {
  const auto from = units({unit("a", "After=m.service\n"), unit("m", "After=z.service\n"), unit("z")});
  const auto to = units({unit("a", "After=m.service\n", "Nice=1\n"), unit("m", "After=z.service\n"),
                         unit("z", "", "Nice=1\n")});
  CHECK(plan(from, to) ==
        Lines{"restart z: Nice changed in z.service", "restart a: Nice changed in a.service"});
}

TEST_CASE("A change is no more than it needs") {
  CHECK(plan(units({unit("a")}), units({unit("a", "Description=x\n")})) ==
        Lines{"update a: Description changed in a.service"});
  CHECK(plan(units({unit("a")}), units({unit("a", "", "MemoryMax=1G\n")})) ==
        Lines{"adjust a: MemoryMax changed in a.service"});
  CHECK(plan(units({unit("a")}),
             units({unit("a", "", "ExecStop=/bin/true\nUser=a\nGroup=a\nNice=1\nUMask=077\n")}))
            .front()
            .ends_with("more changed in a.service"));
}

TEST_CASE("A watched file reloads what can be reloaded and restarts the rest") {
  const UnitPtr can = unit("can", "", "ExecReload=/bin/true\n", "ReloadOn=conf\n");
  const UnitPtr cannot = unit("cannot", "", "", "ReloadOn=conf\n");
  const UnitPtr must = unit("must", "", "ExecReload=/bin/true\n", "RestartOn=conf\n");
  CHECK(plan(units({can, cannot, must}),
             units({with_content(can, 1), with_content(cannot, 1), with_content(must, 1)})) ==
        Lines{"reload can: ReloadOn=conf changed", "restart cannot: ReloadOn=conf changed",
              "restart must: RestartOn=conf changed"});
}

TEST_CASE("A restart takes along what requires the unit, is bound to it or part of it") {
  const UnitPtr web = unit("web", "Requires=db.service\nAfter=db.service\n");
  const UnitPtr proxy = unit("proxy", "BindsTo=web.service\nAfter=web.service\n");
  const UnitPtr log = unit("log", "PartOf=db.service\n");
  const UnitPtr wants = unit("wants", "Wants=db.service\nAfter=db.service\n");
  const UnitPtr off = unit("off", "Requires=db.service\n", "", "DesiredState=stopped\n");
  CHECK(plan(units({unit("db"), web, proxy, log, wants, off}),
             units({unit("db", "", "Nice=1\n"), web, proxy, log, wants, off})) ==
        Lines{"restart db: Nice changed in db.service", "restart log: is part of db, which restarts",
              "restart web: requires db, which restarts", "restart proxy: is bound to web, which restarts"});
}

TEST_CASE("A restart outweighs what would have been less") {
  CHECK(plan(units({unit("db"), unit("web", "Requires=db.service\n")}),
             units({unit("db", "", "Nice=1\n"), unit("web", "Requires=db.service\nDescription=x\n")})) ==
        Lines{"restart db: Nice changed in db.service", "restart web: requires db, which restarts"});
}

TEST_CASE("DesiredState=stopped is registered, becoming so stops, with what requires it") {
  const UnitPtr off = unit("a", "", "", "DesiredState=stopped\n");
  const UnitPtr needs = unit("needs", "Requires=a.service\nAfter=a.service\n");
  CHECK(plan({}, units({off})).empty());
  CHECK(plan(units({off}), {}).empty());
  CHECK(plan(units({off}), units({unit("a", "", "Nice=1\n", "DesiredState=stopped\n")})).empty());
  CHECK(plan(units({off}), units({unit("a")})) == Lines{"start a: DesiredState changed in a.service"});
  CHECK(plan(units({unit("a"), needs}), units({off, needs})) ==
        Lines{"stop needs: requires a, which stops", "stop a: DesiredState changed in a.service"});
}

TEST_CASE("Whatever two snapshots are, a plan keeps its waves, its order and its promises") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&random](unsigned bound) { return static_cast<unsigned>(random() % bound); };
    // Relations go to earlier letters only, so that there is no cycle.
    const auto some_units = [&below] {
      std::vector<UnitPtr> list;
      for (unsigned i = 0; i < 8; ++i) {
        if (below(4) == 0) continue;
        std::string relations;
        static const char* const kinds[] = {"After=", "Requires=", "PartOf=", "Wants=", "BindsTo="};
        for (unsigned k = i == 0 ? 0 : below(3); k > 0; --k) {
          relations += kinds[below(5)] + std::string(1, static_cast<char>('a' + below(i))) + ".service\n";
        }
        list.push_back(unit(std::string(1, static_cast<char>('a' + i)), relations,
                            below(2) == 0 ? "Nice=" + std::to_string(below(3)) + "\n" : "",
                            below(5) == 0 ? "DesiredState=stopped\n" : ""));
      }
      return units(list);
    };
    const UnitMap from = some_units(), to = some_units();
    CHECK(make_plan(from, from) == Plan{});
    CHECK(make_plan(from, to) == make_plan(from, to));

    const auto runs_in = [](const UnitMap& map, const std::string& name) {
      const auto found = map.find(name);
      return found != map.end() && found->second->is_desired_running;
    };
    const Plan made = make_plan(from, to);
    std::set<std::string> seen;
    int wave = 0;
    for (const Action& action : made.actions) {
      CAPTURE(to_string(action));
      CHECK(seen.insert(action.unit).second);
      CHECK_FALSE(action.reason.empty());
      const int own_wave = action.verb == Verb::stop ? 0 : action.verb == Verb::start ? 2 : 1;
      CHECK(own_wave >= wave);
      wave = own_wave;
      CHECK(runs_in(from, action.unit) == (action.verb != Verb::start));
      CHECK((action.verb == Verb::stop || runs_in(to, action.unit)));
    }
    for (const auto& [name, each] : to) {
      if (each->is_desired_running && !runs_in(from, name)) CHECK(seen.contains(name));
    }
    for (const auto& [name, each] : from) {
      if (each->is_desired_running && !runs_in(to, name)) CHECK(seen.contains(name));
    }
    // Order within the last two waves: each after what it is directly after.
    for (std::size_t i = 0; i < made.actions.size(); ++i) {
      for (std::size_t k = i + 1; k < made.actions.size(); ++k) {
        const bool is_same_wave =
            made.actions[i].verb != Verb::stop && made.actions[k].verb != Verb::stop &&
            (made.actions[i].verb == Verb::start) == (made.actions[k].verb == Verb::start);
        if (!is_same_wave) continue;
        const auto& after = to.at(made.actions[i].unit)->dependencies->after;
        CHECK(std::ranges::find(after, made.actions[k].unit) == after.end());
      }
    }
  }
}
