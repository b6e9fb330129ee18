// The N-API face of the encoder of raw events: src/source/raw-events.ts describes it.
#pragma once

#include <napi.h>

namespace tapio {

class RawEvents;

// Messages of rows, and where they end.
Napi::Value encode_raw_events(const Napi::CallbackInfo& info);
// As JS has them.
Napi::Object messages_object(Napi::Env env, const RawEvents& events);

}  // namespace tapio
