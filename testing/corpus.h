// The corpus beside a fuzz target, for the test that replays it: what once was found stays found.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace gitproc {

// The files of `folder`/corpus by name, with their bytes; `folder` is relative to the sources.
inline std::map<std::string, std::string> corpus_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(GITPROC_SOURCE_DIR "/" + folder + "/corpus")) {
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().filename()] = std::string(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

}  // namespace gitproc
