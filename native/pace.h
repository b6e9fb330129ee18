// Wakes at absolute times of CLOCK_MONOTONIC. A thread of its own sleeps, so that JS need not, and
// what it waits for can be changed or dropped at any moment.

#pragma once

#include <napi.h>
#include <stdint.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace tapio {

class Pacer {
 public:
  // `wake` is called on the pacer's thread.
  explicit Pacer(std::function<void()> wake);
  ~Pacer();

  // Wakes once at `at` ns, or at once where that is past; takes the place of what was set before.
  void set(int64_t at);
  // Nothing is waited for any more. A wake that is on its way still comes.
  void cancel();

 private:
  void run();

  std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int64_t> at_;
  bool ending_ = false;
  std::thread thread_;
};

// The class that JS sees: src/source/binding.ts describes it.
Napi::Function define_pacer(Napi::Env env);

}  // namespace tapio
