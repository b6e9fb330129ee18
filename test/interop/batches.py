"""Takes batches of raw events as a Python client does, and tells how many came and how fast: batches.py ADDRESS SINCE COUNT
[raw|decoded]. Raw: a batch is parsed as far as its events are counted; decoded: by the messages that reflection describes."""

import json
import struct
import sys
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

METHOD = "/tapio.ebpf.v1.EBPFExport/StreamRawEventBatches"
EVENTS_TAG = 0x0A


def count(batch: bytes) -> int:
    """Events of a batch: fields 1, which come first."""
    events = at = 0
    while at < len(batch) and batch[at] == EVENTS_TAG:
        at += 1
        length = shift = 0
        while True:
            byte = batch[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += length
        events += 1
    return events


def main() -> None:
    address, since, wanted, how = sys.argv[1:]
    with grpc.insecure_channel(
        address, options=[("grpc.max_receive_message_length", -1)]
    ) as channel:
        decode = None
        if how == "decoded":
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            message = GetMessageClass(pool.FindMessageTypeByName("tapio.ebpf.v1.RawEventBatch"))
            decode = message.FromString
        stream = channel.unary_stream(METHOD, response_deserializer=decode)(
            b"\x11" + struct.pack("<Q", int(since))
        )
        events, began = 0, None
        for batch in stream:
            began = began or time.monotonic()
            events += count(batch) if decode is None else len(batch.events)
            if events >= int(wanted):
                break
        seconds = time.monotonic() - began
        stream.cancel()
    print(json.dumps({"events": events, "seconds": seconds}))


main()
