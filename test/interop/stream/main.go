// Takes a stream of raw events as a Go client does, and tells how many came and how fast, and after -warm seconds how old
// they were: stream [-ca FILE -cert FILE -key FILE] [-warm N] [-seconds N] ADDRESS METHOD SINCE COUNT. SINCE 0 is from now on;
// it ends after COUNT events or so many seconds. Messages are parsed as far as their ts; their seq must rise by one.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
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

// The seq and ts of a message: one of an event, many of a batch.
func rows(message []byte, batch bool, each func(seq, ts uint64)) error {
	var seq uint64
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
			if err := rows(event, false, each); err != nil {
				return err
			}
			message = message[n:]
		case !batch && number == 1:
			value, n := protowire.ConsumeVarint(message)
			if n < 0 {
				return protowire.ParseError(n)
			}
			seq = value
			message = message[n:]
		case !batch && number == 2:
			ts, n := protowire.ConsumeFixed64(message)
			if n < 0 {
				return protowire.ParseError(n)
			}
			each(seq, ts)
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

// Who we are and whom we trust; without files there is neither.
func transport(ca, cert, key string) (credentials.TransportCredentials, error) {
	if ca == "" {
		return insecure.NewCredentials(), nil
	}
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{own}, RootCAs: roots, ServerName: "tapio.test",
	}), nil
}

func run() error {
	ca := flag.String("ca", "", "")
	cert := flag.String("cert", "", "")
	key := flag.String("key", "", "")
	warm := flag.Float64("warm", 0, "")
	most := flag.Float64("seconds", math.Inf(1), "")
	flag.Parse()
	if flag.NArg() != 4 {
		return fmt.Errorf("usage: stream [FLAGS] ADDRESS METHOD SINCE COUNT")
	}
	since, err := strconv.ParseUint(flag.Arg(2), 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(flag.Arg(3))
	if err != nil {
		return err
	}
	creds, err := transport(*ca, *cert, *key)
	if err != nil {
		return err
	}
	encoding.RegisterCodec(codec{})
	connection, err := grpc.NewClient(flag.Arg(0),
		grpc.WithTransportCredentials(creds),
		grpc.WithInitialWindowSize(4<<20), grpc.WithInitialConnWindowSize(4<<20))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	method := "/tapio.ebpf.v1.EBPFExport/" + flag.Arg(1)
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	var request []byte
	if since > 0 {
		request = protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), since)
	}
	if err := stream.SendMsg(&raw{request}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	batch := flag.Arg(1) == "StreamRawEventBatches"
	var began time.Time
	var events, gaps int
	var last uint64
	var ages []int64
	for events < count && (events == 0 || time.Since(began).Seconds() < *most) {
		var message raw
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		now := time.Now()
		if events == 0 {
			began = now
		}
		isWarm := now.Sub(began).Seconds() > *warm
		if err := rows(message.bytes, batch, func(seq, ts uint64) {
			if last != 0 && seq != last+1 {
				gaps++
			}
			last = seq
			events++
			if *warm > 0 && isWarm {
				ages = append(ages, now.UnixNano()-int64(ts))
			}
		}); err != nil {
			return err
		}
	}
	seconds := time.Since(began).Seconds()
	told := map[string]any{"events": events, "gaps": gaps, "seconds": seconds}
	if len(ages) > 0 {
		slices.Sort(ages)
		for name, share := range map[string]float64{"p50_ms": 0.5, "p99_ms": 0.99} {
			told[name] = float64(ages[int(float64(len(ages))*share)]) / 1e6
		}
		told["timed"] = len(ages)
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
