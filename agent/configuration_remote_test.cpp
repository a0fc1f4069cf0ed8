#include "agent/configuration.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

const Paths defaults{
    .config = "/c", .repo = "/r", .state_dir = "/s", .log_dir = "/l", .run_dir = "/u", .socket = "/k"};

std::string error_of(std::vector<std::string> sets) {
  AgentArguments arguments;
  arguments.config = "/dev/null";
  arguments.sets = std::move(sets);
  Result<Configuration> configuration = load_configuration(arguments, defaults);
  return configuration ? "" : configuration.error().message;
}

}  // namespace

TEST_CASE("a remote that anybody on the way could forge needs a word for it") {
  CHECK(error_of({"remote.url=https://example.org/x"}) == "");
  CHECK(error_of({"remote.url=git@example.org:x"}) == "");
  CHECK(error_of({"remote.url=http://127.0.0.1/x"}) == "");
  CHECK(error_of({"remote.url=http://ada:s3cret@example.org/x"}) ==
        "'remote.url' is refused: whoever is on the way could change what 'http://ada:***@example.org/x' "
        "sends; use "
        "https or ssh, verify signatures, or set remote.insecure");
  CHECK(error_of({"remote.url=git://example.org/x", "remote.insecure=true"}) == "");
}

TEST_CASE("a mistake in what is said of the remote names its key") {
  CHECK(error_of({"remote.url=x"}).starts_with("--set: 'remote.url' is no address of a remote"));
  CHECK(error_of({"remote.poll_interval=0"}) == "--set: 'remote.poll_interval' must be from 1s to 1 week");
  CHECK(error_of({"remote.ssh_key=key"}) == "--set: 'remote.ssh_key' must be an absolute path, not 'key'");
  CHECK(error_of({"remote.force_push=merge"}) ==
        R"(--set: 'remote.force_push' must be one of "hold", "follow")");
}
