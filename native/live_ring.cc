#include "live_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace tapio {

std::shared_ptr<LiveRing> LiveRing::create(uint64_t ring_bytes, const std::string& recording,
                                           const DropReasons& reasons) {
  std::string text;
  for (const auto& [number, name] : reasons) text += std::to_string(number) + " " + name + "\n";
  const uint64_t data_offset = (2 * kLivePage + text.size() + kLivePage - 1) & ~(kLivePage - 1);
  std::shared_ptr<LiveRing> ring(new LiveRing);
  ring->bytes_ = data_offset + ring_bytes;
  ring->fd_ = memfd_create("tapio-live", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (ring->fd_ < 0 || fchmod(ring->fd_, 0600) != 0) return nullptr;
  // Taken now: memory that is not there when a row is written would be a signal.
  if ((errno = posix_fallocate(ring->fd_, 0, static_cast<off_t>(ring->bytes_))) != 0)
    return nullptr;
  void* made = mmap(nullptr, ring->bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd_, 0);
  if (made == MAP_FAILED) return nullptr;
  ring->memory_ = static_cast<uint8_t*>(made);
  if (fcntl(ring->fd_, F_ADD_SEALS,
            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
    return nullptr;
  auto* header = reinterpret_cast<LiveHeader*>(ring->memory_);
  std::memcpy(header->magic, kLiveMagic, sizeof(kLiveMagic));
  std::strncpy(header->fingerprint, TAPIO_SCHEMA_FINGERPRINT, sizeof(header->fingerprint) - 1);
  std::strncpy(header->recording, recording.c_str(), sizeof(header->recording) - 1);
  header->ring_bytes = ring_bytes;
  if (getrandom(&header->secret, sizeof(header->secret), 0) != sizeof(header->secret))
    return nullptr;
  header->reasons_bytes = text.size();
  header->data_offset = data_offset;
  std::memcpy(ring->memory_ + 2 * kLivePage, text.data(), text.size());
  ring->header_ = header;
  auto& control = *reinterpret_cast<tapio_ring_control*>(ring->memory_ + kLivePage);
  ring->writer_ = std::make_unique<RingWriter>(ring->memory_ + data_offset, control, ring_bytes,
                                               header->secret);
  return ring;
}

LiveRing::~LiveRing() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
  if (fd_ >= 0) close(fd_);
}

}  // namespace tapio
