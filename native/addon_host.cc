#include "addon_host.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cstdint>
#include <string>

namespace tapio {
namespace {

int64_t clock_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

}  // namespace

Napi::Value peer_credentials(const Napi::CallbackInfo& info) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(info[0].As<Napi::Number>().Int32Value(), SOL_SOCKET, SO_PEERCRED, &peer, &size) !=
      0) {
    Napi::Error error = Napi::Error::New(
        info.Env(), std::string("cannot tell who is connected: ") + strerror(errno));
    error.Set("code", "io");
    error.ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  auto out = Napi::Object::New(info.Env());
  out.Set("pid", peer.pid);
  out.Set("uid", peer.uid);
  out.Set("gid", peer.gid);
  return out;
}

// The three clocks, read as closely together as several tries allow.
Napi::Value clocks(const Napi::CallbackInfo& info) {
  int64_t best = INT64_MAX, realtime = 0, monotonic = 0, boottime = 0;
  for (int i = 0; i < 8; i++) {
    const int64_t before = clock_ns(CLOCK_MONOTONIC);
    const int64_t wall = clock_ns(CLOCK_REALTIME);
    const int64_t boot = clock_ns(CLOCK_BOOTTIME);
    const int64_t after = clock_ns(CLOCK_MONOTONIC);
    if (after - before >= best) continue;
    best = after - before;
    realtime = wall;
    boottime = boot;
    monotonic = before + (after - before) / 2;
  }
  auto out = Napi::Object::New(info.Env());
  out.Set("realtime", Napi::BigInt::New(info.Env(), realtime));
  out.Set("monotonic", Napi::BigInt::New(info.Env(), monotonic));
  out.Set("boottime", Napi::BigInt::New(info.Env(), boottime));
  return out;
}

}  // namespace tapio
