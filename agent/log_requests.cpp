#include "agent/log_requests.h"

#include <asio.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "drivers/logs/log_files.h"
#include "drivers/logs/log_follower.h"
#include "drivers/logs/log_reader.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

// Where inotify cannot be had, followed logs are read at this interval.
constexpr std::chrono::seconds poll_interval{1};

struct ReadLogs {
  Json lines = Json::array();
  bool is_truncated = false;
};

// The last `count` lines (nullopt: all) of one service, at most `limit` bytes of text.
Result<void> read_service(const LogDirectory& directory, const std::string& service,
                          std::optional<unsigned> count, std::size_t limit, ReadLogs& into) {
  Result<LogReader> reader = LogReader::open(directory, service);
  if (!reader) return std::unexpected(reader.error());
  if (count) {
    if (Result<void> sought = reader->seek_to_last_lines(*count); !sought) return sought;
  }
  std::string text;
  while (true) {
    Result<LogChunk> chunk = reader->read(limit);
    if (!chunk) return std::unexpected(chunk.error());
    if (chunk->bytes.empty()) break;
    text += chunk->bytes;
    if (text.size() > limit) {
      text.erase(0, text.size() - limit);
      std::size_t line_end = text.find('\n');
      if (line_end != std::string::npos) text.erase(0, line_end + 1);
      into.is_truncated = true;
    }
  }
  if (text.empty()) return {};
  if (text.back() == '\n') text.pop_back();
  std::vector<std::string_view> lines = split(text, '\n');
  // What was written since the search for the last lines is newer than they.
  std::size_t first = count && lines.size() > *count ? lines.size() - *count : 0;
  for (std::size_t i = first; i < lines.size(); ++i)
    into.lines.push_back({{"service", service}, {"line", lines[i]}});
  return {};
}

}  // namespace

struct LogRequests::Reading {
  asio::thread_pool pool{1};
};

// One `logs -f`. Lives as long as its connection.
class LogRequests::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(asio::io_context& loop, LogFollower follower, std::vector<std::string> services,
         std::shared_ptr<Reply> reply)
      : follower_(std::move(follower)),
        services_(std::move(services)),
        reply_(std::move(reply)),
        readable_(loop),
        timer_(loop) {
    if (follower_.fd() >= 0) readable_.assign(follower_.fd());
  }
  ~Stream() {
    if (readable_.is_open()) readable_.release();  // the follower's own
  }

  void start() {
    // The connection keeps this alive, through its callbacks, and drops it when the peer goes.
    reply_->on_closed([self = shared_from_this()] { self->stop(); });
    reply_->on_drained([self = weak_from_this()] {
      auto stream = self.lock();
      if (stream && stream->is_paused_) stream->read();
    });
    read();
  }

 private:
  void stop() {
    is_stopped_ = true;
    asio::error_code ignored;
    if (readable_.is_open()) readable_.cancel(ignored);
    timer_.cancel();
  }

  void read() {
    is_paused_ = false;
    if (is_stopped_ || reply_->is_closed()) return;
    Result<std::vector<FollowedLines>> arrived = follower_.read();
    if (!arrived) {
      reply_->error(arrived.error());
      return stop();
    }
    for (const FollowedLines& lines : *arrived)
      send(lines);
    if (reply_->pending_bytes() > stream_pause_bytes) {
      is_paused_ = true;
      return;
    }
    wait();
  }

  void send(const FollowedLines& lines) {
    std::string_view text = lines.text;
    while (!text.empty() && !is_stopped_) {
      std::size_t end = text.find('\n');
      Json data = {{"service", services_[lines.service]}, {"line", text.substr(0, end)}};
      if (end == std::string_view::npos) data["partial"] = true;
      reply_->stream(data);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  }

  void wait() {
    auto again = [self = shared_from_this()](const asio::error_code& stopped) {
      if (!stopped) self->read();
    };
    if (follower_.has_more() || !readable_.is_open()) {
      timer_.expires_after(follower_.has_more() ? std::chrono::seconds(0) : poll_interval);
      timer_.async_wait(again);
    } else {
      readable_.async_wait(asio::posix::stream_descriptor::wait_read, again);
    }
  }

  LogFollower follower_;
  const std::vector<std::string> services_;
  const std::shared_ptr<Reply> reply_;
  asio::posix::stream_descriptor readable_;
  asio::steady_timer timer_;
  bool is_paused_ = false;
  bool is_stopped_ = false;
};

LogRequests::LogRequests(asio::io_context& loop, std::string log_dir)
    : loop_(loop), log_dir_(std::move(log_dir)) {}
LogRequests::~LogRequests() = default;

void LogRequests::serve(const Request& request, std::shared_ptr<Reply> reply) {
  request.args.follow ? follow(request, std::move(reply)) : read(request, std::move(reply));
}

void LogRequests::read(const Request& request, std::shared_ptr<Reply> reply) {
  if (!reading_) reading_ = std::make_unique<Reading>();
  asio::post(reading_->pool,
             [loop = &loop_, log_dir = log_dir_, request, reply = std::move(reply)]() mutable {
               auto logs = std::make_shared<ReadLogs>();
               Result<void> outcome;
               Result<LogDirectory> directory = LogDirectory::open(log_dir);
               if (!directory) outcome = std::unexpected(directory.error());
               std::size_t limit = max_logs_bytes / request.services.size();
               for (const std::string& service : request.services) {
                 if (outcome) outcome = read_service(*directory, service, request.args.lines, limit, *logs);
               }
               asio::post(*loop, [logs, outcome, reply = std::move(reply)] {
                 if (!outcome) return reply->error(outcome.error());
                 Json data = {{"lines", std::move(logs->lines)}};
                 if (logs->is_truncated) data["truncated"] = true;
                 reply->success(data);
               });
             });
}

void LogRequests::follow(const Request& request, std::shared_ptr<Reply> reply) {
  Result<LogDirectory> directory = LogDirectory::open(log_dir_);
  if (!directory) return reply->error(directory.error());
  std::size_t lines = request.args.lines.value_or(default_follow_lines);
  Result<LogFollower> follower = LogFollower::open(*directory, request.services, lines);
  if (!follower) return reply->error(follower.error());
  std::make_shared<Stream>(loop_, *std::move(follower), request.services, std::move(reply))->start();
}

}  // namespace gitproc
