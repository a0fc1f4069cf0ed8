// Each folder of examples/ is a repository that works.
#include <unistd.h>

#include <filesystem>

#include "e2e/harness.h"

using namespace e2e;

namespace {

bool has_program(const std::string& name) { return run({"sh", "-c", "command -v " + name}).exit_code == 0; }

std::string commit_example(Sandbox& box, const std::string& name) {
  std::filesystem::copy(
      std::string(GITPROC_SOURCE_DIR) + "/examples/" + name, box.repo(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  return box.commit(name);
}

void runs_wholly(const std::string& name) {
  Sandbox box;
  std::string commit = commit_example(box, name);
  Outcome verified = box.cli({"verify", box.repo()});
  INFO(verified.out);
  CHECK(verified.exit_code == 0);
  box.start_agent();
  box.expect_applied(commit);
  box.expect_sync("synced");
  CHECK(box.status()["services"]["total"].get<int>() >= 3);
}

}  // namespace

TEST_CASE("the example quickstart runs") { runs_wholly("quickstart"); }

TEST_CASE("the example web runs, and reloads nginx when its configuration changes") {
  if (!has_program("nginx")) GITPROC_SKIP("nginx is not installed");
  Sandbox box;
  std::string commit = commit_example(box, "web");
  box.start_agent();
  box.expect_applied(commit);
  box.expect_sync("synced");
  std::string service = "web";
  REQUIRE(box.state(service) == "running");
  pid_t before = box.pid(service);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(box.repo())) {
    if (entry.path().extension() == ".conf" && entry.path().string().find(".git/") == std::string::npos) {
      write_text(entry.path().string(), read_text(entry.path().string()) + "\n# changed\n");
      break;
    }
  }
  box.expect_applied(box.commit());
  CHECK(box.pid(service) == before);
  CHECK(box.cli({"events"}).out.find("reload") != std::string::npos);
}

TEST_CASE("the example queue runs its workers from a template") {
  if (!has_program("redis-server")) GITPROC_SKIP("redis-server is not installed");
  runs_wholly("queue");
}
