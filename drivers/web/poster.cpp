#include "drivers/web/poster.h"

#include <curl/curl.h>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <utility>

#include "drivers/web/curl_loop.h"
#include "reconcile/base/strings.h"

namespace gitproc {
namespace {

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

class CurlPoster : public Poster {
 public:
  explicit CurlPoster(asio::io_context& loop) : loop_(loop) {}
  ~CurlPoster() override {
    *is_alive_ = false;
    if (easy_) curl_->remove(easy_.get());
  }

  Result<void> set_up() {
    auto made = CurlLoop::make(loop_, [this](void*, int code) { finish(code); });
    if (!made) return std::unexpected(made.error());
    curl_ = *std::move(made);
    headers_.reset(curl_slist_append(nullptr, "Content-Type: application/json"));
    return headers_ ? Result<void>() : fail("cannot set up libcurl: out of memory");
  }

  void post(const std::string& url, std::string body, OnDone on_done) override {
    body_ = std::move(body);
    on_done_ = std::move(on_done);
    answer_bytes_ = 0;
    easy_.reset(curl_easy_init());
    Result<void> begun = easy_ ? begin(url) : fail("cannot send: out of memory");
    if (begun) return;
    easy_.reset();
    asio::post(loop_, [this, is_alive = is_alive_, begun] {
      if (*is_alive) std::exchange(on_done_, nullptr)(begun);
    });
  }

 private:
  Result<void> begin(const std::string& url) {
    CURL* easy = easy_.get();
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body_.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(body_.size()));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::chrono::milliseconds(post_timeout).count()));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &CurlPoster::on_bytes);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &CurlPoster::on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "gitproc");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    // Minutes or days lie between two notices.
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    return curl_->add(easy);
  }

  void finish(int code) {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    easy_.reset();
    // A long answer is cut off, which changes nothing of its status.
    bool is_cut = code == CURLE_WRITE_ERROR && answer_bytes_ > post_answer_limit_bytes;
    Result<void> result;
    if (code != CURLE_OK && !is_cut) {
      result = fail(printable(curl_text(code)));
    } else if (status < 200 || status > 299) {
      result = fail("HTTP " + std::to_string(status));
    }
    std::exchange(on_done_, nullptr)(result);
  }

  static std::size_t on_bytes(char*, std::size_t size, std::size_t count, void* self) {
    std::size_t& bytes = static_cast<CurlPoster*>(self)->answer_bytes_;
    bytes += size * count;
    return bytes > post_answer_limit_bytes ? 0 : size * count;
  }

  asio::io_context& loop_;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
  std::unique_ptr<CurlLoop> curl_;
  std::unique_ptr<curl_slist, ListDeleter> headers_;
  std::unique_ptr<CURL, EasyDeleter> easy_;  // while a POST is under way
  std::string body_;
  std::size_t answer_bytes_ = 0;
  OnDone on_done_;
};

}  // namespace

Result<std::unique_ptr<Poster>> Poster::make(asio::io_context& loop) {
  auto poster = std::make_unique<CurlPoster>(loop);
  if (Result<void> ready = poster->set_up(); !ready) return std::unexpected(ready.error());
  return poster;
}

}  // namespace gitproc
