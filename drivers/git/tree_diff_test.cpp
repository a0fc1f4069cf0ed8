#include "drivers/git/tree_diff.h"

#include <map>

#include "drivers/git/repository.h"
#include "drivers/git/scratch_repository.h"
#include "testing/catch.h"

using namespace gitproc;

namespace {

// One entry of a tree object, as git stores it.
std::string entry(const std::string& mode, const std::string& name, char id_byte = 'x') {
  return mode + " " + name + std::string(1, '\0') + std::string(20, id_byte);
}

std::string error_of_tree(const std::string& bytes) {
  auto parsed = parse_tree(bytes);
  return parsed ? "no error" : parsed.error().message;
}

bool enter_all(std::string_view) { return true; }

// "A path", "M path", "D path", as git diff-tree --name-status writes them.
std::vector<std::string> changes(ObjectReader& objects, const std::optional<ObjectId>& before,
                                 const ObjectId& after, const FolderFilter& enters = enter_all) {
  std::vector<std::string> lines;
  auto diffed = diff_trees(objects, before, after, enters, [&](const FileChange& change) {
    lines.push_back((!change.before ? "A\t" : !change.after ? "D\t" : "M\t") + change.path);
  });
  INFO((diffed ? std::string() : diffed.error().message));
  REQUIRE(diffed);
  return lines;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  if (text.empty()) return lines;
  for (std::string_view line : split(text, '\n'))
    lines.emplace_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a tree's entries are read with kind, name and id") {
  std::string bytes = entry("100644", "a") + entry("100755", "b") + entry("120000", "c") +
                      entry("40000", "d") + entry("160000", "e") + entry("100664", "f");
  auto records = parse_tree(bytes);
  REQUIRE(records);
  std::vector<std::pair<std::string, EntryKind>> seen;
  for (const TreeRecord& record : *records)
    seen.emplace_back(record.name, record.kind);
  CHECK(seen == std::vector<std::pair<std::string, EntryKind>>{{"a", EntryKind::file},
                                                               {"b", EntryKind::executable},
                                                               {"c", EntryKind::symlink},
                                                               {"d", EntryKind::folder},
                                                               {"e", EntryKind::submodule},
                                                               {"f", EntryKind::file}});
  CHECK(records->front().object_id().hex() == "7878787878787878787878787878787878787878");
}

TEST_CASE("a hostile tree is an error that names what is wrong") {
  for (const char* name : {"", ".", "..", ".git", ".GiT", "a/b"}) {
    CHECK(error_of_tree(entry("100644", name)) ==
          "malformed tree: an entry is named '" + std::string(name) + "'");
  }
  CHECK(error_of_tree(entry("100644", std::string(256, 'n')))
            .starts_with("malformed tree: an entry is named 'nnn"));
  CHECK(error_of_tree(entry("100644", "b") + entry("100644", "a")) == "malformed tree: 'a' is out of order");
  CHECK(error_of_tree(entry("100644", "a") + entry("100644", "a")) == "malformed tree: 'a' is out of order");
  CHECK(error_of_tree(entry("120000", "a") + entry("100644", "a.b") + entry("40000", "a")) ==
        "malformed tree: 'a' is in it twice");
  CHECK(error_of_tree(entry("100644", "a.b") + entry("40000", "a")) == "no error");
  for (const char* mode : {"10644", "", "0", "1006444", "10064x", "140000"}) {
    CHECK(error_of_tree(entry(mode, "a")) == "malformed tree: an entry has no mode that git knows");
  }
  std::string whole = entry("100644", "abc");
  for (std::size_t size = 1; size < whole.size(); ++size)
    CHECK(error_of_tree(whole.substr(0, size)) != "no error");
}

TEST_CASE("what differs between two trees is what git diff-tree says") {
  ScratchRepository scratch;
  for (const char* name :
       {"a", "a.b", "dir/one", "dir/two", "dir/sub/deep", "dir.x", "same/x", "turns", "gone/y"})
    scratch.write(name, name);
  ScratchRepository::shell("ln -s a " + scratch / "link");
  ObjectId first = scratch.commit("first");
  ScratchRepository::shell(
      "cd " + scratch.path() +
      " && rm -rf turns gone a dir/two link && mkdir turns a && echo x > turns/inner && echo x > a/inner && "
      "echo changed > dir/sub/deep && chmod +x dir.x && ln -s dir link && echo new > zz");
  ObjectId second = scratch.commit("second");
  Repository repository = Repository::open(scratch.path()).value();
  ObjectId old_tree = repository.commit_info(first)->tree, new_tree = repository.commit_info(second)->tree;

  auto by_git = [&](const ObjectId& from, const ObjectId& to) {
    return lines_of(scratch.git("diff-tree -r --no-renames --name-status " + from.hex() + " " + to.hex() +
                                " | sed s/^T/M/"));
  };
  CHECK(changes(repository.objects(), old_tree, new_tree) == by_git(first, second));
  CHECK(changes(repository.objects(), new_tree, old_tree) == by_git(second, first));
  CHECK(changes(repository.objects(), std::nullopt, new_tree) ==
        lines_of(scratch.git("ls-tree -r --name-only HEAD | sed 's/^/A\\t/'")));
  CHECK(changes(repository.objects(), old_tree, old_tree).empty());
  CHECK(changes(repository.objects(), old_tree, new_tree, [](std::string_view folder) {
          return folder == "dir";
        }) == std::vector<std::string>{"D\ta", "M\tdir.x", "D\tdir/two", "M\tlink", "D\tturns", "A\tzz"});

  CHECK(holds(entry_at(repository.objects(), new_tree, "dir/sub/deep"),
              TreeEntry{EntryKind::file, scratch.id("HEAD:dir/sub/deep")}));
  CHECK(holds(entry_at(repository.objects(), new_tree, "dir"),
              TreeEntry{EntryKind::folder, scratch.id("HEAD:dir")}));
  for (const char* absent : {"dir/none", "link/one", "zz/x", "dir/", "/dir", "dir//one"}) {
    CHECK(holds(entry_at(repository.objects(), new_tree, absent), std::nullopt));
  }
}

TEST_CASE("a tree that cannot be read is an error, not an empty folder") {
  ScratchRepository scratch;
  scratch.write("dir/file", "x");
  ObjectId commit = scratch.commit("one");
  Repository repository = Repository::open(scratch.path()).value();
  ObjectId tree = repository.commit_info(commit)->tree;
  ScratchRepository::shell("rm -f " + scratch.loose_object(scratch.id("HEAD:dir")));
  auto diffed = diff_trees(repository.objects(), std::nullopt, tree, enter_all, [](const FileChange&) {});
  REQUIRE_FALSE(diffed);
  CHECK(diffed.error().message.ends_with("(folder 'dir/')"));
}

TEST_CASE("folders that nest without end are an error") {
  ScratchRepository scratch;
  std::string path;
  for (unsigned i = 0; i <= max_tree_depth; ++i)
    path += "d/";
  scratch.write(path + "file", "x");
  ObjectId commit = scratch.commit("deep");
  Repository repository = Repository::open(scratch.path()).value();
  auto diffed = diff_trees(repository.objects(), std::nullopt, repository.commit_info(commit)->tree,
                           enter_all, [](const FileChange&) {});
  REQUIRE_FALSE(diffed);
  CHECK(diffed.error().message.starts_with("folders nest deeper than 64 at 'd/d/"));
}

TEST_CASE("random edits: the diff always is what git diff-tree says") {
  ScratchRepository scratch;
  unsigned state = 12345;
  auto random = [&state](unsigned below) { return (state = state * 1103515245u + 12345u) / 65536u % below; };
  const char* names[] = {"a", "a.b", "a-b", "b", "b0", "c"};
  ObjectId before = scratch.commit("empty");
  Repository repository = Repository::open(scratch.path()).value();
  for (int round = 0; round < 30; ++round) {
    std::string script = "cd " + scratch.path();
    for (unsigned edit = 0; edit <= random(6); ++edit) {
      std::string path = names[random(6)];
      for (unsigned depth = random(3); depth > 0; --depth)
        path += std::string("/") + names[random(6)];
      if (random(4) == 0) {
        script += "; rm -rf " + path;
      } else {
        std::string folder = std::filesystem::path(path).parent_path().string();
        script += "; mkdir -p ./" + folder + " 2>/dev/null && { rm -rf " + path + "; echo " +
                  std::to_string(random(1000)) + " > " + path + "; } 2>/dev/null";
      }
    }
    ScratchRepository::shell(script + "; true");
    ObjectId after = scratch.commit("round");
    CHECK(
        changes(repository.objects(), repository.commit_info(before)->tree,
                repository.commit_info(after)->tree) ==
        lines_of(scratch.git("diff-tree -r --no-renames --name-status " + before.hex() + " " + after.hex())));
    before = after;
  }
}
