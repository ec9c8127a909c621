package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// item is what a source gives at a time.
type item struct {
	position   uint64 // where to go on after it: a sequence, or a line of a file
	batch      *event.Batch
	unreadable error // set instead of batch
}

// source is where events come from.
type source interface {
	// next returns io.EOF after the last item.
	next(ctx context.Context) (item, error)
	// span returns the first position, the last one and what there is between.
	span() (first, last uint64)
	close() error
}

// logSource reads a stream.
type logSource struct{ *stream.Source }

func openLog(ctx context.Context, js jetstream.JetStream, sel stream.Selection) (*logSource, error) {
	s, err := stream.OpenSource(ctx, js, sel)
	if err != nil {
		return nil, err
	}
	return &logSource{s}, nil
}

func (l *logSource) next(ctx context.Context) (item, error) {
	m, err := l.Next(ctx)
	if err != nil {
		return item{}, err
	}
	b, err := m.Decode()
	return item{position: m.Sequence, batch: b, unreadable: err}, nil
}

func (l *logSource) span() (first, last uint64) { return l.Reach.First, l.Reach.Last }
func (l *logSource) close() error               { l.Close(); return nil }

// fileSource reads one event a line: the event's JSON and its kind.
type fileSource struct {
	file  *os.File
	zstd  *zstd.Decoder // nil for plain text
	lines *bufio.Scanner
	line  uint64
	skip  uint64 // lines done before
	size  uint64
}

const maxLine = 1 << 20

func openFile(path string, skip uint64) (*fileSource, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f := &fileSource{file: file, skip: skip, size: uint64(info.Size())}
	var r io.Reader = file
	if strings.HasSuffix(path, ".zst") {
		if f.zstd, err = zstd.NewReader(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		r = f.zstd
	}
	f.lines = bufio.NewScanner(r)
	f.lines.Buffer(make([]byte, 64<<10), maxLine)
	return f, nil
}

func (f *fileSource) next(ctx context.Context) (item, error) {
	for f.lines.Scan() {
		f.line++
		if f.line <= f.skip || len(f.lines.Bytes()) == 0 {
			continue
		}
		b, err := decodeLine(f.lines.Bytes())
		if err != nil {
			err = fmt.Errorf("line %d: %w", f.line, err)
		}
		return item{position: f.line, batch: b, unreadable: err}, ctx.Err()
	}
	if err := f.lines.Err(); err != nil {
		return item{}, fmt.Errorf("line %d: %w", f.line+1, err)
	}
	return item{}, io.EOF
}

func (f *fileSource) span() (first, last uint64) { return 1, 0 } // how many lines is not known

func (f *fileSource) close() error {
	if f.zstd != nil {
		f.zstd.Close()
	}
	return f.file.Close()
}

func decodeLine(line []byte) (*event.Batch, error) {
	var head struct {
		Kind event.Kind `json:"kind"`
		App  string     `json:"app"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, err
	}
	b := &event.Batch{App: head.App, Kind: head.Kind}
	e, err := b.Extend()
	if err != nil {
		return nil, err
	}
	return b, json.Unmarshal(line, e)
}

// encodeLine appends event i of a batch as a line that decodeLine reads.
func encodeLine(dst []byte, b *event.Batch, i int) ([]byte, error) {
	body, err := json.Marshal(b.At(i))
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"kind":"`+string(b.Kind)+`",`...)
	return append(append(dst, body[1:]...), '\n'), nil
}
