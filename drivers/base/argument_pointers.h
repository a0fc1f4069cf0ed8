// Texts as execve(2) and posix_spawn(3) take them.
#pragma once

#include <string>
#include <vector>

namespace gitproc {

// Points into `texts`, with a null pointer at the end; valid until one of them is changed.
inline std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace gitproc
