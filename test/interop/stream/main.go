// Takes a stream of raw events as a Go client does, and tells how many came and how fast: stream ADDRESS METHOD SINCE COUNT.
// Messages are parsed as far as their seq, which must rise by one.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protowire"
)

type raw struct{ bytes []byte }

// Messages as they are.
type codec struct{}

func (codec) Marshal(v any) ([]byte, error)      { return v.(*raw).bytes, nil }
func (codec) Unmarshal(data []byte, v any) error { v.(*raw).bytes = data; return nil }
func (codec) Name() string                       { return "proto" }

// The seqs of a message: one of an event, many of a batch.
func seqs(message []byte, batch bool, each func(uint64)) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		switch {
		case batch && number == 1:
			event, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return protowire.ParseError(n)
			}
			if err := seqs(event, false, each); err != nil {
				return err
			}
			message = message[n:]
		case !batch && number == 1:
			seq, n := protowire.ConsumeVarint(message)
			if n < 0 {
				return protowire.ParseError(n)
			}
			each(seq)
			return nil
		default:
			n := protowire.ConsumeFieldValue(number, kind, message)
			if n < 0 {
				return protowire.ParseError(n)
			}
			message = message[n:]
		}
	}
	return nil
}

func run() error {
	if len(os.Args) != 5 {
		return fmt.Errorf("usage: stream ADDRESS METHOD SINCE COUNT")
	}
	since, err := strconv.ParseUint(os.Args[3], 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(os.Args[4])
	if err != nil {
		return err
	}
	encoding.RegisterCodec(codec{})
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(4<<20), grpc.WithInitialConnWindowSize(4<<20))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	method := "/tapio.ebpf.v1.EBPFExport/" + os.Args[2]
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	request := protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), since)
	if err := stream.SendMsg(&raw{request}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	batch := os.Args[2] == "StreamRawEventBatches"
	var began time.Time
	var events, gaps int
	var last uint64
	for events < count {
		var message raw
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		if events == 0 {
			began = time.Now()
		}
		if err := seqs(message.bytes, batch, func(seq uint64) {
			if last != 0 && seq != last+1 {
				gaps++
			}
			last = seq
			events++
		}); err != nil {
			return err
		}
	}
	seconds := time.Since(began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"events": events, "gaps": gaps, "seconds": seconds})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
