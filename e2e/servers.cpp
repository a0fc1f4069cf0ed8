#include "e2e/servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "e2e/harness.h"
#include "e2e/network.h"

namespace e2e {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listen_on_loopback(int& port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port = ntohs(address.sin_port);
  return fd;
}

int connect_to(int port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

std::string must(const std::vector<std::string>& command) {
  Outcome outcome = run(command);
  INFO(command.front() << ": " << outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return outcome.out;
}

std::string find_program(const std::string& name) {
  for (const char* folder :
       {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/", "/usr/lib/git-core/", "/usr/libexec/git-core/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return "";
}

std::vector<std::string> git_daemon(const std::string& root, const std::string& address, int port) {
  return {find_program("git-daemon"), "--base-path=" + root,           "--export-all", "--reuseaddr",
          "--listen=" + address,      "--port=" + std::to_string(port)};
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::setpgid(0, 0);
  int null = ::open("/dev/null", O_RDONLY);
  int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(null, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

Child::~Child() {
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

int free_port() {
  int port = 0;
  ::close(listen_on_loopback(port));
  return port;
}

void await_port(int port) {
  REQUIRE(wait_until([&] {
    int fd = connect_to(port);
    if (fd >= 0) ::close(fd);
    return fd >= 0;
  }));
}

bool has_program(const std::string& name) { return !find_program(name).empty(); }

// --- http ---

std::string HttpServer::missing() {
  for (const char* name : {"nginx", "fcgiwrap", "git-http-backend", "openssl"}) {
    if (!has_program(name)) return std::string("needs ") + name;
  }
  return "";
}

HttpServer::HttpServer(const std::string& folder, const std::string& root, const std::string& password,
                       bool is_tls)
    : folder_(folder), is_tls_(is_tls), port_(free_port()), redirecting_port_(free_port()) {
  std::filesystem::create_directories(folder_);
  std::string hash = must({find_program("openssl"), "passwd", "-apr1", password});
  write_text(folder_ + "/users", "ada:" + hash);
  std::string tls, redirection;
  if (is_tls) {
    // An authority of its own, and a certificate by it for 127.0.0.1.
    must({find_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
          "/CN=Test CA", "-keyout", folder_ + "/ca.key", "-out", ca_file()});
    must({find_program("openssl"), "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1",
          "-keyout", folder_ + "/tls.key", "-out", folder_ + "/tls.csr"});
    write_text(folder_ + "/names", "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    must({find_program("openssl"), "x509", "-req", "-in", folder_ + "/tls.csr", "-CA", ca_file(), "-CAkey",
          folder_ + "/ca.key", "-CAcreateserial", "-days", "2", "-extfile", folder_ + "/names", "-out",
          folder_ + "/tls.pem"});
    tls = "ssl_certificate " + folder_ + "/tls.pem; ssl_certificate_key " + folder_ + "/tls.key;\n";
    redirection = "server {\nlisten 127.0.0.1:" + std::to_string(redirecting_port_) +
                  ";\nreturn 301 https://localhost:" + std::to_string(port_) + "$request_uri;\n}\n";
  }
  auto location = [&](const std::string& path, const std::string& more) {
    return "location ~ ^/" + path + "(/.*)$ {\n" + more + "fastcgi_pass unix:" + folder_ +
           "/cgi.sock;\n"
           "fastcgi_param SCRIPT_FILENAME " +
           find_program("git-http-backend") +
           ";\n"
           "fastcgi_param GIT_PROJECT_ROOT " +
           root +
           ";\nfastcgi_param GIT_HTTP_EXPORT_ALL 1;\n"
           "fastcgi_param PATH_INFO $1;\nfastcgi_param QUERY_STRING $query_string;\n"
           "fastcgi_param REQUEST_METHOD $request_method;\nfastcgi_param CONTENT_TYPE $content_type;\n"
           "fastcgi_param CONTENT_LENGTH $content_length;\nfastcgi_param HTTP_CONTENT_ENCODING "
           "$http_content_encoding;\n"
           "fastcgi_param GIT_CONFIG_COUNT 1;\nfastcgi_param GIT_CONFIG_KEY_0 safe.directory;\n"
           "fastcgi_param GIT_CONFIG_VALUE_0 *;\nfastcgi_param REMOTE_USER $remote_user;\n}\n";
  };
  std::string user = ::geteuid() == 0 ? "user root;\n" : "";
  write_text(folder_ + "/nginx.conf",
             user + "daemon off; master_process off; pid " + folder_ + "/nginx.pid; error_log " + folder_ +
                 "/error.log;\nevents {}\nhttp {\naccess_log " + folder_ +
                 "/access.log;\nclient_body_temp_path " + folder_ + "/body; fastcgi_temp_path " + folder_ +
                 "/fastcgi; proxy_temp_path " + folder_ + "/proxy; uwsgi_temp_path " + folder_ +
                 "/uwsgi; scgi_temp_path " + folder_ + "/scgi;\nserver {\nlisten 127.0.0.1:" +
                 std::to_string(port_) + (is_tls ? " ssl" : "") + ";\n" + tls + location("open", "") +
                 location("closed", "auth_basic closed; auth_basic_user_file " + folder_ + "/users;\n") +
                 "}\n" + redirection + "}\n");
  children_.push_back(std::make_unique<Child>(
      std::vector<std::string>{find_program("fcgiwrap"), "-c", "2", "-s", "unix:" + folder_ + "/cgi.sock"},
      folder_ + "/cgi.log"));
  REQUIRE(wait_until([&] { return std::filesystem::exists(folder_ + "/cgi.sock"); }));
  children_.push_back(std::make_unique<Child>(
      std::vector<std::string>{find_program("nginx"), "-p", folder_, "-c", folder_ + "/nginx.conf"},
      folder_ + "/nginx.log"));
  await_port(port_);
}

std::string HttpServer::url(const std::string& path) const {
  // mbedTLS 2 of Debian 12 knows no addresses in certificates.
  return std::string(is_tls_ ? "https://localhost:" : "http://127.0.0.1:") + std::to_string(port_) + "/" +
         path;
}

std::string HttpServer::redirecting_url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(redirecting_port_) + "/" + path;
}

// --- git:// ---

GitDaemon::GitDaemon(const std::string& root) : port_(free_port()) {
  child_ = std::make_unique<Child>(git_daemon(root, address_, port_));
  await_port(port_);
}

GitDaemon::GitDaemon(const std::string& root, const Network& network)
    : address_(network.server_address()), port_(free_port()) {
  std::vector<std::string> command = network.on_server();
  if (!command.empty()) command.front() = find_program(command.front());
  for (const std::string& word : git_daemon(root, address_, port_))
    command.push_back(word);
  child_ = std::make_unique<Child>(command);
  std::vector<std::string> look = network.on_server();
  look.insert(look.end(), {"git", "ls-remote", url("")});
  // Whatever it says of a repository without a name, it says something.
  REQUIRE(wait_until([&] { return run(look).err.find("unable to connect") == std::string::npos; }));
}

// --- ssh ---

std::string SshServer::missing() {
  for (const char* name : {"sshd", "ssh-keygen"}) {
    if (!has_program(name)) return std::string("needs ") + name;
  }
  return "";
}

SshServer::SshServer(const std::string& folder, const std::string& key_type)
    : folder_(folder), port_(free_port()) {
  std::filesystem::create_directories(folder_);
  must({find_program("ssh-keygen"), "-q", "-t", key_type, "-N", "", "-f", client_key()});
  must({find_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder_ + "/host"});
  std::filesystem::copy_file(client_key() + ".pub", folder_ + "/authorized_keys");
  // Where sshd of Debian parts with its rights.
  if (::geteuid() == 0) ::mkdir("/run/sshd", 0755);
  start();
  write_known_hosts();
}

void SshServer::start() {
  write_text(folder_ + "/sshd_config", "Port " + std::to_string(port_) +
                                           "\nListenAddress 127.0.0.1\nHostKey " + folder_ +
                                           "/host\nAuthorizedKeysFile " + folder_ +
                                           "/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n"
                                           "PasswordAuthentication no\nPermitRootLogin prohibit-password\n");
  child_ = std::make_unique<Child>(
      std::vector<std::string>{find_program("sshd"), "-D", "-e", "-f", folder_ + "/sshd_config"},
      folder_ + "/sshd.log");
  await_port(port_);
}

void SshServer::write_known_hosts() {
  write_text(known_hosts(), "[127.0.0.1]:" + std::to_string(port_) + " " + read_text(folder_ + "/host.pub"));
}

void SshServer::change_host_key() {
  child_.reset();
  std::filesystem::remove(folder_ + "/host");
  std::filesystem::remove(folder_ + "/host.pub");
  must({find_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder_ + "/host"});
  start();
}

std::string SshServer::url(const std::string& path) const {
  Outcome user = run({"id", "-un"});
  return "ssh://" + user.out.substr(0, user.out.find('\n')) + "@127.0.0.1:" + std::to_string(port_) + path;
}

// --- a bad network ---

FaultyProxy::FaultyProxy(int server_port) : server_port_(server_port) {
  listener_ = listen_on_loopback(port_);
  REQUIRE(::listen(listener_, 64) == 0);
  REQUIRE(::pipe2(wake_, O_CLOEXEC) == 0);
  thread_ = std::thread([this] { run(); });
}

FaultyProxy::~FaultyProxy() {
  (void)!::write(wake_[1], "x", 1);
  thread_.join();
  for (const Connection& connection : open_) {
    ::close(connection.client);
    ::close(connection.server);
  }
  ::close(listener_);
  ::close(wake_[0]);
  ::close(wake_[1]);
}

void FaultyProxy::set(Mode mode, std::size_t limit) {
  limit_ = limit;
  mode_ = mode;
}

void FaultyProxy::run() {
  while (true) {
    std::vector<pollfd> waited = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const Connection& connection : open_) {
      waited.push_back({connection.client, POLLIN, 0});
      // What a silenced server says further is left unread.
      bool is_heard = connection.mode != Mode::silent &&
                      !(connection.mode == Mode::hang && connection.sent >= connection.limit);
      waited.push_back({is_heard ? connection.server : -1, POLLIN, 0});
    }
    if (::poll(waited.data(), waited.size(), -1) <= 0) continue;
    if (waited[0].revents != 0) return;
    std::size_t known = open_.size();
    std::vector<Connection> kept;
    for (std::size_t i = 0; i < known; ++i) {
      bool is_alive = (waited[2 + 2 * i].revents == 0 || pass_on(open_[i], false)) &&
                      (waited[3 + 2 * i].revents == 0 || pass_on(open_[i], true));
      if (is_alive) {
        kept.push_back(open_[i]);
      } else {
        ::close(open_[i].client);
        ::close(open_[i].server);
      }
    }
    open_ = std::move(kept);
    if (waited[1].revents != 0) accept_one();
  }
}

void FaultyProxy::accept_one() {
  int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  ++connections_;
  Connection connection{.client = client, .server = connect_to(server_port_), .mode = mode_, .limit = limit_};
  if (connection.mode == Mode::garbage) {
    // More than any banner, header or packet line.
    std::string noise;
    for (unsigned i = 0; i < 4096; ++i)
      noise += static_cast<char>(i * 2654435761u >> 13);
    (void)!::send(client, noise.data(), noise.size(), MSG_NOSIGNAL);
    ::close(client);
    ::close(connection.server);
    return;
  }
  open_.push_back(connection);
}

bool FaultyProxy::pass_on(Connection& connection, bool from_server) {
  char buffer[16384];
  ssize_t count = ::read(from_server ? connection.server : connection.client, buffer, sizeof buffer);
  if (count <= 0) return false;
  std::size_t size = static_cast<std::size_t>(count);
  if (!from_server)
    return connection.mode == Mode::silent || ::send(connection.server, buffer, size, MSG_NOSIGNAL) > 0;
  bool is_limited = connection.mode == Mode::cut || connection.mode == Mode::hang;
  if (is_limited) size = std::min(size, connection.limit - std::min(connection.sent, connection.limit));
  connection.sent += size;
  if (size != 0 && ::send(connection.client, buffer, size, MSG_NOSIGNAL) < 0) return false;
  return connection.mode != Mode::cut || connection.sent < connection.limit;
}

}  // namespace e2e
