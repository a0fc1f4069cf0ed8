#include "drivers/process/notify_message.h"

#include "drivers/process/notify_oracle.h"
#include "drivers/process/proc_files.h"
#include "testing/catch.h"
#include "testing/corpus.h"

namespace gitproc {
namespace {

TEST_CASE("the assignments of sd_notify") {
  Notified message = *parse_notify_message(
      "READY=1\nRELOADING=1\nSTOPPING=1\nWATCHDOG=1\nSTATUS=all "
      "fine\nMAINPID=42\nEXTEND_TIMEOUT_USEC=5\nWATCHDOG_USEC=7\nX=y\n");
  CHECK(message.is_ready);
  CHECK(message.is_reloading);
  CHECK(message.is_stopping);
  CHECK(message.is_watchdog);
  CHECK(message.status == "all fine");
  CHECK(message.main_pid == 42);
  CHECK(message.extend_timeout == Duration(5));
  CHECK(message.watchdog == Duration(7));
  CHECK(parse_notify_message("WATCHDOG=trigger")->is_watchdog_trigger);
}

TEST_CASE("what is not understood is passed over") {
  for (const char* text :
       {"", "READY", "READY=0", "READY=1 ", "MAINPID=0", "MAINPID=-1", "MAINPID=99999999999", "MAINPID=1x",
        "STATUS=\xff\xfe", "BARRIER=1", "\n\n\n", "=", "WATCHDOG_USEC=-5", "EXTEND_TIMEOUT_USEC="}) {
    CAPTURE(text);
    CHECK_FALSE(parse_notify_message(text));
  }
  CHECK(parse_notify_message("WATCHDOG_USEC=18446744073709551615")->watchdog == infinite);
  std::string status = *parse_notify_message("STATUS=a" + std::string(2000, 'x') + "\xc3\xa9")->status;
  CHECK(status.size() == max_status_bytes);
  std::string umlauts;
  for (int i = 0; i < 1000; ++i)
    umlauts += "\xc3\xa4";
  CHECK(parse_notify_message("STATUS=a" + umlauts)->status->size() == max_status_bytes - 1);
}

TEST_CASE("a command name may look like the fields behind it") {
  std::string text = "77 (a) Z 1 2) S 5 6 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 123456 0 0 1 2";
  std::optional<ProcStat> stat = parse_proc_stat(text);
  REQUIRE(stat);
  CHECK(stat->state == 'S');
  CHECK(stat->parent == 5);
  CHECK(stat->session == 7);
  CHECK(stat->start_ticks == 123456);
  for (std::size_t cut = 0; cut < text.size() - 14; ++cut)
    CHECK_FALSE(parse_proc_stat(text.substr(0, cut)).has_value());
}

TEST_CASE("the fuzzer's corpus: nothing is understood beyond its bounds") {
  auto corpus = corpus_of("drivers/process");
  CHECK(corpus.size() > 5);
  for (const auto& [name, bytes] : corpus) {
    INFO(name);
    CHECK(notify_fault(bytes) == "");
  }
}

}  // namespace
}  // namespace gitproc
