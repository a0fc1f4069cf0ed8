#include "bench/table.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

namespace gitproc::bench {

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const std::size_t middle = samples.size() / 2;
  if (samples.empty()) return 0;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

void Table::add(const std::string& row, const std::string& unit, const std::string& subject,
                const std::string& reference, double sample) {
  const auto found = std::ranges::find_if(
      series_, [&](const Series& series) { return series.row == row && series.subject == subject; });
  if (found != series_.end()) {
    found->samples.push_back(sample);
  } else {
    series_.push_back({row, unit, subject, reference, {sample}});
  }
}

double Table::reference_of(const Series& series) const {
  for (const Series& other : series_) {
    if (other.row == series.row && other.subject == series.reference) return median(other.samples);
  }
  return 0;
}

std::string Table::text() const {
  std::vector<std::string> rows;
  for (const Series& series : series_) {
    if (std::ranges::find(rows, series.row) == rows.end()) rows.push_back(series.row);
  }
  std::string text;
  char line[200];
  for (const std::string& row : rows) {
    text += "\n" + row + "\n";
    for (const Series& series : series_) {
      if (series.row != row) continue;
      const auto [least, most] = std::ranges::minmax_element(series.samples);
      std::snprintf(line, sizeof line, "  %-16s %11.3f %-4s", series.subject.c_str(), median(series.samples),
                    series.unit.c_str());
      text += line;
      if (const double reference = reference_of(series); reference > 0) {
        std::snprintf(line, sizeof line, " %8.2f x %-15s", median(series.samples) / reference,
                      series.reference.c_str());
        text += line;
      } else {
        text += std::string(26, ' ');
      }
      std::snprintf(line, sizeof line, " (%.3f to %.3f, %zu)\n", *least, *most, series.samples.size());
      text += line;
    }
  }
  return text;
}

std::string Table::json(int rounds) const {
  utsname machine{};
  ::uname(&machine);
  nlohmann::ordered_json document = {
      {"rounds", rounds},
      {"machine", {{"kernel", machine.release}, {"cpus", std::thread::hardware_concurrency()}}},
      {"series", nlohmann::ordered_json::array()}};
  for (const Series& series : series_) {
    const double reference = reference_of(series);
    document["series"].push_back(
        {{"row", series.row},
         {"unit", series.unit},
         {"subject", series.subject},
         {"median", median(series.samples)},
         {"ratio", reference > 0 ? nlohmann::ordered_json(median(series.samples) / reference)
                                 : nlohmann::ordered_json(nullptr)},
         {"samples", series.samples}});
  }
  return document.dump(2) + "\n";
}

}  // namespace gitproc::bench
