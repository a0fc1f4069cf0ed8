#include "agent/notifier.h"

#include <spdlog/spdlog.h>

#include <asio.hpp>
#include <utility>

#include "drivers/process/hook_runner.h"
#include "drivers/web/poster.h"

namespace gitproc {
namespace {

// One way out. `done` is called once for each attempt, from the loop and never from within attempt().
class Destination {
 public:
  using Done = std::function<void(Result<void>)>;
  virtual ~Destination() = default;
  virtual std::string name() const = 0;
  virtual void attempt(const Notice& notice, Done done) = 0;
  virtual void child_ended(Pid, const ExitStatus&) {}
};

class CommandDestination : public Destination {
 public:
  CommandDestination(asio::io_context& loop, std::vector<std::string> command)
      : loop_(loop), timer_(loop), command_(std::move(command)) {}

  std::string name() const override { return "notify.exec"; }

  void attempt(const Notice& notice, Done done) override {
    is_late_ = false;
    if (Result<void> started = hook_.start(command_, notice_environment(notice), notice_json(notice) + "\n");
        !started) {
      asio::post(loop_, [done = std::move(done), started] { done(started); });
      return;
    }
    done_ = std::move(done);
    timer_.expires_after(notice_exec_timeout);
    timer_.async_wait([this](const asio::error_code& stopped) {
      if (stopped) return;
      is_late_ = true;
      hook_.kill();
    });
  }

  void child_ended(Pid pid, const ExitStatus& status) override {
    if (!hook_.ended(pid)) return;
    timer_.cancel();
    Result<void> result;
    if (is_late_) {
      result = fail("'" + command_.front() + "' took too long");
    } else if (status.kind != ExitStatus::Kind::exited || status.value != 0) {
      result = fail("'" + command_.front() + "' " + to_string(status));
    }
    // Not at once: exits are told while others of them are still looked at.
    asio::post(loop_, [done = std::exchange(done_, nullptr), result] { done(result); });
  }

 private:
  asio::io_context& loop_;
  asio::steady_timer timer_;
  const std::vector<std::string> command_;
  HookRunner hook_;
  Done done_;
  bool is_late_ = false;
};

class UrlDestination : public Destination {
 public:
  UrlDestination(asio::io_context& loop, std::string url) : loop_(loop), url_(std::move(url)) {}

  std::string name() const override { return "notify.url"; }

  void attempt(const Notice& notice, Done done) override {
    // Made when it is needed first: the TLS library behind it takes megabytes.
    if (!poster_) {
      auto made = Poster::make(loop_);
      if (!made) {
        asio::post(loop_, [done = std::move(done), error = made.error()] { done(std::unexpected(error)); });
        return;
      }
      poster_ = *std::move(made);
    }
    poster_->post(url_, takes_slack(url_) ? slack_json(notice) : notice_json(notice), std::move(done));
  }

 private:
  asio::io_context& loop_;
  const std::string url_;
  std::unique_ptr<Poster> poster_;
};

struct Totals {
  std::uint64_t delivered = 0;
  std::uint64_t retried = 0;
  std::uint64_t dropped = 0;
};

// The queue in front of a destination.
class Outbox : public std::enable_shared_from_this<Outbox> {
 public:
  Outbox(asio::io_context& loop, std::unique_ptr<Destination> destination, Totals& totals)
      : timer_(loop), destination_(std::move(destination)), totals_(totals) {}

  void add(const Notice& notice) {
    if (queue_.size() >= notice_queue_limit) {
      // The first one is under way, or about to be again.
      drop(queue_[1], "too many wait");
      queue_.erase(queue_.begin() + 1);
    }
    queue_.push_back(notice);
    if (queue_.size() == 1) attempt();
  }

  void child_ended(Pid pid, const ExitStatus& status) { destination_->child_ended(pid, status); }

 private:
  void attempt() {
    ++attempts_;
    destination_->attempt(queue_.front(), [weak = weak_from_this()](const Result<void>& result) {
      if (auto self = weak.lock()) self->attempted(result);
    });
  }

  void attempted(const Result<void>& result) {
    if (result) {
      ++totals_.delivered;
      return next();
    }
    if (attempts_ >= notice_attempts) {
      drop(queue_.front(), result.error().message);
      return next();
    }
    ++totals_.retried;
    spdlog::warn("{}: '{}' is tried again: {}", destination_->name(), queue_.front().event,
                 result.error().message);
    std::chrono::seconds delay = notice_retry_delay;
    for (unsigned i = 1; i < attempts_; ++i)
      delay *= 4;
    timer_.expires_after(delay);
    timer_.async_wait([weak = weak_from_this()](const asio::error_code& stopped) {
      if (auto self = weak.lock(); self && !stopped) self->attempt();
    });
  }

  void next() {
    queue_.pop_front();
    attempts_ = 0;
    if (!queue_.empty()) attempt();
  }

  void drop(const Notice& notice, const std::string& why) {
    ++totals_.dropped;
    spdlog::warn("{}: '{}' was not delivered: {}", destination_->name(), notice.event, why);
  }

  asio::steady_timer timer_;
  const std::unique_ptr<Destination> destination_;
  Totals& totals_;
  std::deque<Notice> queue_;
  unsigned attempts_ = 0;  // of the first one
};

class LoopNotifier : public Notifier {
 public:
  LoopNotifier(asio::io_context& loop, const Options& options) {
    if (!options.command.empty())
      outboxes_.push_back(std::make_shared<Outbox>(
          loop, std::make_unique<CommandDestination>(loop, options.command), totals_));
    if (!options.url.empty())
      outboxes_.push_back(
          std::make_shared<Outbox>(loop, std::make_unique<UrlDestination>(loop, options.url), totals_));
  }

  void send(Notice notice) override {
    for (const auto& outbox : outboxes_)
      outbox->add(notice);
  }
  void child_ended(Pid pid, const ExitStatus& status) override {
    for (const auto& outbox : outboxes_)
      outbox->child_ended(pid, status);
  }
  std::vector<Count> counts() const override {
    return {{"delivered", totals_.delivered}, {"retried", totals_.retried}, {"dropped", totals_.dropped}};
  }

 private:
  Totals totals_;
  std::vector<std::shared_ptr<Outbox>> outboxes_;
};

}  // namespace

std::unique_ptr<Notifier> Notifier::make(asio::io_context& loop, const Options& options) {
  return std::make_unique<LoopNotifier>(loop, options);
}

}  // namespace gitproc
