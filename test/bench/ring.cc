// Merge and decode at full speed, over rings that were filled before.

#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "decode.h"
#include "drain.h"
#include "merge.h"
#include "ring_writer.h"

using namespace tapio;

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void print(const char* name, const std::vector<double>& values, const char* unit) {
  std::printf("{\"name\":\"%s\",\"values\":[", name);
  for (size_t i = 0; i < values.size(); i++) std::printf("%s%.4g", i ? "," : "", values[i]);
  std::printf("],\"unit\":\"%s\"}\n", unit);
}

struct Record {
  tapio_file_read read;
  tapio_string given, directory;
  char path[32];
};

constexpr unsigned kRecords = 300'000;

void fill(RingMemory& memory, unsigned cpu) {
  RingWriter writer(memory, cpu);
  Record record = {};
  record.read.header.op = TAPIO_FILE_READ;
  record.read.header.pid = 1234;
  record.read.bytes = 1;
  record.read.inode = 9;
  std::memcpy(record.read.header.comm, "dd", 3);
  record.directory.stored = record.directory.full = 9;
  std::memcpy(record.path, "null\0dev\0", 9);
  uint64_t clock = cpu;
  for (unsigned i = 0; i < kRecords; i++)
    writer.write(&record, sizeof(record), [&] { return clock += 2; });
}

}  // namespace

int main() {
  std::vector<double> puts, merges, decodes;
  for (int run = 0; run < 5; run++) {
    RingMemory memory(2, 128 << 20, 99);
    const double start = seconds();
    fill(memory, 0);
    fill(memory, 1);
    puts.push_back((seconds() - start) * 1e9 / (2 * kRecords));
    {
      Merge merge(memory.rings());
      uint64_t taken = 0;
      const double from = seconds();
      while (!merge.drained()) {
        merge.refill_all();
        taken += merge.release([](tapio_header*, uint32_t, unsigned) { return true; });
      }
      merges.push_back(static_cast<double>(taken) / (seconds() - from) / 1e6);
    }
    {
      Merge merge(memory.rings());
      const TableLayout& layout = table_layout(TAPIO_TYPE_FILE);
      Slot slot(0, TAPIO_TYPE_FILE, layout);
      Dictionaries dictionaries(layout);
      const DropReasons reasons;
      uint64_t taken = 0;
      double spent = 0;
      while (!merge.drained()) {
        merge.refill_all();
        const double from = seconds();
        taken += merge.release([&](tapio_header* header, uint32_t bytes, unsigned) {
          RowSink sink(slot, dictionaries, reasons);
          decode_fields(sink, header->op, reinterpret_cast<unsigned char*>(header), bytes);
          if (++slot.rows == kBatchRows) slot.reset();
          return true;
        });
        spent += seconds() - from;
      }
      decodes.push_back(static_cast<double>(taken) / spent / 1e6);
    }
  }
  print("ring put in user space (184 B)", puts, "ns");
  print("ring read and merge, 2 CPUs", merges, "M records/s");
  print("merge and decode own fields of file.read", decodes, "M rows/s");
  return 0;
}
