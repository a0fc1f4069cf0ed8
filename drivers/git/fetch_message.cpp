#include "drivers/git/fetch_message.h"

#include <cstring>
#include <utility>

namespace gitproc {
namespace {

constexpr std::size_t frame_bytes = 4;
constexpr std::size_t max_text_bytes = 4096;
constexpr std::size_t max_known_commits = 2'000;
constexpr std::size_t max_parents = 64;

class Writer {
 public:
  void number(std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8)
      bytes_ += static_cast<char>(value >> shift);
  }
  void text(std::string_view text) {
    number(text.size());
    bytes_ += text;
  }
  void id(const ObjectId& id) {
    bytes_.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Every read says whether it was there; after the first that was not, none is.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool number(std::uint64_t& value, std::uint64_t most = UINT64_MAX) {
    if (!has(8)) return false;
    value = 0;
    for (unsigned i = 0; i < 8; ++i)
      value |= std::uint64_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
    bytes_.remove_prefix(8);
    return is_good_ = value <= most;
  }
  bool text(std::string& text, std::size_t most = max_text_bytes) {
    std::uint64_t size = 0;
    if (!number(size, most) || !has(size)) return false;
    text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }
  bool id(ObjectId& id) {
    if (!has(id.bytes.size())) return false;
    std::memcpy(id.bytes.data(), bytes_.data(), id.bytes.size());
    bytes_.remove_prefix(id.bytes.size());
    return true;
  }
  bool is_at_end() const { return is_good_ && bytes_.empty(); }

 private:
  bool has(std::size_t count) { return is_good_ = is_good_ && bytes_.size() >= count; }

  std::string_view bytes_;
  bool is_good_ = true;
};

// One function both ways: `Code` is a Writer's or a Reader's wrapper.
struct Encoder {
  Writer writer;
  bool operator()(const std::string& text, std::size_t = 0) { return writer.text(text), true; }
  bool operator()(const ObjectId& id) { return writer.id(id), true; }
  bool count(std::size_t size, std::size_t) { return writer.number(size), true; }
  template <typename Number>
  bool as_number(const Number& value, std::uint64_t) {
    return writer.number(static_cast<std::uint64_t>(value)), true;
  }
};
struct Decoder {
  Reader reader;
  bool operator()(std::string& text, std::size_t most = max_text_bytes) { return reader.text(text, most); }
  bool operator()(ObjectId& id) { return reader.id(id); }
  template <typename Number>
  bool as_number(Number& value, std::uint64_t most) {
    std::uint64_t read = 0;
    if (!reader.number(read, most)) return false;
    value = static_cast<Number>(read);
    return true;
  }
};

template <typename List, typename Each>
bool list(Encoder& code, List& items, std::size_t most, Each each) {
  code.count(items.size(), most);
  for (auto& item : items)
    each(item);
  return true;
}
template <typename List, typename Each>
bool list(Decoder& code, List& items, std::size_t most, Each each) {
  std::uint64_t count = 0;
  if (!code.reader.number(count, most)) return false;
  // Not reserved ahead: a count is only believed as far as its items are there.
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!each(items.emplace_back())) return false;
  }
  return true;
}

template <typename Code, typename Refs>
bool refs_of(Code& code, Refs& refs) {
  return list(code, refs, max_remote_refs,
              [&](auto& ref) { return code(ref.name, max_ref_name_bytes) && code(ref.id); });
}

template <typename Code, typename Job>
bool fields(Code& code, Job& job)
  requires std::is_same_v<std::remove_const_t<Job>, FetchJob>
{
  return code(job.url) && code(job.username) && code(job.password_file) && code(job.ssh_key) &&
         code(job.known_hosts) && code(job.ca_file) && code(job.scratch) && refs_of(code, job.refs) &&
         list(code, job.commits, max_known_commits,
              [&](auto& commit) {
                return code(commit.id) && code.as_number(commit.time, UINT64_MAX) &&
                       list(code, commit.parents, max_parents, [&](auto& parent) { return code(parent); });
              }) &&
         code.as_number(job.uid, UINT32_MAX) && code.as_number(job.gid, UINT32_MAX);
}
template <typename Code, typename Job>
bool fields(Code& code, Job& job)
  requires std::is_same_v<std::remove_const_t<Job>, IndexJob>
{
  return code(job.objects_dir) && code(job.incoming_dir) && code.as_number(job.is_bundle, 1) &&
         code.as_number(job.uid, UINT32_MAX) && code.as_number(job.gid, UINT32_MAX);
}
template <typename Code, typename Message>
bool fields(Code& code, Message& message)
  requires std::is_same_v<std::remove_const_t<Message>, FetchStage>
{
  return code(message.text);
}
template <typename Code, typename Message>
bool fields(Code& code, Message& message)
  requires std::is_same_v<std::remove_const_t<Message>, OfferedRefs>
{
  return refs_of(code, message.refs) && code(message.head) && code.as_number(message.has_pack, 1);
}
template <typename Code, typename Message>
bool fields(Code& code, Message& message)
  requires std::is_same_v<std::remove_const_t<Message>, FetchProgress>
{
  return code.as_number(message.bytes, UINT64_MAX) && code.as_number(message.objects, UINT32_MAX) &&
         code.as_number(message.total_objects, UINT32_MAX);
}
template <typename Code, typename Message>
bool fields(Code& code, Message& message)
  requires std::is_same_v<std::remove_const_t<Message>, PackIndexed>
{
  return code(message.name);
}
template <typename Code, typename Message>
bool fields(Code&, Message&)
  requires std::is_same_v<std::remove_const_t<Message>, WorkerDone>
{
  return true;
}
template <typename Code, typename Message>
bool fields(Code& code, Message& message)
  requires std::is_same_v<std::remove_const_t<Message>, WorkerFailed>
{
  return code.as_number(message.fault, static_cast<std::uint64_t>(Fetched::Fault::refused)) &&
         code(message.message);
}

template <typename Variant>
std::string encode_variant(const Variant& value) {
  Encoder code;
  code.writer.number(value.index());
  std::visit([&](const auto& alternative) { (void)fields(code, alternative); }, value);
  return code.writer.take();
}

// The alternative of that index, or a failed decode.
template <typename Variant, std::size_t index = 0>
std::optional<Variant> decode_variant(Decoder& code, std::uint64_t which) {
  if constexpr (index == std::variant_size_v<Variant>) {
    return std::nullopt;
  } else {
    if (which != index) return decode_variant<Variant, index + 1>(code, which);
    std::variant_alternative_t<index, Variant> alternative;
    if (!fields(code, alternative) || !code.reader.is_at_end()) return std::nullopt;
    return Variant(std::move(alternative));
  }
}

template <typename Variant>
std::optional<Variant> decode_variant(std::string_view bytes) {
  Decoder code{Reader(bytes)};
  std::uint64_t which = 0;
  if (!code.reader.number(which, std::variant_size_v<Variant> - 1)) return std::nullopt;
  return decode_variant<Variant>(code, which);
}

}  // namespace

std::string encode(const WorkerJob& job) { return encode_variant(job); }

Result<WorkerJob> decode_job(std::string_view bytes) {
  std::optional<WorkerJob> job = decode_variant<WorkerJob>(bytes);
  if (!job) return fail("cannot read the job: it is malformed", ErrorCode::invalid);
  return *std::move(job);
}

std::string encode(const WorkerMessage& message) {
  std::string body = encode_variant(message);
  std::string framed;
  for (unsigned i = 0; i < frame_bytes; ++i)
    framed += static_cast<char>(body.size() >> (8 * i));
  return framed + body;
}

Result<std::vector<WorkerMessage>> MessageReader::feed(std::string_view bytes) {
  pending_ += bytes;
  std::vector<WorkerMessage> messages;
  std::string_view rest = pending_;
  while (rest.size() >= frame_bytes) {
    std::size_t size = 0;
    for (unsigned i = 0; i < frame_bytes; ++i)
      size |= std::size_t{static_cast<unsigned char>(rest[i])} << (8 * i);
    if (size > max_fetch_message_bytes) return fail("a fetch worker sent a message that is too long");
    if (rest.size() - frame_bytes < size) break;
    std::optional<WorkerMessage> message = decode_variant<WorkerMessage>(rest.substr(frame_bytes, size));
    if (!message) return fail("a fetch worker sent a message that is malformed");
    messages.push_back(*std::move(message));
    rest.remove_prefix(frame_bytes + size);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return messages;
}

}  // namespace gitproc
