package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// sink is where events go. What put has taken is durable once flush returns.
type sink interface {
	put(ctx context.Context, b *event.Batch) error
	flush(ctx context.Context) error
	// mark returns what resume needs to go on after the last flush.
	mark() int64
	close() error
}

// publisher puts a batch onto a log and returns once it is durable there.
type publisher interface {
	Publish(ctx context.Context, b *event.Batch, correlation string) error
}

// flushEvents is how many events a log or database takes at a time.
const flushEvents = 5000

// logSink publishes. Batches of one app and kind are gathered, so that a log of
// small messages does not cost an fsync for each.
type logSink struct {
	pub     publisher
	batches map[string]*event.Batch // by subject
	waiting int
}

func newLogSink(pub publisher) *logSink {
	return &logSink{pub: pub, batches: map[string]*event.Batch{}}
}

func (s *logSink) put(ctx context.Context, b *event.Batch) error {
	subject := stream.Subject(b.Kind, b.App)
	gathered := s.batches[subject]
	if gathered == nil {
		gathered = &event.Batch{App: b.App, Kind: b.Kind}
		s.batches[subject] = gathered
	}
	gathered.Append(b)
	if s.waiting += b.Len(); s.waiting >= flushEvents {
		return s.flush(ctx)
	}
	return nil
}

func (s *logSink) flush(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, b := range s.batches {
		g.Go(func() error { return s.pub.Publish(ctx, b, "") })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	clear(s.batches)
	s.waiting = 0
	return nil
}

func (s *logSink) mark() int64  { return 0 }
func (s *logSink) close() error { return nil }

// databaseSink stores as the writer does.
type databaseSink struct {
	store   *rawstore.Store
	rows    rawstore.Rows
	outcome rawstore.Outcome
	refused int
	reason  error // of the first refusal
}

func newDatabaseSink(pool *pgxpool.Pool) *databaseSink {
	return &databaseSink{store: rawstore.New(pool, nil)}
}

func (s *databaseSink) put(ctx context.Context, b *event.Batch) error {
	s.rows.Add(b)
	if s.rows.Len() >= flushEvents {
		return s.flush(ctx)
	}
	return nil
}

func (s *databaseSink) refuse(_ rawstore.Rows, err error) {
	s.refused++
	if s.reason == nil {
		s.reason = err
	}
}

func (s *databaseSink) flush(ctx context.Context) error {
	out, err := s.store.PutAll(ctx, s.rows, s.refuse)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.outcome = s.outcome.Plus(out)
	s.rows.Clear()
	return nil
}

func (s *databaseSink) mark() int64  { return 0 }
func (s *databaseSink) close() error { return nil }

// lineSink writes one event a line, to a file or to standard output. Each flush
// ends a frame of a compressed file, so what is before it can be read whatever
// comes after.
type lineSink struct {
	file *os.File // nil for standard output
	zstd *zstd.Encoder
	raw  io.Writer
	buf  *bufio.Writer
	line []byte
	n    int
}

const flushLines = 20_000

// newFileSink continues a file at size, or begins it at 0.
func newFileSink(path string, size int64) (*lineSink, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600) // it holds user ids
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(size); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.Seek(size, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	s := &lineSink{file: file, raw: file, buf: bufio.NewWriter(file)}
	if strings.HasSuffix(path, ".zst") {
		if s.zstd, err = zstd.NewWriter(file, zstd.WithEncoderConcurrency(1)); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		s.buf = bufio.NewWriter(s.zstd)
	}
	return s, nil
}

func newLineSink(w io.Writer) *lineSink { return &lineSink{raw: w, buf: bufio.NewWriter(w)} }

func (s *lineSink) put(ctx context.Context, b *event.Batch) error {
	for i := range b.Len() {
		var err error
		if s.line, err = encodeLine(s.line[:0], b, i); err != nil {
			return err
		}
		if _, err := s.buf.Write(s.line); err != nil {
			return err
		}
	}
	if s.n += b.Len(); s.n >= flushLines {
		return s.flush(ctx)
	}
	return nil
}

func (s *lineSink) flush(context.Context) error {
	s.n = 0
	if err := s.buf.Flush(); err != nil {
		return err
	}
	if s.zstd != nil {
		if err := s.zstd.Close(); err != nil {
			return err
		}
		s.zstd.Reset(s.raw)
	}
	if s.file != nil {
		return s.file.Sync()
	}
	return nil
}

func (s *lineSink) mark() int64 {
	if s.file == nil {
		return 0
	}
	at, err := s.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0 // a resumed replay would write the file anew: slow, and right
	}
	return at
}

func (s *lineSink) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
