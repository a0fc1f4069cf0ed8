#include "reconcile/unit/known_directives.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "reconcile/base/strings.h"
#include "reconcile/unit/directives.h"

namespace gitproc {
namespace {

// Names as systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.resource-control(5) of version
// 252 list them, older spellings included, and a few of later versions that people already write.
// Condition...= and Assert...= are one name each in the fourth list.
constexpr std::string_view unit_no_effect =
    "Documentation SourcePath DefaultDependencies IgnoreOnIsolate IgnoreOnSnapshot AllowIsolate CollectMode "
    "OnSuccessJobMode OnFailureJobMode OnFailureIsolate RequiresMountsFor";

constexpr std::string_view unit_not_acted_on =
    "Upholds OnSuccess OnFailure PropagatesReloadTo PropagateReloadTo ReloadPropagatedFrom "
    "PropagateReloadFrom "
    "PropagatesStopTo StopPropagatedFrom JoinsNamespaceOf RequiresOverridable RequisiteOverridable BindTo "
    "StopWhenUnneeded RefuseManualStart RefuseManualStop JobTimeoutSec JobRunningTimeoutSec JobTimeoutAction "
    "JobTimeoutRebootArgument StartLimitAction FailureAction SuccessAction FailureActionExitStatus "
    "SuccessActionExitStatus RebootArgument SurviveFinalKillSignal WantsMountsFor";

constexpr std::string_view conditions_not_acted_on =
    "Architecture Firmware Virtualization Host KernelCommandLine KernelVersion Credential Environment "
    "Security "
    "Capability ACPower NeedsUpdate FirstBoot PathIsEncrypted User Group ControlGroupController CPUs Memory "
    "CPUFeature OSRelease MemoryPressure CPUPressure IOPressure Null";

constexpr std::string_view service_no_effect =
    "TTYPath TTYReset TTYVHangup TTYVTDisallocate TTYRows TTYColumns SyslogIdentifier SyslogFacility "
    "SyslogLevel "
    "SyslogLevelPrefix LogLevelMax LogExtraFields LogRateLimitIntervalSec LogRateLimitBurst LogNamespace "
    "LogFilterPatterns UtmpIdentifier UtmpMode CPUAccounting MemoryAccounting IOAccounting BlockIOAccounting "
    "TasksAccounting IPAccounting SysVStartPriority";

constexpr std::string_view service_not_acted_on =
    "ExitType FileDescriptorStoreMax FileDescriptorStorePreserve Sockets USBFunctionDescriptors "
    "USBFunctionStrings "
    "RootDirectoryStartOnly NonBlocking OpenFile ReloadSignal RestartSteps RestartMaxDelaySec "
    "RestartMode "
    "RebootArgument StartLimitAction FailureAction BusPolicy TimeoutCleanSec "
    // systemd.exec(5)
    "ExecSearchPath RootDirectory RootImage RootImageOptions RootHash RootHashSignature RootVerity "
    "RootEphemeral "
    "ExtensionDirectories ExtensionImages MountImages BindPaths BindReadOnlyPaths BindLogSockets MountAPIVFS "
    "MountFlags DynamicUser SetLoginEnvironment PAMName RemoveIPC "
    "CapabilityBoundingSet "
    "AmbientCapabilities SecureBits Capabilities SELinuxContext AppArmorProfile SmackProcessLabel "
    "KeyringMode "
    "CoredumpFilter TimerSlackNSec Personality CPUSchedulingPolicy CPUSchedulingPriority "
    "CPUSchedulingResetOnFork "
    "CPUAffinity NUMAPolicy NUMAMask IOSchedulingClass IOSchedulingPriority ProtectSystem ProtectHome "
    "ReadWritePaths ReadOnlyPaths InaccessiblePaths ExecPaths NoExecPaths ReadWriteDirectories "
    "ReadOnlyDirectories "
    "InaccessibleDirectories TemporaryFileSystem PrivateTmp PrivateDevices PrivateNetwork "
    "NetworkNamespacePath "
    "PrivateIPC IPCNamespacePath PrivateUsers PrivateMounts ProtectHostname ProtectClock "
    "ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups "
    "RestrictAddressFamilies "
    "RestrictFileSystems RestrictNamespaces LockPersonality MemoryDenyWriteExecute RestrictRealtime "
    "RestrictSUIDSGID SystemCallFilter SystemCallErrorNumber SystemCallArchitectures SystemCallLog "
    "StandardInputText StandardInputData LoadCredential LoadCredentialEncrypted ImportCredential "
    "SetCredential "
    "SetCredentialEncrypted MemoryKSM MemoryTHP "
    // systemd.resource-control(5)
    "Slice DelegateSubgroup DisableControllers StartupCPUWeight CPUShares "
    "StartupCPUShares StartupAllowedCPUs StartupAllowedMemoryNodes DefaultMemoryMin DefaultMemoryLow "
    "StartupMemoryLow StartupMemoryHigh StartupMemoryMax StartupMemorySwapMax MemoryZSwapMax MemoryLimit "
    "StartupIOWeight "
    "IODeviceLatencyTargetSec BlockIOWeight StartupBlockIOWeight BlockIODeviceWeight BlockIOReadBandwidth "
    "BlockIOWriteBandwidth DeviceAllow DevicePolicy IPAddressAllow IPAddressDeny IPIngressFilterPath "
    "IPEgressFilterPath BPFProgram SocketBindAllow SocketBindDeny RestrictNetworkInterfaces NetClass "
    "ManagedOOMSwap ManagedOOMMemoryPressure ManagedOOMMemoryPressureLimit ManagedOOMPreference "
    "MemoryPressureWatch MemoryPressureThresholdSec";

// Presence in the repository is what enabling is to systemd.
constexpr std::string_view install_no_effect = "WantedBy RequiredBy UpheldBy Also DefaultInstance";

using Fates = std::map<std::string_view, DirectiveFate>;

void add(Fates& fates, std::string_view names, DirectiveFate fate) {
  for (std::string_view name : split(names, ' '))
    fates.emplace(name, fate);
}

struct Known {
  std::map<std::string_view, Fates> sections;
  std::map<std::string_view, std::vector<std::string_view>> keys;
  std::vector<std::string_view> section_names;
  std::vector<std::string> condition_names;  // what the views of conditions point to

  Known() {
    for (const Directive* directive : all_directives()) {
      sections[directive->section].emplace(directive->key, DirectiveFate::acted_on);
    }
    add(sections["Unit"], unit_no_effect, DirectiveFate::no_effect);
    add(sections["Unit"], unit_not_acted_on, DirectiveFate::not_acted_on);
    for (std::string_view prefix : {"Condition", "Assert"}) {
      for (std::string_view condition : split(conditions_not_acted_on, ' ')) {
        condition_names.push_back(std::string(prefix) + std::string(condition));
      }
    }
    for (const std::string& name : condition_names)
      sections["Unit"].emplace(name, DirectiveFate::not_acted_on);
    add(sections["Service"], service_no_effect, DirectiveFate::no_effect);
    add(sections["Service"], service_not_acted_on, DirectiveFate::not_acted_on);
    add(sections["Install"], install_no_effect, DirectiveFate::no_effect);
    for (const auto& [section, fates] : sections) {
      section_names.push_back(section);
      for (const auto& [key, fate] : fates)
        keys[section].push_back(key);
    }
  }
};

const Known& known() {
  static const Known tables;
  return tables;
}

}  // namespace

DirectiveFate fate_of(std::string_view section, std::string_view key) {
  auto fates = known().sections.find(section);
  if (fates == known().sections.end()) return DirectiveFate::unknown;
  auto fate = fates->second.find(key);
  return fate == fates->second.end() ? DirectiveFate::unknown : fate->second;
}

bool is_known_section(std::string_view section) { return known().sections.contains(section); }

const std::vector<std::string_view>& known_keys(std::string_view section) {
  static const std::vector<std::string_view> none;
  auto keys = known().keys.find(section);
  return keys == known().keys.end() ? none : keys->second;
}

const std::vector<std::string_view>& known_sections() { return known().section_names; }

}  // namespace gitproc
