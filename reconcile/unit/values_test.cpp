// Values as systemd 252 was seen to take them: a line of a unit file, and how it is printed back. "refused"
// is a value that systemd drops and GitProc reports.
#include <utility>
#include <vector>

#include "reconcile/unit/testing.h"
#include "reconcile/unit/values.h"
#include "testing/catch.h"

namespace gitproc {
namespace {

// What print_unit says besides ExecStart=, without section headers and with "; " between lines.
std::string meaning_of(const std::string& line) {
  UnitLoad load = load_service(line);
  if (!load.unit) return "refused";
  std::string printed;
  std::string rest = print_unit(*load.unit);
  while (!rest.empty()) {
    std::string text = rest.substr(0, rest.find('\n'));
    rest.erase(0, text.size() + 1);
    if (text.empty() || text.starts_with("[") || text.starts_with("ExecStart=")) continue;
    printed += (printed.empty() ? "" : "; ") + text;
  }
  return printed;
}

using Table = std::vector<std::pair<std::string, std::string>>;

void check(const Table& table) {
  for (const auto& [line, meaning] : table) {
    INFO(line);
    CHECK(meaning_of(line) == meaning);
  }
}

}  // namespace

TEST_CASE("time spans are those of systemd.time(7)") {
  check({
      {"TimeoutStopSec=5", "TimeoutStopSec=5s"},
      {"TimeoutStopSec=5s", "TimeoutStopSec=5s"},
      {"TimeoutStopSec=1.5", "TimeoutStopSec=1s 500ms"},
      {"TimeoutStopSec=1.5s", "TimeoutStopSec=1s 500ms"},
      {"TimeoutStopSec=1min 30s", ""},
      {"TimeoutStopSec=1m30", ""},
      {"TimeoutStopSec=90 s", ""},
      {"TimeoutStopSec=1h30m", "TimeoutStopSec=1h 30min"},
      {"TimeoutStopSec=1h 30", "TimeoutStopSec=1h 30s"},
      {"TimeoutStopSec=2h 5", "TimeoutStopSec=2h 5s"},
      {"TimeoutStopSec=5 5", "TimeoutStopSec=10s"},
      {"TimeoutStopSec=300ms20s 5day", "TimeoutStopSec=5d 20s 300ms"},
      {"TimeoutStopSec=.5s", "TimeoutStopSec=500ms"},
      {"TimeoutStopSec=infinity", "TimeoutStopSec=infinity"},
      {"TimeoutStopSec=0", "TimeoutStopSec=infinity"},
      {"TimeoutStopSec=", ""},
      {"TimeoutStopSec=1 month", "TimeoutStopSec=30d 10h 30min"},
      {"TimeoutStopSec=1M", "TimeoutStopSec=30d 10h 30min"},
      {"TimeoutStopSec=1m", "TimeoutStopSec=1min"},
      {"TimeoutStopSec=1y", "TimeoutStopSec=365d 6h"},
      {"TimeoutStopSec=100ms", "TimeoutStopSec=100ms"},
      {"TimeoutStopSec=7\u00b5s", "TimeoutStopSec=7us"},
      {"TimeoutStopSec=0.0001", "TimeoutStopSec=100us"},
      {"TimeoutStopSec=  7  ", "TimeoutStopSec=7s"},
      {"TimeoutStartSec=0", "TimeoutStartSec=infinity"},
      {"TimeoutStartSec=infinity", "TimeoutStartSec=infinity"},
      {"TimeoutStartSec=5", "TimeoutStartSec=5s"},
      {"TimeoutSec=0", "TimeoutStartSec=infinity; TimeoutStopSec=infinity"},
      {"TimeoutSec=7", "TimeoutStartSec=7s; TimeoutStopSec=7s"},
      {"TimeoutSec=7\nTimeoutSec=", ""},
      {"RestartSec=0", "RestartSec=0"},
      {"RestartSec=infinity", "RestartSec=infinity"},
      {"RestartSec=5", "RestartSec=5s"},
      {"WatchdogSec=0", ""},
      {"WatchdogSec=30", "NotifyAccess=main; WatchdogSec=30s"},
      {"WatchdogSec=infinity", ""},
      {"StartLimitInterval=5", "StartLimitIntervalSec=5s"},
      {"StartLimitInterval=1min", "StartLimitIntervalSec=1min"},
  });
  for (const char* bad : {"-1", "5x", "5 x", "1,5", "1.s", "5S", "1H", "1 Min", "5ns", "0x5", "1e3", "1secs",
                          "12.34.56", "infinity 5", "9223372036854775807", "999999999y", "s", "."}) {
    INFO(bad);
    CHECK(meaning_of(std::string("TimeoutStopSec=") + bad) == "refused");
  }
}

TEST_CASE("sizes are binary, with upper-case suffixes") {
  check({
      {"MemoryMax=1G", "MemoryMax=1073741824"},
      {"MemoryMax=1.5G", "MemoryMax=1610612736"},
      {"MemoryMax=512M", "MemoryMax=536870912"},
      {"MemoryMax=1024", "MemoryMax=1024"},
      {"MemoryMax=infinity", "MemoryMax=infinity"},
      {"MemoryMax=50%", "MemoryMax=50%"},
      {"MemoryMax=100%", "MemoryMax=100%"},
      {"MemoryMax=1K", "MemoryMax=1024"},
      {"MemoryMax=1 G", "MemoryMax=1073741824"},
      {"MemoryMax=1T", "MemoryMax=1099511627776"},
      {"MemoryMax=1.5", "MemoryMax=1"},
      {"MemoryMax=1G 512M", "MemoryMax=1610612736"},
      {"MemoryMax=1G\nMemoryMax=", ""},
      {"MemoryLow=0", "MemoryLow=0"},
      {"MemoryMax=0", "refused"},
      {"MemoryMax=1k", "refused"},
      {"MemoryMax=1g", "refused"},
      {"MemoryMax=1GB", "refused"},
      {"MemoryMax=-1", "refused"},
      {"MemoryMax=150%", "refused"},
      {"MemoryMax=512M 1G", "refused"},
      {"MemoryMax=16E", "refused"},
      {"LimitFSIZE=1G", "LimitFSIZE=1073741824"},
      {"LimitFSIZE=1K", "LimitFSIZE=1024"},
      {"LimitFSIZE=1024", "LimitFSIZE=1024"},
  });
}

TEST_CASE("resource control keeps its values in one form") {
  check({
      {"CPUQuota=50%", "CPUQuota=50%"},
      {"CPUQuota=200%", "CPUQuota=200%"},
      {"CPUQuota=1%", "CPUQuota=1%"},
      {"CPUQuota=12.5%", "CPUQuota=12.5%"},
      {"CPUQuota=12.50%", "CPUQuota=12.5%"},
      {"CPUQuota=12.05%", "CPUQuota=12.05%"},
      {"CPUQuota=", ""},
      {"CPUQuota=0%", "refused"},
      {"CPUQuota=50", "refused"},
      {"CPUQuota=33.333%", "refused"},
      {"CPUWeight=100", "CPUWeight=100"},
      {"CPUWeight=idle", "CPUWeight=idle"},
      {"CPUWeight=1", "CPUWeight=1"},
      {"CPUWeight=0", "refused"},
      {"CPUWeight=10001", "refused"},
      {"TasksMax=100", "TasksMax=100"},
      {"TasksMax=infinity", "TasksMax=infinity"},
      {"TasksMax=50%", "TasksMax=50%"},
      {"TasksMax=0", "refused"},
      {"IOWeight=100", "IOWeight=100"},
      {"IOWeight=100\nIOWeight=default", ""},
      {"AllowedCPUs=3,0-1 2,7", "AllowedCPUs=0-3,7"},
      {"AllowedCPUs=3-1", "refused"},
      {"AllowedMemoryNodes=0", "AllowedMemoryNodes=0"},
      {"CPUQuotaPeriodSec=10ms", "CPUQuotaPeriodSec=10ms"},
      {"OOMPolicy=kill", "OOMPolicy=kill"},
      {"OOMPolicy=stop", ""},
      {"OOMPolicy=die", "refused"},
  });
}

TEST_CASE("limits of devices name a path and a rate, the later one of a path counts") {
  check({
      {"IOReadBandwidthMax=/dev/sda 5M", "IOReadBandwidthMax=/dev/sda 5000000"},
      {"IOWriteIOPSMax=/var/lib//x/ 1K", "IOWriteIOPSMax=/var/lib/x 1000"},
      {"IOWriteBandwidthMax=\"/a b\" infinity", "IOWriteBandwidthMax=\"/a b\" infinity"},
      {"IOReadIOPSMax=/a 1\nIOReadIOPSMax=/b 2\nIOReadIOPSMax=/a 3",
       "IOReadIOPSMax=/a 3; IOReadIOPSMax=/b 2"},
      {"IOReadIOPSMax=/a 1\nIOReadBandwidthMax=/a 2\nIOReadIOPSMax=", "IOReadBandwidthMax=/a 2"},
      {"IOReadBandwidthMax=/dev/sda", "refused"},
      {"IOReadBandwidthMax=sda 5M", "refused"},
      {"IOReadBandwidthMax=/dev/sda 5k", "refused"},
      {"IOReadBandwidthMax=/dev/sda 0", "refused"},
      {"IOReadBandwidthMax=/dev/sda 20000000E", "refused"},
      {"IODeviceWeight=/dev/sda 200", "IODeviceWeight=/dev/sda 200"},
      {"IODeviceWeight=/dev/sda 0", "refused"},
  });
}

TEST_CASE("a group is delegated with all controllers, some or none") {
  check({
      {"Delegate=yes", "Delegate=yes"},
      {"Delegate=no", ""},
      {"Delegate=", "Delegate="},
      {"Delegate=memory cpu blkio devices", "Delegate=cpu io memory"},
      {"Delegate=cpu\nDelegate=memory", "Delegate=cpu memory"},
      {"Delegate=yes\nDelegate=memory", "Delegate=yes"},
      {"Delegate=yes\nDelegate=off", ""},
      {"Delegate=gpu", "refused"},
  });
}

TEST_CASE("limits have a soft and a hard value in the units of their kind") {
  check({
      {"LimitNOFILE=1024", "LimitNOFILE=1024"},
      {"LimitNOFILE=1024:2048", "LimitNOFILE=1024:2048"},
      {"LimitNOFILE=infinity", "LimitNOFILE=infinity"},
      {"LimitNOFILE=infinity:infinity", "LimitNOFILE=infinity"},
      {"LimitNOFILE=1024\nLimitNOFILE=", ""},
      {"LimitNOFILE=2048:1024", "refused"},
      {"LimitNOFILE=1K", "refused"},
      {"LimitNOFILE=1k", "refused"},
      {"LimitNOFILE=1G", "refused"},
      {"LimitNOFILE=:5", "refused"},
      {"LimitNOFILE=5:", "refused"},
      {"LimitNOFILE=-1", "refused"},
      {"LimitNOFILE=1024 2048", "refused"},
      {"LimitCPU=5", "LimitCPU=5"},
      {"LimitCPU=1min", "LimitCPU=60"},
      {"LimitCPU=500ms", "LimitCPU=1"},
      {"LimitRTTIME=5ms", "LimitRTTIME=5000"},
      {"LimitNICE=+5", "LimitNICE=15"},
      {"LimitNICE=-5", "LimitNICE=25"},
      {"LimitNICE=10", "LimitNICE=10"},
      {"LimitNICE=41", "refused"},
      {"LimitCORE=infinity", "LimitCORE=infinity"},
      {"LimitCORE=0", "LimitCORE=0"},
      {"LimitNPROC=5", "LimitNPROC=5"},
      {"LimitNPROC=10%", "refused"},
      {"OOMScoreAdjust=-500", "OOMScoreAdjust=-500"},
      {"OOMScoreAdjust=+5", "OOMScoreAdjust=5"},
      {"OOMScoreAdjust=1001", "refused"},
      {"Nice=5", "Nice=5"},
      {"Nice=-20", "Nice=-20"},
      {"Nice=+3", "Nice=3"},
      {"Nice=20", "refused"},
      {"UMask=022", ""},
      {"UMask=22", ""},
      {"UMask=0027", "UMask=0027"},
      {"UMask=7777", "UMask=7777"},
      {"UMask=8", "refused"},
  });
}

TEST_CASE("signals and exit statuses have names and numbers") {
  check({
      {"KillSignal=TERM", ""},
      {"KillSignal=SIGINT", "KillSignal=SIGINT"},
      {"KillSignal=2", "KillSignal=SIGINT"},
      {"KillSignal=RTMIN+3", "KillSignal=SIGRTMIN+3"},
      {"KillSignal=SIGRTMIN+3", "KillSignal=SIGRTMIN+3"},
      {"KillSignal=RTMAX-1", "KillSignal=SIGRTMIN+29"},
      {"KillSignal=sigterm", "refused"},
      {"KillSignal=99", "refused"},
      {"KillSignal=BOGUS", "refused"},
      {"KillSignal=RTMIN-1", "refused"},
      {"SuccessExitStatus=143", "SuccessExitStatus=143"},
      {"SuccessExitStatus=SIGKILL", "SuccessExitStatus=SIGKILL"},
      {"SuccessExitStatus=TEMPFAIL 250 SIGKILL", "SuccessExitStatus=75 250 SIGKILL"},
      {"SuccessExitStatus=143 SIGTERM", "SuccessExitStatus=143 SIGTERM"},
      {"SuccessExitStatus=DATAERR", "SuccessExitStatus=65"},
      {"SuccessExitStatus=3\nSuccessExitStatus=\nSuccessExitStatus=4 4", "SuccessExitStatus=4"},
      {"SuccessExitStatus=EX_TEMPFAIL", "refused"},
      {"SuccessExitStatus=300", "refused"},
  });
}

TEST_CASE("booleans and words") {
  check({
      {"Restart=always", "Restart=always"},
      {"Restart=ALWAYS", "refused"},
      {"Restart=yes", "refused"},
      {"Restart=bogus", "refused"},
      {"RemainAfterExit=yes", "RemainAfterExit=yes"},
      {"RemainAfterExit=Yes", "RemainAfterExit=yes"},
      {"RemainAfterExit=TRUE", "RemainAfterExit=yes"},
      {"RemainAfterExit=on", "RemainAfterExit=yes"},
      {"RemainAfterExit=1", "RemainAfterExit=yes"},
      {"RemainAfterExit=t", "RemainAfterExit=yes"},
      {"RemainAfterExit=y", "RemainAfterExit=yes"},
      {"RemainAfterExit=oFF", ""},
      {"RemainAfterExit=maybe", "refused"},
      {"Type=simple", ""},
      {"Type=exec", "Type=exec"},
      {"Type=idle", "Type=idle"},
      {"Type=notify", "Type=notify; NotifyAccess=main"},
      {"Type=Simple", "refused"},
      {"Type=notify-reload", "refused"},
  });
}

TEST_CASE("accounts, paths and directories") {
  check({
      {"User=root", "User=root"},
      {"User=0", "User=0"},
      {"User=no.dot", "User=no.dot"},
      {"User=1abc", "User=1abc"},
      {"User=with space", "User=with space"},
      {"User=-x", "User=-x"},
      {"User=", ""},
      {"User=a:b", "refused"},
      {"WorkingDirectory=~", "WorkingDirectory=~"},
      {"WorkingDirectory=/tmp", "WorkingDirectory=/tmp"},
      {"WorkingDirectory=-/tmp", "WorkingDirectory=-/tmp"},
      {"WorkingDirectory=/tmp/", "WorkingDirectory=/tmp"},
      {"WorkingDirectory=tmp", "refused"},
      {"WorkingDirectory=/tmp/../etc", "refused"},
      {"WorkingDirectory=~/x", "refused"},
      {"StandardOutput=append:/tmp/x", "StandardOutput=append:/tmp/x"},
      {"StandardOutput=file:/tmp/x", "StandardOutput=file:/tmp/x"},
      {"StandardOutput=truncate:/tmp/x", "StandardOutput=truncate:/tmp/x"},
      {"StandardOutput=append:/tmp/%n.log", "StandardOutput=append:/tmp/web.service.log"},
      {"StandardOutput=syslog", "StandardOutput=journal"},
      {"StandardOutput=journal", "StandardOutput=journal"},
      {"StandardOutput=kmsg", ""},
      {"StandardOutput=socket", ""},
      {"StandardError=kmsg", "StandardError=kmsg"},
      {"StandardOutput=inherit", ""},
      {"StandardOutput=null", "StandardOutput=null"},
      {"StandardError=journal", "StandardError=journal"},
      {"StandardOutput=append:x", "refused"},
      {"StandardOutput=bogus", "refused"},
      {"StandardInput=file:/etc/x", "StandardInput=file:/etc/x"},
      {"StandardInput=null", ""},
      {"PIDFile=/run/x.pid", "PIDFile=/run/x.pid"},
      {"PIDFile=x.pid", "PIDFile=/run/x.pid"},
      {"PIDFile=/var/run/x.pid", "PIDFile=/run/x.pid"},
      {"RuntimeDirectory=foo", "RuntimeDirectory=foo"},
      {"RuntimeDirectory=foo bar", "RuntimeDirectory=bar foo"},
      {"RuntimeDirectory=foo/bar", "RuntimeDirectory=foo/bar"},
      {"RuntimeDirectory=foo:bar", "RuntimeDirectory=foo"},
      {"RuntimeDirectoryMode=0750\nRuntimeDirectory=foo", "RuntimeDirectory=foo; RuntimeDirectoryMode=0750"},
      {"RuntimeDirectory=/foo", "refused"},
      {"RuntimeDirectory=../foo", "refused"},
      {"EnvironmentFile=/etc/x", "EnvironmentFile=/etc/x"},
      {"EnvironmentFile=-/etc/x", "EnvironmentFile=-/etc/x"},
      {"EnvironmentFile=/etc/%n", "EnvironmentFile=/etc/web.service"},
      {"EnvironmentFile=etc/x", "refused"},
  });
}

TEST_CASE("GitProc's own directives") {
  auto own = [](const std::string& lines) { return meaning_of("[X-GitProc]\n" + lines); };
  const Table table = {
      {"DesiredState=stopped", "DesiredState=stopped"},
      {"DesiredState=off", "refused"},
      {"HealthCheckURL=http://localhost:$PORT/%p?x=1", "HealthCheckURL=http://localhost:$PORT/web?x=1"},
      {"HealthCheckURL=https://[::1]/", "HealthCheckURL=https://[::1]/"},
      {"HealthCheckURL=tcp://127.0.0.1:80", "HealthCheckURL=tcp://127.0.0.1:80"},
      {"HealthCheckURL=tcp://127.0.0.1", "refused"},
      {"HealthCheckURL=tcp://127.0.0.1:70000", "refused"},
      {"HealthCheckURL=http://", "refused"},
      {"HealthCheckURL=ftp://x/", "refused"},
      {"HealthCheckURL=http://a b/", "refused"},
      {"HealthCheckURL=http://x/\nHealthCheckExec=/bin/true a", "HealthCheckExec=/bin/true a"},
      {"HealthCheckExec=/bin/true a\nHealthCheckURL=tcp://x:1", "HealthCheckURL=tcp://x:1"},
      {"HealthCheckExec=+/bin/sh -c \"exit $CODE\"\nHealthCheckSuccessThreshold=2",
       "HealthCheckExec=+/bin/sh -c \"exit $CODE\"; HealthCheckSuccessThreshold=2"},
      {"HealthCheckExec=/bin/true\nHealthCheckExec=", ""},
      {"HealthCheckExec=-/bin/true", "refused"},
      {"HealthCheckSuccessThreshold=0", "refused"},
      {"HealthCheckExec=/bin/true a ; /bin/false", "refused"},
      {"HealthCheckStatus=404 200-204,205", "HealthCheckStatus=200-205,404"},
      {"HealthCheckStatus=99", "refused"},
      {"HealthCheckInterval=1min", "HealthCheckInterval=1min"},
      {"HealthCheckInterval=0", "refused"},
      {"HealthCheckStartPeriod=5", "HealthCheckStartPeriod=5s"},
      {"HealthCheckRetries=0", "refused"},
      {"HealthCheckAction=none", "HealthCheckAction=none"},
      {"RestartOn=b a//x/\nReloadOn=c", "RestartOn=a/x b; ReloadOn=c"},
      {"RestartOn=../x", "refused"},
      {"RestartOn=/x", "refused"},
      {"LogMaxSize=1M\nLogMaxFiles=2", "LogMaxSize=1048576; LogMaxFiles=2"},
      {"LogMaxSize=0", "refused"},
      {"UpdateStrategy=overlap", "UpdateStrategy=overlap"},
      {"NodeSelector=role in (a,b),!x", ""},
      {"NodeSelector=role in a", "refused"},
  };
  for (const auto& [lines, meaning] : table) {
    INFO(lines);
    CHECK(own(lines) == meaning);
  }
}

}  // namespace gitproc
