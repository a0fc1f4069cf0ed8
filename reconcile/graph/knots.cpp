#include <algorithm>
#include <map>
#include <memory_resource>
#include <optional>

#include "reconcile/base/strings.h"
#include "reconcile/graph/graph.h"

namespace gitproc {
namespace {

constexpr std::size_t max_printed_cycle = 20;

// Tarjan's strongly connected components with an explicit stack: a chain of 100,000 units must not overflow
// the one of the process.
class KnotSearch {
 public:
  explicit KnotSearch(const std::function<std::vector<std::string>(const std::string&)>& after)
      : after_(after) {}

  void search(const std::string& root) {
    if (places_.contains(root)) return;
    enter(root);
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.next < frame.after.size()) {
        const std::string& name = frame.after[frame.next++];
        const auto seen = places_.find(name);
        if (seen == places_.end()) {
          enter(name);
        } else if (seen->second.is_open) {
          frame.place->second.low = std::min(frame.place->second.low, seen->second.number);
        }
      } else {
        leave();
      }
    }
  }

  std::vector<Knot> take() {
    std::sort(knots_.begin(), knots_.end(),
              [](const Knot& a, const Knot& b) { return a.members < b.members; });
    return std::move(knots_);
  }

 private:
  struct Place {
    std::size_t number = 0, low = 0;
    bool is_open = true;
  };
  using Places = std::pmr::map<std::string, Place>;
  struct Frame {
    Places::iterator place;
    std::vector<std::string> after;
    std::size_t next = 0;
  };

  void enter(const std::string& name) {
    const std::size_t number = places_.size();
    const auto place = places_.emplace(name, Place{number, number, true}).first;
    open_.push_back(place);
    frames_.push_back({place, after_(name), 0});
  }

  void leave() {
    const auto place = frames_.back().place;
    frames_.pop_back();
    if (!frames_.empty()) {
      Place& parent = frames_.back().place->second;
      parent.low = std::min(parent.low, place->second.low);
    }
    if (place->second.low == place->second.number) close(place);
  }

  void close(Places::iterator root) {
    std::vector<std::string> members;
    for (bool is_root = false; !is_root;) {
      const auto member = open_.back();
      open_.pop_back();
      member->second.is_open = false;
      members.push_back(member->first);
      is_root = member == root;
    }
    if (members.size() < 2) return;
    std::sort(members.begin(), members.end());
    Cycle cycle = shortest_cycle(members);
    knots_.push_back({std::move(members), std::move(cycle)});
  }

  // Breadth first from the first member until it is met again.
  Cycle shortest_cycle(const std::vector<std::string>& members) const {
    const std::string& start = members.front();
    std::map<std::string, std::string> reached_from;
    std::vector<std::string> queue = {start};
    for (std::size_t i = 0; i < queue.size() && !reached_from.contains(start); ++i) {
      const std::string from = queue[i];
      for (const std::string& name : after_(from)) {
        if (!std::binary_search(members.begin(), members.end(), name)) continue;
        if (reached_from.emplace(name, from).second && name != start) queue.push_back(name);
      }
    }
    Cycle cycle = {start};
    for (std::string name = reached_from.at(start); name != start; name = reached_from.at(name)) {
      cycle.push_back(name);
    }
    cycle.push_back(start);
    std::reverse(cycle.begin(), cycle.end());
    return cycle;
  }

  const std::function<std::vector<std::string>(const std::string&)>& after_;
  std::pmr::monotonic_buffer_resource scratch_;  // a search is made between the units that stay
  Places places_{&scratch_};
  std::vector<Places::iterator> open_;
  std::vector<Frame> frames_;
  std::vector<Knot> knots_;
};

}  // namespace

std::vector<Knot> find_knots(const std::vector<std::string>& roots,
                             const std::function<std::vector<std::string>(const std::string&)>& after) {
  KnotSearch search(after);
  for (const std::string& root : roots)
    search.search(root);
  return search.take();
}

std::string to_string(const Cycle& cycle) {
  if (cycle.size() <= max_printed_cycle) return join(cycle, " -> ");
  std::vector<std::string> shown(cycle.begin(), cycle.begin() + max_printed_cycle / 2);
  shown.push_back("(" + std::to_string(cycle.size() - max_printed_cycle) + " more)");
  shown.insert(shown.end(), cycle.end() - max_printed_cycle / 2, cycle.end());
  return join(shown, " -> ");
}

}  // namespace gitproc
