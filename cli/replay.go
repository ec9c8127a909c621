package cli

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/console"
	"github.com/lakepulse/lakepulse/tools/replay"
)

// replayCmd sends events again, by default to the standalone that runs on this
// directory: developers replay production into their own installation.
type replayCmd struct {
	natsFlags   `embed:""`
	selectFlags `embed:""`

	File    string `help:"Read events from a file instead of a log: one JSON object per line; compressed if it ends in .zst." type:"existingfile" placeholder:"FILE"`
	Since   string `help:"Only events since then: a time (RFC 3339), a day, or an age (36h)."`
	Until   string `help:"Only events before then."`
	FromSeq uint64 `name:"from-seq" help:"Start at this sequence of the log."`

	ToNATS      string `name:"to-nats" help:"Publish to this NATS." placeholder:"URL"`
	ToNATSCreds string `name:"to-nats-creds" help:"NATS credentials file for --to-nats." placeholder:"FILE"`
	ToDatabase  string `name:"to-database" help:"Insert into this database." placeholder:"URL"`
	ToFile      string `name:"to-file" help:"Write to a file, compressed if it ends in .zst; - for standard output." placeholder:"FILE"`
	ToDataDir   string `name:"to-data-dir" help:"Publish to the log of the standalone that runs on this data directory." default:"./.lakepulse" type:"path"`

	Speed        string        `help:"max, or a factor of the original speed: 1x, 10x." default:"max"`
	ShiftTo      string        `name:"shift-to" help:"Move events in time so that the last event (with --speed 1x, the first) is at this time, or now."`
	Pseudonymise bool          `help:"Replace user and session ids by stable pseudonyms."`
	PseudonymKey string        `help:"Key of the pseudonyms; without it a key stored on this machine." env:"LAKEPULSE_PSEUDONYM_KEY"`
	RawRetention time.Duration `help:"Raw retention of the target; older events are left out." default:"168h" env:"LAKEPULSE_RAW_RETENTION"`
	State        string        `help:"File with the position of an interrupted replay." placeholder:"FILE"`
	Restart      bool          `help:"Start from the beginning, ignoring the state file."`
}

func (c *replayCmd) Run(e *env) (err error) {
	o, err := c.options()
	if err != nil {
		return usageError(err)
	}
	var closers []func()
	defer func() {
		for _, f := range closers {
			f()
		}
	}()
	if c.File == "" {
		nc, js, err := c.connect(e)
		if err != nil {
			return err
		}
		closers = append(closers, nc.Close)
		o.Log = js
	}
	end, err := c.sink(e, &o)
	if err != nil {
		return err
	}
	closers = append(closers, end)
	m := console.NewMeter(e.errs, "replay", time.Now)
	o.Progress = m.Update
	report, err := replay.Run(e.ctx, o)
	m.Finish()
	if err != nil && o.State != "" {
		err = fmt.Errorf("%w (run the same command again to continue)", err)
	}
	return errors.Join(err, writeReport(e.errs, report))
}

// ontoItself reports whether source and target are the same log.
func (c *replayCmd) ontoItself() bool {
	return c.File == "" && c.ToFile == "" && c.ToDatabase == "" && c.NATSURL == c.ToNATS && (c.ToNATS != "" || c.DataDir == c.ToDataDir)
}

func (c *replayCmd) options() (replay.Options, error) {
	if c.ontoItself() {
		return replay.Options{}, errors.New("source and target are the same log: set --to-nats, --to-database, --to-file or --to-data-dir")
	}
	now := time.Now()
	o := replay.Options{File: c.File, FromSequence: c.FromSeq, App: c.App, Kinds: c.kinds(), RawRetention: c.RawRetention, Clock: time.Now}
	for _, flag := range []struct {
		name, text string
		to         *time.Time
	}{{"--since", c.Since, &o.Since}, {"--until", c.Until, &o.Until}, {"--shift-to", c.ShiftTo, &o.ShiftTo}} {
		t, err := parseTime(flag.text, now)
		if err != nil {
			return o, fmt.Errorf("%s: %w", flag.name, err)
		}
		*flag.to = t
	}
	if c.Speed != "max" {
		speed, err := strconv.ParseFloat(strings.TrimSuffix(c.Speed, "x"), 64)
		if err != nil || speed <= 0 {
			return o, fmt.Errorf("--speed %s: must be max, or a number as in 10x", c.Speed)
		}
		o.Speed = speed
	}
	if c.Pseudonymise {
		key, err := pseudonymKey(c.PseudonymKey)
		if err != nil {
			return o, err
		}
		o.Key = key
	}
	var err error
	o.State, err = c.state()
	return o, err
}

// sink opens the target of the replay and returns its close function.
func (c *replayCmd) sink(e *env, o *replay.Options) (func(), error) {
	switch {
	case c.ToFile == "-":
		o.ToWriter, o.State = e.out, ""
		return func() {}, nil
	case c.ToFile != "":
		o.ToFile = c.ToFile
		return func() {}, nil
	case c.ToDatabase != "":
		cfg := postgres.DefaultConfig()
		cfg.URL = c.ToDatabase
		pool, err := postgres.Open(e.ctx, cfg)
		if err != nil {
			return nil, err
		}
		o.ToDatabase = pool
		return pool.Close, nil
	}
	target := natsFlags{dataFlag: dataFlag{DataDir: c.ToDataDir}, natsServer: natsServer{NATSURL: c.ToNATS, NATSCreds: c.ToNATSCreds}}
	nc, js, err := target.connect(e)
	if err != nil {
		return nil, err
	}
	o.ToLog = stream.NewPublisher(js)
	return nc.Close, nil
}

// state returns the state file. Its name is a hash of the flags: a replay with another
// source, selection or target has another state.
func (c *replayCmd) state() (string, error) {
	path := c.State
	if path == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", nil //nolint:nilerr // without a home directory the replay cannot be resumed
		}
		same := *c
		same.Restart = false
		text, err := json.Marshal(same)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(text)
		path = filepath.Join(dir, "lakepulse", "replay-"+hex.EncodeToString(sum[:8])+".json")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
	}
	if c.Restart {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return path, nil
}

// pseudonymKey returns the given key, or the one stored on this machine, which it
// creates if there is none.
func pseudonymKey(given string) ([]byte, error) {
	if given != "" {
		return []byte(given), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("--pseudonym-key is needed: %w", err)
	}
	path := filepath.Join(dir, "lakepulse", "pseudonym.key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) > 0 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	key = []byte(rand.Text())
	return key, os.WriteFile(path, key, 0o600)
}

// parseTime reads a time: now, RFC 3339, a day, or a duration before now. "" is the
// zero time.
func parseTime(text string, now time.Time) (time.Time, error) {
	switch text {
	case "":
		return time.Time{}, nil
	case "now":
		return now.UTC(), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: must be a time (2006-01-02T15:04:05Z), a day (2006-01-02), a duration (36h) or now", text)
}

// writeReport writes one line with the counts of a replay or rebuild.
func writeReport(w io.Writer, r replay.Report) error {
	p := []string{fmt.Sprintf("%d events", r.Events)}
	add := func(n int64, format string, args ...any) {
		if n > 0 {
			p = append(p, fmt.Sprintf(format, append([]any{n}, args...)...))
		}
	}
	add(r.Stored, "%d stored")
	add(r.Duplicate, "%d existed already")
	add(r.Summarised, "%d are below the purge line of the target, counted in its aggregates already")
	add(r.Refused, "%d REFUSED by the database")
	add(r.Invalid, "%d INVALID and left out")
	add(r.Unreadable, "%d UNREADABLE")
	add(r.Outside, "%d LEFT OUT: from %s to %s is outside the raw retention of the target; --shift-to moves events", r.Oldest.Format(time.RFC3339), r.Newest.Format(time.RFC3339))
	if r.Reason != "" {
		p = append(p, "for example: "+r.Reason)
	}
	if r.Shift != 0 {
		p = append(p, "shifted by "+r.Shift.String())
	}
	if !r.Reach.IsZero() {
		p = append(p, "the log reaches back to "+r.Reach.UTC().Format(time.RFC3339))
	}
	_, err := fmt.Fprintln(w, strings.Join(p, "; "))
	return err
}
