#include "drivers/git/fetch_message.h"

#include "drivers/git/message_oracle.h"
#include "testing/catch.h"
#include "testing/corpus.h"

using namespace gitproc;

namespace {

ObjectId id(char digit) { return *ObjectId::parse(std::string(40, digit)); }

const WorkerJob fetch_job =
    FetchJob{.url = "https://example.org/x",
             .username = "ada",
             .password_file = "/secret",
             .ssh_key = "/key",
             .known_hosts = "/hosts",
             .ca_file = "/ca",
             .scratch = "/scratch",
             .refs = {{"refs/heads/main", id('a')}},
             .commits = {{id('a'), 1'700'000'000, {id('b'), id('c')}}, {id('b'), -1, {}}}};

const std::vector<WorkerMessage> every_message = {
    FetchStage{"connecting"},
    OfferedRefs{{{"refs/heads/main", id('a')}, {"refs/tags/v1", id('b')}}, "main", true},
    FetchProgress{1'000'000, 5, 10},
    PackIndexed{"1234"},
    WorkerDone{},
    WorkerFailed{Fetched::Fault::refused, "the password was refused"}};

}  // namespace

TEST_CASE("jobs and messages are read as they were written, however the stream is cut") {
  CHECK(decode_job(encode(fetch_job)) == fetch_job);
  WorkerJob index_job = IndexJob{"/objects", "/incoming", true};
  CHECK(decode_job(encode(index_job)) == index_job);

  std::string stream;
  for (const WorkerMessage& message : every_message)
    stream += encode(message);
  for (std::size_t step : {std::size_t{1}, std::size_t{7}, stream.size()}) {
    MessageReader reader;
    std::vector<WorkerMessage> read;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      auto messages = reader.feed(std::string_view(stream).substr(at, step));
      REQUIRE(messages);
      read.insert(read.end(), messages->begin(), messages->end());
    }
    CHECK(read == every_message);
  }
}

TEST_CASE("a job or message that is cut or changed anywhere never does harm") {
  std::string job = encode(fetch_job);
  for (std::size_t size = 0; size < job.size(); ++size)
    CHECK_FALSE(decode_job(job.substr(0, size)));
  for (const WorkerMessage& message : every_message) {
    std::string bytes = encode(message);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ 0x80);
      MessageReader reader;
      (void)reader.feed(changed);
    }
  }
  MessageReader reader;
  CHECK_FALSE(reader.feed(std::string(4, '\xff')));
}

TEST_CASE("the fuzzer's corpus: the same in pieces of any size") {
  auto corpus = corpus_of("drivers/git");
  CHECK(corpus.size() > 5);
  for (const auto& [name, bytes] : corpus) {
    INFO(name);
    CHECK(message_fault(bytes) == "");
  }
}
