#include "reconcile/unit/url_variables.h"

#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("variables of the unit stand anywhere in a health check's URL") {
  std::vector<EnvironmentVariable> environment = {{"PORT", "80"}, {"PORT", "8080"}, {"PATH_1", "up"}};
  CHECK(expand_url_variables("http://[::1]:$PORT/$PATH_1", environment) == "http://[::1]:8080/up");
  CHECK(expand_url_variables("tcp://h:${PORT}0", environment) == "tcp://h:80800");
  CHECK(expand_url_variables("http://h/$NONE?a=$$b&c=$&d=${PORT", environment) ==
        "http://h/?a=$b&c=$&d=${PORT");
}
