// Decoding: what is right is found in its columns, and what is forged or short is refused without
// harm.

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "check.h"
#include "decode.h"
#include "drain.h"
#include "ring_writer.h"
#include "text.h"

using namespace tapio;
using namespace std::string_view_literals;

namespace {

const DropReasons reasons = {{3, "NO_SOCKET"}};

void texts() {
  CHECK(reversible_utf8("plain ünï") == "plain ünï");
  CHECK(reversible_utf8("a\\b") == "a\\\\b");
  CHECK(reversible_utf8("\xff\xc3") == "\\xff\\xc3");
  CHECK(reversible_utf8("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // a surrogate is no UTF-8
  CHECK(reversible_utf8("\xf0\x9f\x90\xa7") == "\xf0\x9f\x90\xa7");
  CHECK(path_text("/abs", "x\0"sv, true) == "/abs");
  CHECK(path_text("rel", "log\0var\0"sv, true) == "/var/log/rel");
  CHECK(path_text("rel", ""sv, true) == "/rel");
  CHECK(path_text("", "log\0var\0"sv, true) == "/var/log");
  CHECK(path_text("", ""sv, true) == "/");
  CHECK(path_text("rel", ""sv, false) == "rel");
  CHECK(path_text("", "pipe:[7]\0"sv, true) == "pipe:[7]");
  unsigned char address[16] = {};
  inet_pton(AF_INET6, "::ffff:10.0.0.1", address);
  CHECK(inet_text(AF_INET6, address) == "10.0.0.1");
  inet_pton(AF_INET6, "2001:db8::1", address);
  CHECK(inet_text(AF_INET6, address) == "2001:db8::1");
}

// Bytes back from the reversible form.
std::string reverse(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '\\')
      out += text[i];
    else if (text[i + 1] == '\\')
      out += text[++i];
    else {
      out += static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16));
      i += 3;
    }
  }
  return out;
}

void reversible(unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; i++) {
    std::string bytes;
    for (unsigned n = random() % 12; n > 0; n--) bytes += static_cast<char>(random() % 256);
    CHECK(reverse(reversible_utf8(bytes)) == bytes);
  }
}

void interns(unsigned seed) {
  std::mt19937 random(seed);
  Interner interner;
  for (const bool expected : {true, false}) {
    bool is_new = false;
    CHECK(interner.index_of("", 0, &is_new) == 0 && is_new == expected);
  }
  interner.clear();
  std::vector<std::string> known;
  for (int i = 0; i < 100'000; i++) {
    const std::string key = "key-" + std::to_string(random() % 20'000);
    bool is_new = false;
    const uint32_t index =
        interner.index_of(key.data(), static_cast<uint32_t>(key.size()), &is_new);
    if (is_new) {
      CHECK(index == known.size());
      known.push_back(key);
    }
    CHECK(known[index] == key);
  }
}

// Random bytes as records of every op and length: refused or decoded, never out of bounds (the
// sanitizers watch), and a refused row leaves no trace.
void survives_forged_records(unsigned seed, int rounds) {
  std::mt19937_64 random(seed);
  for (unsigned type = 1; type <= kTypes; type++) {
    const TableLayout& layout = table_layout(type);
    Slot slot(0, type, layout);
    Dictionaries dictionaries(layout);
    for (int i = 0; i < rounds; i++) {
      const auto bytes = static_cast<uint32_t>(80 + 8 * (random() % 120));
      // Exactly as long as it says, so that reading past the end is seen.
      std::vector<uint64_t> record(bytes / 8);
      for (uint64_t& word : record) word = random() % 4 ? random() % 64 : random();
      const unsigned op = static_cast<unsigned>(random() % (TAPIO_OPS + 2));
      if (op < TAPIO_OPS && type_of_op[op] != type) continue;
      const uint32_t rows = slot.rows;
      RowSink sink(slot, dictionaries, reasons);
      if (decode_fields(sink, op, reinterpret_cast<unsigned char*>(record.data()), bytes))
        slot.rows++;
      else
        sink.undo();
      CHECK(slot.rows == rows || slot.rows == rows + 1);
      if (slot.rows == kBatchRows || heaps_full(slot)) {
        close_lists(slot);
        slot.nulls();
        slot.reset();
        dictionaries.clear();
      }
    }
    close_lists(slot);
  }
}

void undo_leaves_no_trace() {
  const TableLayout& layout = table_layout(TAPIO_TYPE_PROCESS);
  Slot slot(0, TAPIO_TYPE_PROCESS, layout);
  Dictionaries dictionaries(layout);
  {
    RowSink sink(slot, dictionaries, reasons);
    sink.value(k_process_exit_code, int32_t{7});
    sink.strings(k_process_args, {"a\0b", 3, 3});
    sink.undo();
  }
  {
    RowSink sink(slot, dictionaries, reasons);
    sink.strings(k_process_args, {"c", 1, 1});
    slot.rows++;
  }
  close_lists(slot);
  const auto nulls = slot.nulls();
  CHECK(nulls[k_process_exit_code] == 1);
  CHECK(nulls[k_process_args] == 0);
  CHECK(slot.inner[k_process_args] == 1);
  CHECK(slot.memory[layout.regions[k_process_args].heap] == 'c');
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned seed = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 100'000;
  std::printf("seed %u\n", seed);
  texts();
  reversible(seed);
  interns(seed);
  survives_forged_records(seed, rounds);
  undo_leaves_no_trace();
  return 0;
}
