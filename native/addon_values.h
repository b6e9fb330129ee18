// Values between C++ and JS.
#pragma once

#include <napi.h>
#include <string.h>

#include <string>
#include <vector>

namespace tapio {

inline Napi::Error js_error(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  return error;
}

inline Napi::BigInt big(Napi::Env env, uint64_t value) { return Napi::BigInt::New(env, value); }
inline Napi::BigInt big(Napi::Env env, int64_t value) { return Napi::BigInt::New(env, value); }

inline int64_t int64_of(const Napi::Value& value) {
  bool lossless;
  return value.As<Napi::BigInt>().Int64Value(&lossless);
}
inline uint64_t uint64_of(const Napi::Value& value) {
  bool lossless;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

inline Napi::BigUint64Array to_array(Napi::Env env, const std::vector<uint64_t>& values) {
  auto array = Napi::BigUint64Array::New(env, values.size());
  if (!values.empty()) memcpy(array.Data(), values.data(), values.size() * 8);
  return array;
}
inline Napi::Uint32Array to_array(Napi::Env env, const std::vector<uint32_t>& values) {
  auto array = Napi::Uint32Array::New(env, values.size());
  if (!values.empty()) memcpy(array.Data(), values.data(), values.size() * 4);
  return array;
}

inline uint32_t uint32_of(const Napi::Value& value) {
  return value.As<Napi::Number>().Uint32Value();
}

}  // namespace tapio
