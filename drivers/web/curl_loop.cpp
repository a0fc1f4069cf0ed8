#include "drivers/web/curl_loop.h"

#include <curl/curl.h>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <map>
#include <utility>

#include "drivers/base/lazy_library.h"

namespace gitproc {
namespace {

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// A socket of curl's that the loop watches. Closing it is curl's.
struct Watched {
  explicit Watched(asio::io_context& loop) : descriptor(loop) {}
  ~Watched() { let_go(); }
  // To be called before curl closes the socket: its number may be another one's at once.
  void let_go() {
    if (descriptor.is_open()) descriptor.release();
  }

  asio::posix::stream_descriptor descriptor;
  int wanted = 0;  // CURL_POLL_IN, CURL_POLL_OUT or both
  bool is_waiting_to_read = false;
  bool is_waiting_to_write = false;
};

class AsioCurlLoop : public CurlLoop {
 public:
  AsioCurlLoop(asio::io_context& loop, OnDone on_done)
      : loop_(loop), timer_(loop), on_done_(std::move(on_done)), multi_(curl_multi_init()) {}
  ~AsioCurlLoop() override {
    *is_alive_ = false;
    // While its members are still there: closing connections calls on_socket.
    multi_.reset();
  }

  Result<void> set_up() {
    if (!multi_) return fail("cannot set up libcurl: out of memory");
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, &AsioCurlLoop::on_socket);
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, &AsioCurlLoop::on_timer);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return {};
  }

  Result<void> add(void* easy) override {
    CURLMcode code = curl_multi_add_handle(multi_.get(), easy);
    if (code != CURLM_OK) return fail(std::string("cannot begin: ") + curl_multi_strerror(code));
    return {};
  }
  void remove(void* easy) override { curl_multi_remove_handle(multi_.get(), easy); }

 private:
  void collect() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* easy = message->easy_handle;
      CURLcode code = message->data.result;
      // `message` is gone with this.
      curl_multi_remove_handle(multi_.get(), easy);
      on_done_(easy, code);
    }
  }

  void act(curl_socket_t socket, int events) {
    int running = 0;
    curl_multi_socket_action(multi_.get(), socket, events, &running);
    collect();
  }

  void watch(curl_socket_t socket, int wanted) {
    if (wanted == CURL_POLL_REMOVE) {
      auto found = watched_.find(socket);
      if (found == watched_.end()) return;
      found->second->let_go();
      watched_.erase(found);
      return;
    }
    std::shared_ptr<Watched>& watched = watched_[socket];
    if (!watched) {
      watched = std::make_shared<Watched>(loop_);
      asio::error_code error;
      watched->descriptor.assign(socket, error);
      // A socket that cannot be watched is one that does not answer: the transfer runs into its time-out.
      if (error) return;
    }
    watched->wanted = wanted;
    wait(socket, watched);
  }

  // Waits for what curl wants of this socket, unless a wait for it is under way already.
  void wait(curl_socket_t socket, const std::shared_ptr<Watched>& watched) {
    auto wait_for = [&](int direction, int event, auto asio_direction, bool Watched::* is_waiting) {
      if ((watched->wanted & direction) == 0 || (*watched).*is_waiting) return;
      (*watched).*is_waiting = true;
      watched->descriptor.async_wait(asio_direction,
                                     [this, socket, event, direction, is_waiting, is_alive = is_alive_,
                                      weak = std::weak_ptr<Watched>(watched)](const asio::error_code& error) {
                                       std::shared_ptr<Watched> still = weak.lock();
                                       if (!*is_alive || !still) return;
                                       (*still).*is_waiting = false;
                                       if (error) return;
                                       if ((still->wanted & direction) != 0) act(socket, event);
                                       // curl may have closed the socket, and even opened another one of the same number.
                                       if (!*is_alive) return;
                                       auto found = watched_.find(socket);
                                       if (found != watched_.end() && found->second == still)
                                         wait(socket, still);
                                     });
    };
    wait_for(CURL_POLL_IN, CURL_CSELECT_IN, asio::posix::stream_descriptor::wait_read,
             &Watched::is_waiting_to_read);
    wait_for(CURL_POLL_OUT, CURL_CSELECT_OUT, asio::posix::stream_descriptor::wait_write,
             &Watched::is_waiting_to_write);
  }

  void arm(long milliseconds) {
    if (milliseconds < 0) {
      timer_.cancel();
      return;
    }
    timer_.expires_after(std::chrono::milliseconds(milliseconds));
    timer_.async_wait([this, is_alive = is_alive_](const asio::error_code& error) {
      if (*is_alive && !error) act(CURL_SOCKET_TIMEOUT, 0);
    });
  }

  static int on_socket(CURL*, curl_socket_t socket, int wanted, void* self, void*) {
    static_cast<AsioCurlLoop*>(self)->watch(socket, wanted);
    return 0;
  }
  static int on_timer(CURLM*, long milliseconds, void* self) {
    static_cast<AsioCurlLoop*>(self)->arm(milliseconds);
    return 0;
  }

  asio::io_context& loop_;
  asio::steady_timer timer_;
  const OnDone on_done_;
  // Handlers that are still in the loop when this goes hold a copy, and look first.
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
  std::map<curl_socket_t, std::shared_ptr<Watched>> watched_;
  std::unique_ptr<CURLM, MultiDeleter> multi_;
};

}  // namespace

std::string curl_text(int code) {
  std::string text = curl_easy_strerror(static_cast<CURLcode>(code));
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a')
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

Result<std::unique_ptr<CurlLoop>> CurlLoop::make(asio::io_context& loop, OnDone on_done) {
  if (Result<void> loaded = libcurl.load(); !loaded) return std::unexpected(loaded.error());
  // Counted by curl: calling it more than once is fine, and nothing here ends what others of the program use.
  if (CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK)
    return fail("cannot set up libcurl: " + curl_text(code));
  auto made = std::make_unique<AsioCurlLoop>(loop, std::move(on_done));
  if (Result<void> ready = made->set_up(); !ready) return std::unexpected(ready.error());
  return made;
}

}  // namespace gitproc
