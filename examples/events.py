"""Events of a recorder, taken up again where they were left whenever the connection breaks; what was lost is said."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

RETRY_S = 1
# A recorder that restarts, and one that has too many clients.
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
PACKAGE = "tapio.ebpf.v1"


def events(address: str, **selection: Any) -> Iterator[Any]:
    """Events from now on, for ever, in batches: one message for each would be too dear in Python.

    A token is behind what is durable, so that after a break the last of them may come again.

    Raises SystemExit with what the recorder says of a selection that makes no sense or is not permitted.
    """
    since = time.time_ns()
    token = ""
    with grpc.insecure_channel(address) as channel:
        while True:
            try:
                # The recorder says itself what its messages are.
                pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
                find = pool.FindMessageTypeByName
                request_of, batch_of = (
                    message_factory.GetMessageClass(find(f"{PACKAGE}.{name}"))
                    for name in ("StreamRequest", "RawEventBatch")
                )
                place = {"resume_token": token} if token else {"since": since}
                call = channel.unary_stream(
                    f"/{PACKAGE}.EBPFExport/StreamRawEventBatches",
                    request_serializer=request_of.SerializeToString,
                    response_deserializer=batch_of.FromString,
                )(request_of(selection=selection, **place))
                for batch in call:
                    for event in batch.events:
                        if event.HasField("loss"):
                            print(f"{event.loss.count} events were lost: {event.loss.cause}", file=sys.stderr)
                        else:
                            yield event
                    token = batch.resume_token or token
            except KeyError:
                print(f"{address} does not answer: once more in {RETRY_S} s", file=sys.stderr)
            except grpc.RpcError as error:
                if error.code() not in PASSING:
                    sys.exit(error.details())
                print(f"{error.details()}: once more in {RETRY_S} s", file=sys.stderr)
            time.sleep(RETRY_S)
