#include "drivers/process/environment_files.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>

#include "drivers/base/system_call.h"
#include "reconcile/unit/environment_file.h"

namespace gitproc {
namespace {

Result<void> read_one(const std::string& path, std::vector<EnvironmentVariable>& variables) {
  Result<std::string> text = read_file(path, max_environment_file_bytes);
  if (!text) return std::unexpected(text.error());
  Result<std::vector<EnvironmentVariable>> parsed = parse_environment_file(*text);
  if (!parsed) return fail("cannot read '" + path + "': " + parsed.error().message, parsed.error().code);
  variables.insert(variables.end(), std::make_move_iterator(parsed->begin()),
                   std::make_move_iterator(parsed->end()));
  return {};
}

}  // namespace

std::vector<std::string> match_paths(const std::string& pattern) {
  std::vector<std::string> paths;
  if (pattern.find_first_of("*?[\\{") == std::string::npos) {
    struct stat status;
    if (::stat(pattern.c_str(), &status) == 0) paths.push_back(pattern);
    return paths;
  }
  glob_t matches{};
  if (::glob(pattern.c_str(), GLOB_NOSORT | GLOB_BRACE, nullptr, &matches) == 0) {
    for (std::size_t i = 0; i < matches.gl_pathc; ++i)
      paths.emplace_back(matches.gl_pathv[i]);
  }
  ::globfree(&matches);
  std::ranges::sort(paths);
  return paths;
}

Result<std::vector<EnvironmentVariable>> read_environment_files(const std::vector<EnvironmentFile>& files) {
  std::vector<EnvironmentVariable> variables;
  for (const EnvironmentFile& file : files) {
    std::vector<std::string> paths = match_paths(file.path);
    if (paths.size() > max_environment_files) {
      return fail("cannot read '" + file.path + "': it matches more than " +
                  std::to_string(max_environment_files) + " files");
    }
    if (paths.empty()) paths.push_back(file.path);  // for the error that says why
    for (const std::string& path : paths) {
      Result<void> read = read_one(path, variables);
      // As in systemd, "-" covers whatever keeps the file from being read.
      if (!read && !file.is_optional) return std::unexpected(read.error());
    }
  }
  return variables;
}

}  // namespace gitproc
