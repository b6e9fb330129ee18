#include "pace.h"

#include <optional>

#include "env_end.h"

#include <sys/prctl.h>
#include <time.h>

#include <chrono>
#include <memory>

namespace tapio {
namespace {

constexpr int64_t kNever = INT64_MAX;
// What a sleeping thread needs to get going again on a quiet machine is spun away instead.
constexpr int64_t kSpinNs = 50'000;

int64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Pacer::Pacer(std::function<void()> wake)
    : wake_(std::move(wake)), at_(kNever), thread_([this] { run(); }) {}

Pacer::~Pacer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    at_ = kNever;
  }
  changed_.notify_one();
  thread_.join();
}

void Pacer::set(int64_t at) {
  {
    const std::lock_guard lock(mutex_);
    at_ = at;
  }
  changed_.notify_one();
}

void Pacer::cancel() { set(kNever); }

void Pacer::run() {
  // The kernel may let a sleeper wait 50 µs longer, so that several can wake together.
  prctl(PR_SET_TIMERSLACK, 1);
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const int64_t at = at_;
    if (at == kNever) {
      changed_.wait(lock);
      continue;
    }
    if (monotonic_ns() < at - kSpinNs) {
      // steady_clock is CLOCK_MONOTONIC: the wait is a futex until an absolute time.
      using Time = std::chrono::steady_clock::time_point;
      changed_.wait_until(lock, Time(std::chrono::nanoseconds(at - kSpinNs)));
      continue;
    }
    lock.unlock();
    while (monotonic_ns() < at && at_.load(std::memory_order_relaxed) == at) relax();
    lock.lock();
    if (at_ != at) continue;
    at_ = kNever;
    lock.unlock();
    wake_();
    lock.lock();
  }
}

namespace {

class PacerObject : public Napi::ObjectWrap<PacerObject> {
 public:
  explicit PacerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PacerObject>(info) {
    wake_ =
        Napi::ThreadSafeFunction::New(info.Env(), info[0].As<Napi::Function>(), "tapio pace", 0, 1);
    end_.emplace(info.Env(), [this] { pacer_.reset(); });
    pacer_ = std::make_unique<Pacer>([this] { wake_.NonBlockingCall(); });
  }

  void set(const Napi::CallbackInfo& info) {
    if (pacer_) pacer_->set(info[0].As<Napi::Number>().Int64Value());
  }
  void cancel(const Napi::CallbackInfo&) {
    if (pacer_) pacer_->cancel();
  }
  void close(const Napi::CallbackInfo&) {
    if (!pacer_) return;
    pacer_.reset();
    end_.reset();
    wake_.Release();
  }

 private:
  Napi::ThreadSafeFunction wake_;
  std::optional<EnvEnd> end_;
  // After what its thread uses, so that it ends first.
  std::unique_ptr<Pacer> pacer_;
};

}  // namespace

Napi::Function define_pacer(Napi::Env env) {
  using Object = PacerObject;
  return Object::DefineClass(env, "Pacer",
                             {Object::InstanceMethod<&Object::set>("set"),
                              Object::InstanceMethod<&Object::cancel>("cancel"),
                              Object::InstanceMethod<&Object::close>("close")});
}

}  // namespace tapio
