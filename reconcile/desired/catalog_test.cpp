#include "reconcile/desired/catalog.h"

#include <algorithm>

#include "reconcile/base/strings.h"
#include "reconcile/desired/repository_in_memory.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

const Catalog::Options web_1{.node = {"web-1", {{"role", "web"}, {"zone", "b"}}}, .specifiers = {}};

std::string service(const std::string& unit_lines = "", const std::string& own_lines = "",
                    const std::string& command = "/bin/true") {
  return "[Unit]\n" + unit_lines + "[Service]\nExecStart=" + command + "\n[X-GitProc]\n" + own_lines;
}

// "web db-" for a changed or new web and a removed db.
std::string changes_of(const CatalogUpdate& update) {
  std::string text;
  for (const UnitChange& change : update.changes) {
    text += (text.empty() ? "" : " ") + change.name + (change.unit ? "" : "-");
  }
  return text;
}

// The story of one node: write files, commit them, see what comes of it.
struct Story {
  RepositoryInMemory files;
  Catalog catalog{web_1};

  // What changed, or the errors (one a line), or why it cannot be read.
  std::string commit() {
    const auto update = catalog.update(files.changes(), files);
    if (update) {
      files.accept();
      return changes_of(*update);
    }
    if (update.error().unreadable) return "unreadable: " + update.error().unreadable->message;
    std::string text;
    for (const Diagnostic& error : update.error().errors)
      text += to_string(error) + "\n";
    return text;
  }

  const Unit& unit(std::string_view name) const { return *catalog.units().find(name)->second; }
  std::vector<std::string> sources(std::string_view name) const {
    std::vector<std::string> paths;
    for (const UnitSource& source : unit(name).sources)
      paths.push_back(source.path);
    return paths;
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("Units come, change and go with their files") {
  Story story;
  story.files.write("web.service", service());
  story.files.write("db.service", service());
  story.files.write("README.md", "hello");
  CHECK(story.commit() == "db web");

  story.files.write("web.service", service("", "", "/bin/false"));
  CHECK(story.commit() == "web");
  CHECK(story.unit("web").start.front().program() == "/bin/false");

  story.files.write("README.md", "bye");
  CHECK(story.commit() == "");

  story.files.remove("db.service");
  CHECK(story.commit() == "db-");
  CHECK(story.catalog.units().size() == 1);
}

TEST_CASE("A node's folder wins over its groups' and they over the top") {
  Story story;
  story.files.write("web.service", service());
  story.files.write("groups/role=web/web.service", service());
  story.files.write("groups/role=db/db.service", service());
  story.files.write("nodes/web-2/db.service", service());
  CHECK(story.commit() == "web");
  CHECK(story.sources("web") == Names{"groups/role=web/web.service"});

  story.files.write("nodes/web-1/web.service", service());
  CHECK(story.commit() == "web");
  CHECK(story.sources("web") == Names{"nodes/web-1/web.service"});

  story.files.remove("nodes/web-1/web.service");
  story.files.remove("groups/role=web/web.service");
  CHECK(story.commit() == "web");
  CHECK(story.sources("web") == Names{"web.service"});
}

TEST_CASE("Two groups that both apply must not hold the same unit") {
  Story story;
  story.files.write("groups/role=web/web.service", service());
  story.files.write("groups/zone=b/web.service", service());
  CHECK(story.commit() ==
        "groups/role=web/web.service: error: 'groups/zone=b/web.service' holds the same unit, and both "
        "groups apply\n"
        "groups/zone=b/web.service: error: 'groups/role=web/web.service' holds the same unit, and both "
        "groups apply\n");
}

TEST_CASE("Drop-ins add up: top, groups, node, the same name is replaced by the more specific level") {
  Story story;
  const std::string text = "[Service]\nNice=1\n";
  story.files.write("web.service", service());
  for (const char* path :
       {"web.service.d/20.conf", "web.service.d/30.conf", "service.d/10.conf", "service.d/20.conf",
        "groups/role=web/web.service.d/05.conf", "groups/zone=b/web.service.d/05.conf",
        "nodes/web-1/web.service.d/30.conf", "web.service.d/README", "db.service.d/10.conf"}) {
    story.files.write(path, text);
  }
  CHECK(story.commit() == "web");
  CHECK(story.sources("web") == Names{"web.service", "service.d/10.conf", "web.service.d/20.conf",
                                      "groups/role=web/web.service.d/05.conf",
                                      "groups/zone=b/web.service.d/05.conf",
                                      "nodes/web-1/web.service.d/30.conf"});

  story.files.remove("web.service.d/20.conf");
  story.files.link("nodes/web-1/service.d/10.conf", "/dev/null");
  CHECK(story.commit() == "web");
  CHECK(story.sources("web") ==
        Names{"web.service", "service.d/20.conf", "groups/role=web/web.service.d/05.conf",
              "groups/zone=b/web.service.d/05.conf", "nodes/web-1/web.service.d/30.conf"});
}

TEST_CASE("Prefix, template and instance folders apply, the more specific of the same name") {
  Story story;
  const std::string text = "[Service]\nNice=1\n";
  story.files.write("app-job@.service", service());
  story.files.link("app-job@1.service", "app-job@.service");
  story.files.write("app-job@.service.d/20.conf", text);
  story.files.write("app-job@1.service.d/20.conf", text);
  story.files.write("app-job@.service.d/30.conf", text);
  story.files.write("app-@.service.d/10.conf", text);
  CHECK(story.commit() == "app-job@1");
  CHECK(story.sources("app-job@1") == Names{"app-job@.service", "app-@.service.d/10.conf",
                                            "app-job@1.service.d/20.conf", "app-job@.service.d/30.conf"});
  story.files.remove("app-@.service.d/10.conf");
  CHECK(story.commit() == "app-job@1");
  story.files.write("app-.service.d/10.conf", text);
  CHECK(story.commit() == "");
}

TEST_CASE("A template runs by its instances: links to it, or files of their own") {
  Story story;
  story.files.write("worker@.service", service("", "", "/bin/echo %i"));
  story.files.link("worker@a.service", "worker@.service");
  story.files.link("nodes/web-1/worker@b.service", "../../worker@.service");
  story.files.write("worker@c.service", service());
  CHECK(story.commit() == "worker@a worker@b worker@c");
  CHECK(story.unit("worker@b").start.front().arguments == PackedStrings{"/bin/echo", "b"});

  story.files.write("worker@.service", service("", "", "/bin/printf %i"));
  CHECK(story.commit() == "worker@a worker@b");

  story.files.write("nodes/web-1/worker@.service", service("", "", "/bin/echo %i"));
  CHECK(story.commit() == "worker@a worker@b");
  CHECK(story.sources("worker@a") == Names{"nodes/web-1/worker@.service"});

  story.files.remove("nodes/web-1/worker@.service");
  story.files.remove("worker@.service");
  CHECK(story.commit() ==
        "nodes/web-1/worker@b.service: error: links to 'worker@.service', which is not in the commit\n"
        "worker@a.service: error: links to 'worker@.service', which is not in the commit\n");
}

TEST_CASE("A template's mistake is told once, whatever the number of instances, unused it is none") {
  Story story;
  story.files.write("worker@.service", "[Service]\nExecStart=\"\n");
  CHECK(story.commit() == "");
  story.files.link("worker@a.service", "worker@.service");
  story.files.link("worker@b.service", "worker@.service");
  const std::string errors = story.commit();
  CHECK(errors.starts_with("worker@.service:2: error: "));
  CHECK(std::ranges::count(errors, '\n') == 1);
}

TEST_CASE("What is not a unit file cannot stand in its place") {
  Story story;
  story.files.write("ok.service", service());
  story.files.write("module.service", "", EntryKind::submodule);
  story.files.write("folder.service/file", "");
  story.files.link("out.service", "../../etc/shadow");
  story.files.link("absolute.service", "/etc/systemd/system/x.service");
  story.files.link("data.service", "README.md");
  story.files.link("gone.service", "missing.service");
  story.files.link("one.service", "worker@.service");
  story.files.write("worker@.service", service());
  story.files.write("daemon.service", service());
  story.files.write("b\xff.service", service());
  story.files.write("ok.service.d/x.conf", "", EntryKind::submodule);
  story.files.link("nodes", "elsewhere");
  CHECK(
      story.commit() ==
      "absolute.service: error: links to '/etc/systemd/system/x.service', which is not a unit file of this "
      "repository for this node\n"
      "b\\xff.service: error: the name of a unit file must be UTF-8\n"
      "daemon.service: error: 'daemon' is a reserved service name\n"
      "data.service: error: links to 'README.md', which is not a unit file of this repository for this node\n"
      "folder.service: error: is a folder in the place of a unit file\n"
      "gone.service: error: links to 'missing.service', which is not in the commit\n"
      "module.service: error: is a submodule in the place of a unit file\n"
      "nodes: error: is a symbolic link in the place of a folder of units\n"
      "ok.service.d/x.conf: error: is a submodule; a drop-in must be a file\n"
      "one.service: error: links to 'worker@.service'; only 'worker@INSTANCE.service' can link to a "
      "template\n"
      "out.service: error: links to '../../etc/shadow', which is not a unit file of this repository for this "
      "node\n");
  CHECK(story.catalog.units().empty());
}

TEST_CASE("Hostile sizes are clear errors") {
  Story story;
  story.files.write("big.service", std::string(10u << 20, '#'));
  std::string long_text = service();
  for (int i = 0; i < 100'000; ++i)
    long_text += "\n";
  story.files.write("long.service", long_text);
  story.files.write("many.service", service());
  for (int i = 0; i < 300; ++i)
    story.files.write("many.service.d/" + std::to_string(i) + ".conf", "");
  const std::string errors = story.commit();
  CHECK(errors.find("big.service: error: is larger than 1048576 bytes\n") == 0);
  CHECK(errors.find("\nlong.service: error: the file has more than 20000 lines\n") != std::string::npos);
  CHECK(errors.find("\nmany.service: error: has 300 drop-ins, at most 256 are taken\n") != std::string::npos);
}

TEST_CASE("More errors than anybody reads are counted") {
  Story story;
  for (int i = 0; i < 1500; ++i) {
    story.files.write("u" + std::to_string(i) + ".service", "", EntryKind::submodule);
  }
  const auto update = story.catalog.update(story.files.changes(), story.files);
  REQUIRE_FALSE(update);
  CHECK(update.error().errors.size() == max_reported_diagnostics);
  CHECK(update.error().errors.back().message == "and 501 more");
}

TEST_CASE("A masked unit is not run, and no error") {
  Story story;
  story.files.write("web.service", service());
  story.files.write("db.service", service());
  CHECK(story.commit() == "db web");
  story.files.link("nodes/web-1/web.service", "/dev/null");
  story.files.write("nodes/web-1/db.service", "");
  CHECK(story.commit() == "db- web-");
}

TEST_CASE("A unit that is for other nodes is left out, with its mistakes") {
  Story story;
  story.files.write("web.service", service("", "NodeSelector=role=web,zone!=a\n"));
  story.files.write("db.service", service("", "NodeSelector=role in (db)\n"));
  CHECK(story.commit() == "web");
  story.files.write("web.service", service("", "NodeSelector=!zone\n"));
  CHECK(story.commit() == "web-");
}

TEST_CASE("A commit with an error leaves everything as it was") {
  Story story;
  story.files.write("web.service", service());
  story.files.write("db.service", service());
  CHECK(story.commit() == "db web");
  const UnitMap before = story.catalog.units();

  story.files.write("web.service", "[Service]\nType=nonsense\n");
  story.files.write("new.service", service());
  story.files.remove("db.service");
  CHECK(story.commit().starts_with("web.service"));
  CHECK(story.catalog.units() == before);
}

TEST_CASE("What cannot be read is neither deleted nor a mistake") {
  Story story;
  story.files.write("web.service", service());
  CHECK(story.commit() == "web");
  story.files.write("web.service", service("", "", "/bin/false"));
  story.files.lose("web.service");
  CHECK(story.commit().starts_with("unreadable: cannot read 'web.service': object "));
  CHECK(story.unit("web").start.front().program() == "/bin/true");
}

TEST_CASE("What is required must be there, at the line that says so") {
  Story story;
  story.files.write("web.service",
                    service("Description=x\nRequires=db.service \\\n cache.service\nWants=gone.service\n"));
  story.files.write("web.service.d/x.conf", "[Unit]\nBindsTo=bus.service\n");
  CHECK(story.commit() ==
        "web.service:3: error: Requires=db.service: there is no such unit on this node\n"
        "web.service:4: error: Requires=cache.service: there is no such unit on this node\n"
        "web.service.d/x.conf:2: error: BindsTo=bus.service: there is no such unit on this node\n");
}

TEST_CASE("A unit that others require cannot be removed without them") {
  Story story;
  story.files.write("web.service", service("Requires=db.service\nAfter=db.service\n"));
  story.files.write("db.service", service());
  CHECK(story.commit() == "db web");
  story.files.remove("db.service");
  CHECK(story.commit() == "web.service:2: error: Requires=db.service: there is no such unit on this node\n");
}

TEST_CASE("A required unit with a mistake is told once") {
  Story story;
  story.files.write("web.service", service("Requires=db.service\n"));
  story.files.write("db.service", "[Service]\nExecStart=\"\n");
  const std::string errors = story.commit();
  CHECK(errors.starts_with("db.service:2: error: "));
  CHECK(std::ranges::count(errors, '\n') == 1);
}

TEST_CASE("A cycle is an error with its path") {
  Story story;
  story.files.write("a.service", service("After=b.service\n"));
  story.files.write("b.service", service("Wants=c.service\nBefore=a.service\n"));
  story.files.write("c.service", service());
  CHECK(story.commit() == "a b c");
  story.files.write("c.service", service("Before=b.service\nAfter=a.service\n"));
  CHECK(story.commit() == "a.service:2: error: ordering cycle: a -> b -> c -> a\n");
}

TEST_CASE("Units that conflict cannot both run") {
  Story story;
  story.files.write("a.service", service("Conflicts=b.service\n"));
  story.files.write("b.service", service("", "DesiredState=stopped\n"));
  CHECK(story.commit() == "a b");
  story.files.write("b.service", service());
  CHECK(story.commit() == "a.service:2: error: Conflicts=b.service: both are to run on this node\n");
}

TEST_CASE("A second name stands for the unit, in the relations of others") {
  Story story;
  story.files.write("redis-server.service", service() + "[Install]\nAlias=redis.service\n");
  story.files.write("web.service",
                    service("Requires=redis.service\nAfter=redis.service redis-server.service\n"));
  CHECK(story.commit() == "redis-server web");
  CHECK(story.unit("web").dependencies->requires_ == Names{"redis-server"});
  CHECK(story.unit("web").dependencies->after == Names{"redis-server"});

  // Without the alias, what requires it must be looked at again.
  story.files.write("redis-server.service", service());
  CHECK(story.commit() ==
        "web.service:2: error: Requires=redis.service: there is no such unit on this node\n");

  story.files.revert();
  story.files.write("redis-server.service", service());
  story.files.link("redis.service", "redis-server.service");
  story.catalog = Catalog(web_1);
  auto update = story.catalog.update(story.files.everything(), story.files);
  REQUIRE(update);
  CHECK(changes_of(*update) == "redis-server web");
  CHECK(story.unit("web").dependencies->requires_ == Names{"redis-server"});
}

TEST_CASE("Two units cannot have one name") {
  Story story;
  story.files.write("a.service", service() + "[Install]\nAlias=x.service\n");
  CHECK(story.commit() == "a");
  story.files.write("b.service", service() + "[Install]\nAlias=x.service\n");
  story.files.write("x.service", service());
  CHECK(story.commit() ==
        "a.service:6: error: Alias=x.service: there is a unit of that name\n"
        "b.service:6: error: Alias=x.service: there is a unit of that name\n");
}

TEST_CASE("Watched files and folders belong to the unit") {
  Story story;
  story.files.write("web.service", service("", "RestartOn=conf/nginx.conf\nReloadOn=sites\n"));
  story.files.write("db.service", service());
  story.files.write("conf/nginx.conf", "1");
  story.files.write("sites/a", "1");
  CHECK(story.commit() == "db web");
  const std::uint64_t fingerprint = story.unit("web").fingerprint;
  CHECK(story.unit("web").watched->front().content == RepositoryInMemory::id_of("1"));

  story.files.write("sites/deep/b", "1");
  CHECK(story.commit() == "web");
  CHECK(story.unit("web").fingerprint != fingerprint);

  story.files.remove("sites/deep/b");
  CHECK(story.commit() == "web");
  CHECK(story.unit("web").fingerprint == fingerprint);

  story.files.write("sites2/a", "1");
  CHECK(story.commit() == "");

  story.files.remove("conf/nginx.conf");
  CHECK(story.commit() == "web");
  CHECK(story.unit("web").watched->front().content == std::nullopt);
}

TEST_CASE("Only what belongs to a changed file is read again") {
  Story story;
  for (int i = 0; i < 500; ++i) {
    story.files.write("u" + std::to_string(i) + ".service",
                      service("Description=" + std::to_string(i) + "\n"));
  }
  story.commit();
  const Unit* untouched = &story.unit("u7");
  story.files.reads.clear();
  const std::string text = service("Description=new\n");
  story.files.write("u8.service", text);
  CHECK(story.commit() == "u8");
  CHECK(story.files.reads == std::set<ObjectId>{RepositoryInMemory::id_of(text)});
  CHECK(&story.unit("u7") == untouched);
}

TEST_CASE("A watched path that the commit does not have is a warning until it has") {
  Story story;
  const auto warnings = [&] {
    const auto update = story.catalog.update(story.files.changes(), story.files);
    REQUIRE(update);
    story.files.accept();
    std::string text;
    for (const Diagnostic& warning : update->warnings)
      text += to_string(warning) + "\n";
    return text;
  };
  story.files.write("web.service",
                    "[Service]\nExecStart=/x\n[X-GitProc]\nRestartOn=a conf/*.txt\nReloadOn=b\n");
  story.files.write("a", "1");
  CHECK(warnings() ==
        "web.service:4: warning: RestartOn=conf/*.txt: there is nothing of that path in the commit\n"
        "web.service:5: warning: ReloadOn=b: there is nothing of that path in the commit\n");
  story.files.write("b", "1");
  CHECK(warnings() ==
        "web.service:4: warning: RestartOn=conf/*.txt: there is nothing of that path in the commit\n");
}

TEST_CASE("Warnings are those of all units, until they are mended") {
  Story story;
  story.files.write("a.service", service("NoSuchDirective=1\n"));
  story.files.write("b.service", service("NoSuchDirective=1\n"));
  auto update = story.catalog.update(story.files.changes(), story.files);
  REQUIRE(update);
  story.files.accept();
  REQUIRE(update->warnings.size() == 2);
  CHECK(update->warnings[0].file == "a.service");
  CHECK(update->warnings[0].line == 2);

  story.files.write("a.service", service());
  update = story.catalog.update(story.files.changes(), story.files);
  REQUIRE(update);
  REQUIRE(update->warnings.size() == 1);
  CHECK(update->warnings[0].file == "b.service");
}

TEST_CASE("With skips_invalid the rest is applied, without what requires the invalid") {
  Story story;
  Catalog::Options options = web_1;
  options.skips_invalid = true;
  story.catalog = Catalog(options);
  story.files.write("bad.service", "[Service]\nExecStart=\"\n");
  story.files.write("needs-bad.service", service("Requires=bad.service\n"));
  story.files.write("needs-that.service", service("BindsTo=needs-bad.service\n"));
  story.files.write("one.service", service("After=two.service\n"));
  story.files.write("two.service", service("After=one.service\n"));
  story.files.write("wants-bad.service", service("Wants=bad.service\n"));
  auto update = story.catalog.update(story.files.changes(), story.files);
  REQUIRE(update);
  story.files.accept();
  CHECK(changes_of(*update) == "wants-bad");
  REQUIRE(update->warnings.size() == 5);
  CHECK(has_errors(update->warnings));
  CHECK(to_string(update->warnings[1]) ==
        "needs-bad.service:2: error: Requires=bad.service: it is left out because of an error");
  CHECK(to_string(update->warnings[3]) == "one.service:2: error: ordering cycle: one -> two -> one");

  story.files.write("bad.service", service());
  story.files.write("two.service", service());
  update = story.catalog.update(story.files.changes(), story.files);
  REQUIRE(update);
  CHECK(changes_of(*update) == "bad needs-bad needs-that one two");
  CHECK(update->warnings.empty());
}
