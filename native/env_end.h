// Ends threads with the environment that they call into, before the functions that they call are
// gone: such a call would wait for a lock that whoever waits for the thread holds.
#pragma once

#include <napi.h>

#include <functional>
#include <utility>

namespace tapio {

// To be made after the thread-safe function that the threads call: what was made last ends first.
class EnvEnd {
 public:
  EnvEnd(napi_env env, std::function<void()> then) : env_(env), then_(std::move(then)) {
    napi_add_env_cleanup_hook(env_, &EnvEnd::ended, this);
  }
  ~EnvEnd() {
    if (then_) napi_remove_env_cleanup_hook(env_, &EnvEnd::ended, this);
  }
  EnvEnd(const EnvEnd&) = delete;
  EnvEnd& operator=(const EnvEnd&) = delete;

 private:
  static void ended(void* self) {
    const auto then = std::exchange(static_cast<EnvEnd*>(self)->then_, nullptr);
    then();
  }

  napi_env env_;
  std::function<void()> then_;
};

}  // namespace tapio
