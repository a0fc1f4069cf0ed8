#include "reconcile/graph/graph.h"

#include <algorithm>
#include <random>

#include "testing/catch.h"

using namespace gitproc;

namespace {

using Names = std::vector<std::string>;

Unit unit(std::string name, Names after = {}, Names before = {}) {
  Unit result;
  result.name = std::move(name);
  if (!after.empty()) result.dependencies.edit().after = std::move(after);
  if (!before.empty()) result.dependencies.edit().before = std::move(before);
  return result;
}

DependencyGraph graph(const std::vector<Unit>& units) {
  DependencyGraph result;
  for (const Unit& each : units)
    result.set(each);
  return result;
}

}  // namespace

TEST_CASE("Units come after what they are ordered after, and among equals by name") {
  const auto web =
      graph({unit("web", {"db", "cache"}), unit("db"), unit("cache", {}, {"db"}), unit("apple")});
  CHECK(web.order() == Names{"apple", "cache", "db", "web"});
  CHECK(web.after("web") == Names{"cache", "db"});
  CHECK(web.after("db") == Names{"cache"});
  CHECK(web.before("cache") == Names{"db", "web"});
  CHECK(web.order({"web", "cache", "unknown"}) == Names{"cache", "web"});
}

TEST_CASE("A relation to a unit that is not there counts as soon as it is") {
  DependencyGraph graph;
  graph.set(unit("a", {"z"}));
  CHECK(graph.after("a").empty());
  CHECK(graph.order() == Names{"a"});

  graph.set(unit("z"));
  CHECK(graph.after("a") == Names{"z"});
  CHECK(graph.order() == Names{"z", "a"});

  graph.remove("z");
  CHECK(graph.order() == Names{"a"});

  graph.set(unit("z"));
  CHECK(graph.order() == Names{"z", "a"});
}

TEST_CASE("An edge that both ends declare stays until neither does") {
  auto both = graph({unit("a", {"b"}), unit("b", {}, {"a"})});
  both.set(unit("a"));
  CHECK(both.after("a") == Names{"b"});
  both.set(unit("b"));
  CHECK(both.after("a").empty());
  CHECK(both.before("b").empty());
}

TEST_CASE("A unit that is ordered after itself is not a cycle") {
  CHECK(graph({unit("a", {"a"}, {"a"})}).order() == Names{"a"});
}

TEST_CASE("A cycle is told with its path") {
  const auto knotted =
      graph({unit("a", {"b"}), unit("b", {"c"}), unit("c", {"a"}), unit("d", {"a"}), unit("e")});
  const auto order = knotted.order();
  REQUIRE_FALSE(order.has_value());
  CHECK(order.error() == Cycle{"a", "b", "c", "a"});
  CHECK(to_string(order.error()) == "a -> b -> c -> a");
  CHECK(knotted.check({"d"}).error() == Cycle{"a", "b", "c", "a"});
  CHECK(knotted.check({"e"}).has_value());
  CHECK(knotted.order({"a", "b", "d"}) == Names{"b", "a", "d"});
}

TEST_CASE("A cycle of Before= alone is one too") {
  CHECK(graph({unit("a", {}, {"b"}), unit("b", {}, {"a"})}).order().error() == Cycle{"a", "b", "a"});
  CHECK(graph({unit("a", {"b"}, {"b"}), unit("b")}).check({"b"}).error() == Cycle{"a", "b", "a"});
}

TEST_CASE("Each knot is found once, with a shortest cycle") {
  const std::map<std::string, Names> edges = {{"a", {"b", "d"}}, {"b", {"c"}}, {"c", {"a"}},
                                              {"d", {"a", "x"}}, {"x", {"y"}}, {"y", {"x"}},
                                              {"z", {"a"}}};
  const auto knots = find_knots({"z"}, [&](const std::string& name) { return edges.at(name); });
  CHECK(knots == std::vector<Knot>{{{"a", "b", "c", "d"}, {"a", "d", "a"}}, {{"x", "y"}, {"x", "y", "x"}}});
}

TEST_CASE("A very long cycle is shortened in words only") {
  DependencyGraph ring;
  for (int i = 0; i < 20'000; ++i) {
    ring.set(unit("u" + std::to_string(i), {"u" + std::to_string((i + 1) % 20'000)}));
  }
  const auto order = ring.order();
  REQUIRE_FALSE(order.has_value());
  CHECK(order.error().size() == 20'001);
  CHECK(to_string(order.error()).size() < 300);
}

TEST_CASE("Whatever changes, an order satisfies every edge and a reported cycle is one") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&random](unsigned bound) { return static_cast<unsigned>(random() % bound); };
    std::map<std::string, Unit> model;
    DependencyGraph graph;
    for (int step = 0; step < 120; ++step) {
      const std::string name = "u" + std::to_string(below(14));
      if (below(4) == 0) {
        model.erase(name);
        graph.remove(name);
      } else {
        Unit changed = unit(name);
        for (unsigned i = below(3); i > 0; --i) {
          const std::string other = "u" + std::to_string(below(14));
          (below(2) == 0 ? changed.dependencies.edit().after : changed.dependencies.edit().before)
              .push_back(other);
        }
        model[name] = changed;
        graph.set(changed);
      }

      std::set<std::pair<std::string, std::string>> edges;  // later, earlier
      for (const auto& [key, each] : model) {
        for (const std::string& other : each.dependencies->after) {
          if (other != key && model.contains(other)) edges.emplace(key, other);
        }
        for (const std::string& other : each.dependencies->before) {
          if (other != key && model.contains(other)) edges.emplace(other, key);
        }
      }
      for (const auto& [key, each] : model) {
        Names after, before;
        for (const auto& [later, earlier] : edges) {
          if (later == key) after.push_back(earlier);
          if (earlier == key) before.push_back(later);
        }
        REQUIRE(graph.after(key) == after);
        REQUIRE(graph.before(key) == before);
      }
      const auto order = graph.order();
      if (order) {
        REQUIRE(order->size() == model.size());
        for (const auto& [later, earlier] : edges) {
          REQUIRE(std::find(order->begin(), order->end(), earlier) <
                  std::find(order->begin(), order->end(), later));
        }
      } else {
        const Cycle& cycle = order.error();
        REQUIRE(cycle.size() >= 3);
        REQUIRE(cycle.front() == cycle.back());
        for (std::size_t i = 0; i + 1 < cycle.size(); ++i)
          REQUIRE(edges.contains({cycle[i], cycle[i + 1]}));
      }
      Names all;
      for (const auto& [key, each] : model)
        all.push_back(key);
      REQUIRE(graph.check(all).has_value() == order.has_value());
    }
  }
}
