// For tests: a repository in a temporary directory, driven by the real git.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "drivers/base/temporary_directory.h"
#include "reconcile/base/error.h"
#include "reconcile/base/object_id.h"
#include "reconcile/base/strings.h"

namespace gitproc {

// Whether a result is there and equals a value: g++ 12 cannot compare an expected optional with an optional.
template <typename T, typename Value>
bool holds(const Result<T>& result, const Value& value) {
  return result.has_value() && *result == value;
}

class ScratchRepository {
 public:
  explicit ScratchRepository(const std::string& init_options = "") : path_(directory_ / "repository") {
    shell("git init -q -b main " + init_options + " " + path_);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string beside(const std::string& name) const { return directory_ / name; }

  // The output of a shell command in which git knows an author and no configuration of the machine; throws
  // when it fails.
  static std::string shell(const std::string& command) {
    static constexpr std::string_view environment =
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Ada "
        "GIT_AUTHOR_EMAIL=ada@example.org "
        "GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org LC_ALL=C; umask 022; ";
    FILE* pipe = popen(("(" + std::string(environment) + command + ") 2>&1").c_str(), "re");
    if (pipe == nullptr) throw std::runtime_error("cannot run: " + command);
    std::string output;
    char buffer[4096];
    while (std::size_t size = fread(buffer, 1, sizeof buffer, pipe))
      output.append(buffer, size);
    if (int status = pclose(pipe); status != 0) throw std::runtime_error(command + ": " + output);
    return std::string(trim(output));
  }

  std::string git(const std::string& arguments) const { return shell("git -C " + path_ + " " + arguments); }

  void write(const std::string& name, std::string_view content) const {
    std::string file = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }

  ObjectId commit(const std::string& message) const {
    git("add -A && git -C " + path_ + " commit -q --allow-empty -m '" + message + "'");
    return id("HEAD");
  }
  // Writes one file and commits everything.
  ObjectId commit(const std::string& name, std::string_view content) const {
    write(name, content);
    return commit("change " + name);
  }

  ObjectId id(const std::string& revision) const {
    return ObjectId::parse(git("rev-parse " + revision)).value();
  }

  std::string loose_object(const ObjectId& id) const {
    std::string hex = id.hex();
    return git("rev-parse --absolute-git-dir") + "/objects/" + hex.substr(0, 2) + "/" + hex.substr(2);
  }

 private:
  TemporaryDirectory directory_;
  std::string path_;
};

}  // namespace gitproc
