// The first fetch worker: asks the remote for its branches and tags, and where one of them is new, for a pack. It
// is the only process that speaks with the network, so it holds nothing worth taking but the credentials of that
// remote: no repository, no files it could write.
#include <fcntl.h>
#include <git2.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "drivers/base/lazy_library.h"
#include "drivers/base/system_call.h"
#include "drivers/git/fetch_worker.h"
#include "drivers/git/git_library.h"
#include "drivers/git/git_values.h"
#include "drivers/git/known_repository.h"
#include "drivers/git/remote_url.h"
#include "drivers/git/ssh_files.h"
#include "drivers/git/worker_process.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

constexpr std::uint64_t receiver_memory_bytes = 1ull << 30;
constexpr std::uint64_t receiver_cpu_seconds = 600;
constexpr std::size_t max_secret_bytes = 64u << 10;
constexpr std::size_t max_known_hosts_bytes = 4u << 20;
constexpr std::size_t pack_header_bytes = 12;

using RemoteHandle = GitHandle<git_remote, git_remote_free>;

// Read while the process still may.
struct Credentials {
  std::string username;
  std::string password;               // or the passphrase of the keys
  std::vector<std::string> ssh_keys;  // their text
  bool has_agent = false;
  std::string known_hosts;
};

// Everything the callbacks of libgit2 need.
struct Receiving {
  const RemoteUrl& url;
  const Credentials& credentials;
  WorkerVoice& voice;
  Fetched::Fault fault = Fetched::Fault::failed;
  std::string reason;  // ours, better than libgit2's
  std::size_t tried = 0;
  std::uint64_t received_bytes = 0;
  std::string pack_head;
  bool has_refused_certificate = false;
};

// Of whoever runs the agent; the worker's own is another one (lay_out_known_hosts).
std::string home_directory() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return home;
  const passwd* user = ::getpwuid(::geteuid());
  return user != nullptr ? user->pw_dir : "";
}

// A secret's file holds one line.
Result<std::string> read_secret(const std::string& file) {
  Result<std::string> text = read_file(file, max_secret_bytes);
  if (!text) return text;
  return text->substr(0, text->find_first_of("\r\n"));
}

Result<void> read_ssh_files(const FetchJob& job, const std::string& home, Credentials& credentials) {
  std::string folder = home + "/.ssh/";
  if (!job.ssh_key.empty()) {
    Result<std::string> key = read_file(job.ssh_key, max_secret_bytes);
    if (!key) return std::unexpected(key.error());
    credentials.ssh_keys.push_back(*std::move(key));
  } else {
    credentials.has_agent = std::getenv("SSH_AUTH_SOCK") != nullptr;
    for (const char* name : {"id_ed25519", "id_ecdsa", "id_rsa"}) {
      if (Result<std::string> key = read_file(folder + name, max_secret_bytes))
        credentials.ssh_keys.push_back(*key);
    }
  }
  std::string text;
  if (!job.known_hosts.empty()) {
    Result<std::string> read = read_file(job.known_hosts, max_known_hosts_bytes);
    if (!read) return std::unexpected(read.error());
    text = *std::move(read);
  } else {
    for (const std::string& file : {folder + "known_hosts", std::string("/etc/ssh/ssh_known_hosts")}) {
      if (Result<std::string> read = read_file(file, max_known_hosts_bytes)) text += *read + "\n";
    }
  }
  credentials.known_hosts = usable_known_hosts(text);
  return {};
}

// libgit2 looks for .ssh/known_hosts in the home folder, which it is told to be this one (before 1.7 it takes the folder
// of the user's configuration for it, which GitLibrary has set to nowhere); the worker works in it, so that it needs no
// right to reach it once it is somebody else.
Result<void> lay_out_known_hosts(const FetchJob& job, const Credentials& credentials) {
  std::string folder = job.scratch + "/.ssh";
  if (Result<void> made = make_directories(folder, 0755); !made) return made;
  std::string file = folder + "/known_hosts";
  ::unlink(file.c_str());
  Result<UniqueFd> fd = open_file(file, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (!fd) return std::unexpected(fd.error());
  if (int failed = write_all(fd->get(), credentials.known_hosts); failed != 0)
    return fail_with_errno("cannot write '" + file + "'", failed);
  git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, ".");
  if (::chdir(job.scratch.c_str()) != 0) return fail_with_errno("cannot enter '" + job.scratch + "'");
  return {};
}

// libgit2 as this process uses it.
Result<GitLibrary> begin_git(const FetchJob& job, bool with_tls) {
  if (Result<void> loaded = libgit2.load(); !loaded) return std::unexpected(loaded.error());
  Result<GitLibrary> library = with_tls ? GitLibrary() : GitLibrary::without_tls();
  // What a user's own configuration says of other remotes is no business of this one.
  for (int level :
       {GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_PROGRAMDATA})
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, ".");
  // The objects that are here are made up for the walk; their ids are not those of their bytes.
  git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
  if (!job.ca_file.empty() &&
      git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, job.ca_file.c_str(), nullptr) < 0)
    return fail("cannot use '" + job.ca_file + "': it holds no certificates");
  return library;
}

Result<Credentials> prepare(const FetchJob& job, const RemoteUrl& url, const std::string& home) {
  Credentials credentials{.username = url.user.empty() ? job.username : url.user, .password = url.password};
  if (!job.password_file.empty()) {
    Result<std::string> password = read_secret(job.password_file);
    if (!password) return std::unexpected(password.error());
    credentials.password = *std::move(password);
  }
  if (url.transport == RemoteTransport::ssh) {
    if (credentials.username.empty()) credentials.username = "git";
    if (Result<void> read = read_ssh_files(job, home, credentials); !read)
      return std::unexpected(read.error());
    if (Result<void> laid = lay_out_known_hosts(job, credentials); !laid)
      return std::unexpected(laid.error());
  }
  return credentials;
}

// --- libgit2's callbacks ---

int refuse(Receiving& receiving, std::string reason) {
  receiving.fault = Fetched::Fault::refused;
  receiving.reason = std::move(reason);
  return GIT_EUSER;
}

int offer_ssh_key(git_credential** out, Receiving& receiving, const char* user) {
  const Credentials& have = receiving.credentials;
  std::size_t attempt = receiving.tried++;
  if (have.has_agent && attempt == 0) return git_credential_ssh_key_from_agent(out, user);
  std::size_t index = attempt - (have.has_agent ? 1 : 0);
  if (index < have.ssh_keys.size()) {
    const char* passphrase = have.password.empty() ? nullptr : have.password.c_str();
    return git_credential_ssh_key_memory_new(out, user, nullptr, have.ssh_keys[index].c_str(), passphrase);
  }
  if (attempt == 0) return refuse(receiving, "it asks for a key, and there is none: set remote.ssh_key");
  bool has_rsa = std::ranges::any_of(have.ssh_keys, [](const std::string& key) { return is_rsa_key(key); });
  return refuse(receiving,
                std::string("the key was refused for user '") + user + "'" +
                    (has_rsa ? "; it is an RSA key, which servers of today take with SHA-2 signatures only, "
                               "and libssh2 before 1.11 cannot make these: use an Ed25519 key"
                             : ""));
}

int offer_credentials(git_credential** out, const char* url, const char* user, unsigned allowed,
                      void* payload) {
  auto& receiving = *static_cast<Receiving*>(payload);
  const Credentials& have = receiving.credentials;
  if (allowed & GIT_CREDENTIAL_USERNAME) return git_credential_username_new(out, have.username.c_str());
  if (allowed & (GIT_CREDENTIAL_SSH_KEY | GIT_CREDENTIAL_SSH_MEMORY) &&
      receiving.url.transport == RemoteTransport::ssh)
    return offer_ssh_key(out, receiving, user != nullptr ? user : have.username.c_str());
  if (!(allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT))
    return refuse(receiving, "it asks for credentials of a kind that is not supported");
  // A redirect must not carry the password to somebody else.
  Result<RemoteUrl> asking = parse_remote_url(url);
  if (!asking || asking->host != receiving.url.host)
    return refuse(receiving, "it was redirected to another host, which asks for credentials");
  if (have.password.empty())
    return refuse(receiving,
                  "it asks for a password, and there is none: set remote.username and remote.password_file");
  if (receiving.tried++ > 0)
    return refuse(receiving, "the password of user '" + have.username + "' was refused");
  return git_credential_userpass_plaintext_new(out, have.username.c_str(), have.password.c_str());
}

std::string fingerprint(const git_cert_hostkey& key) {
  if (!(key.type & GIT_CERT_SSH_SHA256)) return "a key";
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text = "SHA256:";
  unsigned bits = 0, count = 0;
  for (unsigned char byte : key.hash_sha256) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6)
      text += digits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += digits[bits << (6 - count) & 63];
  return text;
}

int check_certificate(git_cert* certificate, int is_valid, const char* host, void* payload) {
  auto& receiving = *static_cast<Receiving*>(payload);
  if (is_valid) return 0;
  std::string name = "'" + printable(host != nullptr ? host : "") + "'";
  if (certificate->cert_type != GIT_CERT_HOSTKEY_LIBSSH2) {
    receiving.has_refused_certificate = true;
    receiving.reason =
        "the certificate of " + name +
        " is not valid: it has another name, has expired, or no known authority vouches for it";
    return GIT_ECERTIFICATE;
  }
  std::string shown = fingerprint(*reinterpret_cast<git_cert_hostkey*>(certificate));
  switch (knowledge_of_host(receiving.credentials.known_hosts, host != nullptr ? host : "")) {
    case HostKnowledge::known:
      receiving.reason = "the host key of " + name + " has changed: it shows " + shown +
                         ", and known_hosts holds another; somebody may be in between";
      break;
    case HostKnowledge::unknown:
      receiving.reason = "the host key of " + name + " is not known: it shows " + shown +
                         "; add it to known_hosts when it is the right one (ssh-keyscan)";
      break;
    case HostKnowledge::perhaps:
      receiving.reason =
          "the host key of " + name + ", " + shown + ", is not in known_hosts: it has changed, or is new";
      break;
  }
  return GIT_ECERTIFICATE;
}

int note_remote_progress(const char*, int, void* payload) {
  auto& receiving = *static_cast<Receiving*>(payload);
  receiving.voice.progress({receiving.received_bytes, 0, 0});
  return 0;
}

int note_progress(const git_indexer_progress*, void*) { return 0; }

git_remote_callbacks callbacks_for(Receiving& receiving) {
  git_remote_callbacks callbacks = GIT_REMOTE_CALLBACKS_INIT;
  callbacks.credentials = offer_credentials;
  callbacks.certificate_check = check_certificate;
  callbacks.sideband_progress = note_remote_progress;
  callbacks.transfer_progress = note_progress;
  callbacks.payload = &receiving;
  return callbacks;
}

// --- the conversation ---

// The pack goes on to the indexer as it comes; only its head is looked at.
bool pass_on(Receiving& receiving, std::string_view bytes) {
  receiving.received_bytes += bytes.size();
  if (receiving.received_bytes > max_pack_bytes) {
    receiving.reason = "the pack is larger than " + std::to_string(max_pack_bytes >> 30) + " GiB";
    return false;
  }
  if (receiving.pack_head.size() < pack_header_bytes) {
    receiving.pack_head += bytes.substr(0, pack_header_bytes - receiving.pack_head.size());
    if (!std::string_view("PACK").starts_with(std::string_view(receiving.pack_head).substr(0, 4))) {
      receiving.reason = "it sent something else than a pack";
      return false;
    }
  }
  if (write_all(worker_pack_fd, bytes) != 0) {
    receiving.reason = pack_not_taken;
    return false;
  }
  receiving.voice.progress({receiving.received_bytes, 0, 0});
  return true;
}

Result<OfferedRefs> list_refs(git_remote* remote, const KnownRepository& known) {
  const git_remote_head** heads = nullptr;
  size_t count = 0;
  if (int status = git_remote_ls(&heads, &count, remote); status < 0)
    return git_fail(status, "cannot list its branches");
  OfferedRefs offered;
  for (size_t i = 0; i < count; ++i) {
    std::string_view name = heads[i]->name;
    if (name == "HEAD" && heads[i]->symref_target != nullptr) {
      std::string_view target = heads[i]->symref_target;
      constexpr std::string_view prefix = "refs/heads/";
      if (target.starts_with(prefix) && target.size() <= max_ref_name_bytes)
        offered.head = target.substr(prefix.size());
    }
    bool is_wanted =
        (name.starts_with("refs/heads/") || name.starts_with("refs/tags/")) && !name.ends_with("^{}");
    int is_valid = 0;
    if (!is_wanted || name.size() > max_ref_name_bytes ||
        git_reference_name_is_valid(&is_valid, heads[i]->name) < 0 || is_valid == 0)
      continue;
    if (offered.refs.size() == max_remote_refs)
      return fail("it has more than " + std::to_string(max_remote_refs) + " branches and tags");
    ObjectId id;
    std::copy(std::begin(heads[i]->oid.id), std::end(heads[i]->oid.id), id.bytes.begin());
    offered.has_pack = offered.has_pack || !known.knows(id);
    offered.refs.push_back({std::string(name), id});
  }
  if (offered.refs.empty()) return fail("it has no branches");
  return offered;
}

Error last_fault(int status, const Receiving& receiving, const char* step) {
  if (!receiving.reason.empty()) return Error{receiving.reason};
  Error error = git_error_of(status, step);
  bool is_memory = error.message.find("ut of memory") != std::string::npos;
  if (is_memory) error.message = "it needs more memory than a fetch may use: an object in it is too large";
  return error;
}

Result<void> converse(Receiving& receiving, KnownRepository& known) {
  git_remote* made = nullptr;
  int status = git_remote_create_anonymous(&made, known.get(), receiving.url.text.c_str());
  RemoteHandle remote(made);
  if (status < 0) return std::unexpected(last_fault(status, receiving, "cannot use its address"));
  git_remote_callbacks callbacks = callbacks_for(receiving);
  receiving.voice.say(FetchStage{"connecting"});
  if (status = git_remote_connect(made, GIT_DIRECTION_FETCH, &callbacks, nullptr, nullptr); status < 0)
    return std::unexpected(last_fault(status, receiving, "cannot connect"));
  Result<OfferedRefs> offered = list_refs(made, known);
  if (!offered) return std::unexpected(offered.error());
  receiving.voice.say(*offered);
  if (!offered->has_pack) return {};

  receiving.voice.say(FetchStage{"receiving"});
  git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
  options.callbacks = callbacks;
  options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
  char branches[] = "+refs/heads/*:refs/remotes/origin/*", tags[] = "+refs/tags/*:refs/tags/*";
  char* refspecs[] = {branches, tags};
  git_strarray list{refspecs, 2};
  if (status = git_remote_download(made, &list, &options); status < 0)
    return std::unexpected(last_fault(status, receiving, "cannot receive"));
  return {};
}

// As who the network is spoken with. Repositories on this machine are read as their owner, who can.
void choose_identity(const RemoteUrl& url, std::uint32_t& uid, std::uint32_t& gid) {
  struct stat status{};
  if (url.transport != RemoteTransport::local || ::stat(url.path.c_str(), &status) != 0 || status.st_uid == 0)
    return;
  uid = status.st_uid;
  gid = status.st_gid;
}

// What the server said of the credentials without asking for them.
Fetched::Fault fault_of(const Receiving& receiving, const std::string& message) {
  bool is_refusal = message.find("status code: 401") != std::string::npos ||
                    message.find("status code: 403") != std::string::npos;
  return is_refusal ? Fetched::Fault::refused : receiving.fault;
}

struct Attempt {
  std::optional<std::string> error;  // without secrets; nullopt: it has all been received
  Fetched::Fault fault = Fetched::Fault::none;
  bool has_refused_certificate = false;
};

Attempt try_once(const FetchJob& job, const RemoteUrl& url, const Credentials& credentials,
                 WorkerVoice& voice) {
  Receiving receiving{url, credentials, voice};
  KnownRepository known(job, [&receiving](std::string_view bytes) { return pass_on(receiving, bytes); });
  if (known.get() == nullptr) return {.error = "out of memory", .fault = Fetched::Fault::failed};
  Result<void> done = converse(receiving, known);
  if (done) return {};
  std::string message = redacted(redacted(done.error().message, url), credentials.password);
  return {.error = message,
          .fault = fault_of(receiving, message),
          .has_refused_certificate = receiving.has_refused_certificate};
}

}  // namespace

void receive(const FetchJob& job, WorkerVoice& voice, pid_t parent) {
  std::string home = home_directory();
  // libgit2 looks up known_hosts there; some versions when they begin, some when they connect.
  ::setenv("HOME", ".", 1);
  auto end = [&](Fetched::Fault fault, std::string message) {
    voice.say(WorkerFailed{fault, std::move(message)});
  };
  Result<RemoteUrl> url = parse_remote_url(job.url);
  if (!url) return end(Fetched::Fault::failed, url.error().message);
  // Its authorities may be a file that only root can read.
  bool with_tls = url->transport == RemoteTransport::https || !job.ca_file.empty();
  std::optional<Result<GitLibrary>> git = begin_git(job, with_tls);
  if (!*git) return end(Fetched::Fault::failed, git->error().message);
  Result<Credentials> credentials = prepare(job, *url, home);
  if (!credentials) return end(Fetched::Fault::failed, credentials.error().message);
  std::uint32_t uid = job.uid, gid = job.gid;
  choose_identity(*url, uid, gid);
  // It writes no file at all.
  if (Result<void> done = give_up_rights(uid, gid, {receiver_memory_bytes, 0, receiver_cpu_seconds}, parent);
      !done)
    return end(Fetched::Fault::failed, done.error().message);

  Attempt attempt = try_once(job, *url, *credentials, voice);
  if (attempt.has_refused_certificate && !with_tls) {
    // Plain HTTP led to TLS. The authorities of the system are there for everybody to read.
    git.reset();
    git = begin_git(job, /*with_tls=*/true);
    attempt = try_once(job, *url, *credentials, voice);
  }
  if (!attempt.error) return voice.say(WorkerDone{});
  end(attempt.fault, *attempt.error);
}

}  // namespace gitproc
