#include "reconcile/unit/finish.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace gitproc {
namespace {

// Keeps the first of equal values, in the order they came.
void remove_repetitions(std::vector<std::string>& names) {
  if (names.size() > 1) {
    std::set<std::string_view> seen;
    std::vector<std::string> kept;
    for (const std::string& name : names) {
      if (seen.insert(name).second) kept.push_back(name);
    }
    names = std::move(kept);
  }
  names.shrink_to_fit();
}

// A later assignment takes the place of an earlier one of the same variable.
void remove_overridden(std::vector<EnvironmentVariable>& variables) {
  std::map<std::string_view, std::size_t> last;
  for (std::size_t i = 0; i < variables.size(); ++i)
    last[variables[i].first] = i;
  if (last.size() < variables.size()) {
    std::vector<EnvironmentVariable> kept;
    kept.reserve(last.size());
    for (std::size_t i = 0; i < variables.size(); ++i) {
      if (last.at(variables[i].first) == i) kept.push_back(variables[i]);
    }
    variables = std::move(kept);
  }
  variables.shrink_to_fit();
}

// Keys tell all values apart that differ, so that one content has one order.
template <typename T, typename Key>
void sort_by(std::vector<T>& values, Key key) {
  std::sort(values.begin(), values.end(), [&](const T& a, const T& b) { return key(a) < key(b); });
  values.shrink_to_fit();
}

void decide_type(Draft& draft) {
  Unit& unit = draft.unit;
  if (draft.type) {
    unit.type = *draft.type;
  } else if (draft.has_bus_name) {
    unit.type = ServiceType::dbus;
  } else {
    unit.type = unit.start.empty() ? ServiceType::oneshot : ServiceType::simple;
  }
  if (unit.type == ServiceType::dbus) {
    draft.report(draft.last_type.file, draft.last_type.position, Severity::warning,
                 "Type=dbus is treated like Type=simple: GitProc does not wait for a bus name");
  }
  // Without anybody who may notify, such a service could never become ready or stay alive.
  const bool needs_notify = unit.type == ServiceType::notify || unit.timeouts->watchdog != infinite;
  if (needs_notify && unit.notify_access == NotifyAccess::none) unit.notify_access = NotifyAccess::main;
}

void apply_permissions_start_only(Unit& unit) {
  AuxiliaryCommands& commands = unit.auxiliary.edit();
  for (auto* phase : {&commands.condition, &commands.start_pre, &commands.start_post, &commands.reload,
                      &commands.stop, &commands.stop_post}) {
    for (ExecCommand& command : *phase) {
      command.is_privileged = true;
      command.keeps_user = false;
    }
  }
}

void apply_directory_modes(Draft& draft) {
  if (draft.unit.exec->directories.empty()) return;
  for (ManagedDirectory& directory : draft.unit.exec.edit().directories) {
    directory.mode = draft.directory_modes[static_cast<std::size_t>(directory.kind)].value_or(directory.mode);
  }
}

// The structure that systemd.service(5) asks for, beyond single values.
void check_structure(Draft& draft, const std::string& main_path) {
  const Unit& unit = draft.unit;
  const bool is_oneshot = unit.type == ServiceType::oneshot;
  auto report_whole = [&](std::string message) {
    draft.report(main_path, {}, Severity::error, std::move(message));
  };
  auto report_at = [&](const SettingPlace& place, std::string message) {
    draft.report(place.file, place.position, Severity::error, std::move(message));
  };
  // Where there is a faulty ExecStart=, or a line that could not be read and may have been one, that was reported.
  if (unit.start.empty() && draft.last_start.file.empty() && !has_errors(draft.diagnostics)) {
    if (!is_oneshot || !unit.remains_after_exit || unit.auxiliary->stop.empty()) {
      report_whole(
          "there is no ExecStart=, which only a Type=oneshot unit with RemainAfterExit=yes and ExecStop= may "
          "leave out");
    }
  }
  if (unit.start.size() > 1 && !is_oneshot) {
    report_at(draft.last_start, "there is more than one ExecStart=, which only a Type=oneshot unit may have");
  }
  if (is_oneshot &&
      (unit.restart->mode == RestartMode::always || unit.restart->mode == RestartMode::on_success)) {
    report_at(draft.last_restart, "Restart=always and on-success cannot be combined with Type=oneshot");
  }
}

void settle_lists(Unit& unit) {
  unit.start.shrink_to_fit();
  if (*unit.dependencies != Dependencies{}) {
    Dependencies& relations = unit.dependencies.edit();
    for (auto* names : {&relations.requires_, &relations.requisite, &relations.binds_to, &relations.wants,
                        &relations.part_of, &relations.conflicts, &relations.before, &relations.after}) {
      remove_repetitions(*names);
    }
  }
  if (*unit.auxiliary != AuxiliaryCommands{}) {
    AuxiliaryCommands& commands = unit.auxiliary.edit();
    for (auto* phase : {&commands.condition, &commands.start_pre, &commands.start_post, &commands.reload,
                        &commands.stop, &commands.stop_post}) {
      phase->shrink_to_fit();
    }
  }
  if (!unit.conditions->empty()) {
    sort_by(unit.conditions.edit(), [](const Condition& condition) {
      return std::tuple(condition.is_assert, condition.kind, std::string_view(condition.parameter),
                        condition.is_negated, condition.is_triggering);
    });
  }
  if (!unit.watched->empty()) {
    auto key = [](const WatchedPath& watched) {
      return std::tuple(!watched.restarts, std::string_view(watched.path));
    };
    std::vector<WatchedPath>& watched = unit.watched.edit();
    sort_by(watched, key);
    watched.erase(std::unique(watched.begin(), watched.end()), watched.end());
  }
}

void settle_exec_context(Unit& unit) {
  if (*unit.exec == ExecContext{}) return;
  ExecContext& exec = unit.exec.edit();
  remove_overridden(exec.environment);
  exec.environment_files.shrink_to_fit();
  for (auto* names : {&exec.supplementary_groups, &exec.pass_environment, &exec.unset_environment}) {
    remove_repetitions(*names);
  }
  sort_by(exec.limits, [](const ResourceLimit& limit) { return limit.kind; });
  sort_by(exec.directories, [](const ManagedDirectory& directory) {
    return std::tuple(directory.kind, std::string_view(directory.path));
  });
  exec.directories.erase(std::unique(exec.directories.begin(), exec.directories.end()),
                         exec.directories.end());
}

}  // namespace

void finish_unit(Draft& draft, const std::string& main_path) {
  if (draft.last_type.file.empty()) draft.last_type.file = main_path;
  decide_type(draft);
  check_structure(draft, main_path);
  if (draft.permissions_start_only && *draft.unit.auxiliary != AuxiliaryCommands{})
    apply_permissions_start_only(draft.unit);
  apply_directory_modes(draft);
  settle_lists(draft.unit);
  settle_exec_context(draft.unit);
}

}  // namespace gitproc
