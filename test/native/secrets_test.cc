// Secrets in exec records: whatever a record holds, what is made of it is a record that decodes,
// without them. Arguments: seed, rounds.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "check.h"
#include "columns.h"
#include "secrets.h"

using namespace tapio;

namespace {

using Random = std::mt19937_64;

struct Strings {
  std::string name, directory, base, cwd, arguments;
  uint16_t left_out = 0;
};

// An exec record as the kernel writes it.
std::vector<uint64_t> exec_of(const Strings& strings) {
  std::vector<uint64_t> words(TAPIO_RECORD_BYTES_MAX / 8);
  auto* bytes = reinterpret_cast<unsigned char*>(words.data());
  auto* record = reinterpret_cast<tapio_process_exec*>(bytes);
  record->header.op = TAPIO_PROCESS_EXEC;
  record->args_length = static_cast<__u32>(strings.arguments.size() + strings.left_out);
  size_t used = sizeof(*record);
  const auto put = [&](const std::string& text, uint16_t left_out) {
    const auto size = static_cast<__u16>(text.size());
    const tapio_string head = {size, static_cast<__u16>(size + left_out), 0};
    std::memcpy(bytes + used, &head, sizeof(head));
    std::memcpy(bytes + used + sizeof(head), text.data(), size);
    used += sizeof(head) + ((size + 7u) & ~7u);
  };
  put(strings.name, 0);
  put(strings.directory, 0);
  put(strings.base, 0);
  put(strings.cwd, 0);
  put(strings.arguments, strings.left_out);
  words.resize(used / 8);
  return words;
}

struct Read {
  std::vector<std::string> paths;
  std::string arguments;
  uint32_t full = 0, length = 0;
};

Read read_exec(const unsigned char* bytes, uint32_t size) {
  Tail tail(bytes + sizeof(tapio_process_exec), size - sizeof(tapio_process_exec));
  Read out;
  for (int i = 0; i < 4; i++) {
    const TailString one = tail.next();
    out.paths.emplace_back(one.data, one.stored);
  }
  const TailString arguments = tail.next();
  CHECK(tail.ok());
  out.arguments.assign(arguments.data, arguments.stored);
  out.full = arguments.full;
  out.length = reinterpret_cast<const tapio_process_exec*>(bytes)->args_length;
  return out;
}

std::string random_text(Random& random, size_t most, const char* letters) {
  std::string out(random() % (most + 1), '\0');
  const size_t count = strlen(letters) + 1;  // with the NUL
  for (char& one : out) one = letters[random() % count];
  return out;
}

void hold(uint64_t seed, uint64_t rounds) {
  Random random(seed);
  std::string why;
  const auto some = Secrets::make({{"flag", "(?m)^-p(.+)"}, {"x", "x\\s+(\\S+)"}}, &why);
  // Each byte is a secret of its own: the arguments grow.
  const auto each = Secrets::make({{"each", "([^*])"}}, &why);
  CHECK(some && each);
  CHECK(!Secrets::make({{"bad", "("}}, &why) && !why.empty());
  std::vector<uint64_t> out(TAPIO_RECORD_BYTES_MAX / 8), counts;
  auto* hidden = reinterpret_cast<unsigned char*>(out.data());
  for (uint64_t round = 0; round < rounds; round++) {
    Strings strings = {random_text(random, 255, "/ab"), random_text(random, 900, "ab"), "",
                       random_text(random, 900, "ab"),
                       random_text(random, round % 3 == 0 ? 4096 : 60,
                                   "-px \n\xff"
                                   "a")};
    strings.left_out = random() % 4 == 0 ? static_cast<uint16_t>(random() % 60'000) : 0;
    const auto record = exec_of(strings);
    const auto* header = reinterpret_cast<const tapio_header*>(record.data());
    const auto bytes = static_cast<uint32_t>(record.size() * 8);
    for (const auto& secrets : {some, each}) {
      counts.clear();
      const uint32_t size = secrets->hide_in_exec(header, bytes, hidden, &counts);
      if (size == 0) continue;
      CHECK(size % 8 == 0 && size <= TAPIO_RECORD_BYTES_MAX && !counts.empty());
      const Read read = read_exec(hidden, size);
      CHECK(read.paths[0] == strings.name && read.paths[3] == strings.cwd);
      const auto ends = [](const std::string& text) {
        return std::count(text.begin(), text.end(), '\0');
      };
      const bool is_whole = read.full == read.arguments.size() + strings.left_out;
      if (is_whole) CHECK(ends(read.arguments) == ends(strings.arguments));
      CHECK(is_whole || read.full > read.arguments.size());
      CHECK(read.length == read.arguments.size() + strings.left_out || !is_whole);
      if (secrets == each)
        for (const char one : read.arguments) CHECK(one == '*' || one == '\0');
    }
    // A record that is not what it claims is left to whoever decodes it.
    some->hide_in_exec(header, static_cast<uint32_t>(random() % (bytes + 1)), hidden, &counts);
  }
}

}  // namespace

int main(int argc, char** argv) {
  hold(argc > 1 ? strtoull(argv[1], nullptr, 10) : 1,
       argc > 2 ? strtoull(argv[2], nullptr, 10) : 1000);
  return 0;
}
