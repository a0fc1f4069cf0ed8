// What was measured: samples by row and subject, shown as medians and as multiples of the loop.
#pragma once

#include <string>
#include <vector>

namespace gitproc::bench {

struct Series {
  std::string row;
  std::string unit;  // of the samples: "ms", "KiB", ...
  std::string subject;
  std::string reference;  // the subject that this one is compared with
  std::vector<double> samples;
};

double median(std::vector<double> samples);

class Table {
 public:
  void add(const std::string& row, const std::string& unit, const std::string& subject,
           const std::string& reference, double sample);
  // A table for people.
  std::string text() const;
  // {"rounds", "machine", "series": [{"row","unit","subject","median","ratio","samples"}]}
  std::string json(int rounds) const;

 private:
  // The median of the series' reference in the same row; 0 where it was not measured.
  double reference_of(const Series& series) const;
  std::vector<Series> series_;
};

}  // namespace gitproc::bench
