#include "drivers/git/tree_export.h"

#include <sys/stat.h>

#include <chrono>
#include <iostream>

#include "drivers/git/scratch_repository.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

// A state directory and an export of one scratch repository into it.
struct Exporting {
  ScratchRepository scratch;
  std::string state = scratch.beside("state");
  TreeExport trees{state};
  std::optional<Repository> repository;

  Exporting() { std::filesystem::create_directory(state); }

  std::string export_commit(const ObjectId& commit) {
    if (!repository) repository.emplace(Repository::open(scratch.path()).value());
    auto done = trees.export_commit(*repository, commit);
    return done ? "" : done.error().message;
  }
  // Kind, mode and path of everything that is exported; symlinks with their target.
  std::string listing() const {
    return ScratchRepository::shell(
        "cd " + state + "/tree/ && find . -mindepth 1 -printf '%y %m %P %l\\n' | sed 's/ *$//' | sort -k3");
  }
  std::string content(const std::string& path) const {
    return ScratchRepository::shell("cat " + state + "/tree/" + path);
  }
  std::vector<std::string> kept() const {
    TreeExport(state).remove_discarded();
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(state + "/trees")) {
      if (entry.path().filename() != ".boot") names.push_back(entry.path().filename());
    }
    std::ranges::sort(names);
    return names;
  }
  ino_t inode(const std::string& path) const {
    struct stat status{};
    REQUIRE(stat((state + "/tree/" + path).c_str(), &status) == 0);
    return status.st_ino;
  }
};

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  return names;
}

// Makes a commit of a tree whose entries git itself would not write.
ObjectId commit_of_raw_tree(const ScratchRepository& scratch, const std::string& printf_format) {
  std::string tree = ScratchRepository::shell("cd " + scratch.path() + " && " + printf_format +
                                              " | git hash-object -t tree -w --stdin --literally");
  return *ObjectId::parse(scratch.git("commit-tree -m hostile " + tree));
}

}  // namespace

TEST_CASE("data is exported as it is in the commit, units and other nodes' folders are not") {
  Exporting it;
  it.scratch.write("web.service", "[Service]\n");
  it.scratch.write("web.service.d/10.conf", "");
  it.scratch.write("nodes/n/x.service", "");
  it.scratch.write("groups/a=b/data", "");
  it.scratch.write("conf/nginx.conf", "listen 80;\n");
  it.scratch.write("conf/empty", "");
  it.scratch.write("bin/run", "#!/bin/sh\n");
  ScratchRepository::shell(
      "cd " + it.scratch.path() +
      " && chmod 700 bin/run && ln -s /etc/passwd conf/link && ln -s nowhere/at/all dangling");
  CHECK(it.export_commit(it.scratch.commit("one")) == "");
  CHECK(it.listing() ==
        "d 755 bin\nf 755 bin/run\nd 755 conf\nf 644 conf/empty\nl 777 conf/link /etc/passwd\nf 644 "
        "conf/nginx.conf\nl 777 dangling nowhere/at/all");
  CHECK(it.content("conf/nginx.conf") == "listen 80;");
  CHECK(std::filesystem::read_symlink(it.state + "/tree") == "trees/" + it.scratch.id("HEAD^{tree}").hex());
}

TEST_CASE("what did not change is shared, the last two trees are kept, and going back is a swap") {
  Exporting it;
  it.scratch.write("a", "1");
  it.scratch.write("same/x", "x");
  ObjectId first = it.scratch.commit("first");
  CHECK(it.export_commit(first) == "");
  ino_t a = it.inode("a"), x = it.inode("same/x");
  ObjectId second = it.scratch.commit("a", "2");
  CHECK(it.export_commit(second) == "");
  CHECK(it.inode("a") != a);
  CHECK(it.inode("same/x") == x);
  CHECK(it.content("a") == "2");
  CHECK(it.export_commit(first) == "");
  CHECK(it.inode("a") == a);
  CHECK(it.content("a") == "1");
  ObjectId third = it.scratch.commit("a", "3");
  CHECK(it.export_commit(third) == "");
  CHECK(it.kept() ==
        sorted({it.scratch.id(first.hex() + "^{tree}").hex(), it.scratch.id(third.hex() + "^{tree}").hex()}));
}

TEST_CASE("a tree whose units alone changed costs a symlink, and outlives the tree it leads to") {
  Exporting it;
  it.scratch.write("data/x", "x");
  it.scratch.write("web.service", "1");
  CHECK(it.export_commit(it.scratch.commit("one")) == "");
  std::string real = it.scratch.id("HEAD^{tree}").hex();
  CHECK(it.export_commit(it.scratch.commit("web.service", "2")) == "");
  std::string second = it.scratch.id("HEAD^{tree}").hex();
  CHECK(it.export_commit(it.scratch.commit("web.service", "3")) == "");
  std::string third = it.scratch.id("HEAD^{tree}").hex();
  CHECK(std::filesystem::read_symlink(it.state + "/trees/" + third) == real);
  CHECK(it.kept() == sorted({real, second, third}));
  CHECK(it.content("data/x") == "x");
  CHECK(it.export_commit(it.scratch.commit("data/x", "y")) == "");
  CHECK(it.export_commit(it.scratch.commit("data/x", "z")) == "");
  CHECK(it.kept().size() == 2);
  CHECK(it.content("data/x") == "z");
}

TEST_CASE("a hostile tree exports nothing, and what was there stays") {
  Exporting it;
  ObjectId good = it.scratch.commit("a", "1");
  REQUIRE(it.export_commit(good) == "");
  std::string outside = it.scratch.beside("outside");
  std::filesystem::create_directory(outside);
  std::string folder_id = it.scratch.id("HEAD^{tree}").hex();
  std::string link_id = ScratchRepository::shell("cd " + it.scratch.path() + " && printf " + outside +
                                                 " | git hash-object -w --stdin");
  auto raw = [](const std::string& hex) {
    std::string text;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      text += "\\x" + hex.substr(i, 2);
    return text;
  };
  auto bash = [](const std::string& bytes) { return "bash -c \"printf '" + bytes + "'\""; };
  SECTION("symlink and folder of one name") {
    ObjectId bad =
        commit_of_raw_tree(it.scratch, bash("120000 e\\0" + raw(link_id) + "40000 e\\0" + raw(folder_id)));
    CHECK(it.export_commit(bad) == "malformed tree: 'e' is in it twice");
  }
  SECTION("a way out") {
    ObjectId bad = commit_of_raw_tree(it.scratch, bash("40000 ..\\0" + raw(folder_id)));
    CHECK(it.export_commit(bad) == "malformed tree: an entry is named '..'");
  }
  SECTION("missing blob") {
    ObjectId bad = it.scratch.commit("b", "missing");
    ScratchRepository::shell("rm -f " + it.scratch.loose_object(it.scratch.id("HEAD:b")));
    CHECK(it.export_commit(bad).starts_with("cannot export 'b': cannot read blob"));
  }
  CHECK(std::filesystem::is_empty(outside));
  CHECK(it.content("a") == "1");
  CHECK(it.kept() == std::vector{folder_id});
}

TEST_CASE("what a crash left behind is cleaned up, and trees of an earlier boot are not trusted") {
  Exporting it;
  it.scratch.write("a", "one");
  it.scratch.write("b", "two");
  ObjectId first = it.scratch.commit("first");
  REQUIRE(it.export_commit(first) == "");
  std::string half = it.state + "/trees/.new-0123456789012345678901234567890123456789";
  std::filesystem::create_directory(half);
  std::filesystem::resize_file(it.state + "/tree/a", 0);  // as a power loss may leave it
  std::ofstream(it.state + "/trees/.boot") << "another boot";
  ObjectId second = it.scratch.commit("b", "three");
  CHECK(it.export_commit(second) == "");
  CHECK(it.content("a") == "one");
  CHECK_FALSE(std::filesystem::exists(half));
  CHECK(it.export_commit(first) == "");
  CHECK(it.content("a") == "one");
}

TEST_CASE("an exported tree that was changed by hand is put back") {
  Exporting it;
  it.scratch.write("dir/a", "one");
  ScratchRepository::shell("ln -s a " + it.scratch / "dir/link");
  ObjectId commit = it.scratch.commit("first");
  REQUIRE(it.export_commit(commit) == "");
  std::string listing = it.listing();
  CHECK(holds(it.trees.restore(*it.repository, commit), false));
  std::string tree = it.state + "/tree/";
  for (const char* damage :
       {"echo x > dir/a", "rm dir/a", "touch extra", "mkdir extra", "chmod 600 dir/a", "chmod 777 dir",
        "ln -sf b dir/link", "rm dir/a && ln -s /etc/passwd dir/a", "mv dir d2 && ln -s d2 dir"}) {
    INFO(damage);
    ScratchRepository::shell("cd " + tree + " && " + damage);
    CHECK(holds(it.trees.restore(*it.repository, commit), true));
    CHECK(it.listing() == listing);
    CHECK(it.content("dir/a") == "one");
    CHECK(holds(it.trees.restore(*it.repository, commit), false));
  }
  ScratchRepository::shell("rm " + it.state + "/tree");
  CHECK(holds(it.trees.restore(*it.repository, commit), true));
  CHECK(it.listing() == listing);
}

TEST_CASE("exporting what changed among 10,000 files", "[.bench]") {
  Exporting it;
  ScratchRepository::shell(
      "cd " + it.scratch.path() +
      " && for d in $(seq 0 99); do mkdir d$d; for f in $(seq 0 99); do echo $d $f > d$d/$f; done; done");
  it.scratch.write("web.service", "1");
  ObjectId first = it.scratch.commit("first");
  ObjectId data = it.scratch.commit("d7/7", "changed");
  ObjectId unit = it.scratch.commit("web.service", "2");
  for (auto [what, commit] :
       {std::pair("all new", first), {"one changed", data}, {"only a unit changed", unit}, {"back", data}}) {
    auto start = std::chrono::steady_clock::now();
    REQUIRE(it.export_commit(commit) == "");
    std::cout << "export of 10,000 files, " << what << ": "
              << std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count()
              << " ms\n";
  }
}
