// What each command of the control socket does; the shapes are those of agent/protocol/README.md.
#pragma once

#include <functional>
#include <memory>

#include "agent/control_server.h"
#include "agent/daemon.h"
#include "agent/log_requests.h"

namespace gitproc {

class Requests {
 public:
  // Reads the configuration again, for agent-reload.
  using ReadConfiguration = std::function<Result<Configuration>()>;

  Requests(asio::io_context& loop, Daemon& daemon, ReadConfiguration read_configuration);
  ~Requests();

  void serve(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);

  // SIGHUP and agent-reload: takes over what can be changed without a restart.
  Result<Json> reload_configuration();

 private:
  void serve_resolved(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);
  void status(const Request& request, const std::shared_ptr<Reply>& reply);
  void list(const std::shared_ptr<Reply>& reply);
  void logs(const Request& request, const std::shared_ptr<Reply>& reply);
  void change_service(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);
  void sync(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);
  void rollback(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);
  void approve(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);
  void accept(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);
  void import_bundle(const Peer& peer, const Request& request, const std::shared_ptr<Reply>& reply);
  void switch_branch(const Request& request, const std::shared_ptr<Reply>& reply);
  void plan(const Request& request, const std::shared_ptr<Reply>& reply);
  void history(const Request& request, const std::shared_ptr<Reply>& reply);
  void events(const Request& request, const std::shared_ptr<Reply>& reply);
  void why(const Request& request, const std::shared_ptr<Reply>& reply);
  void version(const std::shared_ptr<Reply>& reply);

  Json node_json();
  Json service_view_json(const ServiceView& view);
  // What the services use is read on a thread of its own: for thousands of them that takes a while.
  struct Figures;
  void add_figures_to(const std::vector<ServiceView>& views, std::function<void(Json)> then);
  Json rollout_json(const std::string& message);
  // The request whose answer, which comes later, says where the node is then.
  RequestId expect_rollout(const std::shared_ptr<Reply>& reply);
  // Runs a job with the repository on the git thread and hands its result to the loop.
  template <typename Value>
  void ask_git(const std::shared_ptr<Reply>& reply, std::function<Result<Value>(Repository&)> question,
               std::function<void(Value)> then);
  // What a name of a commit means to the repository, where it means one; else the answer is why not.
  void resolve(const std::string& revision, const std::shared_ptr<Reply>& reply,
               std::function<void(ObjectId)> then);

  asio::io_context& loop_;
  Daemon& daemon_;
  const ReadConfiguration read_configuration_;
  LogRequests logs_;
  std::unique_ptr<Figures> figures_;  // started with the first request
};

}  // namespace gitproc
