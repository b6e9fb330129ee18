// Reads UnifiedEvents as a Go receiver does, into a struct with Tapio's tags, and writes them again: one per line, stdin to
// stdout. A key that the struct does not have is an error.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

type semantic struct {
	Intent     string   `json:"intent"`
	Category   string   `json:"category"`
	Tags       []string `json:"tags"`
	Narrative  string   `json:"narrative"`
	Confidence float64  `json:"confidence"`
}

type entity struct {
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	Namespace string            `json:"namespace,omitempty"`
	UID       string            `json:"uid,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

type kernel struct {
	Syscall    string            `json:"syscall,omitempty"`
	PID        uint32            `json:"pid,omitempty"`
	TID        uint32            `json:"tid,omitempty"`
	UID        uint32            `json:"uid,omitempty"`
	GID        uint32            `json:"gid,omitempty"`
	Comm       string            `json:"comm,omitempty"`
	ReturnCode int32             `json:"return_code,omitempty"`
	Args       map[string]string `json:"args,omitempty"`
	StackTrace []string          `json:"stack_trace,omitempty"`
	CPUCore    int               `json:"cpu_core,omitempty"`
}

type network struct {
	Protocol   string `json:"protocol,omitempty"`
	SourceIP   string `json:"source_ip,omitempty"`
	SourcePort uint16 `json:"source_port,omitempty"`
	DestIP     string `json:"dest_ip,omitempty"`
	DestPort   uint16 `json:"dest_port,omitempty"`
	Direction  string `json:"direction,omitempty"`
	BytesSent  uint64 `json:"bytes_sent,omitempty"`
	BytesRecv  uint64 `json:"bytes_recv,omitempty"`
	Latency    int64  `json:"latency_ns,omitempty"`
}

type event struct {
	ID         string         `json:"id"`
	Timestamp  time.Time      `json:"timestamp"`
	Type       string         `json:"type"`
	Source     string         `json:"source"`
	Category   string         `json:"category,omitempty"`
	Severity   string         `json:"severity,omitempty"`
	Confidence float64        `json:"confidence,omitempty"`
	Message    string         `json:"message,omitempty"`
	Tags       []string       `json:"tags,omitempty"`
	Semantic   *semantic      `json:"semantic,omitempty"`
	Entity     *entity        `json:"entity,omitempty"`
	Kernel     *kernel        `json:"kernel,omitempty"`
	Network    *network       `json:"network,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	RawData    []byte         `json:"raw_data,omitempty"`
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		var one event
		in := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		in.DisallowUnknownFields()
		// Attributes are any: without it their integers would be doubles.
		in.UseNumber()
		if err := in.Decode(&one); err != nil {
			return fmt.Errorf("%w in %s", err, lines.Text())
		}
		if err := out.Encode(one); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
