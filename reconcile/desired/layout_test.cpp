#include "reconcile/desired/layout.h"

#include "reconcile/desired/catalog.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

const NodeIdentity web_1{"web-1", {{"role", "web"}, {"example.com/zone", "b"}}};

std::string describe(std::string_view path) {
  const Place place = place_of(path, layers_of(web_1));
  if (const auto* file = std::get_if<UnitFile>(&place)) return "unit " + file->name;
  if (const auto* drop_in = std::get_if<DropInFile>(&place)) return "drop-in of '" + drop_in->stem + "'";
  if (const auto* misnamed = std::get_if<MisnamedFile>(&place)) return misnamed->message;
  return std::holds_alternative<UnitFolder>(place) ? "folder" : "nothing";
}

}  // namespace

TEST_CASE("What a path means for a node") {
  CHECK(describe("web.service") == "unit web");
  CHECK(describe("worker@.service") == "unit worker@");
  CHECK(describe("worker@a.service") == "unit worker@a");
  CHECK(describe("nodes/web-1/web.service") == "unit web");
  CHECK(describe("groups/role=web/web.service") == "unit web");
  CHECK(describe("groups/example.com/zone=b/web.service") == "unit web");
  CHECK(describe("web.service.d/10-limits.conf") == "drop-in of 'web'");
  CHECK(describe("service.d/all.conf") == "drop-in of ''");
  CHECK(describe("nodes/web-1/foo-.service.d/x.conf") == "drop-in of 'foo-'");
  CHECK(describe("web.service/README") == "unit web");  // a folder in its place

  CHECK(describe("nodes/db-1/web.service") == "nothing");
  CHECK(describe("groups/role=db/web.service") == "nothing");
  CHECK(describe("data/web.service") == "nothing");
  CHECK(describe("web.service.d/README") == "nothing");
  CHECK(describe("web.service.d/.hidden.conf") == "nothing");
  CHECK(describe("web.service.d/sub/x.conf") == "nothing");
  CHECK(describe("web.timer") == "nothing");
  CHECK(describe("README.md") == "nothing");

  CHECK(describe("nodes") == "folder");
  CHECK(describe("nodes/web-1") == "folder");
  CHECK(describe("groups/example.com") == "folder");
  CHECK(describe("web.service.d") == "folder");

  CHECK(describe("daemon.service") == "'daemon' is a reserved service name");
  CHECK(describe("a b.service") == "'a b' is not a valid service name");
  CHECK(describe(".service") == "'' is not a valid service name");
  CHECK(describe("\xff.service") == "the name of a unit file must be UTF-8");
  CHECK(describe("web.service.d/\xff.conf") == "the name of a drop-in must be UTF-8");
}

TEST_CASE("Only folders that matter are looked into") {
  for (const char* folder : {"", "nodes", "nodes/web-1", "groups", "groups/role=web", "groups/example.com",
                             "groups/example.com/zone=b", "web.service.d", "service.d", "web.service",
                             "nodes/web-1/web.service.d", "groups/role=web/service.d"}) {
    CAPTURE(folder);
    CHECK(may_hold_units(folder, web_1));
  }
  for (const char* folder : {"data", "nodes/web-10", "nodes/web", "nodes/web-1/data", "groups/role=db",
                             "groups/role", "groups/role=web/nodes", "web.service.d/sub", "node"}) {
    CAPTURE(folder);
    CHECK_FALSE(may_hold_units(folder, web_1));
  }
}

TEST_CASE("Units, drop-ins and the folders of nodes and groups are no data") {
  for (const char* path : {"web.service", "web.service.d", "web.service.d/x.conf", "service.d/x.conf",
                           "nodes", "nodes/web-1/nginx.conf", "groups/role=web/x"}) {
    CAPTURE(path);
    CHECK_FALSE(is_data(path));
  }
  for (const char* path : {"nginx.conf", "conf/web.service", "README.md", "nodes.json", "web.service.txt"}) {
    CAPTURE(path);
    CHECK(is_data(path));
  }
}

TEST_CASE("Drop-in folders of a unit, most specific first") {
  using Stems = std::vector<std::string>;
  CHECK(drop_in_stems("web") == Stems{"web", ""});
  CHECK(drop_in_stems("foo-bar-baz") == Stems{"foo-bar-baz", "foo-bar-", "foo-", ""});
  CHECK(drop_in_stems("foo-bar@x-y") == Stems{"foo-bar@x-y", "foo-bar@", "foo-@x-y", "foo-@", ""});
  CHECK(drop_in_stems("foo-") == Stems{"foo-", ""});
}

TEST_CASE("A drop-in folder's scope holds every unit it applies to") {
  for (const std::string name : {"web", "foo-bar-baz", "foo-bar@x-y", "foo-", "w@1", "-a", "a--b"}) {
    for (const std::string& stem : drop_in_stems(name)) {
      CAPTURE(name, stem);
      const StemScope scope = scope_of(stem);
      CHECK((scope.is_exact ? name == scope.prefix : name.starts_with(scope.prefix)));
    }
  }
}

TEST_CASE("A link stays inside the repository or leads nowhere") {
  CHECK(resolve_link("w@1.service", "w@.service") == "w@.service");
  CHECK(resolve_link("nodes/a/w@1.service", "../../w@.service") == "w@.service");
  CHECK(resolve_link("nodes/a/w@1.service", ".././/b/w@.service") == "nodes/b/w@.service");
  CHECK(resolve_link("w@1.service", "../w@.service") == "");
  CHECK(resolve_link("w@1.service", "/etc/passwd") == "");
  CHECK(resolve_link("w@1.service", "") == "");
}
